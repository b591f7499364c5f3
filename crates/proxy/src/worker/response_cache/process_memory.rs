//! The bound of the memory of all cached routes together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The memory of one route.
pub(super) trait BoundedMemory: std::fmt::Debug + Send + Sync {
    /// Returns the maximum bytes of the responses.
    fn bytes_max(&self) -> u64;
    /// Returns the bytes of the responses.
    fn bytes(&self) -> u64;
    /// Removes responses until there are `bytes` bytes less.
    fn give_way(&self, bytes: u64);
}

/// The memories of all routes, of which the largest one gives way if they need more than the bound together.
#[derive(Debug, Default)]
pub(super) struct ProcessMemory {
    bytes: AtomicU64,
    bytes_max: AtomicU64,
    routes: Mutex<Vec<Weak<dyn BoundedMemory>>>,
}

impl ProcessMemory {
    /// Takes over the memories of the routes in use. Their bound is the largest of their own.
    pub(super) fn set_routes(&self, routes: impl Iterator<Item = Arc<dyn BoundedMemory>>) {
        let routes: Vec<_> = routes.collect();
        self.bytes_max.store(routes.iter().map(|route| route.bytes_max()).max().unwrap_or(0), Ordering::Relaxed);
        *self.routes.lock().unwrap_or_else(PoisonError::into_inner) = routes.iter().map(Arc::downgrade).collect();
    }

    pub(super) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Removes responses until all routes have at most the bound together. The caller has no lock of a memory.
    pub(super) fn make_room(&self) {
        if self.over() == 0 {
            return;
        }
        let routes: Vec<_> = {
            let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
            routes.iter().filter_map(Weak::upgrade).collect()
        };
        for _ in &routes {
            let over = self.over();
            let Some(largest) = routes.iter().max_by_key(|route| route.bytes()).filter(|_| over > 0) else { return };
            largest.give_way(over);
        }
    }

    /// Returns the bytes above the bound. Memories that [`Self::set_routes`] has not named have none.
    fn over(&self) -> u64 {
        let bytes_max = self.bytes_max.load(Ordering::Relaxed);
        self.bytes.load(Ordering::Relaxed).saturating_sub(bytes_max)
    }
}
