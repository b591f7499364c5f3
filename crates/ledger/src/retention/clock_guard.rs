//! The time that retention uses: a clock that jumps ahead is not trusted for a day.

use std::time::Duration;

use access::{Mono, Timestamp};

/// Maximum jump that is trusted: more than daylight saving time or a suspended machine causes, and less than a wrong
/// deletion would cost.
const LEAP: Duration = Duration::from_secs(86_400);
/// A clock that jumped and stayed ahead is trusted after this time, in which the operator can read the log.
const BELIEVED_AFTER: Duration = Duration::from_secs(86_400);

/// The latest trusted time, and when it was read.
#[derive(Debug, Clone)]
pub(crate) struct ClockGuard {
    moment: Timestamp,
    at: Mono,
    /// Time since which the clock is ahead.
    leapt: Option<Mono>,
}

/// A reading of the clock, with its assessment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockReading {
    /// The reading is trusted.
    Trusted(Timestamp),
    /// The clock has jumped just now; the contained, expected time is used instead.
    Jumped(Timestamp),
    /// The clock is still ahead; the contained, expected time is used instead.
    Distrusted(Timestamp),
}

impl ClockGuard {
    /// `newest` is the time of the store's newest row; a clock far ahead of it is treated as one that jumped.
    pub(crate) fn new(newest: Option<Timestamp>, now: Timestamp, at: Mono) -> Self {
        Self { moment: newest.map_or(now, |newest| newest.min(now)), at, leapt: None }
    }

    /// Assesses the clock's reading `now`, read at `at`. A clock that moved backwards is trusted, because it deletes
    /// less.
    pub(crate) fn judge(&mut self, now: Timestamp, at: Mono) -> ClockReading {
        let expected = self.moment.after(at.since(self.at));
        let first = *self.leapt.get_or_insert(at);
        if now <= expected.after(LEAP) || at.since(first) >= BELIEVED_AFTER {
            *self = Self { moment: now, at, leapt: None };
            ClockReading::Trusted(now)
        } else if first == at {
            ClockReading::Jumped(expected)
        } else {
            ClockReading::Distrusted(expected)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;
    const DAY: u64 = 24 * HOUR;

    fn second(second: u64) -> Timestamp {
        Timestamp(second * 1_000_000)
    }

    fn mono(second: u64) -> Mono {
        Mono(second * 1_000_000_000)
    }

    /// Checks the assessments of a clock with the reading `now` at each second.
    fn check(newest: Option<u64>, clock: &[(u64, u64)], expected: &[ClockReading]) {
        let (at, now) = clock[0];
        let mut clock_guard = ClockGuard::new(newest.map(second), second(now), mono(at));
        let judged: Vec<ClockReading> =
            clock.iter().map(|(at, now)| clock_guard.judge(second(*now), mono(*at))).collect();
        assert_eq!(judged, expected);
    }

    #[test]
    fn a_clock_that_goes_on_or_back_is_believed() {
        let believed = |now| ClockReading::Trusted(second(now));
        let year = 365 * DAY;
        check(None, &[(0, year), (HOUR, year + HOUR)], &[believed(year), believed(year + HOUR)]);
        check(Some(year), &[(0, year + DAY), (HOUR, DAY)], &[believed(year + DAY), believed(DAY)]);
        // Rows from a node whose clock is ahead.
        check(Some(2 * year), &[(0, year)], &[believed(year)]);
    }

    #[test]
    fn a_clock_that_leaps_is_believed_a_day_later() {
        let year = 365 * DAY;
        let ten = 3_650 * DAY;
        let clock = [(0, year), (HOUR, ten), (2 * HOUR, ten + HOUR), (HOUR + DAY, ten + DAY), (2 * DAY, ten + 2 * DAY)];
        let judged = [
            ClockReading::Trusted(second(year)),
            ClockReading::Jumped(second(year + HOUR)),
            ClockReading::Distrusted(second(year + 2 * HOUR)),
            ClockReading::Trusted(second(ten + DAY)),
            ClockReading::Trusted(second(ten + 2 * DAY)),
        ];
        check(None, &clock, &judged);
    }

    #[test]
    fn a_start_with_a_clock_far_ahead_of_the_store_is_a_leap() {
        let year = 365 * DAY;
        let ten = 3_650 * DAY;
        check(
            Some(year),
            &[(0, ten), (DAY, ten + DAY)],
            &[ClockReading::Jumped(second(year)), ClockReading::Trusted(second(ten + DAY))],
        );
    }

    #[test]
    fn a_clock_that_leaps_and_comes_back_is_believed_and_doubted_anew() {
        let year = 365 * DAY;
        let ten = 3_650 * DAY;
        let clock = [(0, year), (HOUR, ten), (2 * HOUR, year + 2 * HOUR), (DAY + HOUR, ten)];
        let judged = [
            ClockReading::Trusted(second(year)),
            ClockReading::Jumped(second(year + HOUR)),
            ClockReading::Trusted(second(year + 2 * HOUR)),
            ClockReading::Jumped(second(year + DAY + HOUR)),
        ];
        check(None, &clock, &judged);
    }
}
