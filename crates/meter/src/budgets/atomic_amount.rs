//! An amount that several threads change without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use access::Amount;

/// An [`Amount`] in one atomic word. All operations are sequentially consistent.
#[derive(Debug)]
pub(crate) struct AtomicAmount(AtomicU64);

impl AtomicAmount {
    pub(crate) const fn new(amount: Amount) -> Self {
        Self(AtomicU64::new(amount.0))
    }

    pub(crate) fn load(&self) -> Amount {
        Amount(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn store(&self, amount: Amount) {
        self.0.store(amount.0, Ordering::SeqCst);
    }

    /// Replaces `current` by `new`; returns the amount that is found instead of `current`. May fail without a reason.
    pub(crate) fn replace(&self, current: Amount, new: Amount) -> Result<(), Amount> {
        let replaced = self.0.compare_exchange_weak(current.0, new.0, Ordering::SeqCst, Ordering::SeqCst);
        replaced.map(|_| ()).map_err(Amount)
    }

    /// Adds without wrapping, because a wrapped counter would be free again.
    pub(crate) fn add(&self, amount: Amount) {
        let sum = |before: u64| Some(before.saturating_add(amount.0));
        // The closure never returns `None`, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, sum);
    }

    /// Subtracts an amount that was added before; returns the amount that remains.
    pub(crate) fn subtract(&self, amount: Amount) -> Amount {
        Amount(self.0.fetch_sub(amount.0, Ordering::SeqCst)).saturating_sub(amount)
    }
}
