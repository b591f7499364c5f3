//! The responses of one route in memory, and the bound of all routes together.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use access::Timestamp;

use super::fill_state::{FillTurn, KnownFill};
use super::stored::StoredResponse;
use crate::client::head::Head;

/// Maximum number of responses with one key that differ in the fields that `Vary` names. The oldest one is removed.
const VARIANTS_MAX: usize = 32;
/// Maximum number of keys that are filled for several requests at a time. Other fills are for one request each.
const FILLS_MAX: usize = 4_096;
/// The memory of an entry besides its key and its response, in bytes.
const ENTRY_BYTES: u64 = 512;
/// An entry has at most this part of the memory of its route. A larger one would remove most others.
const ENTRY_PART: u64 = 4;
/// How long requests of a key do not wait for each other after a response that may not be stored.
const UNCACHEABLE_FOR: Duration = Duration::from_secs(10);
/// Maximum number of such keys.
const UNCACHEABLE_MAX: usize = 4_096;
/// Number of keys that a purge looks at before other threads may use the memory.
const PURGE_BATCH: usize = 1_024;

/// The key of stored responses: the URL, an octet 0, and what else distinguishes requests.
pub(crate) type CacheKey = Arc<[u8]>;

/// The responses of one route. A changed configuration begins with an empty memory.
#[derive(Debug)]
pub(crate) struct RouteMemory {
    bytes_max: u64,
    process: Arc<ProcessMemory>,
    state: Mutex<MemoryState>,
}

#[derive(Debug)]
struct MemoryState {
    process: Arc<ProcessMemory>,
    responses: BTreeMap<CacheKey, Vec<Arc<StoredResponse>>>,
    /// All responses, and some that were removed: the next one to remove is the first that was not used meanwhile.
    order: VecDeque<(CacheKey, Weak<StoredResponse>)>,
    /// The number of responses, and their bytes.
    count: usize,
    bytes: u64,
    fills: BTreeMap<CacheKey, Vec<KnownFill>>,
    fills_begun: u64,
    /// Keys whose responses may not be stored, and until when their requests do not wait for each other.
    uncacheable: BTreeMap<CacheKey, Timestamp>,
}

