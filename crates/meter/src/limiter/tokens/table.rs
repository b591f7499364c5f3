//! The tokens of one rule by key, in bounded memory.
//!
//! A key has its place in one small set, which an unpredictable hash selects. In a full set, a new key replaces the one that
//! has most tokens left. LLM calls take long, so each set has a lock.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use access::{Mono, Tokens};

use super::{TokenCount, TokenLimitTerms, TokenUse};
use crate::rate::{RateExceeded, RateLevel};
use crate::window::{LOGS_MAX, SET_BYTES_MAX, keep_bounded};

const SETS: usize = 16_384;
const WAYS: usize = LOGS_MAX;

type KeySet = Mutex<Vec<KeyTokens>>;

/// The tokens of all keys. An unused table is empty.
#[derive(Debug, Default)]
pub(crate) struct TokenTable(OnceLock<Box<[KeySet]>>);

#[derive(Debug)]
struct KeyTokens {
    tag: u64,
    count: TokenCount,
}

/// docs/rate-limits.md has this figure.
const _: () = assert!(SETS * (WAYS * size_of::<KeyTokens>() + size_of::<KeySet>() + SET_BYTES_MAX) < 48_000_000);

/// Tokens that were counted for a call, until it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedTokens {
    /// The level after the call.
    pub level: RateLevel,
    /// The tokens that were reserved.
    pub reserved: Tokens,
    pub(crate) tag: u64,
    pub(crate) counted_ms: u64,
}

impl TokenTable {
    /// Counts the tokens of a call of the key with this tag.
    ///
    /// # Errors
    /// [`RateExceeded`] if they do not fit; nothing is counted in that case.
    pub(crate) fn take(
        &self,
        tag: u64,
        terms: TokenLimitTerms,
        tokens: Tokens,
        now: Mono,
    ) -> Result<CountedTokens, RateExceeded> {
        let mut set = self.set(tag);
        let refusal = match find(&set, tag) {
            Some(count) => refusal(count, terms, tokens, now),
            None => refusal(&TokenCount::unused(terms), terms, tokens, now),
        };
        if let Some(exceeded) = refusal {
            return Err(exceeded);
        }
        let count = place(&mut set, tag, terms, now);
        let counted_ms = count.add(terms, tokens, now);
        let level = count.level(terms, now);
        keep_bounded(set.iter_mut().filter_map(|key| key.count.log_mut()));
        Ok(CountedTokens { level, reserved: tokens, tag, counted_ms })
    }

    /// Replaces the reserved tokens by those that were used.
    pub(crate) fn settle(&self, counted: CountedTokens, terms: TokenLimitTerms, used: Tokens, now: Mono) {
        let CountedTokens { reserved, tag, counted_ms, .. } = counted;
        let mut set = self.set(tag);
        // Another key may have taken the place. Tokens beyond the reservation need one.
        if used > reserved || find(&set, tag).is_some() {
            let count = place(&mut set, tag, terms, now);
            count.settle(terms, TokenUse { counted_ms, reserved, used }, now);
            keep_bounded(set.iter_mut().filter_map(|key| key.count.log_mut()));
        }
    }

    /// Returns the state of the key with this tag.
    pub(crate) fn level(&self, tag: u64, terms: TokenLimitTerms, now: Mono) -> RateLevel {
        let known = self.0.get().and_then(|_| find(&self.set(tag), tag).map(|count| count.level(terms, now)));
        known.unwrap_or_else(|| TokenCount::unused(terms).level(terms, now))
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder is below its divisor")]
    fn set(&self, tag: u64) -> MutexGuard<'_, Vec<KeyTokens>> {
        let sets = self.0.get_or_init(|| (0..SETS).map(|_| Mutex::default()).collect());
        let number = usize::try_from(tag >> 32).unwrap_or(0) % SETS;
        sets[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(set: &[KeyTokens], tag: u64) -> Option<&TokenCount> {
    set.iter().find(|key| key.tag == tag).map(|key| &key.count)
}

/// Returns the refusal of a call; `None` if its tokens fit.
fn refusal(count: &TokenCount, terms: TokenLimitTerms, tokens: Tokens, now: Mono) -> Option<RateExceeded> {
    let fits = tokens.0 <= terms.at_once().into() && count.admits(terms, tokens, now);
    (!fits).then(|| count.exceeded(terms, tokens, now))
}

/// Returns the count of a key, which gets a place if it has none.
fn place(set: &mut Vec<KeyTokens>, tag: u64, terms: TokenLimitTerms, now: Mono) -> &mut TokenCount {
    let known = set.iter().position(|key| key.tag == tag);
    let position = known.unwrap_or_else(|| {
        if set.len() >= WAYS {
            let most = set.iter().enumerate().max_by_key(|(_, key)| key.count.left(terms, now));
            set.swap_remove(most.map_or(0, |(at, _)| at));
        } else if set.capacity() < WAYS {
            set.reserve_exact(WAYS);
        }
        set.push(KeyTokens { tag, count: TokenCount::unused(terms) });
        set.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "the position is that of a key")]
    &mut set[position].count
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::limiter::tokens::TokenUnit;

    fn terms() -> TokenLimitTerms {
        TokenLimitTerms::sliding_window(TokenUnit::All, NonZeroU32::new(1_000).unwrap(), Duration::from_secs(60))
    }

    #[test]
    fn a_new_key_takes_the_place_of_the_one_with_most_left() {
        let table = TokenTable::default();
        let now = Mono(1);
        for tag in 1..=WAYS as u64 {
            table.take(tag, terms(), Tokens(100 * tag), now).unwrap();
        }
        table.take(99, terms(), Tokens(5), now).unwrap();
        let left: Vec<u32> = [1, 2, 8, 99].map(|tag| table.level(tag, terms(), now).remaining).to_vec();
        assert_eq!(left, [1_000, 800, 200, 995]);
        assert!(table.set(1).len() == WAYS && table.set(1).capacity() == WAYS);
    }

    #[test]
    fn a_call_whose_key_has_lost_its_place_counts_only_what_exceeds_its_reservation() {
        let table = TokenTable::default();
        let now = Mono(1);
        let counted = table.take(1, terms(), Tokens(100), now).unwrap();
        table.set(1).clear();
        table.settle(counted, terms(), Tokens(40), now);
        assert!(table.set(1).is_empty());
        table.settle(counted, terms(), Tokens(150), now);
        assert_eq!(table.level(1, terms(), now).remaining, 950);
    }

    #[test]
    fn a_call_that_is_larger_than_the_limit_is_refused_while_nothing_is_used() {
        let table = TokenTable::default();
        assert!(table.take(1, terms(), Tokens(1_001), Mono(1)).is_err());
        assert!(table.take(1, terms(), Tokens(1_000), Mono(1)).is_ok());
    }
}
