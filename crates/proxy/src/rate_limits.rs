//! The rate limits of the configuration. Limits that need no client apply before authentication, the others after it. A
//! request counts in all limits that apply to it, or in none if one of them refuses it.

pub(crate) mod exact;
mod key;

use std::borrow::Cow;
use std::ops::Range;

use access::{Mono, Refusal};
use config::snapshot::{LimitTier, RateLimit, TierBy};
use http::{HeaderValue, header};
use meter::limiter::LimitTerms;
use meter::rate::RateExceeded;

use crate::account::RequestAccount;
use crate::answer::{Problem, seconds_up};
use crate::authenticate::Client;
use crate::counted_limits::{CountedLimits, PendingLimit};
use crate::token_client::TokenClient;

/// Maximum number of limits of one request that Redis counts together.
const SHARED_MAX: usize = 4;

/// The limits that nodes share; none without an allocation.
pub(crate) type PendingLimits = Vec<PendingLimit>;

/// Counts the request in the limits that need no client; `of_route` are the positions of the route's own limits. Returns
/// those that nodes share.
pub(crate) fn before_authentication(
    account: &mut RequestAccount,
    of_route: &Range<usize>,
) -> Result<PendingLimits, Problem> {
    take(account, of_route, None, |rule, _| if rule.needs_client() { None } else { rule.tier(None) })
}

/// Counts the request in the limits that need the client, or its absence. Returns those that nodes share.
pub(crate) fn after_authentication(
    account: &mut RequestAccount,
    of_route: &Range<usize>,
    client: Option<&Client>,
) -> Result<PendingLimits, Problem> {
    let token = account.token.clone();
    let of_token = || token.as_deref().and_then(|token| token.plan.as_deref());
    let plan = client.map(|client| client.principal.plan.name.as_str()).or_else(of_token);
    take(account, of_route, plan, |rule, tier| if rule.needs_client() { rule.tier(tier) } else { None })
}

/// Returns the name of the client's tier. A claim that is no single text, number or boolean is no tier.
fn tier_name<'a>(rule: &RateLimit, plan: Option<&'a str>, token: Option<&'a TokenClient>) -> Option<Cow<'a, str>> {
    match &rule.tier_by {
        TierBy::Plan => plan.map(Cow::Borrowed),
        TierBy::Claim(claim) => token?.verified.claims.field_value(claim).ok().flatten(),
        TierBy::TokenPlan => token?.plan.as_deref().map(Cow::Borrowed),
    }
}

/// Counts the request in each limit for which `tier` returns a number of requests, except those that nodes share.
fn take(
    account: &mut RequestAccount,
    of_route: &Range<usize>,
    plan: Option<&str>,
    tier: impl for<'a> Fn(&'a RateLimit, Option<&str>) -> Option<&'a LimitTier>,
) -> Result<PendingLimits, Problem> {
    let (snapshot, token) = (account.request.snapshot.clone(), account.token.clone());
    let limits = &snapshot.traffic.rate_limits;
    let mut is_shared = account.request.worker().shared.unauthenticated.shared().is_some();
    is_shared &= !account.rate_limits.as_ref().is_some_and(|counted| counted.is_shared_late);
    let mut shared = PendingLimits::new();
    for position in limits.positions(of_route) {
        let Some(rule) = limits.all().get(position) else { continue };
        let name = tier_name(rule, plan, token.as_deref());
        let Some(tier) = tier(rule, name.as_deref()) else { continue };
        let Some(mut key) = key::key(&rule.dimensions, account) else { continue };
        if let Some(listed) = name.filter(|name| rule.listed(name).is_some()) {
            // Clients of different tiers do not count together.
            key::push(&mut key, listed.as_bytes());
        }
        let pending = PendingLimit { position, key, terms: tier.terms, policy: tier.policy.clone() };
        if is_shared && tier.is_exact && shared.len() < SHARED_MAX {
            shared.push(pending);
        } else {
            count(account, &pending)?;
        }
    }
    Ok(shared)
}

/// Counts the request in a limit of this process.
fn count(account: &mut RequestAccount, pending: &PendingLimit) -> Result<(), Problem> {
    let now = now(account);
    match counted(account).take(pending, now) {
        Ok(level) => {
            counted(account).report(level, pending);
            Ok(())
        }
        Err(exceeded) => Err(refuse(account, pending, exceeded)),
    }
}

/// Returns the current time of the request.
fn now(account: &RequestAccount) -> Mono {
    account.request.worker().shared.clock.mono_at(account.request.read_at().into_std())
}

fn counted(account: &mut RequestAccount) -> &mut CountedLimits {
    let counters = &account.request.snapshot.limit_counters;
    account.rate_limits.get_or_insert_with(|| Box::new(CountedLimits::new(counters.clone())))
}

/// Uncounts the request in all limits, and returns its refusal by this one.
fn refuse(account: &mut RequestAccount, pending: &PendingLimit, exceeded: RateExceeded) -> Problem {
    counted(account).refuse(exceeded, pending);
    if let Some(rule) = account.request.snapshot.traffic.rate_limits.all().get(pending.position) {
        account.request.worker().shared.metrics.limits.refuse(&rule.name);
    }
    problem(exceeded, pending.terms)
}

fn problem(exceeded: RateExceeded, terms: LimitTerms) -> Problem {
    let seconds = seconds_up(exceeded.retry_after).max(1);
    let limit = exceeded.limit;
    let message = match terms {
        LimitTerms::Requests(_) => {
            format!("the rate limit of {limit} requests is reached: try again in {seconds} seconds")
        }
        LimitTerms::Concurrent(_) => {
            format!("{limit} requests are in flight, and no more may be: wait until one has ended")
        }
    };
    Problem::new(Refusal::RateLimited, message).header(header::RETRY_AFTER, HeaderValue::from(seconds))
}
