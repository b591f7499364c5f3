//! The limits that nodes share: Redis counts a request in all of them or in none. The proxy asks over a bounded queue.

use std::fmt::Write as _;
use std::time::Duration;

use access::limits::{RateLimitCheck, RateLimitResult};
use meter::limiter::{LimitTerms, RequestTerms};
use meter::rate::{RateExceeded, RateLevel};

use super::{PendingLimits, count, counted, now, refuse};
use crate::account::RequestAccount;
use crate::answer::Problem;
use crate::counted_limits::PendingLimit;

/// Maximum time for which a request waits for the result, also if both its limits before and after authentication are
/// shared. Afterwards, this process counts alone.
const WAIT_MAX: Duration = Duration::from_millis(20);
/// The name of these limits in Redis.
const NAME: &str = "rule";

/// Counts the request in the limits that nodes share. Without a result in time, this process counts it.
pub(crate) async fn count_shared(account: &mut RequestAccount, pending: PendingLimits) -> Result<(), Problem> {
    let at = account.request.at.clone();
    let checks = pending.iter().filter_map(|pending| check(account, pending)).collect();
    let result = match at.worker.shared.unauthenticated.shared() {
        Some(limits) => tokio::time::timeout(WAIT_MAX, limits.take(checks)).await.ok().flatten(),
        None => None,
    };
    account.request.read_clock();
    let Some(result) = result else {
        counted(account).is_shared_late = true;
        return pending.iter().try_for_each(|pending| count(account, pending));
    };
    let RateLimitResult { allowed, check, remaining, reset, retry_after } = result;
    let now = now(account);
    if allowed {
        for pending in &pending {
            // If Redis fails, this process continues with these counts. They refuse no request that Redis has admitted.
            let _ = counted(account).take(pending, now);
        }
    }
    let Some(tightest) = pending.get(check) else { return Ok(()) };
    let limit = tightest.terms.limit();
    if allowed {
        counted(account).report(RateLevel { limit, remaining, reset }, tightest);
        Ok(())
    } else {
        Err(refuse(account, tightest, RateExceeded { limit, retry_after, reset }))
    }
}

/// Returns the check of a sliding window. Its key names the limit and the values of its dimensions.
fn check(account: &RequestAccount, pending: &PendingLimit) -> Option<RateLimitCheck> {
    let LimitTerms::Requests(RequestTerms::SlidingWindow(window)) = pending.terms else { return None };
    let rule = account.request.snapshot.traffic.rate_limits.all().get(pending.position)?;
    let mut key = format!("{}:", rule.id);
    for byte in &pending.key {
        // Writing to a string does not fail.
        let _ = write!(key, "{byte:02x}");
    }
    let (limit, window) = (window.limit().try_into().ok()?, Duration::from_millis(window.length_ms()));
    Some(RateLimitCheck { name: NAME, key, limit, window })
}
