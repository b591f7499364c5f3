//! The rule for a wall clock that leaps: usage must not enter another day, with another quota, because a clock is wrong for
//! some seconds.
//!
//! The wall clock is compared with the monotonic clock. A reading that differs by [`LEAP_MIN`] or more from the time that has
//! passed is a leap: the clock continues from its last good reading. A leap that has lasted for [`ACCEPTED_AFTER`] is
//! accepted, because the machine was suspended or its time was corrected.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Mono, Timestamp};

/// The smallest difference that is a leap.
pub const LEAP_MIN: Duration = Duration::from_mins(2);
/// The time after which a leap is accepted.
pub const ACCEPTED_AFTER: Duration = Duration::from_mins(10);
/// A part of the time that has passed by which a good clock may drift. Several small steps are therefore a leap.
const DRIFT_PART: i64 = 100;

/// The leaps of a wall clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockLeaps {
    /// The number of leaps.
    pub begun: u64,
    /// The number of leaps that have lasted, and were accepted.
    pub accepted: u64,
    /// The difference of the system's clock to the time in use, in microseconds; 0 without a leap.
    pub ahead_us: i64,
}

/// The state of a wall clock. Offsets are differences of the wall clock to the monotonic clock, in microseconds.
#[derive(Debug)]
pub(super) struct LeapGuard(Mutex<GuardedOffset>);

#[derive(Debug)]
struct GuardedOffset {
    /// The offset from which leaps are measured. It follows `current` slowly.
    trusted: i64,
    /// The offset of the last good reading.
    current: i64,
    /// When the clock was read last.
    read_at: i64,
    leap: Option<Leap>,
    leaps: ClockLeaps,
}

/// A leap that is not accepted yet.
#[derive(Debug, Clone, Copy)]
struct Leap {
    since: i64,
    offset: i64,
}

impl LeapGuard {
    /// Returns the state of a clock that is good at its first reading.
    pub(super) fn new(wall: Timestamp, mono: Mono) -> Self {
        let offset = offset(wall, mono);
        let read_at = micros(mono);
        let leaps = ClockLeaps::default();
        Self(Mutex::new(GuardedOffset { trusted: offset, current: offset, read_at, leap: None, leaps }))
    }

    fn state(&self) -> MutexGuard<'_, GuardedOffset> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time in use for a reading of both clocks.
    pub(super) fn checked(&self, wall: Timestamp, mono: Mono) -> Timestamp {
        let offset = self.state().follow(offset(wall, mono), micros(mono));
        Timestamp(u64::try_from(micros(mono).saturating_add(offset)).unwrap_or_default())
    }

    pub(super) fn leaps(&self) -> ClockLeaps {
        self.state().leaps
    }
}

impl GuardedOffset {
    /// Reads the offset, and returns the one in use.
    fn follow(&mut self, offset: i64, now: i64) -> i64 {
        let drift = now.saturating_sub(self.read_at).max(0) / DRIFT_PART;
        self.trusted = self.trusted.saturating_add(self.current.saturating_sub(self.trusted).clamp(-drift, drift));
        // Other threads may have read the clock later.
        self.read_at = self.read_at.max(now);
        if !is_leap(offset, self.trusted) {
            self.accept(offset);
            return offset;
        }
        match self.leap {
            Some(leap) if !is_leap(offset, leap.offset) => {
                if now.saturating_sub(leap.since) >= micros_of(ACCEPTED_AFTER) {
                    self.leaps.accepted += 1;
                    self.trusted = offset;
                    self.accept(offset);
                }
            }
            Some(_) | None => {
                self.leaps.begun += 1;
                self.leap = Some(Leap { since: now, offset });
            }
        }
        self.leaps.ahead_us = offset.saturating_sub(self.current);
        self.current
    }

    fn accept(&mut self, offset: i64) {
        self.current = offset;
        self.leap = None;
        self.leaps.ahead_us = 0;
    }
}

fn is_leap(offset: i64, from: i64) -> bool {
    offset.abs_diff(from) >= micros_of(LEAP_MIN).unsigned_abs()
}