/// The responses that a purge concerns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PurgeScope<'a> {
    /// Those of one URL, for every client.
    Url(&'a [u8]),
    /// Those of all URLs that begin with these octets.
    Prefix(&'a [u8]),
    /// Those with a tag.
    Tag(&'a [u8]),
}

impl PurgeScope<'_> {
    /// The octets with which the keys begin.
    pub(super) fn start(&self) -> Vec<u8> {
        match self {
            Self::Url(url) => [url, &b"\0"[..]].concat(),
            Self::Prefix(prefix) => prefix.to_vec(),
            Self::Tag(_) => Vec::new(),
        }
    }

    pub(super) fn concerns(&self, response: &StoredResponse) -> bool {
        match self {
            Self::Url(_) | Self::Prefix(_) => true,
            Self::Tag(tag) => response.has_tag(tag),
        }
    }
}

impl RouteMemory {
    /// Returns an empty memory, one of those of `process`.
    pub(super) fn new(bytes_max: u64, process: &Arc<ProcessMemory>) -> Arc<Self> {
        let state = Mutex::new(MemoryState::new(process.clone()));
        Arc::new(Self { bytes_max, process: process.clone(), state })
    }

    fn lock(&self) -> MutexGuard<'_, MemoryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the bytes of the responses.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Returns the bytes of the largest entry.
    pub(crate) const fn entry_bytes_max(&self) -> u64 {
        self.bytes_max / ENTRY_PART
    }

    /// Removes responses until there are `bytes` bytes less.
    fn give_way(&self, bytes: u64) {
        let mut state = self.lock();
        let left = state.bytes.saturating_sub(bytes);
        state.make_room(left);
    }

    /// Returns the number of responses and their bytes.
    pub(super) fn totals(&self) -> (u64, u64) {
        let state = self.lock();
        (u64::try_from(state.count).unwrap_or(u64::MAX), state.bytes)
    }

    /// Returns the response that is stored for a request.
    pub(crate) fn find(&self, key: &CacheKey, request: &Head) -> Option<Arc<StoredResponse>> {
        let state = self.lock();
        let found = state.responses.get(key)?.iter().rev().find(|stored| stored.matches(request))?;
        found.use_it();
        Some(found.clone())
    }

    /// Stores the response of a fill in place of that for the same requests, unless a purge came meanwhile or the response is
    /// too large. Others are removed as the memory needs it.
    pub(super) fn store(&self, key: &CacheKey, response: &Arc<StoredResponse>, is_void: &AtomicBool) {
        let mut state = self.lock();
        if is_void.load(Ordering::Relaxed) {
            return;
        }
        state.uncacheable.remove(key);
        let variants = state.responses.entry(key.clone()).or_default();
        let mut removed: Vec<_> = variants.extract_if(.., |known| known.replaces(response)).collect();
        let fits = entry_bytes(key, response) <= self.entry_bytes_max();
        if fits && variants.len() >= VARIANTS_MAX {
            removed.push(variants.remove(0));
        }
        if fits {
            variants.push(response.clone());
        } else if variants.is_empty() {
            state.responses.remove(key);
        }
        for removed in &removed {
            state.subtract(entry_bytes(key, removed));
        }
        if !fits {
            return;
        }
        state.add(entry_bytes(key, response));
        state.order.push_back((key.clone(), Arc::downgrade(response)));
        state.make_room(self.bytes_max);
        drop(state);
        self.process.make_room();
    }

    /// Removes the responses that a purge concerns, and lets no fill that has begun store one. Returns their number.
    pub(crate) fn remove(&self, purged: PurgeScope<'_>) -> u64 {
        self.purge(purged, |state, key| state.remove(key, |known| purged.concerns(known)))
    }

    /// Removes the responses that are stored for a request.
    pub(super) fn forget(&self, key: &CacheKey, request: &Head) {
        self.lock().remove(key, |known| known.matches(request));
    }

    /// Marks the responses that a purge concerns stale, as [`Self::remove`].
    pub(crate) fn mark_stale(&self, purged: PurgeScope<'_>, now: Timestamp) -> u64 {
        self.purge(purged, |state, key| {
            let variants = state.responses.get(key).into_iter().flatten();
            variants.filter(|known| purged.concerns(known)).map(|known| known.mark_stale(now)).count()
        })
    }

    /// Calls `change` with all keys that a purge may concern.
    fn purge(&self, purged: PurgeScope<'_>, mut change: impl FnMut(&mut MemoryState, &CacheKey) -> usize) -> u64 {
        let start = purged.start();
        let mut from = Some(CacheKey::from(start.as_slice()));
        let mut changed = 0;
        let fills = |state: &MemoryState| {
            let known = state.fills.range(CacheKey::from(start.as_slice())..);
            let known = known.take_while(|(key, _)| key.starts_with(&start)).flat_map(|(_, fills)| fills);
            known.for_each(|fill| fill.is_void.store(true, Ordering::Relaxed));
        };
        while let Some(first) = from.take() {
            let mut state = self.lock();
            fills(&state);
            let keys = state.responses.range(first..).map(|(key, _)| key);
            let keys = keys.take_while(|key| key.starts_with(&start)).take(PURGE_BATCH + 1);
            let mut keys: Vec<CacheKey> = keys.cloned().collect();
            if keys.len() > PURGE_BATCH {
                from = keys.pop();
            }
            changed += keys.iter().map(|key| change(&mut state, key)).sum::<usize>();
        }
        u64::try_from(changed).unwrap_or(u64::MAX)
    }

    /// Lets a request fill the key, unless it waits for another one that does.
    pub(super) fn fill(&self, key: &CacheKey, request: &Head, now: Timestamp) -> FillTurn {
        let mut state = self.lock();
        let known = state.fills.get(key).map(Vec::as_slice).unwrap_or_default();
        if let Some(running) = known.iter().find(|fill| fill.is_for(request)) {
            return FillTurn::Waits(running.state.clone());
        }
        let is_shared = known.len() < VARIANTS_MAX
            && state.fills.len() < FILLS_MAX
            && state.uncacheable.get(key).is_none_or(|until| *until <= now);
        let (known, begun) = KnownFill::begin(state.fills_begun, is_shared);
        state.fills_begun += 1;
        state.fills.entry(key.clone()).or_default().push(known);
        FillTurn::Begun(begun)
    }

    /// Ends a fill of a key.
    pub(super) fn end_fill(&self, key: &CacheKey, number: u64) {
        let mut state = self.lock();
        let Some(known) = state.fills.get_mut(key) else { return };
        known.retain(|fill| fill.number != number);
        if known.is_empty() {
            state.fills.remove(key);
        }
    }

    /// Notes that the responses of a key may not be stored.
    pub(super) fn note_uncacheable(&self, key: &CacheKey, now: Timestamp) {
        let uncacheable = &mut self.lock().uncacheable;
        if uncacheable.len() >= UNCACHEABLE_MAX {
            uncacheable.retain(|_, until| *until > now);
        }
        if uncacheable.len() >= UNCACHEABLE_MAX {
            uncacheable.pop_first();
        }
        uncacheable.insert(key.clone(), now.after(UNCACHEABLE_FOR));
    }
}

/// The memories of all routes, of which the largest one gives way if they need more than the bound together.
#[derive(Debug, Default)]
pub(super) struct ProcessMemory {
    bytes: AtomicU64,
    bytes_max: AtomicU64,
    routes: Mutex<Vec<Weak<RouteMemory>>>,
}

impl ProcessMemory {
    /// Takes over the memories of the routes in use. Their bound is the largest of their own.
    pub(super) fn set_routes(&self, routes: impl Iterator<Item = Arc<RouteMemory>>) {
        let routes: Vec<_> = routes.collect();
        self.bytes_max.store(routes.iter().map(|route| route.bytes_max).max().unwrap_or(0), Ordering::Relaxed);
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
            if over == 0 {
                return;
            }
            let Some(largest) = routes.iter().max_by_key(|route| route.bytes()) else { return };
            largest.give_way(over);
        }
    }

    /// Returns the bytes above the bound. Memories that [`Self::set_routes`] has not named have none.
    fn over(&self) -> u64 {
        let bytes_max = self.bytes_max.load(Ordering::Relaxed);
        self.bytes.load(Ordering::Relaxed).saturating_sub(bytes_max)
    }
}

