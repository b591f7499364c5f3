//! The tokens of one key, and their arithmetic. All of it is exact and uses integers.

use std::time::Duration;

use access::{Mono, Tokens};

use super::{TokenAlgorithm, TokenLimitTerms, TokenUse};
use crate::rate::{RateExceeded, RateLevel};

const NANOS_PER_MILLI: u64 = 1_000_000;

/// The tokens that count for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenCount {
    /// The tokens of two windows.
    Window {
        /// The number of the current window since the clock's zero.
        index: u64,
        /// The tokens of this window.
        current: u64,
        /// The tokens of the previous window.
        previous: u64,
    },
    /// The time at which the bucket is full.
    Bucket(Mono),
}

/// The tokens of two windows at one time.
#[derive(Clone, Copy)]
struct WindowTokens {
    index: u64,
    current: u64,
    previous: u64,
    length_ms: u64,
    /// The rest of the window.
    left_ms: u64,
}

impl TokenCount {
    /// Returns the count of a key that has used nothing.
    #[must_use]
    pub const fn unused(terms: TokenLimitTerms) -> Self {
        match terms.algorithm {
            TokenAlgorithm::SlidingWindow { .. } => Self::Window { index: 0, current: 0, previous: 0 },
            TokenAlgorithm::TokenBucket { .. } => Self::Bucket(Mono(0)),
        }
    }

    /// Returns the number of the window in which tokens count at `now`; zero without a window.
    #[must_use]
    pub fn window_index(self, terms: TokenLimitTerms, now: Mono) -> u64 {
        self.window(terms, now).map_or(0, |window| window.index)
    }

    /// Returns the number of tokens that would be admitted now.
    #[must_use]
    pub fn left(self, terms: TokenLimitTerms, now: Mono) -> Tokens {
        match self.window(terms, now) {
            Some(window) => window.left(Tokens(terms.limit().into())),
            None => {
                let free = u128::from(burst_nanos(terms).saturating_sub(self.ahead_nanos(now)));
                let TokenAlgorithm::TokenBucket { window_nanos, .. } = terms.algorithm else { return Tokens::ZERO };
                let left = free * u128::from(terms.limit()) / u128::from(window_nanos.max(1));
                Tokens(u64::try_from(left).unwrap_or(u64::MAX).min(terms.at_once().into()))
            }
        }
    }

    /// Returns whether a call that needs these tokens is admitted now.
    #[must_use]
    pub fn admits(self, terms: TokenLimitTerms, tokens: Tokens, now: Mono) -> bool {
        self.retry_after(terms, tokens, now).is_zero()
    }

    /// Returns the time after which a call is admitted if no other one begins before; zero if it is admitted now. A call that
    /// needs more than [`TokenLimitTerms::at_once`] is never admitted: the result is the time for that number.
    #[must_use]
    pub fn retry_after(self, terms: TokenLimitTerms, tokens: Tokens, now: Mono) -> Duration {
        let needed = tokens.0.min(terms.at_once().into());
        match self.window(terms, now) {
            Some(window) => Duration::from_millis(window.wait_ms(u64::from(terms.limit()).saturating_sub(needed))),
            None => {
                let full = self.ahead_nanos(now).saturating_add(terms.refill_nanos(Tokens(needed)));
                Duration::from_nanos(full.saturating_sub(burst_nanos(terms)))
            }
        }
    }

    /// Returns the state for a response: the time until a bucket is full, or until a window in use ends.
    #[must_use]
    pub fn level(self, terms: TokenLimitTerms, now: Mono) -> RateLevel {
        let reset = match self.window(terms, now) {
            Some(window) if window.current == 0 && window.previous == 0 => Duration::ZERO,
            Some(window) => Duration::from_millis(window.left_ms),
            None => Duration::from_nanos(self.ahead_nanos(now)),
        };
        let remaining = u32::try_from(self.left(terms, now).0).unwrap_or(u32::MAX);
        RateLevel { limit: terms.limit(), remaining, reset }
    }

    /// Returns the refusal of a call that needs these tokens.
    #[must_use]
    pub fn exceeded(self, terms: TokenLimitTerms, tokens: Tokens, now: Mono) -> RateExceeded {
        let retry_after = self.retry_after(terms, tokens, now);
        RateExceeded { limit: terms.limit(), retry_after, reset: self.level(terms, now).reset.max(retry_after) }
    }

