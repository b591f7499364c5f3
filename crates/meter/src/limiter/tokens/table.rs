//! The tokens of one rule by key, in bounded memory.
//!
//! A key has its place in one small set, which an unpredictable hash selects. In a full set, a new key replaces the one that
//! has most tokens left. LLM calls take long, so each set has a lock.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use access::{Mono, Tokens};

use super::{TokenCount, TokenLimitTerms, TokenUse};
use crate::rate::{RateExceeded, RateLevel};

const SETS: usize = 16_384;
const WAYS: usize = 8;

type KeySet = Mutex<Vec<KeyTokens>>;

/// The tokens of all keys. An unused table is empty.
#[derive(Debug, Default)]
pub(crate) struct TokenTable(OnceLock<Box<[KeySet]>>);

#[derive(Debug, Clone, Copy)]
struct KeyTokens {
    tag: u64,
    count: TokenCount,
}

/// docs/rate-limits.md has this figure.
const _: () = assert!(SETS * (WAYS * size_of::<KeyTokens>() + size_of::<KeySet>()) < 6_000_000);

/// Tokens that were counted for a call, until it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedTokens {
    /// The level after the call.
    pub level: RateLevel,
    /// The tokens that were reserved.
    pub reserved: Tokens,
    pub(crate) tag: u64,
    pub(crate) window_index: u64,
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
        let count = find(&set, tag, terms);
        if !count.admits(terms, tokens, now) || tokens.0 > terms.at_once().into() {
            return Err(count.exceeded(terms, tokens, now));
        }
        let count = count.with(terms, tokens, now);
        place(&mut set, KeyTokens { tag, count }, terms, now);
        let (level, window_index) = (count.level(terms, now), count.window_index(terms, now));
        Ok(CountedTokens { level, reserved: tokens, tag, window_index })
    }

    /// Replaces the reserved tokens by those that were used.
    pub(crate) fn settle(&self, counted: CountedTokens, terms: TokenLimitTerms, used: Tokens, now: Mono) {
        let CountedTokens { reserved, tag, window_index, .. } = counted;
        let mut set = self.set(tag);
        let count = find(&set, tag, terms).settled(terms, TokenUse { window_index, reserved, used }, now);
        let is_known = set.iter().any(|key| key.tag == tag);
        // Another key may have taken the place. Tokens beyond the reservation need one.
        if is_known || used > reserved {
            place(&mut set, KeyTokens { tag, count }, terms, now);
        }
    }

    /// Returns the state of the key with this tag.
    pub(crate) fn level(&self, tag: u64, terms: TokenLimitTerms, now: Mono) -> RateLevel {
        let count = if self.0.get().is_some() { find(&self.set(tag), tag, terms) } else { TokenCount::unused(terms) };
        count.level(terms, now)
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder is below its divisor")]
    fn set(&self, tag: u64) -> MutexGuard<'_, Vec<KeyTokens>> {
        let sets = self.0.get_or_init(|| (0..SETS).map(|_| Mutex::default()).collect());
        let number = usize::try_from(tag >> 32).unwrap_or(0) % SETS;
        sets[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(set: &[KeyTokens], tag: u64, terms: TokenLimitTerms) -> TokenCount {
    set.iter().find(|key| key.tag == tag).map_or_else(|| TokenCount::unused(terms), |key| key.count)
}

/// Stores the count of a key.
fn place(set: &mut Vec<KeyTokens>, new: KeyTokens, terms: TokenLimitTerms, now: Mono) {
    if let Some(key) = set.iter_mut().find(|key| key.tag == new.tag) {
        *key = new;
    } else if set.len() < WAYS {
        if set.capacity() < WAYS {
            set.reserve_exact(WAYS);
        }
        set.push(new);
    } else if let Some(least) = set.iter_mut().max_by_key(|key| key.count.left(terms, now)) {
        *least = new;
    }
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
        let (table, now) = (TokenTable::default(), Mono(1));
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
        let (table, now) = (TokenTable::default(), Mono(1));
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
