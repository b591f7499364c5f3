//! Grants of Redis: the time for which a request waits for them, and the rate limits of its plan and key, which nodes share.

use std::time::Duration;

use meter::limiter::RequestTerms;
use meter::limiter::sharing::{PendingGrant, SharedLimit, SharedRequest, SharedTake};
use meter::rate::{RateExceeded, RateLevel};
use meter::{AdmissionRefusal, GrantedLevels, Limits, RateOwner, RateSource};
use smallvec::SmallVec;
use tokio::time::timeout;

use crate::account::RequestAccount;
use crate::refusal::problem::Problem;

/// Maximum time for which a request waits for Redis, over all of its limits: 20 ms, less the resolution of the timer.
const WAIT_MAX: Duration = Duration::from_millis(18);

/// Returns the time for which the request may still wait for Redis.
pub(crate) fn time_left(account: &RequestAccount) -> Duration {
    account.permits.rate_limits.as_ref().map_or(WAIT_MAX, |counted| WAIT_MAX.saturating_sub(counted.waited))
}

/// Whether the request has waited for Redis as long as it may.
pub(crate) fn is_late(account: &RequestAccount) -> bool {
    time_left(account).is_zero()
}

/// Waits for a grant in the time that the request has left for Redis.
pub(crate) async fn wait(
    account: &mut RequestAccount,
    grant: PendingGrant,
) -> Option<Result<(RateLevel, SharedRequest), RateExceeded>> {
    wait_for(account, grant.result()).await
}

/// Waits for a result of Redis in the time that the request has left for it.
pub(crate) async fn wait_for<T>(account: &mut RequestAccount, result: impl Future<Output = Option<T>>) -> Option<T> {
    let began = account.request.read_clock();
    let result = timeout(time_left(account), result).await;
    let waited = account.request.read_clock() - began;
    account.counted_limits().waited += waited;
    result.ok().flatten()
}

/// A rate limit of a plan or a key in which a request counts.
struct SharedRate {
    owner: RateOwner,
    take: SharedTake,
}

/// Counts the request in the rate limits of its plan and key that nodes share. Returns what remains to be counted in this
/// process.
pub(crate) async fn count_rate(
    account: &mut RequestAccount,
    limits: &Limits,
    is_free: bool,
) -> Result<RateSource, Problem> {
    let at = account.request.at.clone();
    let Some(sharing) = &at.worker.shared.sharing else {
        return Ok(RateSource::Here);
    };
    let Some(caller) = account.identity.caller_ids else {
        return Ok(RateSource::Here);
    };
    let is_late = is_late(account);
    // Both limits are asked before the request waits for one of them.
    let begin = |(terms, owner): (RequestTerms, RateOwner)| {
        let key = match owner {
            RateOwner::Key => caller.key.0.as_bytes(),
            RateOwner::User => caller.user.0.as_bytes(),
        };
        // Small limits are exact, like those of the configuration.
        let is_exact = terms.limit() <= config::snapshot::EXACT_MAX.get();
        let id = rate_id(owner, is_free).as_bytes();
        let limit = SharedLimit { counters: sharing.plans(is_free), id, key, terms, is_exact };
        let take = if is_late { SharedTake::Unavailable } else { sharing.take(&limit, account.request.mono()) };
        SharedRate { owner, take }
    };
    let rates: SmallVec<[SharedRate; 2]> = limits.rate_terms(is_free).map(begin).collect();
    if rates.is_empty() {
        return Ok(RateSource::Here);
    }
    let mut granted = GrantedLevels::default();
    let mut refusal = None;
    for SharedRate { owner, take } in rates {
        let result = match take {
            SharedTake::Counted(level, request) => Some(Ok((level, request))),
            SharedTake::Refused(exceeded) => Some(Err(exceeded)),
            // The request of a limit that is not awaited is given back.
            SharedTake::Waits(_) if refusal.is_some() => continue,
            SharedTake::Waits(grant) => wait(account, grant).await,
            SharedTake::Unavailable => None,
        };
        match (result, owner) {
            (Some(Ok((level, request))), owner) => {
                account.counted_limits().share(sharing, request);
                *(if owner == RateOwner::Key { &mut granted.key } else { &mut granted.user }) = Some(level);
            }
            (Some(Err(exceeded)), owner) => refusal = refusal.or(Some(AdmissionRefusal::Rate(exceeded, owner))),
            (None, _) => sharing.fall_back(),
        }
    }
    match refusal {
        Some(refusal) => Err(Problem::of_limit(&refusal, |_| None, &account.request.worker().shared.clock)),
        None => Ok(RateSource::Nodes { nodes: sharing.nodes(), granted }),
    }
}

/// Returns the id of a rate in Redis. Free requests have another rate than those that use credits.
const fn rate_id(owner: RateOwner, is_free: bool) -> &'static str {
    match (owner, is_free) {
        (RateOwner::Key, false) => "rate",
        (RateOwner::Key, true) => "free rate",
        (RateOwner::User, false) => "user rate",
        (RateOwner::User, true) => "free user rate",
    }
}
