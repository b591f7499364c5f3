//! The rate limits of the configuration. Limits that need no client apply before authentication, those that need the model of
//! an LLM call after it is known, the others after authentication. A
//! request counts in all limits that apply to it, or in none if one of them refuses it.

mod count;
mod key;
pub(crate) mod leased;
pub(crate) mod tokens;

use std::borrow::Cow;
use std::ops::Range;

use config::snapshot::{LimitStage, LimitTier, RateLimit, TierBy};

use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::refusal::counted_limits::PendingLimit;
use crate::refusal::problem::Problem;
use crate::worker::token_client::TokenClient;
use leased::WaitingLimits;

/// Counts the request in the limits that need no client; `of_route` are the positions of the route's own limits. Returns
/// those for which the request must wait.
pub(crate) fn before_authentication(
    account: &mut RequestAccount,
    of_route: &Range<usize>,
) -> Result<WaitingLimits, Problem> {
    take(account, &PhaseValues { of_route, plan: None, model: None }, LimitStage::Request)
}

/// Counts the request in the limits that need the client, or its absence. Returns those for which
/// the request must wait.
pub(crate) fn after_authentication(
    account: &mut RequestAccount,
    of_route: &Range<usize>,
    client: Option<&Client>,
) -> Result<WaitingLimits, Problem> {
    let own = account.identity.plan.clone();
    let plan = client.map(|client| client.principal.plan.name.as_str()).or(own.as_deref());
    take(account, &PhaseValues { of_route, plan, model: None }, LimitStage::Client)
}

/// Counts an LLM call in the limits that need its model, which they count under the name `model`. Returns those for which the
/// call must wait.
pub(crate) fn after_resolution(
    account: &mut RequestAccount,
    client: &Client,
    model: &str,
) -> Result<WaitingLimits, Problem> {
    let policy = account.policy().rate_limits.clone();
    let plan = Some(client.principal.plan.name.as_str());
    take(account, &PhaseValues { of_route: &policy, plan, model: Some(model) }, LimitStage::Model)
}

/// The values of a request that limits of one phase need.
struct PhaseValues<'a> {
    /// The positions of the route's own limits.
    of_route: &'a Range<usize>,
    /// The plan of the client.
    plan: Option<&'a str>,
    /// The name under which limits count the model.
    model: Option<&'a str>,
}

/// The names of the plans of a client.
struct ClientPlans<'a> {
    /// The plan of any client.
    any: Option<&'a str>,
    /// The plan of a client without a user.
    own: Option<&'a str>,
}

/// Returns the name of the client's tier. A claim that is no single text, number or boolean is no tier.
fn tier_name<'a>(rule: &RateLimit, plans: &ClientPlans<'a>, token: Option<&'a TokenClient>) -> Option<Cow<'a, str>> {
    match &rule.tier_by {
        TierBy::Plan => plans.any.map(Cow::Borrowed),
        TierBy::Claim(claim) => token?.verified.claims.field_value(claim).ok().flatten(),
        TierBy::TokenPlan => plans.own.map(Cow::Borrowed),
    }
}

/// Counts the request in each limit of a stage, except those for which it must wait.
fn take(account: &mut RequestAccount, phase: &PhaseValues<'_>, stage: LimitStage) -> Result<WaitingLimits, Problem> {
    let mut waiting = WaitingLimits::new();
    each(account, phase, stage, |account, pending| leased::begin(account, pending, &mut waiting))?;
    Ok(waiting)
}

/// Passes each limit of a stage that applies to the request to `count`.
fn each(
    account: &mut RequestAccount,
    phase: &PhaseValues<'_>,
    stage: LimitStage,
    mut count: impl FnMut(&mut RequestAccount, PendingLimit) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let snapshot = account.request.snapshot.clone();
    let token = account.identity.token.clone();
    let own = account.identity.plan.clone();
    let limits = &snapshot.traffic.rate_limits;
    let PhaseValues { of_route, plan, .. } = *phase;
    for position in limits.positions(plan, of_route) {
        let Some(rule) = limits.all().get(position).filter(|rule| rule.stage == stage) else { continue };
        let name = tier_name(rule, &ClientPlans { any: plan, own: own.as_deref() }, token.as_deref());
        let Some(tier) = rule.tier(name.as_deref()) else { continue };
        let Some(mut key) = key::key(&rule.dimensions, account, phase)? else { continue };
        if let Some(listed) = name.filter(|name| rule.listed(name).is_some()) {
            // Clients of different tiers do not count together.
            key::push(&mut key, listed.as_bytes());
        }
        let LimitTier { terms, policy, is_exact } = tier;
        let pending = PendingLimit { position, key, terms: *terms, policy: policy.clone(), is_exact: *is_exact };
        count(account, pending)?;
    }
    Ok(())
}
