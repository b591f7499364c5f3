//! The maximum use beyond a limit, and the maximum unusable amount of a quota, with the running nodes.

use std::num::NonZeroU32;

use access::{Amount, Credits};
use cluster::Cluster;
use meter::lease::rules;
use meter::limiter::tokens::TokenAlgorithm;
use meter::limiter::{LimitTerms, RequestTerms};
use meter::rate::Rate;
use meter::window::EXACT_MAX;
use store::DatabaseError;

use super::LimitSources;

/// The part of a limit that nodes may have been granted and not have spent: 3 %.
const GRANTED_PART: u32 = 33;

/// The nodes that apply the limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct LimitNodes {
    /// Number of live nodes, of which SQLite has one.
    live: u64,
    /// Whether nodes share the store, and therefore lease quotas.
    pub(super) is_store_shared: bool,
    /// Whether nodes share limits of requests through Redis.
    pub(super) has_redis: bool,
}

impl LimitNodes {
    /// Counts the live nodes.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub(super) async fn count(sources: LimitSources<'_>) -> Result<Self, DatabaseError> {
        let LimitSources { store, snapshot, .. } = sources;
        let is_store_shared = store.is_shared();
        let live =
            if is_store_shared { Cluster::new(store.clone()).lessees(snapshot.process.lease.ttl).await? } else { 1 };
        Ok(Self { live, is_store_shared, has_redis: snapshot.process.redis.is_some() })
    }

    /// Returns the maximum number of requests of one key beyond a limit.
    pub(super) fn overshoot(self, terms: LimitTerms) -> u64 {
        match terms {
            LimitTerms::Requests(RequestTerms::TokenBucket(rate)) => self.beyond(rate.most_in_window(), rate.limit()),
            LimitTerms::Requests(RequestTerms::SlidingWindow(window)) => self.overshoot_of_window(window.limit()),
            // Estimates that are too low come in addition.
            LimitTerms::Tokens(terms) => match terms.algorithm() {
                TokenAlgorithm::SlidingWindow { .. } => self.overshoot_of_window(terms.limit()),
                TokenAlgorithm::TokenBucket { burst, .. } => {
                    self.beyond(u64::from(burst.get()) + u64::from(terms.limit()), terms.limit())
                }
            },
            // Each node counts its own requests in flight, also with Redis.
            LimitTerms::Concurrent(limit) => u64::from(limit.get()).saturating_mul(self.live.saturating_sub(1)),
        }
    }

    /// Returns the maximum beyond a sliding window. With Redis, nodes may spend grants of earlier requests.
    pub(super) fn overshoot_of_window(self, limit: u32) -> u64 {
        let granted = if self.has_redis && limit > EXACT_MAX { limit.div_ceil(GRANTED_PART) } else { 0 };
        self.beyond(u64::from(limit) + u64::from(granted), limit)
    }

    /// Returns the maximum beyond `requests_per_minute`.
    pub(super) fn overshoot_per_minute(self, limit: NonZeroU32) -> u64 {
        self.beyond(Rate::per_minute(limit).most_in_window(), limit.get())
    }

    /// Returns the maximum number of whole credits that one dead node makes unusable: its lease of the quota.
    pub(super) fn unusable(self, quota: Credits) -> u64 {
        if self.is_store_shared {
            rules::share(Amount::of_credits(quota), self.live).credits().rounded_down()
        } else {
            0
        }
    }

    /// Without Redis, each node admits `most` requests; a limit counts at least one node, as one will be started.
    fn beyond(self, most: u64, limit: u32) -> u64 {
        let counters = if self.has_redis { 1 } else { self.live.max(1) };
        most.saturating_mul(counters).saturating_sub(limit.into())
    }
}

#[cfg(test)]
mod tests {
    use access::{BudgetScope, Measure};

    use super::*;

    const ALONE: LimitNodes = LimitNodes { live: 1, is_store_shared: false, has_redis: false };
    const THREE: LimitNodes = LimitNodes { live: 3, is_store_shared: true, has_redis: false };

    #[test]
    fn a_dead_node_makes_at_most_the_leased_amount_unusable() {
        assert_eq!((ALONE.unusable(Credits::whole(100)), THREE.unusable(Credits::whole(100))), (0, 8));
        // The expected value uses the rule of the lease server itself.
        let ask = meter::lease::LeaseRequest {
            counter: meter::lease::CounterId {
                budget: meter::BudgetId::credits_a_day(BudgetScope::Global),
                period: meter::Period::containing(access::LimitPeriod::Day, access::Day(1)),
            },
            term: 0,
            seq: 1,
            ceiling: Amount::ZERO,
            used: Amount::ZERO,
            spent: Amount::ZERO,
            want: Amount::MAX,
            need: Amount::ZERO,
            need_fitting: Amount::ZERO,
            queued: Amount::ZERO,
            answered_recall: 0,
            limit: Measure::Credits.limit_of(100),
        };
        let contention = meter::lease::Contention { live_nodes: 3, contended: false };
        let granted = meter::lease::LeaseRules::grant_amount(
            &meter::lease::StandardRules,
            &ask,
            Measure::Credits.limit_of(100),
            contention,
        );
        assert_eq!(granted.credits(), Credits(8_333_333));
    }

    #[test]
    fn redis_shares_limits_of_requests_but_not_of_requests_in_flight() {
        let limit = NonZeroU32::new(60).unwrap();
        let redis = LimitNodes { has_redis: true, ..THREE };
        let all = |of: fn(LimitNodes) -> u64| [ALONE, THREE, redis].map(of);
        assert_eq!(all(|nodes| nodes.overshoot_per_minute(NonZeroU32::new(60).unwrap())), [60, 300, 60]);
        assert_eq!(all(|nodes| nodes.overshoot_of_window(60)), [0, 120, 0]);
        assert_eq!(all(|nodes| nodes.overshoot_of_window(6_000)), [0, 12_000, 182]);
        let in_flight = [ALONE, THREE, redis].map(|nodes| nodes.overshoot(LimitTerms::Concurrent(limit)));
        assert_eq!(in_flight, [0, 120, 120]);
    }
}
