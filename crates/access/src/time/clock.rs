//! Time, passed as an argument. Only the binary reads the system's clocks, and only through [`Clock`].

mod date;
mod leap_guard;

pub use date::CivilDate;
pub use leap_guard::{ACCEPTED_AFTER, ClockLeaps, LEAP_MIN};

use leap_guard::LeapGuard;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

const MICROS_PER_MINUTE: u64 = 60_000_000;
const MICROS_PER_DAY: u64 = 86_400_000_000;

/// Microseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the UTC day that contains this time.
    #[must_use]
    pub fn day(self) -> Day {
        Day(u32::try_from(self.0 / MICROS_PER_DAY).unwrap_or(u32::MAX))
    }

    /// Returns the time that is later by `time`, or the maximum.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(micros(time)))
    }

    /// Returns the time that is earlier by `time`, or zero.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(micros(time)))
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn unix_millis(self) -> u64 {
        self.0 / 1_000
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A UTC day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub u32);

impl Day {
    /// Returns the start of the day: midnight UTC.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as u64 * MICROS_PER_DAY)
    }

    /// Returns the day after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl From<Day> for Timestamp {
    fn from(day: Day) -> Self {
        day.start()
    }
}

/// Whole minutes since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Minute(pub u32);

impl Minute {
    /// Returns the minute that contains `at`.
    #[must_use]
    pub fn containing(at: Timestamp) -> Self {
        Self(u32::try_from(at.0 / MICROS_PER_MINUTE).unwrap_or(u32::MAX))
    }

    /// Returns the start of the minute.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as u64 * MICROS_PER_MINUTE)
    }
}

/// Nanoseconds since a fixed time in this process; never decreases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// Returns the time since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The source of time: the system's clocks, or a clock that a test sets. A leap of the wall clock is not followed until it
/// has lasted ([`ACCEPTED_AFTER`]), except by a clock of [`Clock::manual`].
#[derive(Debug, Clone)]
pub struct Clock {
    source: TimeSource,
    guard: Option<Arc<LeapGuard>>,
}

/// The clock of the process: all its readers see the same leaps.
static SYSTEM: LazyLock<Clock> = LazyLock::new(Clock::of_process);

#[derive(Debug, Clone)]
enum TimeSource {
    System { origin: Instant },
    Manual(Arc<ManualTime>),
}

#[derive(Debug)]
struct ManualTime {
    wall_micros: AtomicU64,
    mono_nanos: AtomicU64,
}

impl Clock {
    /// Returns the system's wall clock and monotonic clock.
    #[must_use]
    pub fn system() -> Self {
        SYSTEM.clone()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clocks")]
    fn of_process() -> Self {
        let source = TimeSource::System { origin: Instant::now() };
        let guard = LeapGuard::new(source.wall(), source.mono());
        Self { source, guard: Some(Arc::new(guard)) }
    }

    /// Returns a clock that shows `start` until [`Clock::advance`] changes it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        let time = ManualTime { wall_micros: AtomicU64::new(start.0), mono_nanos: AtomicU64::new(0) };
        Self { source: TimeSource::Manual(Arc::new(time)), guard: None }
    }

    /// Returns the same clock with the rule for leaps that the system's clock has.
    #[must_use]
    pub fn guarded(self) -> Self {
        let guard = LeapGuard::new(self.source.wall(), self.source.mono());
        Self { guard: Some(Arc::new(guard)), ..self }
    }

    /// Advances the wall and monotonic time of a manual clock; a system clock does not change.
    pub fn advance(&self, by: Duration) {
        if let TimeSource::Manual(hands) = &self.source {
            hands.wall_micros.fetch_add(micros(by), Ordering::Relaxed);
            hands.mono_nanos.fetch_add(nanos(by), Ordering::Relaxed);
        }
    }

    /// Sets the wall time of a manual clock, forward or back; a system clock does not change.
    pub fn jump(&self, to: Timestamp) {
        if let TimeSource::Manual(hands) = &self.source {
            hands.wall_micros.store(to.0, Ordering::Relaxed);
        }
    }

