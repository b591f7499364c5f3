//! Rate-limited log messages about failures that may occur many times per second, for example without free file
//! descriptors.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Minimum time between two log messages about the same kind of failure.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// Counts failures of one kind over all workers, for one log message per period.
#[derive(Debug, Default)]
pub(crate) struct FailureLog(Mutex<Failures>);

#[derive(Debug, Default)]
struct Failures {
    at: Option<Instant>,
    failures: u64,
}

impl FailureLog {
    /// Counts a failure at `now`. If the failure is to be logged, returns the number of failures since the last logged
    /// one.
    pub(crate) fn of(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        let is_due = state.at.is_none_or(|at| now.duration_since(at) >= LOG_EVERY);
        is_due.then(|| std::mem::replace(&mut *state, Failures { at: Some(now), failures: 0 }).failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_logged_once_per_period() {
        let (failures, start) = (FailureLog::default(), Instant::now());
        assert_eq!(failures.of(start), Some(1));
        for _ in 0..600 {
            assert_eq!(failures.of(start + LOG_EVERY / 2), None);
        }
        assert_eq!(failures.of(start + LOG_EVERY), Some(601));
        assert_eq!(failures.of(start + LOG_EVERY), None);
    }
}
