//! The limits that nodes share through Redis. A request is counted in a grant of this node, or waits for Redis. Without a
//! result in time, it is counted in this node's share of the limit.

use meter::limiter::LimitTerms;
use meter::limiter::sharing::{LimitSharing, PendingGrant, SharedLimit, SharedRequest, SharedTake};
use meter::rate::RateLevel;

use super::count::{count_in, refuse};
use crate::account::RequestAccount;
use crate::limits::grants;
use crate::refusal::counted_limits::PendingLimit;
use crate::refusal::problem::Problem;

/// A limit for which the request waits.
pub(crate) struct WaitingLimit {
    limit: PendingLimit,
    grant: PendingGrant,
}

/// A request that Redis has admitted.
struct GrantedTake {
    level: RateLevel,
    request: SharedRequest,
}

/// The limits for which a request waits; none without an allocation.
pub(crate) type WaitingLimits = Vec<WaitingLimit>;

/// Counts the request in a limit, unless it must wait for Redis.
pub(super) fn begin(
    account: &mut RequestAccount,
    limit: PendingLimit,
    waiting: &mut WaitingLimits,
) -> Result<(), Problem> {
    if account.request.worker().shared.sharing.is_none() {
        return count_in(account, &limit, limit.terms);
    }
    let at = account.request.at.clone();
    let Some(sharing) = &at.worker.shared.sharing else {
        return count_in(account, &limit, limit.terms);
    };
    let LimitTerms::Requests(terms) = limit.terms else {
        return count_in(account, &limit, limit.terms);
    };
    let snapshot = account.request.snapshot.clone();
    let rule = snapshot.traffic.rate_limits.all().get(limit.position);
    let Some(rule) = rule else { return Ok(()) };
    let Some(counters) = snapshot.limit_counters.get(limit.position) else { return Ok(()) };
    let shared = SharedLimit { counters, id: rule.id.as_bytes(), key: &limit.key, terms, is_exact: limit.is_exact };
    let is_late = grants::is_late(account);
    match if is_late { SharedTake::Unavailable } else { sharing.take(&shared, account.request.mono()) } {
        SharedTake::Counted(level, request) => {
            admit(account, sharing, &limit, GrantedTake { level, request });
            Ok(())
        }
        SharedTake::Refused(exceeded) => Err(refuse(account, &limit, exceeded)),
        SharedTake::Waits(grant) => {
            waiting.push(WaitingLimit { limit, grant });
            Ok(())
        }
        SharedTake::Unavailable => count_share(account, sharing, &limit),
    }
}

/// Waits for Redis, and counts the request in the limits.
pub(crate) async fn count_shared(account: &mut RequestAccount, waiting: WaitingLimits) -> Result<(), Problem> {
    let at = account.request.at.clone();
    let Some(sharing) = &at.worker.shared.sharing else { return Ok(()) };
    let since = account.request.phase_begins();
    for WaitingLimit { limit, grant } in waiting {
        match grants::wait(account, grant).await {
            Some(Ok((level, request))) => admit(account, sharing, &limit, GrantedTake { level, request }),
            Some(Err(exceeded)) => return Err(refuse(account, &limit, exceeded)),
            None => count_share(account, sharing, &limit)?,
        }
    }
    account.request.phase_ends("limit", since);
    Ok(())
}

/// Notes that Redis has admitted the request. If Redis fails, this node continues with the counts of its share, which
/// refuse no request that Redis has admitted.
fn admit(account: &mut RequestAccount, sharing: &LimitSharing, limit: &PendingLimit, granted: GrantedTake) {
    let GrantedTake { level, request } = granted;
    let now = account.request.mono();
    let share = limit.terms.share(sharing.nodes());
    let counted = account.counted_limits();
    let _ = counted.take(limit, share, now);
    counted.share(sharing, request);
    counted.report(level, limit);
}

/// Counts the request in this node's share of a limit.
fn count_share(account: &mut RequestAccount, sharing: &LimitSharing, limit: &PendingLimit) -> Result<(), Problem> {
    sharing.fall_back();
    count_in(account, limit, limit.terms.share(sharing.nodes()))
}
