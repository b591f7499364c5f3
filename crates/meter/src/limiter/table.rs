//! The buckets of one rule by key, in bounded memory.
//!
//! A key has its place in one small set, which an unpredictable hash selects. Requests of known keys take no lock. A new
//! key locks its set only; in a full set, it replaces the key that has used the smallest part of its limit. A client with
//! many keys therefore replaces mostly its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use access::Mono;

use super::CountedRequest;
use crate::rate::{Bucket, Rate, RateExceeded, RateLevel};

/// Sets are allocated in chunks, when the first key of a chunk arrives.
const CHUNKS: usize = 512;
const SETS_PER_CHUNK: usize = 32;
const WAYS: usize = 8;
/// Maximum number of keys of one rule.
#[cfg(test)]
pub(super) const KEYS_MAX: usize = CHUNKS * SETS_PER_CHUNK * WAYS;
/// Maximum number of attempts to count a request whose place other keys take at the same moment.
const ATTEMPTS_MAX: u32 = 4;

type Chunk = Box<[BucketSet]>;

/// The buckets of all keys. An unused table is empty.
#[derive(Debug, Default)]
pub(super) struct BucketTable(OnceLock<Box<[OnceLock<Chunk>]>>);

#[derive(Debug, Default)]
struct BucketSet {
    ways: [Way; WAYS],
    /// Locked while a key gets its place.
    placing: Mutex<()>,
}

/// The place of one key.
#[derive(Debug, Default)]
struct Way {
    /// The hash of the key; zero if the place is free.
    tag: AtomicU64,
    bucket: Bucket,
}

/// docs/rate-limits.md has this figure.
const _: () = assert!(CHUNKS * (SETS_PER_CHUNK * size_of::<BucketSet>() + size_of::<OnceLock<Chunk>>()) < 2_300_000);

impl BucketTable {
    /// Counts a request of the key with this tag.
    pub(super) fn take(&self, tag: u64, rate: Rate, now: Mono) -> Result<CountedRequest, RateExceeded> {
        let set = self.set(tag);
        let mut attempts = 1;
        loop {
            let way = set.find(tag).unwrap_or_else(|| set.place(tag, now));
            let taken = way.bucket.take(rate, now);
            if way.tag.load(Ordering::Acquire) != tag && attempts < ATTEMPTS_MAX {
                // Another key has taken the place since it was found, and the request was counted for that key.
                if taken.is_ok() {
                    way.bucket.give_back(rate);
                }
                attempts += 1;
            } else {
                return taken.map(|level| CountedRequest { level, tag, counted_ms: 0 });
            }
        }
    }

    /// Undoes a request, unless another key has taken the place.
    pub(super) fn give_back(&self, counted: CountedRequest, rate: Rate) {
        if let Some(way) = self.set(counted.tag).find(counted.tag) {
            way.bucket.give_back(rate);
        }
    }

    /// Returns the state of the key with this tag; the whole limit is left to a key without a place.
    pub(super) fn level(&self, tag: u64, rate: Rate, now: Mono) -> RateLevel {
        let unused = AtomicU64::new(0);
        let way = self.0.get().and_then(|_| self.set(tag).find(tag));
        let word = way.map_or(&unused, |way| way.bucket.word());
        rate.level(word.load(Ordering::Relaxed), now)
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder is below its divisor")]
    fn set(&self, tag: u64) -> &BucketSet {
        let chunks = self.0.get_or_init(|| (0..CHUNKS).map(|_| OnceLock::new()).collect());
        let number = usize::try_from(tag >> 32).unwrap_or(0) % (CHUNKS * SETS_PER_CHUNK);
        let chunk = &chunks[number / SETS_PER_CHUNK];
        let sets = chunk.get_or_init(|| (0..SETS_PER_CHUNK).map(|_| BucketSet::default()).collect());
        &sets[number % SETS_PER_CHUNK]
    }
}

impl BucketSet {
    fn find(&self, tag: u64) -> Option<&Way> {
        self.ways.iter().find(|way| way.tag.load(Ordering::Acquire) == tag)
    }

    /// Gives a place to the key, with an unused bucket.
    fn place(&self, tag: u64, now: Mono) -> &Way {
        let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(way) = self.find(tag) {
            return way;
        }
        let [first, others @ ..] = &self.ways;
        let mut least = first;
        let mut least_full = first.fullness(now);
        for way in others {
            let fullness = way.fullness(now);
            if fullness < least_full {
                (least, least_full) = (way, fullness);
            }
        }
        // Nobody finds the place while its bucket changes.
        least.tag.store(0, Ordering::Release);
        least.bucket.word().store(0, Ordering::Release);
        least.tag.store(tag, Ordering::Release);
        least
    }
}

impl Way {
    /// Returns a measure of the used part of the limit; zero if the place is free.
    fn fullness(&self, now: Mono) -> u64 {
        if self.tag.load(Ordering::Acquire) == 0 {
            return 0;
        }
        1 + self.bucket.word().load(Ordering::Relaxed).saturating_sub(now.0)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_key_for_which_two_requests_need_a_place_gets_one() {
        let set = BucketSet::default();
        let now = Mono(1);
        let rate = Rate::per_minute(NonZeroU32::MIN);
        let way = set.place(7, now);
        assert!(way.bucket.take(rate, now).is_ok());
        assert!(std::ptr::eq(way, set.place(7, now)));
        assert!(way.bucket.take(rate, now).is_err(), "the bucket is not emptied");
    }
}
