//! Grants of Redis: the time for which a request waits for them, and the rate limit of its plan or key, which nodes share.

use std::time::Duration;

use meter::limiter::sharing::{PendingGrant, SharedLimit, SharedRequest, SharedTake};
use meter::rate::{RateExceeded, RateLevel};
use meter::{AdmissionRefusal, Limits, RateSource};
use tokio::time::timeout;

use crate::account::RequestAccount;
use crate::refusal::problem::Problem;

/// Maximum time for which a request waits for Redis, over all of its limits: 20 ms, less the resolution of the timer.
const WAIT_MAX: Duration = Duration::from_millis(18);
/// The ids of the rates of plans and keys, for requests that use credits and for free ones.
const RATE_IDS: [&str; 2] = ["rate", "free rate"];

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

/// Counts the request in the rate limit of its plan or key, if it has one and nodes share it. Returns what remains to be
/// counted in this process.
pub(crate) async fn count_rate(
    account: &mut RequestAccount,
    limits: &Limits,
    is_free: bool,
) -> Result<RateSource, Problem> {
    let at = account.request.at.clone();
    let (Some(sharing), Some((terms, of)), Some(caller)) =
        (&at.worker.shared.sharing, limits.rate_terms(is_free), account.identity.caller_ids)
    else {
        return Ok(RateSource::Here);
    };
    let [paid, free] = RATE_IDS;
    let id = if is_free { free } else { paid };
    let key = caller.key.0.as_bytes();
    // Small limits are exact, like those of the configuration.
    let is_exact = terms.limit() <= config::snapshot::EXACT_MAX.get();
    let limit = SharedLimit { counters: sharing.plans(is_free), id: id.as_bytes(), key, terms, is_exact };
    let result =
        match if is_late(account) { SharedTake::Unavailable } else { sharing.take(&limit, account.request.mono()) } {
            SharedTake::Counted(level, request) => Some(Ok((level, request))),
            SharedTake::Refused(exceeded) => Some(Err(exceeded)),
            SharedTake::Waits(grant) => wait(account, grant).await,
            SharedTake::Unavailable => None,
        };
    let nodes = sharing.nodes();
    match result {
        Some(Ok((level, request))) => {
            account.counted_limits().share(sharing, request);
            Ok(RateSource::Granted { level, nodes })
        }
        Some(Err(exceeded)) => {
            let refusal = AdmissionRefusal::Rate(exceeded, of);
            Err(Problem::of_limit(&refusal, &account.request.worker().shared.clock))
        }
        None => {
            sharing.fall_back();
            Ok(RateSource::Share(nodes))
        }
    }
}
