//! The bound of the retries of one upstream that are in flight, over all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of retries in flight that is always allowed.
const ALWAYS_ALLOWED: u64 = 3;

/// The retries of one upstream that are in flight.
#[derive(Debug, Default)]
pub(crate) struct RetryBudget(AtomicU64);

/// A retry in flight. Dropping it returns its part of the budget.
#[derive(Debug)]
pub(crate) struct RetryPermit(Arc<RetryBudget>);

impl RetryBudget {
    /// Counts one more retry, if at most `percent` of the upstream's `in_flight` requests are retries then.
    pub(crate) fn take(self: &Arc<Self>, percent: u32, in_flight: u64) -> Option<RetryPermit> {
        let allowed = (in_flight.saturating_mul(percent.into()) / 100).max(ALWAYS_ALLOWED);
        let more = |retries| (retries < allowed).then_some(retries + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(RetryPermit(self.clone()))
    }
}

impl Drop for RetryPermit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_requests_and_always_three_may_be_retries() {
        let budget = Arc::new(RetryBudget::default());
        for (percent, in_flight, allowed) in [(20, 1, 3), (20, 15, 3), (20, 20, 4), (0, 1_000, 3), (100, 50, 50)] {
            let permits: Vec<_> = (0..allowed).map(|_| budget.take(percent, in_flight)).collect();
            assert!(permits.iter().all(Option::is_some), "{percent}% of {in_flight}");
            assert!(budget.take(percent, in_flight).is_none(), "{percent}% of {in_flight}");
            drop(permits);
        }
        assert_eq!(budget.0.load(Ordering::Relaxed), 0, "each permit was returned");
    }
}
