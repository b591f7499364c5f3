//! The handle to the recorded usage of a store.

use std::sync::Arc;

use store::Store;

use crate::usage::SumsCache;

/// The recorded usage of a store: its totals, its requests and its audit. Clones refer to the same store.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) store: Store,
    /// Sums of days that stay in memory, which clones share; `None` if each figure is read from the store.
    pub(crate) sums: Option<Arc<SumsCache>>,
}

impl Ledger {
    /// Returns the usage that is recorded in `store`.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store, sums: None }
    }

    /// Returns the usage that is recorded in `store`, with sums of today and yesterday in memory.
    #[must_use]
    pub fn with_day_sums(store: Store) -> Self {
        Self { store, sums: Some(Arc::default()) }
    }
}
