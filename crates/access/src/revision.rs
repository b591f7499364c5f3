//! The store's change counter, as this process last read it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Mono;

/// Every change to users, keys and plans raises the store's `revision` row in its transaction; a poller copies it here.
///
/// What was looked up at an older revision is looked up again. While the store cannot be read the number stands, and
/// [`Revision::age`] says for how long.
#[derive(Debug, Default)]
pub struct Revision {
    value: AtomicU64,
    confirmed_nanos: AtomicU64,
}

impl Revision {
    /// The revision last read.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Acquire)
    }

    /// Notes that the store held `value` at `at`. An older value never replaces a newer one.
    pub fn confirm(&self, value: u64, at: Mono) {
        self.value.fetch_max(value, Ordering::AcqRel);
        self.confirmed_nanos.fetch_max(at.0, Ordering::AcqRel);
    }

    /// How long ago the store was last read.
    #[must_use]
    pub fn age(&self, now: Mono) -> Duration {
        now.since(Mono(self.confirmed_nanos.load(Ordering::Acquire)))
    }
}
