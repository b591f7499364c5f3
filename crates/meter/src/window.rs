//! Limits over a sliding window, counted in two fixed ones: what came in the one before weighs as much as is left of it.
//!
//! Integers only, and exact: [`WindowCount`] is three of them, wherever it is kept. `store::windows` has the same arithmetic
//! as a script in Redis, whose numbers are doubles: the bounds below keep every product within 2^53.

pub mod counts;

use std::num::NonZeroU32;
use std::time::Duration;

/// Largest limit.
pub const LIMIT_MAX: u32 = 1_000_000;
/// Longest window: a day.
pub const LENGTH_MAX: Duration = Duration::from_secs(86_400);

/// So many calls in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    limit: u32,
    length_ms: u64,
}

impl Window {
    /// `limit` (at most [`LIMIT_MAX`]) calls in each `length` (a millisecond to [`LENGTH_MAX`]); what lies outside is
    /// taken for the bound.
    #[must_use]
    pub fn new(limit: NonZeroU32, length: Duration) -> Self {
        let length_ms = u64::try_from(length.min(LENGTH_MAX).as_millis()).unwrap_or(u64::MAX);
        Self { limit: limit.get().min(LIMIT_MAX), length_ms: length_ms.max(1) }
    }

    /// How many calls.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.limit
    }

    /// In how long.
    #[must_use]
    pub const fn length_ms(self) -> u64 {
        self.length_ms
    }
}

/// Calls that were let in: in the window of the clock's with this index, and in the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowCount {
    /// Windows since the clock's beginning.
    pub index: u64,
    /// Calls in it.
    pub current: u32,
    /// Calls in the one before.
    pub previous: u32,
}

/// A count as it stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowView {
    count: WindowCount,
    window: Window,
    elapsed_ms: u64,
}

impl WindowCount {
    /// How this count stands at `now_ms` of its clock.
    ///
    /// A clock that went back by less than a window stands still for it until it is there again; by more, and what was
    /// counted is of no known time and forgotten: no jump holds anybody up for longer than two windows.
    #[must_use]
    pub const fn at(self, window: Window, now_ms: u64) -> WindowView {
        let (index, elapsed_ms) = (now_ms / window.length_ms, now_ms % window.length_ms);
        let (count, elapsed_ms) = if index == self.index {
            (self, elapsed_ms)
        } else if index == self.index.saturating_add(1) {
            (Self { index, current: 0, previous: self.current }, elapsed_ms)
        } else if index.saturating_add(1) == self.index {
            (self, 0)
        } else {
            (Self { index, current: 0, previous: 0 }, elapsed_ms)
        };
        WindowView { count, window, elapsed_ms }
    }
}

impl WindowView {
    /// What is to be kept.
    #[must_use]
    pub const fn count(self) -> WindowCount {
        self.count
    }

    /// The limit.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.window.limit
    }

    /// The same after one more call.
    #[must_use]
    pub const fn counted(mut self) -> Self {
        self.count.current = self.count.current.saturating_add(1);
        self
    }

    /// Calls that may pass at this moment.
    #[must_use]
    pub fn remaining(self) -> u32 {
        let Window { limit, length_ms } = self.window;
        let WindowCount { current, previous, .. } = self.count;
        let free = u64::from(limit.saturating_sub(current)) * length_ms;
        let weighed = u64::from(previous) * (length_ms - self.elapsed_ms);
        u32::try_from(free.saturating_sub(weighed) / length_ms).unwrap_or(u32::MAX)
    }

    /// Whether one may.
    #[must_use]
    pub fn admits(self) -> bool {
        self.remaining() > 0
    }

    /// Until one may, if none comes before; zero where one may now.
    #[must_use]
    pub fn retry_after_ms(self) -> u64 {
        let Window { limit, length_ms } = self.window;
        let WindowCount { current, previous, .. } = self.count;
        if self.admits() {
            return 0;
        }
        let left_ms = length_ms - self.elapsed_ms;
        match limit.checked_sub(current) {
            Some(room @ 1..) => left_ms.saturating_sub(weighs_little_enough(room - 1, previous, length_ms)),
            // Nothing passes before this window is the previous one.
            Some(0) | None => {
                left_ms + length_ms.saturating_sub(weighs_little_enough(limit.saturating_sub(1), current, length_ms))
            }
        }
    }

    /// Until this window ends and its calls begin to weigh less, and where none may pass now until one may.
    #[must_use]
    pub fn reset_ms(self) -> u64 {
        (self.window.length_ms - self.elapsed_ms).max(self.retry_after_ms())
    }
}

/// The longest rest of a window in which the calls of the one before, `previous`, leave `room`.
fn weighs_little_enough(room: u32, previous: u32, length_ms: u64) -> u64 {
    (u64::from(room) * length_ms).checked_div(u64::from(previous)).map_or(length_ms, |rest| rest.min(length_ms))
}

#[cfg(test)]
mod tests;
