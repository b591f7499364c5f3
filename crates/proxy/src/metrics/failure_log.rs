//! Rate-limited log messages about failures that may occur many times per second, for example without free file
//! descriptors.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use access::Refusal;
use tokio::time::Instant;

/// Minimum time between two log messages about the same kind of failure.
const LOG_EVERY: Duration = Duration::from_secs(30);
/// Minimum time between two lines of requests that were refused for the same state.
const REFUSALS_EVERY: Duration = Duration::from_secs(1);

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
    pub(crate) fn count_failure(&self, now: Instant) -> Option<u64> {
        self.count(now, LOG_EVERY)
    }

    /// Counts a failure as [`Self::count_failure`] does, of which one is logged in each period.
    fn count(&self, now: Instant, every: Duration) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        let is_due = state.at.is_none_or(|at| now.saturating_duration_since(at) >= every);
        is_due.then(|| std::mem::replace(&mut *state, Failures { at: Some(now), failures: 0 }).failures)
    }
}

/// Refusals for a state of the gateway, which refuses each request until the state ends: one line a second reports those of
/// one code.
const OF_STATES: [Refusal; 8] = [
    Refusal::AuthUnavailable,
    Refusal::DirectoryBusy,
    Refusal::Draining,
    Refusal::IssuerUnavailable,
    Refusal::Overloaded,
    Refusal::QuotaWithheld,
    Refusal::SpoolFull,
    Refusal::Unavailable,
];

/// Whether the line of a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineDecision {
    /// The line reports the request alone.
    Single,
    /// The line reports this number of refusals of the same code, among them that of the request.
    Repeated(u64),
    /// A later line counts the request.
    Omitted,
}

/// Counts refusals over all workers, for one line a second and code.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog([FailureLog; OF_STATES.len()]);

impl RefusalLog {
    /// Counts the refusal of a request that ends at `now`.
    pub(crate) fn count(&self, refusal: Refusal, now: Instant) -> LineDecision {
        let log = OF_STATES.iter().zip(&self.0).find(|(code, _)| **code == refusal);
        let Some((_, log)) = log else { return LineDecision::Single };
        log.count(now, REFUSALS_EVERY).map_or(LineDecision::Omitted, LineDecision::Repeated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_logged_once_per_period() {
        let failures = FailureLog::default();
        let start = Instant::now();
        assert_eq!(failures.count_failure(start), Some(1));
        for _ in 0..600 {
            assert_eq!(failures.count_failure(start + LOG_EVERY / 2), None);
        }
        assert_eq!(failures.count_failure(start + LOG_EVERY), Some(601));
        assert_eq!(failures.count_failure(start + LOG_EVERY), None);
    }

    #[test]
    fn refusals_for_a_state_are_logged_once_a_second_with_their_number() {
        let log = RefusalLog::default();
        let start = Instant::now();
        for refusal in OF_STATES {
            assert_eq!(log.count(refusal, start), LineDecision::Repeated(1), "{refusal:?}");
        }
        for _ in 0..33_800 {
            assert_eq!(log.count(Refusal::SpoolFull, start + REFUSALS_EVERY / 2), LineDecision::Omitted);
        }
        assert_eq!(log.count(Refusal::SpoolFull, start + REFUSALS_EVERY), LineDecision::Repeated(33_801));
        assert_eq!(log.count(Refusal::Overloaded, start + REFUSALS_EVERY), LineDecision::Repeated(1));
        for refusal in [Refusal::Internal, Refusal::RateLimited, Refusal::UpstreamReset, Refusal::BadRequest] {
            assert_eq!(log.count(refusal, start), LineDecision::Single);
        }
    }

    #[test]
    fn each_503_of_the_gateway_itself_is_one_for_a_state() {
        let own = |refusal: &&Refusal| refusal.status() == 503 && refusal.side() == access::refusal::Side::Gateway;
        let states: Vec<_> = Refusal::ALL.iter().filter(own).collect();
        assert!(
            states.len() == OF_STATES.len() && states.iter().all(|refusal| OF_STATES.contains(refusal)),
            "{states:?}"
        );
    }
}
