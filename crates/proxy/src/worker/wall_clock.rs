//! The wall clock of a worker. It reads the system's clock at most every [`READ_EVERY`]; between two readings, it adds
//! the time that has passed. A step of the system's clock is therefore seen late by at most that time.

use std::cell::Cell;
use std::time::Duration;

use access::{Clock, Timestamp};
use tokio::time::Instant;

const READ_EVERY: Duration = Duration::from_millis(10);

/// The wall clock of a worker.
#[derive(Debug)]
pub(crate) struct WallClock {
    clock: Clock,
    read: Cell<(Timestamp, Instant)>,
}

impl WallClock {
    pub(crate) fn new(clock: Clock) -> Self {
        let read = Cell::new((clock.now(), Instant::now()));
        Self { clock, read }
    }

    /// Returns the wall time; `now` is the current time of the monotonic clock.
    pub(crate) fn time_at(&self, now: Instant) -> Timestamp {
        let (wall, at) = self.read.get();
        let elapsed = now.saturating_duration_since(at);
        if elapsed < READ_EVERY {
            return self.clock.wall_after(wall, elapsed);
        }
        let wall = self.clock.now();
        self.read.set((wall, now));
        wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_again_after_ten_milliseconds() {
        let wall = WallClock::new(Clock::system());
        let (first, at) = wall.read.get();
        let nearly = READ_EVERY - Duration::from_micros(1);
        assert_eq!(wall.time_at(at + nearly), first.after(nearly));
        assert_eq!(wall.read.get(), (first, at));
        assert!(wall.time_at(at + READ_EVERY) >= first);
        assert_eq!(wall.read.get().1, at + READ_EVERY);
    }

    #[test]
    fn a_manual_clock_shows_its_own_time() {
        let clock = Clock::manual(Timestamp(5));
        let wall = WallClock::new(clock.clone());
        clock.jump(Timestamp(3));
        assert_eq!(wall.time_at(Instant::now()), Timestamp(3));
    }
}
