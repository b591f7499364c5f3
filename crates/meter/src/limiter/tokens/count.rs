//! The tokens of one key, and their arithmetic. All of it is exact and uses integers.

use std::time::Duration;

use access::{Mono, Tokens};

use super::{TokenAlgorithm, TokenLimitTerms, TokenUse};
use crate::rate::{RateExceeded, RateLevel};
use crate::window::{WindowLog, WindowSpan};

const NANOS_PER_MILLI: u64 = 1_000_000;

/// The tokens that count for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenCount {
    /// The tokens of a window.
    Window(WindowLog),
    /// The time at which the bucket is full.
    Bucket(Mono),
}

impl TokenCount {
    /// Returns the count of a key that has used nothing.
    #[must_use]
    pub fn unused(terms: TokenLimitTerms) -> Self {
        match terms.algorithm {
            TokenAlgorithm::SlidingWindow { .. } => Self::Window(WindowLog::default()),
            TokenAlgorithm::TokenBucket { .. } => Self::Bucket(Mono(0)),
        }
    }

    /// Returns the number of tokens that would be admitted now.
    #[must_use]
    pub fn left(&self, terms: TokenLimitTerms, now: Mono) -> Tokens {
        match (self.window(terms), terms.algorithm) {
            (Some((log, span)), _) => Tokens(u64::from(terms.limit()).saturating_sub(log.count(span, millis(now)))),
            (None, TokenAlgorithm::SlidingWindow { .. }) => Tokens(terms.limit().into()),
            (None, TokenAlgorithm::TokenBucket { window_nanos, .. }) => {
                let free = u128::from(burst_nanos(terms).saturating_sub(self.ahead_nanos(now)));
                let left = free * u128::from(terms.limit()) / u128::from(window_nanos.max(1));
                Tokens(u64::try_from(left).unwrap_or(u64::MAX).min(terms.at_once().into()))
            }
        }
    }

    /// Returns whether a call that needs these tokens is admitted now.
    #[must_use]
    pub fn admits(&self, terms: TokenLimitTerms, tokens: Tokens, now: Mono) -> bool {
        self.retry_after(terms, tokens, now).is_zero()
    }

    /// Returns the time after which a call is admitted if no other one begins before; zero if it is admitted now. A call that
    /// needs more than [`TokenLimitTerms::at_once`] is never admitted: the result is the time for that number.
    #[must_use]
    pub fn retry_after(&self, terms: TokenLimitTerms, tokens: Tokens, now: Mono) -> Duration {
        let needed = tokens.0.min(terms.at_once().into());
        match self.window(terms) {
            Some((log, span)) => {
                let room = u64::from(terms.limit()).saturating_sub(needed);
                Duration::from_millis(log.wait_ms(span, room, millis(now)))
            }
            None => {
                let full = self.ahead_nanos(now).saturating_add(terms.refill_nanos(Tokens(needed)));
                Duration::from_nanos(full.saturating_sub(burst_nanos(terms)))
            }
        }
    }

    /// Returns the state for a response: the time until a bucket is full, or until the first tokens leave a window.
    #[must_use]
    pub fn level(&self, terms: TokenLimitTerms, now: Mono) -> RateLevel {
        let reset = match self.window(terms) {
            Some((log, span)) => Duration::from_millis(log.reset_ms(span, millis(now))),
            None => Duration::from_nanos(self.ahead_nanos(now)),
        };
        let remaining = u32::try_from(self.left(terms, now).0).unwrap_or(u32::MAX);
        RateLevel { limit: terms.limit(), remaining, reset }
    }

    /// Returns the refusal of a call that needs these tokens.
    #[must_use]
    pub fn exceeded(&self, terms: TokenLimitTerms, tokens: Tokens, now: Mono) -> RateExceeded {
        let retry_after = self.retry_after(terms, tokens, now);
        RateExceeded { limit: terms.limit(), retry_after, reset: self.level(terms, now).reset.max(retry_after) }
    }

    /// Counts further tokens. Returns the time at which they count in a window, in milliseconds; zero without a window.
    pub fn add(&mut self, terms: TokenLimitTerms, tokens: Tokens, now: Mono) -> u64 {
        match (&mut *self, terms.span()) {
            (Self::Window(log), Some(span)) => log.add(span, tokens.0, millis(now)),
            // The limit had another algorithm before.
            (Self::Bucket(_), Some(span)) => {
                let mut log = WindowLog::default();
                let counted_ms = log.add(span, tokens.0, millis(now));
                *self = Self::Window(log);
                counted_ms
            }
            (Self::Window(_) | Self::Bucket(_), None) => {
                let ahead = self.ahead_nanos(now).saturating_add(terms.refill_nanos(tokens));
                *self = Self::Bucket(Mono(now.0.saturating_add(ahead)));
                0
            }
        }
    }

    /// Replaces a reservation by the usage. The rest leaves the window, if the reservation still counts. Tokens beyond the
    /// reservation count now.
    pub fn settle(&mut self, terms: TokenLimitTerms, settled: TokenUse, now: Mono) {
        let TokenUse { counted_ms, reserved, used } = settled;
        if used > reserved {
            self.add(terms, used.saturating_sub(reserved), now);
            return;
        }
        let rest = reserved.saturating_sub(used);
        match (&mut *self, terms.span()) {
            (Self::Window(log), Some(span)) => log.remove(span, rest.0, counted_ms),
            (Self::Bucket(_), None) => {
                let ahead = self.ahead_nanos(now).saturating_sub(terms.refill_nanos(rest));
                *self = Self::Bucket(Mono(now.0.saturating_add(ahead)));
            }
            (Self::Window(_), None) | (Self::Bucket(_), Some(_)) => {}
        }
    }

    /// Returns the log of a window.
    pub(super) const fn log_mut(&mut self) -> Option<&mut WindowLog> {
        match self {
            Self::Window(log) => Some(log),
            Self::Bucket(_) => None,
        }
    }

    /// Returns the time until the bucket is full, in nanoseconds; zero for a window.
    const fn ahead_nanos(&self, now: Mono) -> u64 {
        match self {
            Self::Bucket(full_at) => full_at.0.saturating_sub(now.0),
            Self::Window(_) => 0,
        }
    }

    fn window(&self, terms: TokenLimitTerms) -> Option<(&WindowLog, WindowSpan)> {
        match self {
            Self::Window(log) => terms.span().map(|span| (log, span)),
            Self::Bucket(_) => None,
        }
    }
}

const fn millis(now: Mono) -> u64 {
    now.0 / NANOS_PER_MILLI
}

fn burst_nanos(terms: TokenLimitTerms) -> u64 {
    terms.refill_nanos(Tokens(terms.at_once().into()))
}

#[cfg(test)]
mod tests;
