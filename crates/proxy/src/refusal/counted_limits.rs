//! The limits in which one request counts, and the limit that its response reports.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::{Mono, Refusal, Timestamp};
use http1::KnownName;
use meter::limiter::key::LimitKey;
use meter::limiter::sharing::{LimitSharing, SharedRequest};
use meter::limiter::{CountedRequest, LimitCounters, LimitTerms};
use meter::rate::{RateExceeded, RateLevel};
use smallvec::SmallVec;

use crate::refusal::limit_fields::reset_at;
use crate::refusal::seconds::seconds_up;

/// Number of limits of one request that need no allocation.
const INLINE: usize = 4;
/// The counters of all limits of a snapshot, by the position of the limit.
pub(crate) type SnapshotCounters = Rc<[Arc<LimitCounters>]>;

/// The limits in which a request counts. Dropping them ends the request in those of requests in flight.
pub(crate) struct CountedLimits {
    counters: SnapshotCounters,
    counted: SmallVec<[CountedLimit; INLINE]>,
    /// The limit with the fewest requests left, or the one that refused the request.
    reported: Option<ReportedLimit>,
    is_refused: bool,
    /// The limits of all nodes in which the request counts.
    shared: Option<SharedRequests>,
    /// The time for which the request has waited for Redis.
    pub(crate) waited: Duration,
}

/// The limits of all nodes in which a request counts.
struct SharedRequests {
    sharing: LimitSharing,
    requests: Vec<SharedRequest>,
}

/// A limit in which a request counts.
struct CountedLimit {
    position: usize,
    request: CountedRequest,
    terms: LimitTerms,
}

/// A limit in which a request does not count yet.
pub(crate) struct PendingLimit {
    /// The position of the limit in the snapshot.
    pub(crate) position: usize,
    pub(crate) key: LimitKey,
    pub(crate) terms: LimitTerms,
    pub(crate) policy: Arc<str>,
    /// Whether Redis decides about each request.
    pub(crate) is_exact: bool,
}

/// The limit that a response reports.
#[derive(Debug, Clone)]
pub(crate) struct ReportedLimit {
    pub(crate) level: RateLevel,
    /// The value of `RateLimit-Policy`; `None` for the limit of a plan or a key.
    pub(crate) policy: Option<Arc<str>>,
}

impl CountedLimits {
    /// Returns the limits of a request that counts in none yet.
    pub(crate) fn new(counters: SnapshotCounters) -> Self {
        let (counted, reported) = (SmallVec::new(), None);
        Self { counters, counted, reported, is_refused: false, shared: None, waited: Duration::ZERO }
    }

    /// Counts the request in a limit of this process, with these terms.
    pub(crate) fn take(
        &mut self,
        pending: &PendingLimit,
        terms: LimitTerms,
        now: Mono,
    ) -> Result<RateLevel, RateExceeded> {
        let PendingLimit { position, key, .. } = pending;
        let Some(counters) = self.counters.get(*position) else {
            return Ok(RateLevel { limit: u32::MAX, remaining: u32::MAX, reset: Duration::ZERO });
        };
        let request = counters.take(key, terms, now)?;
        self.counted.push(CountedLimit { position: *position, request, terms });
        Ok(request.level)
    }

    /// Notes that the request counts in a limit of all nodes.
    pub(crate) fn share(&mut self, sharing: &LimitSharing, request: SharedRequest) {
        let new = || SharedRequests { sharing: sharing.clone(), requests: Vec::new() };
        self.shared.get_or_insert_with(new).requests.push(request);
    }

    /// Reports this limit if it has fewer requests left than the others.
    pub(crate) fn report(&mut self, level: RateLevel, pending: &PendingLimit) {
        if self.reported.as_ref().is_none_or(|reported| level.remaining < reported.level.remaining) {
            self.reported = Some(ReportedLimit { level, policy: Some(pending.policy.clone()) });
        }
    }

