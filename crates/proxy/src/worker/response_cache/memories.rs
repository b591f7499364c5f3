//! The memories of all cached routes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use access::Timestamp;
use access::exchange::shared_responses::SharedResponses;
use config::snapshot::CacheRules;
use rustc_hash::FxHashMap;
use telemetry::CachePurge;

use super::memory::{ProcessMemory, PurgeScope, RouteMemory};
use super::purge_log::{PurgeId, PurgeLog, PurgeOrder, purged};
use super::shared_slot::SharedResponse;

/// The stored responses of all routes of the configurations in use.
#[derive(Debug, Default)]
pub struct ResponseMemories {
    /// By the addresses of the rules of routes.
    memories: RwLock<FxHashMap<usize, RuledMemory>>,
    /// Whether a route has ever had a memory.
    was_used: AtomicBool,
    process: Arc<ProcessMemory>,
    purges: Mutex<PurgeLog>,
    /// The responses in Redis; `None` without Redis.
    shared: Option<SharedResponses>,
}

#[derive(Debug)]
struct RuledMemory {
    rules: Weak<CacheRules>,
    memory: Arc<RouteMemory>,
}

impl ResponseMemories {
    /// Returns empty memories, of which routes share responses through Redis.
    #[must_use]
    pub fn sharing(shared: Option<SharedResponses>) -> Self {
        Self { shared, ..Self::default() }
    }

    /// Returns the responses in Redis; `None` without Redis.
    #[must_use]
    pub const fn shared(&self) -> Option<&SharedResponses> {
        self.shared.as_ref()
    }

    /// Returns the id of the last purge that was applied; `None` before the first.
    pub(crate) fn last_purge(&self) -> Option<PurgeId> {
        self.purges().last().map(|purge| purge.id)
    }

    /// Whether no purge concerns a response in Redis that was requested before it.
    pub(crate) fn keeps(&self, key: &[u8], found: &SharedResponse) -> bool {
        self.purges().keeps(&found.purge, key, &found.response)
    }

    /// Returns the memory of a route.
    pub(crate) fn route_memory(&self, rules: &Arc<CacheRules>) -> Arc<RouteMemory> {
        let address = Arc::as_ptr(rules).addr();
        // Rules that are in use keep their address, so only unused ones have an equal address.
        let is_of = |known: &&RuledMemory| known.rules.strong_count() > 0;
        let memories = self.memories.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = memories.get(&address).filter(is_of) {
            return known.memory.clone();
        }
        drop(memories);
        let mut memories = self.memories.write().unwrap_or_else(PoisonError::into_inner);
        memories.retain(|_, known| known.rules.strong_count() > 0);
        let memory = RouteMemory::new(rules.bytes_max, &self.process);
        let new = || RuledMemory { rules: Arc::downgrade(rules), memory };
        let memory = memories.entry(address).or_insert_with(new).memory.clone();
        self.process.set_routes(memories.values().map(|known| known.memory.clone()));
        self.was_used.store(true, Ordering::Relaxed);
        memory
    }

    /// Whether a route has ever stored responses.
    pub(crate) fn was_used(&self) -> bool {
        self.was_used.load(Ordering::Relaxed)
    }

    /// Returns the rules of the routes that have a memory.
    pub(crate) fn rules(&self) -> Vec<Arc<CacheRules>> {
        let memories = self.memories.read().unwrap_or_else(PoisonError::into_inner);
        memories.values().filter_map(|known| known.rules.upgrade()).collect()
    }

    /// Removes the responses of these URLs from the memories of all routes.
    pub(crate) fn remove_urls(&self, urls: &[Vec<u8>]) {
        for memory in self.all() {
            for url in urls {
                memory.remove(PurgeScope::Url(url));
            }
        }
    }

    /// Returns the number of stored responses and their bytes.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let all = self.all();
        let all = all.iter().map(|memory| memory.totals());
        all.fold((0, 0), |(entries, bytes), (more, of_more)| (entries + more, bytes + of_more))
    }

    /// Removes or marks stale the responses that `purge` concerns, and returns their number. If purges before it were missed, all
    /// responses are removed. A purge that was applied already is applied again.
    #[must_use]
    pub fn purge(&self, purge: &CachePurge, now: Timestamp) -> u64 {
        // First the log: a fill that begins now finds no response in Redis from before the purge.
        if self.purges().note(purge) == PurgeOrder::AfterGap {
            tracing::warn!("this node has missed purges of the cache, so it removes all stored responses");
            return self.all().iter().map(|memory| memory.remove(PurgeScope::Prefix(b""))).sum();
        }
        let Some(purged) = purged(&purge.target) else { return 0 };
        let of = |memory: &RouteMemory| if purge.soft { memory.mark_stale(purged, now) } else { memory.remove(purged) };
        self.all().iter().map(|memory| of(memory)).sum()
    }

    /// Returns the number of the last purge that was applied; 0 before the first.
    #[must_use]
    pub fn last_purge_number(&self) -> u64 {
        self.purges().last().map_or(0, |purge| purge.number)
    }

    fn purges(&self) -> MutexGuard<'_, PurgeLog> {
        self.purges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<RouteMemory>> {
        let memories = self.memories.read().unwrap_or_else(PoisonError::into_inner);
        memories.values().filter(|known| known.rules.strong_count() > 0).map(|known| known.memory.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::tests::{fill_up, rules};
    use super::*;

    #[test]
    fn all_routes_together_have_the_largest_bound_of_them() {
        let memories = ResponseMemories::default();
        let large = rules(200_000);
        let small = rules(100_000);
        let first = memories.route_memory(&large);
        let second = memories.route_memory(&small);
        fill_up(&first, "first");
        assert!((190_000..=200_000).contains(&first.bytes()), "{}", first.bytes());
        fill_up(&second, "second");
        assert!((90_000..=100_000).contains(&second.bytes()), "{}", second.bytes());
        assert!((190_000..=200_000).contains(&memories.totals().1), "{:?}", memories.totals());
        // A configuration without the first route frees its part.
        drop((first, large));
        let other = rules(150_000);
        fill_up(&memories.route_memory(&other), "third");
        assert!((140_000..=150_000).contains(&memories.totals().1), "{:?}", memories.totals());
    }
}