    /// Returns the count with further tokens.
    #[must_use]
    pub fn with(self, terms: TokenLimitTerms, tokens: Tokens, now: Mono) -> Self {
        match self.window(terms, now) {
            Some(WindowTokens { index, current, previous, .. }) => {
                Self::Window { index, current: current.saturating_add(tokens.0), previous }
            }
            None => {
                let ahead = self.ahead_nanos(now).saturating_add(terms.refill_nanos(tokens));
                Self::Bucket(Mono(now.0.saturating_add(ahead)))
            }
        }
    }

    /// Returns the count after a reservation was replaced by the usage. The rest leaves the window of the reservation, if
    /// that still counts. Tokens beyond the reservation count now.
    #[must_use]
    pub fn settled(self, terms: TokenLimitTerms, used: TokenUse, now: Mono) -> Self {
        let TokenUse { window_index, reserved, used } = used;
        if used >= reserved {
            return self.with(terms, used.saturating_sub(reserved), now);
        }
        let rest = reserved.saturating_sub(used);
        match self.window(terms, now) {
            Some(WindowTokens { index, current, previous, .. }) if index == window_index => {
                Self::Window { index, current: current.saturating_sub(rest.0), previous }
            }
            Some(WindowTokens { index, current, previous, .. }) if index == window_index.saturating_add(1) => {
                Self::Window { index, current, previous: previous.saturating_sub(rest.0) }
            }
            Some(WindowTokens { index, current, previous, .. }) => Self::Window { index, current, previous },
            None => {
                let ahead = self.ahead_nanos(now).saturating_sub(terms.refill_nanos(rest));
                Self::Bucket(Mono(now.0.saturating_add(ahead)))
            }
        }
    }

    /// Returns the time until the bucket is full, in nanoseconds; zero for a window.
    const fn ahead_nanos(self, now: Mono) -> u64 {
        match self {
            Self::Bucket(full_at) => full_at.0.saturating_sub(now.0),
            Self::Window { .. } => 0,
        }
    }

    /// Returns the tokens of the windows at `now`; `None` for a bucket. If the clock went back by less than one window, time
    /// stands still until it has caught up. If it went back further, the counts are discarded.
    fn window(self, terms: TokenLimitTerms, now: Mono) -> Option<WindowTokens> {
        let TokenAlgorithm::SlidingWindow { length_ms } = terms.algorithm else { return None };
        let now_ms = now.0 / NANOS_PER_MILLI;
        let (index_now, left_ms) = (now_ms / length_ms, length_ms - now_ms % length_ms);
        let view = |index, current, previous, left_ms| WindowTokens { index, current, previous, length_ms, left_ms };
        Some(match self {
            Self::Window { index, current, previous } if index == index_now => view(index, current, previous, left_ms),
            Self::Window { index, current, .. } if index.saturating_add(1) == index_now => {
                view(index_now, 0, current, left_ms)
            }
            Self::Window { index, current, previous } if index == index_now.saturating_add(1) => {
                view(index, current, previous, length_ms)
            }
            Self::Window { .. } | Self::Bucket(_) => view(index_now, 0, 0, left_ms),
        })
    }
}

impl WindowTokens {
    fn left(self, limit: Tokens) -> Tokens {
        let free = u128::from(limit.0.saturating_sub(self.current)) * u128::from(self.length_ms);
        let weighed = u128::from(self.previous) * u128::from(self.left_ms);
        Tokens(u64::try_from(free.saturating_sub(weighed) / u128::from(self.length_ms)).unwrap_or(u64::MAX))
    }

    /// Returns the time until the tokens count at most `room`, in milliseconds.
    fn wait_ms(self, room: u64) -> u64 {
        if self.current <= room {
            return self.left_ms.saturating_sub(self.light_ms(room - self.current, self.previous));
        }
        // The tokens of this window weigh less once it is the previous one.
        self.left_ms.saturating_add(self.length_ms - self.light_ms(room, self.current))
    }

    /// Returns the longest rest of a window at which `previous` tokens count at most `room`, in milliseconds.
    fn light_ms(self, room: u64, previous: u64) -> u64 {
        let rest = (u128::from(room) * u128::from(self.length_ms)).checked_div(u128::from(previous));
        rest.map_or(self.length_ms, |rest| u64::try_from(rest).unwrap_or(u64::MAX).min(self.length_ms))
    }
}

fn burst_nanos(terms: TokenLimitTerms) -> u64 {
    terms.refill_nanos(Tokens(terms.at_once().into()))
}

#[cfg(test)]
mod tests;
