//! The limiter: counts requests, and requests in flight, by any key against the rate limits of the configuration.
//!
//! A rule of the configuration has its own [`LimitCounters`], which all workers share: a bounded table with a token bucket
//! ([`Rate`]) of each key in one atomic word (`table`), or with its sliding window (`windows`). Requests in flight are
//! counted by key while there are any (`in_flight`), and [`tokens`] counts those of LLM calls. If nodes share limits,
//! `leases` has the requests that Redis granted ahead, and [`sharing`] asks for more. [`key`] writes the values that are
//! counted, and `noted` remembers the keys that operators may want to see.

mod in_flight;
pub mod key;
mod leases;
mod noted;
mod registry;
pub mod sharing;
mod table;
pub mod tokens;
mod windows;

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::time::Duration;

use access::{Mono, Tokens};

use crate::rate::{Rate, RateExceeded, RateLevel};
use crate::window::Window;
use in_flight::InFlight;
use leases::KeyLeases;
pub use leases::{GrantedRequests, LeaseTake, LeasedRequest};
pub use noted::BusyKey;
use noted::{NotedKeys, NotedRequest};
pub use registry::LimitRegistry;
use table::BucketTable;
use tokens::TokenLimitTerms;
pub use tokens::table::CountedTokens;
use tokens::table::TokenTable;
use windows::WindowTable;

/// The time after which a client that has too many requests in flight should try again.
const RETRY_CONCURRENT: Duration = Duration::from_secs(1);

/// The number of requests that a rule allows one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitTerms {
    /// The requests arrive within a time.
    Requests(RequestTerms),
    /// The requests are in flight together.
    Concurrent(NonZeroU32),
    /// The tokens of LLM calls within a time.
    Tokens(TokenLimitTerms),
}

/// The number of requests in time that a rule allows one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestTerms {
    /// Requests refill evenly, up to a burst.
    TokenBucket(Rate),
    /// Requests in any window, as [`Window`] counts them.
    SlidingWindow(Window),
}

/// The counters of one rule, by key.
#[derive(Debug, Default)]
pub struct LimitCounters {
    /// Unpredictable, so that no client can choose keys of one set.
    hash: RandomState,
    buckets: BucketTable,
    windows: WindowTable,
    in_flight: InFlight,
    tokens: TokenTable,
    leases: KeyLeases,
    noted: NotedKeys,
}

/// A request that was counted; [`LimitCounters::give_back`] undoes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedRequest {
    /// The level after the request.
    pub level: RateLevel,
    tag: u64,
    /// The time at which the request counts in a window; zero without a window.
    counted_ms: u64,
}

impl LimitTerms {
    /// Returns the part of one of `nodes`, at least one request or token. Requests in flight are not divided.
    #[must_use]
    pub fn share(self, nodes: NonZeroU32) -> Self {
        match self {
            Self::Requests(terms) => Self::Requests(terms.share(nodes)),
            Self::Tokens(terms) => Self::Tokens(terms.share(nodes)),
            Self::Concurrent(_) => self,
        }
    }

    /// Returns the maximum number of requests or tokens: per window, or in flight.
    #[must_use]
    pub const fn limit(self) -> u32 {
        match self {
            Self::Requests(terms) => terms.limit(),
            Self::Concurrent(limit) => limit.get(),
            Self::Tokens(terms) => terms.limit(),
        }
    }

    /// Returns the time for which the limit is given; `None` for requests in flight.
    #[must_use]
    pub const fn window(self) -> Option<Duration> {
        match self {
            Self::Requests(RequestTerms::TokenBucket(rate)) => Some(rate.window()),
            Self::Requests(RequestTerms::SlidingWindow(window)) => Some(Duration::from_millis(window.length_ms())),
            Self::Concurrent(_) => None,
            Self::Tokens(terms) => Some(terms.window()),
        }
    }

    /// Returns the maximum number of requests or tokens that may arrive at once.
    #[must_use]
    pub const fn at_once(self) -> u32 {
        match self {
            Self::Requests(RequestTerms::TokenBucket(rate)) => rate.burst(),
            Self::Requests(RequestTerms::SlidingWindow(window)) => window.limit(),
            Self::Concurrent(limit) => limit.get(),
            Self::Tokens(terms) => terms.at_once(),
        }
    }
}

impl RequestTerms {
    /// Returns the maximum number of requests per window.
    #[must_use]
    pub const fn limit(self) -> u32 {
        match self {
            Self::TokenBucket(rate) => rate.limit(),
            Self::SlidingWindow(window) => window.limit(),
        }
    }

    /// Returns the part of one of `nodes`, at least one request.
    #[must_use]
    pub fn share(self, nodes: NonZeroU32) -> Self {
        match self {
            Self::TokenBucket(rate) => Self::TokenBucket(rate.share(nodes)),
            Self::SlidingWindow(window) => Self::SlidingWindow(window.share(nodes)),
        }
    }

    /// Returns the number of requests that one of `nodes` asks for at once. One means that Redis decides about each
    /// request.
    #[must_use]
    pub fn batch(self, nodes: NonZeroU32) -> NonZeroU32 {
        match self {
            Self::TokenBucket(rate) => leases::batch(rate.limit().min(rate.burst()), nodes),
            Self::SlidingWindow(window) => leases::batch(window.limit(), nodes),
        }
    }
}

