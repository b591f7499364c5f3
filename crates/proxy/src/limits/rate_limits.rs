//! The rate limits of the configuration. Limits that need no client apply before authentication, the others after it. A
//! request counts in all limits that apply to it, or in none if one of them refuses it.

mod count;
mod key;
pub(crate) mod leased;

use std::borrow::Cow;
use std::ops::Range;

use config::snapshot::{LimitTier, RateLimit, TierBy};

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
    take(account, of_route, None, |rule, _| if rule.needs_client() { None } else { rule.tier(None) })
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
    take(account, of_route, plan, |rule, tier| if rule.needs_client() { rule.tier(tier) } else { None })
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

/// Counts the request in each limit for which `tier` returns a number of requests, except those for which it must wait.
fn take(
    account: &mut RequestAccount,
    of_route: &Range<usize>,
    plan: Option<&str>,
    tier: impl for<'a> Fn(&'a RateLimit, Option<&str>) -> Option<&'a LimitTier>,
) -> Result<WaitingLimits, Problem> {
    let (snapshot, token, own) =
        (account.request.snapshot.clone(), account.identity.token.clone(), account.identity.plan.clone());
    let limits = &snapshot.traffic.rate_limits;
    let mut waiting = WaitingLimits::new();
    for position in limits.positions(of_route) {
        let Some(rule) = limits.all().get(position) else { continue };
        let name = tier_name(rule, &ClientPlans { any: plan, own: own.as_deref() }, token.as_deref());
        let Some(tier) = tier(rule, name.as_deref()) else { continue };
        let Some(mut key) = key::key(&rule.dimensions, account)? else { continue };
        if let Some(listed) = name.filter(|name| rule.listed(name).is_some()) {
            // Clients of different tiers do not count together.
            key::push(&mut key, listed.as_bytes());
        }
        let LimitTier { terms, policy, is_exact } = tier;
        let pending = PendingLimit { position, key, terms: *terms, policy: policy.clone(), is_exact: *is_exact };
        leased::begin(account, pending, &mut waiting)?;
    }
    Ok(waiting)
}