    /// Uncounts the request in all limits, and reports the one that refuses it.
    pub(crate) fn refuse(&mut self, exceeded: RateExceeded, pending: &PendingLimit, now: Mono) {
        self.refuse_tokens(pending, now);
        let level = RateLevel { limit: exceeded.limit, remaining: 0, reset: exceeded.reset };
        self.reported = Some(ReportedLimit { level, policy: Some(pending.policy.clone()) });
    }

    /// Uncounts the request in all limits. The refusal itself reports the limit of tokens that refuses it.
    pub(crate) fn refuse_tokens(&mut self, pending: &PendingLimit, now: Mono) {
        self.give_back();
        if let Some(counters) = self.counters.get(pending.position) {
            counters.note_refusal(&pending.key, pending.terms, now);
        }
        self.reported = None;
        self.is_refused = true;
    }

    /// Uncounts the request if another limit, quota or budget has refused it. The response reports that one.
    pub(crate) fn refused(&mut self, refusal: Refusal) {
        use Refusal::{BudgetExceeded, QuotaExceeded, QuotaWithheld, RateLimited};
        if !self.is_refused && matches!(refusal, RateLimited | QuotaExceeded | BudgetExceeded | QuotaWithheld) {
            self.give_back();
            self.reported = None;
        }
    }

    /// Returns the limit that the response reports: of these and the rate of the plan or the key, the one with the fewest
    /// requests left.
    pub(crate) fn reported(&self, rate: Option<RateLevel>) -> Option<ReportedLimit> {
        let least =
            |rate: &RateLevel| self.reported.as_ref().is_none_or(|reported| rate.remaining < reported.level.remaining);
        rate.filter(least).map(ReportedLimit::of_plan).or_else(|| self.reported.clone())
    }

    fn give_back(&mut self) {
        if let Some(SharedRequests { sharing, requests }) = self.shared.take() {
            requests.into_iter().for_each(|request| sharing.give_back(request));
        }
        self.give_back_here();
    }

    fn give_back_here(&mut self) {
        for CountedLimit { position, request, terms } in self.counted.drain(..) {
            if let Some(counters) = self.counters.get(position) {
                counters.give_back(request, terms);
            }
        }
    }
}

impl Drop for CountedLimits {
    fn drop(&mut self) {
        self.counted.retain(|counted| matches!(counted.terms, LimitTerms::Concurrent(_)));
        self.give_back_here();
    }
}

impl ReportedLimit {
    /// Returns the rate of a plan or a key.
    pub(crate) const fn of_plan(level: RateLevel) -> Self {
        Self { level, policy: None }
    }

    /// Passes the parts of the values of all fields of the limit to `write`: of `X-RateLimit-*` (GW-3.3), then of
    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10). Each number is formatted once.
    pub(crate) fn fields<E>(
        &self,
        now: Timestamp,
        mut write: impl FnMut(KnownName, &[&[u8]]) -> Result<(), E>,
    ) -> Result<(), E> {
        let [mut limit, mut remaining, mut at, mut reset] = [(); 4].map(|()| itoa::Buffer::new());
        let limit = limit.format(self.level.limit).as_bytes();
        let remaining = remaining.format(self.level.remaining).as_bytes();
        let reset = reset.format(seconds_up(self.level.reset)).as_bytes();
        write(KnownName::XRatelimitLimit, &[limit])?;
        write(KnownName::XRatelimitRemaining, &[remaining])?;
        write(KnownName::XRatelimitReset, &[at.format(reset_at(self.level, now)).as_bytes()])?;
        match &self.policy {
            Some(policy) => {
                write(KnownName::RateLimitPolicy, &[policy.as_bytes()])?;
                let name = policy.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
                write(KnownName::RateLimit, &[name, b";r=", remaining, b";t=", reset])
            }
            None => {
                write(KnownName::RateLimitPolicy, &[PER_MINUTE_LIMIT, limit, b";w=60"])?;
                write(KnownName::RateLimit, &[PER_MINUTE_REMAINING, remaining, b";t=", reset])
            }
        }
    }
}

/// The name of the limits of plans and keys, and that of the number that follows.
const PER_MINUTE_LIMIT: &[u8] = b"\"requests_per_minute\";q=";
const PER_MINUTE_REMAINING: &[u8] = b"\"requests_per_minute\";r=";
