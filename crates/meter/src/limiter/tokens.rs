//! The tokens of LLM calls by key. A call reserves its estimated tokens when it begins, and settles them with those that it
//! has used, so a count may exceed its limit: it then admits nothing until enough time has passed.
//!
//! [`TokenLimitTerms`] are the limit, [`TokenCount`] is the state of one key, and `table` keeps the counts of one rule.

mod count;
pub(super) mod table;

use std::num::NonZeroU32;
use std::time::Duration;

use access::Tokens;

use crate::window::WindowSpan;

pub use count::TokenCount;

/// The maximum of a limit of tokens.
pub const TOKEN_LIMIT_MAX: u32 = 1_000_000_000;

/// The tokens of a call that a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUnit {
    /// The input and the output.
    All,
    /// The input, including cached tokens.
    Input,
    /// The output, including reasoning.
    Output,
}

/// The number of tokens that a rule allows one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLimitTerms {
    unit: TokenUnit,
    limit: NonZeroU32,
    algorithm: TokenAlgorithm,
}

/// How a limit of tokens refills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// Tokens in any window, as [`WindowLog`](crate::window::WindowLog) counts them.
    SlidingWindow {
        /// The length of the window in milliseconds, at least one.
        length_ms: u64,
    },
    /// Tokens refill evenly, up to a burst.
    TokenBucket {
        /// The maximum number of tokens at once.
        burst: NonZeroU32,
        /// The time in which the limit refills, in nanoseconds.
        window_nanos: u64,
    },
}

/// Tokens that a call has reserved, and those that it has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenUse {
    /// The time at which the reservation counts in a window, in milliseconds; zero without a window.
    pub counted_ms: u64,
    /// The tokens that were reserved.
    pub reserved: Tokens,
    /// The tokens that were used.
    pub used: Tokens,
}

impl TokenUnit {
    /// Returns the word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::All => "tokens",
            Self::Input => "input_tokens",
            Self::Output => "output_tokens",
        }
    }

    /// Returns the part of a call's tokens that counts.
    #[must_use]
    pub const fn counted_tokens(self, input: Tokens, output: Tokens) -> Tokens {
        match self {
            Self::All => input.saturating_add(output),
            Self::Input => input,
            Self::Output => output,
        }
    }
}

impl TokenLimitTerms {
    /// Returns a sliding window of at least one millisecond.
    #[must_use]
    pub fn sliding_window(unit: TokenUnit, limit: NonZeroU32, length: Duration) -> Self {
        let length_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { unit, limit, algorithm: TokenAlgorithm::SlidingWindow { length_ms } }
    }

    /// Returns a bucket that refills by `limit` in each window.
    #[must_use]
    pub fn token_bucket(unit: TokenUnit, limit: NonZeroU32, window: Duration, burst: NonZeroU32) -> Self {
        let window_nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        Self { unit, limit, algorithm: TokenAlgorithm::TokenBucket { burst, window_nanos } }
    }

    /// Returns the tokens that count.
    #[must_use]
    pub const fn unit(self) -> TokenUnit {
        self.unit
    }

    /// Returns the maximum number of tokens per window.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.limit.get()
    }

    /// Returns how the limit refills.
    #[must_use]
    pub const fn algorithm(self) -> TokenAlgorithm {
        self.algorithm
    }

    /// Returns the span of a window; `None` for a bucket.
    #[must_use]
    pub fn span(self) -> Option<WindowSpan> {
        match self.algorithm {
            TokenAlgorithm::SlidingWindow { length_ms } => Some(WindowSpan::new(self.limit.get(), length_ms)),
            TokenAlgorithm::TokenBucket { .. } => None,
        }
    }

    /// Returns the maximum number of tokens at once. A call that needs more is never admitted.
    #[must_use]
    pub const fn at_once(self) -> u32 {
        match self.algorithm {
            TokenAlgorithm::SlidingWindow { .. } => self.limit.get(),
            TokenAlgorithm::TokenBucket { burst, .. } => burst.get(),
        }
    }

    /// Returns the part of one of `nodes`, at least one token.
    #[must_use]
    pub fn share(self, nodes: NonZeroU32) -> Self {
        let part = |whole: NonZeroU32| NonZeroU32::new(whole.get() / nodes).unwrap_or(NonZeroU32::MIN);
        match self.algorithm {
            TokenAlgorithm::SlidingWindow { .. } => Self { limit: part(self.limit), ..self },
            TokenAlgorithm::TokenBucket { burst, window_nanos } => {
                let window_nanos = window_nanos.saturating_mul(u64::from(nodes.get()));
                Self { algorithm: TokenAlgorithm::TokenBucket { burst: part(burst), window_nanos }, ..self }
            }
        }
    }

    /// Returns the time for which the limit is given: the length of its window, or the time in which it refills.
    #[must_use]
    pub const fn window(self) -> Duration {
        match self.algorithm {
            TokenAlgorithm::SlidingWindow { length_ms } => Duration::from_millis(length_ms),
            TokenAlgorithm::TokenBucket { window_nanos, .. } => Duration::from_nanos(window_nanos),
        }
    }

    /// Returns the time in which an empty bucket becomes full; `None` for a window.
    #[must_use]
    pub fn refill(self) -> Option<Duration> {
        match self.algorithm {
            TokenAlgorithm::SlidingWindow { .. } => None,
            TokenAlgorithm::TokenBucket { burst, .. } => {
                Some(Duration::from_nanos(self.refill_nanos(Tokens(burst.get().into()))))
            }
        }
    }

    /// Returns the time in which a bucket refills by a number of tokens, in nanoseconds, rounded up; zero for a window.
    #[must_use]
    pub fn refill_nanos(self, tokens: Tokens) -> u64 {
        let TokenAlgorithm::TokenBucket { window_nanos, .. } = self.algorithm else { return 0 };
        let nanos = (u128::from(tokens.0) * u128::from(window_nanos)).div_ceil(u128::from(self.limit.get()));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}
