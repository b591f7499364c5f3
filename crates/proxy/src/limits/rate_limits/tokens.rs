//! The limits of tokens of an LLM call: it reserves the tokens that it probably uses in all of them or in none. Its end settles
//! them.

use std::time::Duration;

use access::Amount;
use ai::bound::Estimate;
use config::snapshot::LimitStage;
use meter::RefusedLimit;
use meter::limiter::LimitTerms;
use meter::limiter::sharing::{LimitSharing, PendingTokens, SharedTokenLimit};
use meter::rate::RateExceeded;

use super::{PhaseValues, each};
use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::limits::grants;
use crate::refusal::call_tokens::{CallTokens, PendingTokenLimit};
use crate::refusal::counted_limits::PendingLimit;
use crate::refusal::problem::Problem;

/// Returns the limits of tokens that apply to an LLM call, which they count under the name `model`.
pub(crate) fn limits(account: &mut RequestAccount, client: &Client, model: &str) -> Result<Vec<PendingLimit>, Problem> {
    let policy = account.policy().rate_limits.clone();
    let plan = Some(client.principal.plan.name.as_str());
    let phase = PhaseValues { of_route: &policy, plan, model: Some(model) };
    let mut found = Vec::new();
    each(account, &phase, LimitStage::Tokens, |_, limit| {
        found.push(limit);
        Ok(())
    })?;
    Ok(found)
}

/// Reserves the estimated tokens of a call in these limits. If one of them refuses it, the end of the call gives back what the
/// others have counted.
pub(crate) async fn reserve(
    account: &mut RequestAccount,
    limits: Vec<PendingLimit>,
    estimate: Estimate,
) -> Result<(), Problem> {
    let mut pending = Vec::new();
    for limit in limits {
        let LimitTerms::Tokens(terms) = limit.terms else { continue };
        pending.push(PendingTokenLimit {
            tokens: terms.unit().counted_tokens(estimate.input, estimate.output),
            limit,
            terms,
        });
    }
    if let Some(small) = pending.iter().find(|pending| pending.is_too_small()) {
        uncount(account, small);
        let exceeded = RateExceeded { limit: small.terms.at_once(), retry_after: Duration::MAX, reset: Duration::MAX };
        let limit = refused_limit(account, small, &exceeded).map(|limit| RefusedLimit { full_at: None, ..limit });
        let problem = small.lasting_refusal();
        return Err(match limit {
            Some(limit) => problem.by_limit(limit),
            None => problem,
        });
    }
    let at = account.request.at.clone();
    let counters = account.request.snapshot.limit_counters.clone();
    let Some(inference) = &mut account.inference else { return Ok(()) };
    // The end of the request settles them, also if it is dropped while it waits.
    inference.tokens = Some(Box::new(CallTokens::new(estimate, counters)));
    match &at.worker.shared.sharing {
        None => pending.iter().try_for_each(|pending| count_here(account, pending)),
        Some(sharing) => count_shared(account, sharing, pending).await,
    }
}

/// Counts the call in a limit of this process.
fn count_here(account: &mut RequestAccount, pending: &PendingTokenLimit) -> Result<(), Problem> {
    let now = account.request.mono();
    let Some(tokens) = tokens(account) else { return Ok(()) };
    match tokens.take(pending, now) {
        Ok(()) => Ok(()),
        Err(exceeded) => {
            let remaining = tokens.remaining(pending, now);
            Err(refuse(account, pending, exceeded, Some(remaining)))
        }
    }
}

/// Lets Redis decide about the call, for all limits at once.
async fn count_shared(
    account: &mut RequestAccount,
    sharing: &LimitSharing,
    pending: Vec<PendingTokenLimit>,
) -> Result<(), Problem> {
    let since = account.request.phase_begins();
    let asked: Vec<Option<PendingTokens>> = pending.iter().map(|pending| ask(account, sharing, pending)).collect();
    for (pending, asked) in pending.into_iter().zip(asked) {
        let result = match asked {
            Some(asked) => grants::wait_for(account, asked.result()).await,
            None => None,
        };
        let share = pending.terms.share(sharing.nodes());
        let now = account.request.mono();
        let Some(tokens) = tokens(account) else { continue };
        match result {
            Some(Ok((level, shared))) => tokens.admitted(&pending, share, (level, (sharing.clone(), shared)), now),
            // The rest is that of all nodes, which the refusal does not have.
            Some(Err(exceeded)) => return Err(refuse(account, &pending, exceeded, None)),
            None => {
                sharing.fall_back();
                let counted = tokens.take_share(&pending, share, now);
                counted.map_err(|exceeded| refuse(account, &pending, exceeded, None))?;
            }
        }
    }
    account.request.phase_ends("limit", since);
    Ok(())
}

/// Asks Redis to count the call; `None` if it is unavailable, or the call has waited as long as it may.
fn ask(account: &RequestAccount, sharing: &LimitSharing, pending: &PendingTokenLimit) -> Option<PendingTokens> {
    if grants::is_late(account) {
        return None;
    }
    let PendingTokenLimit { limit, terms, tokens } = pending;
    let rule = account.request.snapshot.traffic.rate_limits.all().get(limit.position)?;
    let shared = SharedTokenLimit { id: rule.id.as_bytes(), key: &limit.key, terms: *terms };
    sharing.take_tokens(&shared, *tokens)
}

fn tokens(account: &mut RequestAccount) -> Option<&mut CallTokens> {
    account.inference.as_mut()?.tokens.as_deref_mut()
}

/// Uncounts the call in all limits of requests, and returns its refusal by this one. `remaining` is the rest of the limit, if that is
/// known.
fn refuse(
    account: &mut RequestAccount,
    pending: &PendingTokenLimit,
    exceeded: RateExceeded,
    remaining: Option<u32>,
) -> Problem {
    uncount(account, pending);
    let problem = pending.refusal(exceeded, remaining.unwrap_or(0));
    let Some(limit) = refused_limit(account, pending, &exceeded) else { return problem };
    let used = remaining.map(|left| limit.limit.saturating_sub(Amount(left.into())));
    problem.by_limit(RefusedLimit { used, ..limit })
}

/// Returns the limit that refuses a call, as if nothing were known of its use.
fn refused_limit(
    account: &RequestAccount,
    pending: &PendingTokenLimit,
    exceeded: &RateExceeded,
) -> Option<RefusedLimit> {
    let rule = account.request.snapshot.traffic.rate_limits.all().get(pending.limit.position)?;
    let now = account.request.worker().shared.clock.now();
    let limit = RefusedLimit::of_rule(rule.name.clone(), pending.limit.terms, exceeded, now);
    Some(RefusedLimit { used: None, requested: Amount::of_tokens(pending.tokens), ..limit })
}

fn uncount(account: &mut RequestAccount, pending: &PendingTokenLimit) {
    let now = account.request.mono();
    account.counted_limits().refuse(&pending.limit, now);
    if let Some(rule) = account.request.snapshot.traffic.rate_limits.all().get(pending.limit.position) {
        account.request.worker().shared.metrics.limits.refuse(&rule.name);
    }
}