    /// Returns the wall time. It may jump by less than [`LEAP_MIN`], and further only if the jump has lasted.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let wall = self.source.wall();
        self.guard.as_ref().map_or(wall, |guard| guard.checked(wall, self.source.mono()))
    }

    /// Returns the leaps of the wall clock so far.
    #[must_use]
    pub fn leaps(&self) -> ClockLeaps {
        self.guard.as_ref().map(|guard| guard.leaps()).unwrap_or_default()
    }

    /// Returns the wall time `elapsed` after `start`, which the caller has read; a manual clock returns its own time.
    #[must_use]
    pub fn wall_after(&self, start: Timestamp, elapsed: Duration) -> Timestamp {
        match &self.source {
            TimeSource::System { .. } => start.after(elapsed),
            TimeSource::Manual(_) => self.now(),
        }
    }

    /// Returns the monotonic time; only differences are meaningful.
    #[must_use]
    pub fn mono(&self) -> Mono {
        self.source.mono()
    }

    /// Returns the monotonic time at `at`, which the caller has read; a manual clock returns its own time.
    #[must_use]
    pub fn mono_at(&self, at: Instant) -> Mono {
        match &self.source {
            TimeSource::System { origin } => Mono(nanos(at.saturating_duration_since(*origin))),
            TimeSource::Manual(_) => self.mono(),
        }
    }
}

impl TimeSource {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clocks")]
    fn wall(&self) -> Timestamp {
        match self {
            Self::System { .. } => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Timestamp(micros(since))
            }
            Self::Manual(hands) => Timestamp(hands.wall_micros.load(Ordering::Relaxed)),
        }
    }

    fn mono(&self) -> Mono {
        match self {
            Self::System { origin } => Mono(nanos(origin.elapsed())),
            Self::Manual(hands) => Mono(hands.mono_nanos.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a time of the system's clock")]
    fn times_are_derived_from_those_that_were_read() {
        let clock = Clock::system();
        let before = clock.mono();
        let at = Instant::now();
        let after = clock.mono();
        assert!((before..=after).contains(&clock.mono_at(at)));
        assert_eq!(clock.mono_at(at + Duration::from_secs(1)).since(clock.mono_at(at)), Duration::from_secs(1));
        assert_eq!(clock.wall_after(Timestamp(7), Duration::from_micros(2)), Timestamp(9));
        let manual = Clock::manual(Timestamp(1));
        manual.advance(Duration::from_secs(5));
        assert_eq!(manual.mono_at(at), manual.mono());
        assert_eq!(manual.wall_after(Timestamp(7), Duration::from_micros(2)), manual.now());
    }

    #[test]
    fn day_changes_at_midnight_utc() {
        let midnight = Day(20_000).start();
        assert_eq!(Timestamp(midnight.0 - 1).day(), Day(19_999));
        assert_eq!(midnight.day(), Day(20_000));
        assert_eq!(Day(20_000).next().start().0 - midnight.0, MICROS_PER_DAY);
    }

    #[test]
    fn time_ends_at_its_ends() {
        let at = Timestamp(5_000_000);
        let second = Duration::from_secs(1);
        assert_eq!((at.after(second), at.before(second)), (Timestamp(6_000_000), Timestamp(4_000_000)));
        assert_eq!((at.after(Duration::MAX), at.before(Duration::MAX)), (Timestamp(u64::MAX), Timestamp(0)));
    }

    #[test]
    fn manual_clock_moves_only_when_advanced() {
        let clock = Clock::manual(Timestamp(5));
        let before = clock.mono();
        assert_eq!(clock.now(), Timestamp(5));
        clock.advance(Duration::from_millis(1));
        assert_eq!(clock.now(), Timestamp(1_005));
        assert_eq!(clock.mono().since(before), Duration::from_millis(1));
        clock.jump(Timestamp(3));
        assert_eq!((clock.now(), clock.mono().since(before)), (Timestamp(3), Duration::from_millis(1)));
    }
}
