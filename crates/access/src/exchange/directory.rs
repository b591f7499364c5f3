//! Looks up the principal of a key: a cache, and a bounded queue of requests to the store.
//!
//! Each worker has one `Directory`; all of them share the latest results of the store. A cached key costs one map
//! access. A key that is not cached is looked up once, however many requests carry it (single flight). Unknown keys
//! have a cache of their own, so that random keys cannot evict valid ones.

mod known_hashes;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use crate::cache::Cache;
use crate::credentials::api_key::{ApiKeyError, KeyHash};
use crate::exchange::directory::known_hashes::KnownHashes;
use crate::exchange::key_clients::{KeyClient, KeyClients};
use crate::exchange::revision::Revision;
use crate::id::KeyNo;
use crate::principal::Principal;
use crate::time::clock::{Clock, Mono};

const KNOWN_MAX: usize = 20_000;
const MISSED_MAX: usize = 2_000;
const MISSED_FOR: Duration = Duration::from_secs(5);
/// Maximum time for which a worker uses its cached result for a replaced secret that is still valid.
const REPLACED_FOR: Duration = Duration::from_secs(30);
/// A worker records the client of a key again after this time.
const CLIENT_AGAIN: Duration = Duration::from_secs(60);
/// A worker records another client of the key after this time, since all workers share the record.
const OTHER_CLIENT_AGAIN: Duration = Duration::from_secs(1);
/// The store is considered available for this time after its last response.
const STORE_ANSWERS: Duration = Duration::from_secs(1);
/// A result of an older revision is used for this time after the first failed look-up, then only if the store has not
/// responded for this time: the key may have been revoked since.
const OLDER_FOR: Duration = Duration::from_secs(5);

/// The result of the store for one hash.
pub type LookupResult = Result<Arc<Principal>, NotFound>;

/// Why a key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotFound {
    /// No key has this hash.
    #[error("no such key")]
    Unknown,
    /// The key was revoked.
    #[error("the key was revoked")]
    Revoked,
    /// The key was rotated, and this secret is no longer valid.
    #[error("the key was rotated: this secret was replaced")]
    Rotated,
    /// The key has expired.
    #[error("the key has expired")]
    Expired,
    /// The user who owns the key is suspended.
    #[error("the key's user is suspended")]
    Suspended,
    /// Invoices of the user who owns the key are not paid.
    #[error("the key's user has unpaid invoices")]
    Unpaid,
    /// The queue to the store is full.
    #[error("too many keys are being looked up")]
    Busy,
    /// The store did not respond, and the cached result is too old.
    #[error("keys cannot be looked up at the moment")]
    Unavailable,
}

/// A request to look up a key in the store, with the channel for the result.
#[derive(Debug)]
pub struct Lookup {
    /// The SHA-256 hash of the key.
    pub hash: KeyHash,
    /// Receives the result. If it is dropped, the result is [`NotFound::Unavailable`].
    pub reply: oneshot::Sender<LookupResult>,
}

/// The keys, as one worker knows them.
#[derive(Debug)]
pub struct Directory {
    queue: mpsc::Sender<Lookup>,
    revision: Arc<Revision>,
    clock: Clock,
    stale_for: Duration,
    /// The latest results of all workers: while the store is unavailable, a key that one worker knows is accepted by
    /// all.
    shared: Arc<Mutex<Cache<KeyHash, CachedLookup>>>,
    /// The last clients of keys, which all workers share.
    clients: Arc<KeyClients>,
    hashes: KnownHashes,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    known: Cache<KeyHash, CachedLookup>,
    missed: Cache<KeyHash, CachedMiss>,
    /// The look-ups in progress, with the revision at which each began.
    flights: HashMap<KeyHash, (u64, watch::Receiver<Option<LookupResult>>)>,
    /// The clients that this worker has recorded, with the time.
    clients: Cache<KeyNo, (IpAddr, Mono)>,
}

impl State {
    fn empty() -> Mutex<Self> {
        let known = Cache::new(KNOWN_MAX);
        let clients = Cache::new(KNOWN_MAX);
        Mutex::new(Self { known, missed: Cache::new(MISSED_MAX), flights: HashMap::new(), clients })
    }
}

#[derive(Debug, Clone)]
struct CachedLookup {
    found: LookupResult,
    revision: u64,
    at: Mono,
    /// The first look-up at a newer revision that failed although the store responds.
    failing_since: Option<Mono>,
}

impl CachedLookup {
    /// Whether the cached entry may be used at `now`, if the last response of the store was `heard` ago. A replaced
    /// secret is looked up again from time to time while the store is available: the store thereby records that it is
    /// still used.
    fn serves(&self, now: Mono, heard: Duration) -> bool {
        let replaced = self.found.as_ref().is_ok_and(|principal| principal.rotated.is_some());
        !replaced || now.since(self.at) < REPLACED_FOR || heard > STORE_ANSWERS
    }

