//! The last known value of the store's change counter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Mono;

/// Every transaction that changes users, keys or plans increments the row `revision` of the store. A task copies its
/// value here.
///
/// Results of an older revision are looked up again. While the store cannot be read, the value does not change, and
/// [`Revision::age`] returns the time since the last read.
#[derive(Debug, Default)]
pub struct Revision {
    value: AtomicU64,
    confirmed_nanos: AtomicU64,
}

impl Revision {
    /// Returns the last known revision.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Acquire)
    }

    /// Records that the store's revision was `value` at `at`. An older value never replaces a newer one.
    pub fn confirm(&self, value: u64, at: Mono) {
        self.value.fetch_max(value, Ordering::AcqRel);
        self.confirmed_nanos.fetch_max(at.0, Ordering::AcqRel);
    }

    /// Returns the time since the revision was last read.
    #[must_use]
    pub fn age(&self, now: Mono) -> Duration {
        now.since(Mono(self.confirmed_nanos.load(Ordering::Acquire)))
    }
}
