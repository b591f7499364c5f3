//! The sliding windows of one rule by key, in bounded memory.
//!
//! A key has its place in one small set, which an unpredictable hash selects. In a full set, a new key replaces the one that
//! has used the smallest part of its limit. Each set has a lock, for less time than a request needs to arrive.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use access::Mono;

use super::CountedRequest;
use crate::rate::{RateExceeded, RateLevel};
use crate::window::{LOGS_MAX, SET_BYTES_MAX, Window, WindowLog, WindowView, keep_bounded};

const SETS: usize = 16_384;
const WAYS: usize = LOGS_MAX;
/// Maximum number of keys of one rule.
#[cfg(test)]
pub(super) const KEYS_MAX: usize = SETS * WAYS;
const NANOS_PER_MILLI: u64 = 1_000_000;

type KeySet = Mutex<Vec<KeyWindow>>;

/// The windows of all keys. An unused table is empty.
#[derive(Debug, Default)]
pub(super) struct WindowTable(OnceLock<Box<[KeySet]>>);

#[derive(Debug)]
struct KeyWindow {
    tag: u64,
    log: WindowLog,
}

/// docs/rate-limits.md has this figure.
const _: () = assert!(SETS * (WAYS * size_of::<KeyWindow>() + size_of::<KeySet>() + SET_BYTES_MAX) < 48_000_000);

impl WindowTable {
    /// Counts a request of the key with this tag.
    pub(super) fn take(&self, tag: u64, window: Window, now: Mono) -> Result<CountedRequest, RateExceeded> {
        let now_ms = now.0 / NANOS_PER_MILLI;
        let mut set = self.set(tag);
        let before = find(&set, tag).map_or_else(|| unused(window), |key| key.log.view(window, now_ms));
        if !before.admits() {
            return Err(RateExceeded {
                limit: before.limit,
                retry_after: Duration::from_millis(before.retry_after_ms),
                reset: Duration::from_millis(before.reset_ms),
            });
        }
        let log = place(&mut set, tag, window, now_ms);
        let counted_ms = log.add(window.span(), 1, now_ms);
        let level = level(log.view(window, now_ms));
        keep_bounded(set.iter_mut().map(|key| &mut key.log));
        Ok(CountedRequest { level, tag, counted_ms })
    }

    /// Undoes a request, unless another key has taken the place.
    pub(super) fn give_back(&self, counted: CountedRequest, window: Window) {
        if let Some(key) = self.set(counted.tag).iter_mut().find(|key| key.tag == counted.tag) {
            key.log.remove(window.span(), 1, counted.counted_ms);
        }
    }

    /// Returns the state of the key with this tag; the whole limit is left to a key without a place.
    pub(super) fn level(&self, tag: u64, window: Window, now: Mono) -> RateLevel {
        let known = self.0.get().and_then(|_| {
            let set = self.set(tag);
            find(&set, tag).map(|key| key.log.view(window, now.0 / NANOS_PER_MILLI))
        });
        level(known.unwrap_or_else(|| unused(window)))
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder is below its divisor")]
    fn set(&self, tag: u64) -> MutexGuard<'_, Vec<KeyWindow>> {
        let sets = self.0.get_or_init(|| (0..SETS).map(|_| Mutex::default()).collect());
        let number = usize::try_from(tag >> 32).unwrap_or(0) % SETS;
        sets[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(set: &[KeyWindow], tag: u64) -> Option<&KeyWindow> {
    set.iter().find(|key| key.tag == tag)
}

/// Returns the log of a key, which gets a place if it has none.
fn place(set: &mut Vec<KeyWindow>, tag: u64, window: Window, now_ms: u64) -> &mut WindowLog {
    let known = set.iter().position(|key| key.tag == tag);
    let position = known.unwrap_or_else(|| {
        if set.len() >= WAYS {
            let fullness = |key: &KeyWindow| key.log.view(window, now_ms).fullness();
            let least = set.iter().enumerate().min_by_key(|(_, key)| fullness(key)).map_or(0, |(at, _)| at);
            set.swap_remove(least);
        } else if set.capacity() < WAYS {
            set.reserve_exact(WAYS);
        }
        set.push(KeyWindow { tag, log: WindowLog::default() });
        set.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "the position is that of a key")]
    &mut set[position].log
}

fn unused(window: Window) -> WindowView {
    WindowLog::default().view(window, 0)
}

const fn level(view: WindowView) -> RateLevel {
    RateLevel { limit: view.limit, remaining: view.remaining, reset: Duration::from_millis(view.reset_ms) }
}
