//! Rate limits over a sliding window: a counted request leaves the window when its length has passed. No span of that length
//! therefore has more requests than the limit, and no client waits longer than the window.
//!
//! A [`WindowLog`] has the times of one key. Limits up to [`EXACT_MAX`] are exact to the millisecond. Of larger limits,
//! requests within a hundredth of the window leave it together with the last of them, so that a log is short.
//! `window_log.lua` of `cluster::windows` computes the same in Redis.

pub mod counts;
mod log;

use std::num::NonZeroU32;
use std::time::Duration;

pub use log::WindowLog;
pub(crate) use log::{LOGS_MAX, SET_BYTES_MAX, keep_bounded};

/// The maximum of a limit.
pub const LIMIT_MAX: u32 = 1_000_000;
/// The maximum length of a window: one day.
pub const LENGTH_MAX: Duration = Duration::from_secs(86_400);
/// The largest limit whose requests are counted one by one.
pub const EXACT_MAX: u32 = 100;
/// The number of parts of a window in which requests of a larger limit are counted together.
const PARTS: u64 = 100;

/// A maximum number of requests per window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    limit: u32,
    length_ms: u64,
}

/// The length of a window, and that of the parts in which it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSpan {
    length_ms: u64,
    part_ms: u64,
}

/// The state of one key at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowView {
    /// The maximum number of requests.
    pub limit: u32,
    /// The number of requests that may pass now.
    pub remaining: u32,
    /// The time until the first request leaves the window; zero if none is counted.
    pub reset_ms: u64,
    /// The time until a request may pass, if no other request comes before; zero if one may pass now.
    pub retry_after_ms: u64,
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

    /// Returns the length with that of its parts.
    #[must_use]
    pub fn span(self) -> WindowSpan {
        WindowSpan::new(self.limit, self.length_ms)
    }
}

impl WindowSpan {
    /// Returns the span of a limit whose window has this length, of one millisecond to [`LENGTH_MAX`].
    #[must_use]
    pub fn new(limit: u32, length_ms: u64) -> Self {
        let length_ms = length_ms.clamp(1, u64::try_from(LENGTH_MAX.as_millis()).unwrap_or(u64::MAX));
        Self { length_ms, part_ms: if limit <= EXACT_MAX { 1 } else { length_ms.div_ceil(PARTS) } }
    }

    /// Returns the length of the window in milliseconds.
    #[must_use]
    pub const fn length_ms(self) -> u64 {
        self.length_ms
    }

    /// Returns the length of a part in milliseconds.
    #[must_use]
    pub const fn part_ms(self) -> u64 {
        self.part_ms
    }
}

impl WindowView {
    /// Returns whether a request may pass now.
    #[must_use]
    pub const fn admits(self) -> bool {
        self.remaining > 0
    }

    /// Returns the used part of the limit in units of 1 / 2³².
    pub(crate) fn fullness(self) -> u64 {
        (u64::from(self.limit.saturating_sub(self.remaining)) << 32) / u64::from(self.limit.max(1))
    }
}

#[cfg(test)]
mod tests;
