//! The handle to the nodes that share a store.

use store::Store;

/// The nodes that share a store, and their leases. Clones refer to the same store.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) store: Store,
}

impl Cluster {
    /// Returns the nodes that share `store`.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }
}
