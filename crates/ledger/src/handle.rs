//! The handle to the recorded usage of a store.

use store::Store;

/// The recorded usage of a store: its totals, its requests and its audit. Clones refer to the same store.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) store: Store,
}

impl Ledger {
    /// Returns the usage that is recorded in `store`.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }
}
