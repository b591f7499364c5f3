//! The requests in flight of each key. A key without requests in flight has no entry, so the number of entries is at most
//! the number of requests in flight, which the proxy bounds.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustc_hash::FxHashMap;

/// Number of parts with a lock each.
const PARTS: usize = 64;

type Part = Mutex<FxHashMap<u64, u32>>;

/// Requests in flight by the tag of their key.
#[derive(Debug, Default)]
pub(super) struct InFlight(OnceLock<Box<[Part; PARTS]>>);

impl InFlight {
    /// Counts a request, and returns the number of requests in flight; `None` if `limit` is reached.
    pub(super) fn enter(&self, tag: u64, limit: NonZeroU32) -> Option<u32> {
        let mut part = self.part(tag);
        let count = part.entry(tag).or_insert(0);
        if *count >= limit.get() {
            return None;
        }
        *count += 1;
        Some(*count)
    }

    /// Ends a request that was counted.
    pub(super) fn leave(&self, tag: u64) {
        let mut part = self.part(tag);
        if let Some(count) = part.get_mut(&tag) {
            *count -= 1;
            if *count == 0 {
                part.remove(&tag);
            }
        }
    }

    /// Returns the number of requests in flight.
    pub(super) fn count(&self, tag: u64) -> u32 {
        if self.0.get().is_none() { 0 } else { self.part(tag).get(&tag).copied().unwrap_or(0) }
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder is below its divisor")]
    fn part(&self, tag: u64) -> MutexGuard<'_, FxHashMap<u64, u32>> {
        let parts = self.0.get_or_init(|| Box::new(std::array::from_fn(|_| Part::default())));
        let number = usize::try_from(tag >> 32).unwrap_or(0) % PARTS;
        parts[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.0.get().map_or(0, |parts| parts.iter().map(|part| part.lock().unwrap().len()).sum())
    }
}
