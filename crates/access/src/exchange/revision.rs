//! The last known value of the store's change counter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::clock::Mono;

/// Every transaction that changes users, keys or plans increments the row `revision` of the store. A task copies its
/// value here.
///
/// Results of an older revision are looked up again. While the store cannot be read, the value does not change, and
/// [`Revision::age`] returns the time since the last read.
///
/// A database that loses commits in a failover, or is restored, counts again from a lower value. The number here then rises
/// by one and from there on: a lower one would keep older results.
#[derive(Debug, Default)]
pub struct Revision {
    value: AtomicU64,
    /// The value that the store had when it was read last.
    stored: AtomicU64,
    confirmed_nanos: AtomicU64,
}

impl Revision {
    /// Returns the last known revision, which is that of the store until the store has counted again from a lower value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Acquire)
    }

    /// Records that the store's revision was `value` at `at`. One task reads it, one read after the other.
    pub fn confirm(&self, value: u64, at: Mono) {
        let before = self.stored.swap(value, Ordering::AcqRel);
        let rise = value.checked_sub(before).unwrap_or(1);
        self.value.fetch_add(rise, Ordering::AcqRel);
        self.confirmed_nanos.fetch_max(at.0, Ordering::AcqRel);
    }

    /// Returns the time since the revision was last read.
    #[must_use]
    pub fn age(&self, now: Mono) -> Duration {
        now.since(Mono(self.confirmed_nanos.load(Ordering::Acquire)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_counts_again_from_a_lower_value_raises_the_revision() {
        let revision = Revision::default();
        let confirmed = |value| {
            revision.confirm(value, Mono(1));
            revision.get()
        };
        assert_eq!([100, 100, 97, 97, 98, 101].map(confirmed), [100, 100, 101, 101, 102, 105]);
    }
}