impl LimitCounters {
    /// Counts a request of `key`, but no tokens: [`take_tokens`](Self::take_tokens) counts them. Requests in flight must be
    /// given back when they end.
    ///
    /// # Errors
    /// [`RateExceeded`] if the limit of the key is reached; nothing is counted in that case.
    pub fn take(&self, key: &[u8], terms: LimitTerms, now: Mono) -> Result<CountedRequest, RateExceeded> {
        let tag = self.tag(key);
        let counted = self.count(tag, terms, now)?;
        if noted::reaches(terms, counted.level.remaining) {
            self.note(key, NotedRequest { tag, terms, refused: 0, now });
        }
        Ok(counted)
    }

    fn count(&self, tag: u64, terms: LimitTerms, now: Mono) -> Result<CountedRequest, RateExceeded> {
        match terms {
            LimitTerms::Concurrent(limit) => {
                let counted = self.in_flight.enter(tag, limit).ok_or(RateExceeded {
                    limit: limit.get(),
                    retry_after: RETRY_CONCURRENT,
                    reset: RETRY_CONCURRENT,
                })?;
                let level = RateLevel { limit: limit.get(), remaining: limit.get() - counted, reset: Duration::ZERO };
                Ok(CountedRequest { level, tag, counted_ms: 0 })
            }
            LimitTerms::Requests(RequestTerms::TokenBucket(rate)) => self.buckets.take(tag, rate, now),
            LimitTerms::Requests(RequestTerms::SlidingWindow(window)) => self.windows.take(tag, window, now),
            LimitTerms::Tokens(terms) => {
                Ok(CountedRequest { level: self.tokens.level(tag, terms, now), tag, counted_ms: 0 })
            }
        }
    }

    /// Counts the tokens that a call of `key` probably uses. They must be settled when it ends.
    ///
    /// # Errors
    /// [`RateExceeded`] if they do not fit; nothing is counted in that case. A call that needs more than
    /// [`TokenLimitTerms::at_once`] never fits.
    pub fn take_tokens(
        &self,
        key: &[u8],
        terms: TokenLimitTerms,
        tokens: Tokens,
        now: Mono,
    ) -> Result<CountedTokens, RateExceeded> {
        let tag = self.tag(key);
        let counted = self.tokens.take(tag, terms, tokens, now)?;
        let terms = LimitTerms::Tokens(terms);
        if noted::is_beyond(terms, counted.level.remaining) {
            self.note(key, NotedRequest { tag, terms, refused: 0, now });
        }
        Ok(counted)
    }

    /// Replaces the tokens that [`take_tokens`](Self::take_tokens) has counted with the same terms by those that were used.
    pub fn settle_tokens(&self, counted: CountedTokens, terms: TokenLimitTerms, used: Tokens, now: Mono) {
        self.tokens.settle(counted, terms, used, now);
    }

    /// Notes that a request of `key` was refused, for [`busiest`](Self::busiest).
    pub fn note_refusal(&self, key: &[u8], terms: LimitTerms, now: Mono) {
        self.note(key, NotedRequest { tag: self.tag(key), terms, refused: 1, now });
    }

    /// Returns the state of the counter of `key`, without counting a request.
    #[must_use]
    pub fn level(&self, key: &[u8], terms: LimitTerms, now: Mono) -> RateLevel {
        self.level_of(self.tag(key), terms, now)
    }

    /// Returns the keys that have used at least a quarter of their limit or were refused within a minute, at most `max`,
    /// the busiest first, and the number of all such keys. Requests do not wait for the result.
    #[must_use]
    pub fn busiest(&self, max: usize, now: Mono) -> (Vec<BusyKey>, usize) {
        self.noted.busiest(max, now, |tag, terms| self.level_of(tag, terms, now))
    }

    fn note(&self, key: &[u8], request: NotedRequest) {
        self.noted.note(key, request, |tag, terms| self.level_of(tag, terms, request.now));
    }

    fn level_of(&self, tag: u64, terms: LimitTerms, now: Mono) -> RateLevel {
        match terms {
            LimitTerms::Concurrent(limit) => {
                let remaining = limit.get().saturating_sub(self.in_flight.count(tag));
                RateLevel { limit: limit.get(), remaining, reset: Duration::ZERO }
            }
            LimitTerms::Requests(RequestTerms::TokenBucket(rate)) => self.buckets.level(tag, rate, now),
            LimitTerms::Requests(RequestTerms::SlidingWindow(window)) => self.windows.level(tag, window, now),
            LimitTerms::Tokens(terms) => self.tokens.level(tag, terms, now),
        }
    }

    /// Returns the number that identifies a key here.
    fn tag(&self, key: &[u8]) -> u64 {
        // Zero marks a free place.
        self.hash.hash_one(key).max(1)
    }

    /// Undoes [`take`](Self::take) with the same terms: the request was refused, or is no longer in flight.
    pub fn give_back(&self, counted: CountedRequest, terms: LimitTerms) {
        match terms {
            LimitTerms::Concurrent(_) => self.in_flight.leave(counted.tag),
            LimitTerms::Requests(RequestTerms::TokenBucket(rate)) => self.buckets.give_back(counted, rate),
            LimitTerms::Requests(RequestTerms::SlidingWindow(window)) => self.windows.give_back(counted, window),
            LimitTerms::Tokens(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