fn offset(wall: Timestamp, mono: Mono) -> i64 {
    i64::try_from(wall.0).unwrap_or(i64::MAX).saturating_sub(micros(mono))
}

fn micros(mono: Mono) -> i64 {
    i64::try_from(mono.0 / 1_000).unwrap_or(i64::MAX)
}

fn micros_of(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Day};

    const HOUR: Duration = Duration::from_hours(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// A guarded clock at noon, and its hands.
    fn clocks() -> (Clock, Clock, Timestamp) {
        let noon = Day(20_000).start().after(12 * HOUR);
        let hands = Clock::manual(noon);
        (hands.clone().guarded(), hands, noon)
    }

    #[test]
    fn a_leap_is_not_followed_and_the_time_continues() {
        for leap in [HOUR, 25 * HOUR, 35 * 24 * HOUR] {
            for is_ahead in [true, false] {
                let (clock, hands, noon) = clocks();
                let wrong = |at: Timestamp| if is_ahead { at.after(leap) } else { at.before(leap) };
                hands.jump(wrong(noon));
                for second in 0..3 {
                    assert_eq!(clock.now(), noon.after(second * SECOND), "{leap:?} {is_ahead}");
                    hands.advance(SECOND);
                }
                let ahead_us = if is_ahead { micros_of(leap) } else { -micros_of(leap) };
                assert_eq!(clock.leaps(), ClockLeaps { begun: 1, accepted: 0, ahead_us });
                hands.jump(noon.after(3 * SECOND));
                assert_eq!(clock.now(), noon.after(3 * SECOND));
                assert_eq!(clock.leaps(), ClockLeaps { begun: 1, accepted: 0, ahead_us: 0 });
            }
        }
    }

    #[test]
    fn a_clock_that_leaps_back_and_forth_within_a_second_keeps_its_day() {
        let (clock, hands, noon) = clocks();
        let step = Duration::from_millis(10);
        for turn in 0_u32..100 {
            hands.advance(step);
            let right = noon.after((turn + 1) * step);
            hands.jump(if turn % 2 == 0 { right.after(25 * HOUR) } else { right });
            assert_eq!(clock.now(), right);
        }
        assert_eq!(clock.leaps().begun, 50);
        assert_eq!(clock.leaps().accepted, 0);
    }

    #[test]
    fn a_leap_that_lasts_is_accepted() {
        for leap in [HOUR, 35 * 24 * HOUR] {
            let (clock, hands, noon) = clocks();
            hands.jump(noon.after(leap));
            assert_eq!(clock.now(), noon);
            hands.advance(ACCEPTED_AFTER - SECOND);
            assert_eq!(clock.now(), noon.after(ACCEPTED_AFTER - SECOND));
            hands.advance(SECOND);
            assert_eq!(clock.now(), noon.after(leap).after(ACCEPTED_AFTER));
            assert_eq!(clock.leaps(), ClockLeaps { begun: 1, accepted: 1, ahead_us: 0 });
        }
    }

    #[test]
    fn small_steps_are_followed_until_they_add_up_to_a_leap() {
        let (clock, hands, noon) = clocks();
        let step = Duration::from_secs(50);
        for steps in 1..=2 {
            hands.jump(noon.after(steps * step));
            assert_eq!(clock.now(), noon.after(steps * step));
        }
        hands.jump(noon.after(3 * step));
        assert_eq!(clock.now(), noon.after(2 * step));
        let (clock, hands, noon) = clocks();
        // Corrections of a slow clock in a day.
        for hour in 1..=24 {
            hands.advance(HOUR - SECOND);
            hands.jump(noon.after(hour * HOUR));
            assert_eq!(clock.now(), noon.after(hour * HOUR));
        }
        assert_eq!(clock.leaps(), ClockLeaps::default());
    }

    #[test]
    fn an_unguarded_clock_shows_its_hands() {
        let hands = Clock::manual(Timestamp(5));
        hands.jump(Timestamp(u64::MAX));
        assert_eq!((hands.now(), hands.leaps()), (Timestamp(u64::MAX), ClockLeaps::default()));
    }
}
