//! The time of the next fetch of one issuer's keys.

use std::time::Duration;

use access::Mono;

/// Bounds of `max-age`, and the time between fetches without it.
const FRESH_MIN: Duration = Duration::from_secs(60);
const FRESH_MAX: Duration = Duration::from_hours(24);
const FRESH_DEFAULT: Duration = Duration::from_secs(600);
/// Minimum time from a fetch to the one that a token with an unknown key requests.
const REQUESTED_MIN: Duration = Duration::from_secs(1);
/// The pause after the first failure, which doubles with each further one, and the longest pause.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The fetches of one issuer's keys so far.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// The end of the last fetch, and the pause after it.
    last: Option<(Mono, Duration)>,
    /// Failed fetches in a row.
    failures: u32,
}

impl Schedule {
    /// Whether a fetch is due. `is_requested` means that a token names an unknown key; it shortens no pause after a failure.
    pub(crate) fn is_due(&self, now: Mono, is_requested: bool) -> bool {
        let Some((ended, pause)) = self.last else { return true };
        let pause = if is_requested && !self.is_failing() { pause.min(REQUESTED_MIN) } else { pause };
        now.since(ended) >= pause
    }

    /// Records a fetch that succeeded.
    pub(crate) fn succeeded(&mut self, now: Mono, max_age: Option<Duration>) {
        let pause = max_age.map_or(FRESH_DEFAULT, |age| age.clamp(FRESH_MIN, FRESH_MAX));
        *self = Self { last: Some((now, pause)), failures: 0 };
    }

    /// Records a fetch that failed. Returns whether it is the first one of an outage.
    pub(crate) fn failed(&mut self, now: Mono) -> bool {
        let doublings = self.failures.min(6);
        let pause = RETRY_MIN.saturating_mul(2_u32.pow(doublings)).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        self.last = Some((now, pause));
        self.failures == 1
    }

    /// Whether the last fetch failed.
    pub(crate) const fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time_at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds).as_nanos().try_into().unwrap())
    }

    /// Returns the first second at which a fetch is due.
    fn due(schedule: &Schedule, is_requested: bool) -> u64 {
        (0..200_000).find(|second| schedule.is_due(time_at(*second), is_requested)).unwrap()
    }

    #[test]
    fn max_age_decides_within_a_minute_and_a_day() {
        let mut schedule = Schedule::default();
        assert_eq!(due(&schedule, false), 0);
        for (max_age, expected, requested) in
            [(None, 600, 1), (Some(0), 60, 1), (Some(90), 90, 1), (Some(u64::MAX), 86_400, 1)]
        {
            schedule.succeeded(time_at(0), max_age.map(Duration::from_secs));
            assert_eq!((due(&schedule, false), due(&schedule, true)), (expected, requested), "{max_age:?}");
        }
    }

    #[test]
    fn failures_are_repeated_after_growing_pauses() {
        let mut schedule = Schedule::default();
        let mut pauses = Vec::new();
        let mut first = Vec::new();
        for _ in 0..9 {
            first.push(schedule.failed(time_at(0)));
            pauses.push(due(&schedule, false));
            assert_eq!(due(&schedule, true), due(&schedule, false));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(first.iter().filter(|first| **first).count(), 1);
        assert!(schedule.is_failing());
        schedule.succeeded(time_at(0), None);
        assert!(!schedule.is_failing() && schedule.failed(time_at(0)));
    }
}