    /// Whether the cached entry of an older revision may be used at `now` after a failed look-up.
    fn serves_older(&mut self, now: Mono, heard: Duration) -> bool {
        if heard >= OLDER_FOR {
            self.failing_since = None;
            return true;
        }
        now.since(*self.failing_since.get_or_insert(now)) < OLDER_FOR
    }
}

#[derive(Debug, Clone, Copy)]
struct CachedMiss {
    revision: u64,
    at: Mono,
}

impl Directory {
    /// Creates a directory that sends requests to `queue`. Cached results are used for `stale_for` while the store is
    /// unavailable.
    #[must_use]
    pub fn new(queue: mpsc::Sender<Lookup>, revision: Arc<Revision>, clock: Clock, stale_for: Duration) -> Self {
        let shared = Arc::new(Mutex::new(Cache::new(KNOWN_MAX)));
        let clients = Arc::default();
        let hashes = KnownHashes::new(KNOWN_MAX);
        let state = State::empty();
        Self { queue, revision, clock, stale_for, shared, clients, hashes, state }
    }

    /// Creates the directory of another worker, which shares the results.
    #[must_use]
    pub fn another(&self) -> Self {
        let Self { queue, revision, clock, stale_for, shared, clients, hashes: _, state: _ } = self;
        Self {
            queue: queue.clone(),
            revision: revision.clone(),
            clock: clock.clone(),
            stale_for: *stale_for,
            shared: shared.clone(),
            clients: clients.clone(),
            hashes: KnownHashes::new(KNOWN_MAX),
            state: State::empty(),
        }
    }

    /// Returns the last clients of keys, which all workers share.
    #[must_use]
    pub fn clients(&self) -> Arc<KeyClients> {
        self.clients.clone()
    }

    /// Records the client of a key: once a minute per worker, or once a second if its addresses alternate.
    pub fn note_client(&self, key: KeyNo, address: IpAddr, now: Mono, client: impl FnOnce() -> KeyClient) {
        let is_new = {
            let mut state = self.state();
            let last = state.clients.get(&key);
            let is_new = last.is_none_or(|(from, at)| {
                now.since(at) >= if from == address { CLIENT_AGAIN } else { OTHER_CLIENT_AGAIN }
            });
            if is_new {
                state.clients.insert(key, (address, now));
            }
            is_new
        };
        if is_new {
            self.clients.note(key, client());
        }
    }

    /// Looks up the principal of a key that a client sent; `now` is the current time. The future may be cancelled at any point.
    ///
    /// # Errors
    /// [`ApiKeyError::Malformed`] if it does not have the form of a key. The result of the look-up is [`Directory::find`]'s.
    pub async fn find_key(&self, key: &[u8], now: Mono) -> Result<LookupResult, ApiKeyError> {
        let tag = self.hashes.tag(key);
        if let Some(hash) = tag.and_then(|tag| self.hashes.get(tag)) {
            return Ok(self.find_at(hash, now).await);
        }
        let hash = KeyHash::from_key(key)?;
        let found = self.find_at(hash, now).await;
        if found.is_ok()
            && let Some(tag) = tag
        {
            self.hashes.insert(tag, hash);
        }
        Ok(found)
    }

    /// Looks up the principal of the key with this hash. The future may be cancelled at any point.
    ///
    /// # Errors
    /// [`NotFound`]: the key is not accepted, or the store could not be asked.
    pub async fn find(&self, hash: KeyHash) -> LookupResult {
        self.find_at(hash, self.clock.mono()).await
    }

    async fn find_at(&self, hash: KeyHash, mut now: Mono) -> LookupResult {
        loop {
            let mut flight = match self.look(hash, now) {
                LookupStep::Cached(found) => return found,
                LookupStep::Join(flight) => flight,
                LookupStep::Wait(mut older) => {
                    // The sender is dropped after the flight was removed.
                    while older.changed().await.is_ok() {}
                    now = self.clock.mono();
                    continue;
                }
                LookupStep::Ask { revision, landing } => return self.request(hash, revision, landing).await,
            };
            // An error means that the task that sent the request was cancelled: the loop sends it again.
            if let Ok(landed) = flight.wait_for(Option::is_some).await
                && let Some(found) = landed.clone()
            {
                return found;
            }
            now = self.clock.mono();
        }
    }