impl MemoryState {
    fn new(process: Arc<ProcessMemory>) -> Self {
        Self {
            process,
            responses: BTreeMap::new(),
            order: VecDeque::new(),
            count: 0,
            bytes: 0,
            fills: BTreeMap::new(),
            fills_begun: 0,
            uncacheable: BTreeMap::new(),
        }
    }

    /// Counts a new response.
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
        self.process.add(bytes);
    }

    /// Ends the count of a response that was removed.
    fn subtract(&mut self, bytes: u64) {
        self.count = self.count.saturating_sub(1);
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.process.subtract(bytes);
    }

    /// Removes the responses of a key for which `is_removed` returns true. Returns their number.
    fn remove(&mut self, key: &CacheKey, is_removed: impl Fn(&StoredResponse) -> bool) -> usize {
        let Some(variants) = self.responses.get_mut(key) else { return 0 };
        let removed: Vec<_> = variants.extract_if(.., |known| is_removed(known)).collect();
        if variants.is_empty() {
            self.responses.remove(key);
        }
        for removed in &removed {
            self.subtract(entry_bytes(key, removed));
        }
        removed.len()
    }

    /// Whether the order must be cleaned of removed responses: it has more of them than of others.
    fn is_order_long(&self) -> bool {
        self.order.len() > 64 + self.count.saturating_mul(2)
    }

    /// Removes responses until the rest has at most `bytes_max` bytes.
    fn make_room(&mut self, bytes_max: u64) {
        if self.is_order_long() {
            self.order.retain(|(_, response)| response.strong_count() > 0);
        }
        let mut looks = self.order.len().saturating_mul(2);
        while self.bytes > bytes_max && looks > 0 {
            looks -= 1;
            let Some((key, response)) = self.order.pop_front() else { return };
            let Some(response) = response.upgrade() else { continue };
            if response.take_used() && looks > self.order.len() {
                self.order.push_back((key, Arc::downgrade(&response)));
                continue;
            }
            let Some(variants) = self.responses.get_mut(&key) else { continue };
            let before = variants.len();
            variants.retain(|known| !Arc::ptr_eq(known, &response));
            let is_removed = variants.len() < before;
            if variants.is_empty() {
                self.responses.remove(&key);
            }
            if is_removed {
                self.subtract(entry_bytes(&key, &response));
            }
        }
    }
}

impl Drop for MemoryState {
    fn drop(&mut self) {
        self.process.subtract(self.bytes);
    }
}

fn entry_bytes(key: &CacheKey, response: &StoredResponse) -> u64 {
    ENTRY_BYTES.saturating_add(u64::try_from(key.len()).unwrap_or(u64::MAX)).saturating_add(response.bytes())
}

#[cfg(test)]
pub(super) mod tests;
