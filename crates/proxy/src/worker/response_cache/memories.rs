//! The memories of all cached routes.

use std::sync::{Arc, PoisonError, RwLock, Weak};

use access::Timestamp;
use config::snapshot::CacheRules;
use rustc_hash::FxHashMap;
use telemetry::{CachePurge, PurgeTarget};

use super::memory::{Purged, RouteMemory};

/// The memories of all routes of the configurations in use, by the addresses of their rules.
#[derive(Debug, Default)]
pub struct ResponseMemories(RwLock<FxHashMap<usize, RuledMemory>>);

#[derive(Debug)]
struct RuledMemory {
    rules: Weak<CacheRules>,
    memory: Arc<RouteMemory>,
}

impl ResponseMemories {
    /// Returns the memory of a route.
    pub(crate) fn of(&self, rules: &Arc<CacheRules>) -> Arc<RouteMemory> {
        let address = Arc::as_ptr(rules).addr();
        // Rules that are in use keep their address, so only unused ones have an equal address.
        let is_of = |known: &&RuledMemory| known.rules.strong_count() > 0;
        let memories = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = memories.get(&address).filter(is_of) {
            return known.memory.clone();
        }
        drop(memories);
        let mut memories = self.0.write().unwrap_or_else(PoisonError::into_inner);
        memories.retain(|_, known| known.rules.strong_count() > 0);
        let new = || RuledMemory { rules: Arc::downgrade(rules), memory: RouteMemory::new(rules.bytes_max) };
        memories.entry(address).or_insert_with(new).memory.clone()
    }

    /// Returns the number of stored responses and their bytes.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let all = self.all();
        let all = all.iter().map(|memory| memory.totals());
        all.fold((0, 0), |(entries, bytes), (more, of_more)| (entries + more, bytes + of_more))
    }

    /// Removes or marks stale the responses that `purge` concerns. Returns their number.
    #[must_use]
    pub fn purge(&self, purge: &CachePurge, now: Timestamp) -> u64 {
        let purged = match &purge.target {
            PurgeTarget::Url(url) => Purged::Url(url.as_bytes()),
            PurgeTarget::Prefix(prefix) => Purged::Prefix(prefix.as_bytes()),
            PurgeTarget::Tag(tag) => Purged::Tag(tag.as_bytes()),
        };
        let of = |memory: &RouteMemory| if purge.soft { memory.mark_stale(purged, now) } else { memory.remove(purged) };
        self.all().iter().map(|memory| of(memory)).sum()
    }

    fn all(&self) -> Vec<Arc<RouteMemory>> {
        let memories = self.0.read().unwrap_or_else(PoisonError::into_inner);
        memories.values().filter(|known| known.rules.strong_count() > 0).map(|known| known.memory.clone()).collect()
    }
}