    fn look(&self, hash: KeyHash, now: Mono) -> LookupStep {
        let revision = self.revision.get();
        let heard = self.revision.age(now);
        let mut state = self.state();
        if let Some(entry) = state.known.get(&hash)
            && entry.revision == revision
            && heard < self.stale_for
            && entry.serves(now, heard)
        {
            return LookupStep::Cached(self.in_time(entry.found));
        }
        if let Some(miss) = state.missed.get(&hash)
            && miss.revision == revision
            && now.since(miss.at) < MISSED_FOR
        {
            return LookupStep::Cached(Err(NotFound::Unknown));
        }
        if let Some((began_at, flight)) = state.flights.get(&hash) {
            let step = if *began_at < revision { LookupStep::Wait } else { LookupStep::Join };
            return step(flight.clone());
        }
        let (landing, flight) = watch::channel(None);
        state.flights.insert(hash, (revision, flight));
        LookupStep::Ask { revision, landing }
    }

    async fn request(
        &self,
        hash: KeyHash,
        revision: u64,
        landing: watch::Sender<Option<LookupResult>>,
    ) -> LookupResult {
        // Removes the flight even if this future is dropped.
        let _flight = FlightGuard { directory: self, hash };
        let (reply, answer) = oneshot::channel();
        let found = match self.queue.try_send(Lookup { hash, reply }) {
            Ok(()) => answer.await.unwrap_or(Err(NotFound::Unavailable)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(NotFound::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(NotFound::Unavailable),
        };
        let found = self.keep(hash, revision, found);
        landing.send_replace(Some(found.clone()));
        found
    }

    /// Caches a result. While the store is unavailable, an earlier result is returned until it is too old; while only
    /// look-ups fail, one of an older revision for [`OLDER_FOR`].
    ///
    /// If the queue is full, an earlier result that is too old or of an older revision is not returned: the key may
    /// have been revoked since, and a flood of look-ups could then keep it valid.
    fn keep(&self, hash: KeyHash, revision: u64, found: LookupResult) -> LookupResult {
        let now = self.clock.mono();
        let mut state = self.state();
        match found {
            Err(NotFound::Unknown) => {
                state.known.remove(&hash);
                self.shared().remove(&hash);
                state.missed.insert(hash, CachedMiss { revision, at: now });
                found
            }
            Err(NotFound::Busy) => {
                // Without `stale_for`, a store that responds vouches for the revision.
                let is_recent = self.revision.age(now) < self.stale_for.max(STORE_ANSWERS);
                match state.known.get(&hash) {
                    Some(entry) if entry.revision == revision && is_recent => self.in_time(entry.found),
                    _ => found,
                }
            }
            Err(NotFound::Unavailable) => self.earlier(&mut state, hash, now).unwrap_or(found),
            Ok(_)
            | Err(NotFound::Revoked | NotFound::Rotated | NotFound::Expired | NotFound::Suspended | NotFound::Unpaid) =>
            {
                let entry = CachedLookup { found: found.clone(), revision, at: now, failing_since: None };
                state.missed.remove(&hash);
                self.share(hash, entry.clone());
                state.known.insert(hash, entry);
                self.in_time(found)
            }
        }
    }

    /// Returns the earlier result of a key whose look-up failed, unless it is too old.
    fn earlier(&self, state: &mut State, hash: KeyHash, now: Mono) -> Option<LookupResult> {
        let heard = self.revision.age(now);
        let entries = [state.known.get(&hash), self.shared().get(&hash)];
        let mut entry = entries.into_iter().flatten().max_by_key(|entry| entry.revision)?;
        if heard >= self.stale_for {
            return None;
        }
        let serves = entry.revision >= self.revision.get() || entry.serves_older(now, heard);
        self.share(hash, entry.clone());
        state.known.insert(hash, entry.clone());
        serves.then(|| self.in_time(entry.found))
    }

    /// Shares a result with the other workers, unless they have a newer one.
    fn share(&self, hash: KeyHash, entry: CachedLookup) {
        let mut shared = self.shared();
        if shared.get(&hash).is_none_or(|before| before.revision <= entry.revision) {
            shared.insert(hash, entry);
        }
    }

    fn shared(&self) -> MutexGuard<'_, Cache<KeyHash, CachedLookup>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_time(&self, found: LookupResult) -> LookupResult {
        match &found {
            Ok(principal) if principal.expires_at.is_some_and(|end| end <= self.clock.now()) => {
                // Only the earlier of the two ends has been reached.
                Err(if principal.rotated == principal.expires_at { NotFound::Rotated } else { NotFound::Expired })
            }
            _ => found,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum LookupStep {
    Cached(LookupResult),
    Join(watch::Receiver<Option<LookupResult>>),
    /// The look-up in progress may have read the key before a change: its end is awaited, its result is not used.
    Wait(watch::Receiver<Option<LookupResult>>),
    Ask {
        revision: u64,
        landing: watch::Sender<Option<LookupResult>>,
    },
}

struct FlightGuard<'a> {
    directory: &'a Directory,
    hash: KeyHash,
}

impl Drop for FlightGuard<'_> {
    fn drop(&mut self) {
        self.directory.state().flights.remove(&self.hash);
    }
}

#[cfg(test)]
mod tests;
