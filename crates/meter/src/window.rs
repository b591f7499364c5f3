//! Rate limits over a sliding window, from the counts of two fixed windows: the previous window's count is weighted by
//! the part of it that the sliding window still covers. The weighted count never exceeds the limit. It is the number of
//! requests in the last window only if those of the previous one were evenly spread: up to twice the limit, less one, may
//! pass in a span of the window's length.
//!
//! All arithmetic is exact and uses integers; a [`WindowCount`] is three of them, in memory or in Redis. The Redis
//! script of `cluster::windows` computes the same with doubles; the bounds below keep every product within 2^53.

pub mod counts;

use std::num::NonZeroU32;
use std::time::Duration;

/// The maximum of a limit.
pub const LIMIT_MAX: u32 = 1_000_000;
/// The maximum length of a window: one day.
pub const LENGTH_MAX: Duration = Duration::from_secs(86_400);

/// A maximum number of requests per window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    limit: u32,
    length_ms: u64,
}

impl Window {
    /// Returns a window of `limit` requests (at most [`LIMIT_MAX`]) per `length` (one millisecond to [`LENGTH_MAX`]).
    /// Values outside are replaced by the bound.
    #[must_use]
    pub fn new(limit: NonZeroU32, length: Duration) -> Self {
        let length_ms = u64::try_from(length.min(LENGTH_MAX).as_millis()).unwrap_or(u64::MAX);
        Self { limit: limit.get().min(LIMIT_MAX), length_ms: length_ms.max(1) }
    }

    /// Returns the maximum number of requests.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.limit
    }

    /// Returns the part of one of `nodes`, at least one request.
    #[must_use]
    pub const fn share(self, nodes: NonZeroU32) -> Self {
        let limit = self.limit / nodes.get();
        Self { limit: if limit == 0 { 1 } else { limit }, ..self }
    }

    /// Returns the length of the window in milliseconds.
    #[must_use]
    pub const fn length_ms(self) -> u64 {
        self.length_ms
    }
}

/// The requests that were admitted in one fixed window and in the previous one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowCount {
    /// The number of the window since the clock's zero.
    pub index: u64,
    /// The requests in this window.
    pub current: u32,
    /// The requests in the previous window.
    pub previous: u32,
}

/// A count at one point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowView {
    count: WindowCount,
    window: Window,
    elapsed_ms: u64,
}

impl WindowCount {
    /// Returns the count at `now_ms` of its clock.
    ///
    /// If the clock went back by less than one window, time stands still until the clock has caught up. If it went back
    /// further, the counts are discarded. No jump of the clock therefore delays requests for more than two windows.
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
    /// Returns the count that must be stored.
    #[must_use]
    pub const fn count(self) -> WindowCount {
        self.count
    }

    /// Returns the maximum number of requests.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.window.limit
    }

    /// Returns the view after one more request.
    #[must_use]
    pub const fn counted(mut self) -> Self {
        self.count.current = self.count.current.saturating_add(1);
        self
    }

    /// Returns the number of requests that may pass now.
    #[must_use]
    pub fn remaining(self) -> u32 {
        let Window { limit, length_ms } = self.window;
        let WindowCount { current, previous, .. } = self.count;
        let free = u64::from(limit.saturating_sub(current)) * length_ms;
        let weighed = u64::from(previous) * (length_ms - self.elapsed_ms);
        u32::try_from(free.saturating_sub(weighed) / length_ms).unwrap_or(u32::MAX)
    }

    /// Returns whether a request may pass now.
    #[must_use]
    pub fn admits(self) -> bool {
        self.remaining() > 0
    }

    /// Returns the time until a request may pass, if no other request comes before; zero if one may pass now. It is at most
    /// the window: a full count may then refuse once more, for at most the window divided by the limit.
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
            // No request passes before this window has become the previous one.
            Some(0) | None => {
                let lighter = weighs_little_enough(limit.saturating_sub(1), current, length_ms);
                (left_ms + length_ms.saturating_sub(lighter)).min(length_ms)
            }
        }
    }

    /// Returns the time until this window ends.
    #[must_use]
    pub const fn left_ms(self) -> u64 {
        self.window.length_ms - self.elapsed_ms
    }

    /// Returns the time until this window ends and its requests lose weight; if no request may pass now, at least the
    /// time until one may.
    #[must_use]
    pub fn reset_ms(self) -> u64 {
        (self.window.length_ms - self.elapsed_ms).max(self.retry_after_ms())
    }
}

/// The longest remaining time of a window at which the `previous` requests leave `room`.
fn weighs_little_enough(room: u32, previous: u32, length_ms: u64) -> u64 {
    (u64::from(room) * length_ms).checked_div(u64::from(previous)).map_or(length_ms, |rest| rest.min(length_ms))
}

#[cfg(test)]
mod tests;
