//! The limits in which one request counts, and those that its response reports.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::{Mono, Refusal};
use meter::limiter::key::LimitKey;
use meter::limiter::sharing::{LimitSharing, SharedRequest};
use meter::limiter::{CountedRequest, LimitCounters, LimitTerms, RequestTerms};
use meter::rate::{RateExceeded, RateLevel};
use smallvec::SmallVec;

use crate::refusal::limit_items::{LimitItem, LimitSource, LimitUnit};

/// Number of limits of one request that need no allocation.
const INLINE: usize = 4;
/// The counters of all limits of a snapshot, by the position of the limit.
pub(crate) type SnapshotCounters = Rc<[Arc<LimitCounters>]>;

/// The limits in which a request counts. Dropping them ends the request in those of requests in flight.
pub(crate) struct CountedLimits {
    counters: SnapshotCounters,
    counted: SmallVec<[CountedLimit; INLINE]>,
    /// The states of the limits that have counted the request.
    reported: SmallVec<[LimitItem; INLINE]>,
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

impl CountedLimits {
    /// Returns the limits of a request that counts in none yet.
    pub(crate) fn new(counters: SnapshotCounters) -> Self {
        let counted = SmallVec::new();
        let reported = SmallVec::new();
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

    /// Reports the state of a limit that has counted the request.
    pub(crate) fn report(&mut self, level: RateLevel, pending: &PendingLimit) {
        self.reported.push(pending.item(level));
    }

    /// Reports the state of another limit.
    pub(crate) fn note(&mut self, item: LimitItem) {
        self.reported.push(item);
    }

    /// Uncounts the request in all limits; this one refuses it.
    pub(crate) fn refuse(&mut self, pending: &PendingLimit, now: Mono) {
        self.give_back();
        if let Some(counters) = self.counters.get(pending.position) {
            counters.note_refusal(&pending.key, pending.terms, now);
        }
        self.reported.clear();
        self.is_refused = true;
    }

    /// Uncounts the request if another limit, quota or budget has refused it.
    pub(crate) fn refused(&mut self, refusal: Refusal) {
        use Refusal::{BudgetExceeded, QuotaExceeded, QuotaWithheld, RateLimited};
        if !self.is_refused && matches!(refusal, RateLimited | QuotaExceeded | BudgetExceeded | QuotaWithheld) {
            self.give_back();
            self.reported.clear();
        }
    }

    /// Returns the states of the limits that have counted the request.
    pub(crate) fn reported(&self) -> impl Iterator<Item = &LimitItem> {
        self.reported.iter()
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

impl PendingLimit {
    /// Returns the item of the limit with this state.
    pub(crate) fn item(&self, level: RateLevel) -> LimitItem {
        let item = LimitItem::of_rate(LimitSource::Rule(self.policy.clone()), LimitUnit::Count, level);
        match self.terms {
            LimitTerms::Requests(RequestTerms::TokenBucket(rate)) => {
                LimitItem { capacity: rate.burst().into(), ..item }
            }
            LimitTerms::Requests(RequestTerms::SlidingWindow(_))
            | LimitTerms::Concurrent(_)
            | LimitTerms::Tokens(_) => item,
        }
    }
}
