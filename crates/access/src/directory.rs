//! Who holds a key: a cache in front of a bounded queue that the store's loop answers.
//!
//! One `Directory` a worker; together they remember what the store said last. A known key costs one look into a map; an
//! unknown one is asked for once, however many requests carry it (single flight). Misses are kept apart, so that made-up
//! keys cannot push known ones out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use crate::api_key::KeyHash;
use crate::cache::Cache;
use crate::clock::{Clock, Mono};
use crate::principal::Principal;
use crate::revision::Revision;

const KNOWN_MAX: usize = 20_000;
const MISSED_MAX: usize = 2_000;
const MISSED_FOR: Duration = Duration::from_secs(5);
/// How long a view knows a secret that was replaced, and still opens its key.
const REPLACED_FOR: Duration = Duration::from_secs(30);
/// A store that was heard of so lately is not away.
const STORE_ANSWERS: Duration = Duration::from_secs(1);

/// What the store says of a hash.
pub type Found = Result<Arc<Principal>, NotFound>;

/// Why a key opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotFound {
    /// No key has this hash.
    #[error("no such key")]
    Unknown,
    /// It was revoked.
    #[error("the key was revoked")]
    Revoked,
    /// Its key has another secret by now.
    #[error("the key was rotated: this secret was replaced")]
    Rotated,
    /// Its time is over.
    #[error("the key has expired")]
    Expired,
    /// Its user is suspended.
    #[error("the key's user is suspended")]
    Suspended,
    /// The queue to the store is full.
    #[error("too many keys are being looked up")]
    Busy,
    /// The store could not be asked, and what is cached is too old.
    #[error("keys cannot be looked up at the moment")]
    Unavailable,
}

/// A question to the store's loop, which answers through `reply`.
#[derive(Debug)]
pub struct Lookup {
    /// The key's SHA-256.
    pub hash: KeyHash,
    /// Where the answer goes; dropped, it means [`NotFound::Unavailable`].
    pub reply: oneshot::Sender<Found>,
}

/// A worker's view of the keys.
#[derive(Debug)]
pub struct Directory {
    queue: mpsc::Sender<Lookup>,
    revision: Arc<Revision>,
    clock: Clock,
    stale_for: Duration,
    /// What any view was told last: while the store is away, a key that one worker knows passes on all of them.
    told: Arc<Mutex<Cache<KeyHash, Entry>>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    known: Cache<KeyHash, Entry>,
    missed: Cache<KeyHash, Miss>,
    flights: HashMap<KeyHash, watch::Receiver<Option<Found>>>,
}

impl State {
    fn empty() -> Mutex<Self> {
        let known = Cache::new(KNOWN_MAX);
        Mutex::new(Self { known, missed: Cache::new(MISSED_MAX), flights: HashMap::new() })
    }
}

#[derive(Debug, Clone)]
struct Entry {
    found: Found,
    revision: u64,
    at: Mono,
}

impl Entry {
    /// Whether it serves at `now`, the store having answered something `heard` ago. A replaced secret is asked for again
    /// now and then while the store answers: its owner wants to know that it is still used.
    fn serves(&self, now: Mono, heard: Duration) -> bool {
        let replaced = self.found.as_ref().is_ok_and(|principal| principal.rotated.is_some());
        !replaced || now.since(self.at) < REPLACED_FOR || heard > STORE_ANSWERS
    }
}

#[derive(Debug, Clone, Copy)]
struct Miss {
    revision: u64,
    at: Mono,
}

impl Directory {
    /// A view whose questions go to `queue`; what is cached serves for `stale_for` while the store is away.
    #[must_use]
    pub fn new(queue: mpsc::Sender<Lookup>, revision: Arc<Revision>, clock: Clock, stale_for: Duration) -> Self {
        let told = Arc::new(Mutex::new(Cache::new(KNOWN_MAX)));
        Self { queue, revision, clock, stale_for, told, state: State::empty() }
    }

    /// Another worker's view of the same keys.
    #[must_use]
    pub fn another(&self) -> Self {
        let Self { queue, revision, clock, stale_for, told, state: _ } = self;
        Self {
            queue: queue.clone(),
            revision: revision.clone(),
            clock: clock.clone(),
            stale_for: *stale_for,
            told: told.clone(),
            state: State::empty(),
        }
    }

    /// Finds who holds the key with this hash. May be cancelled at any point.
    ///
    /// # Errors
    /// [`NotFound`] says why the key opens nothing, or that nobody could be asked.
    pub async fn find(&self, hash: KeyHash) -> Found {
        loop {
            let mut flight = match self.look(hash) {
                Look::Cached(found) => return found,
                Look::Join(flight) => flight,
                Look::Ask { revision, landing } => return self.ask(hash, revision, landing).await,
            };
            // An error means that whoever asked was cancelled: the loop asks again.
            if let Ok(landed) = flight.wait_for(Option::is_some).await
                && let Some(found) = landed.clone()
            {
                return found;
            }
        }
    }

    fn look(&self, hash: KeyHash) -> Look {
        let revision = self.revision.get();
        let now = self.clock.mono();
        let heard = self.revision.age(now);
        let mut state = self.state();
        if let Some(entry) = state.known.get(&hash)
            && entry.revision == revision
            && heard < self.stale_for
            && entry.serves(now, heard)
        {
            return Look::Cached(self.in_time(entry.found));
        }
        if let Some(miss) = state.missed.get(&hash)
            && miss.revision == revision
            && now.since(miss.at) < MISSED_FOR
        {
            return Look::Cached(Err(NotFound::Unknown));
        }
        if let Some(flight) = state.flights.get(&hash) {
            return Look::Join(flight.clone());
        }
        let (landing, flight) = watch::channel(None);
        state.flights.insert(hash, flight);
        Look::Ask { revision, landing }
    }

    async fn ask(&self, hash: KeyHash, revision: u64, landing: watch::Sender<Option<Found>>) -> Found {
        // Removes the flight also when this future is dropped.
        let _flight = Flight { directory: self, hash };
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

    /// Caches an answer; while the store is away, what was known before serves until it is too old.
    ///
    /// Not so while the queue is full: what was known before may have been revoked since, and many keys asked for at
    /// once would keep it open.
    fn keep(&self, hash: KeyHash, revision: u64, found: Found) -> Found {
        let now = self.clock.mono();
        let mut state = self.state();
        match found {
            Err(NotFound::Unknown) => {
                state.known.remove(&hash);
                self.told().remove(&hash);
                state.missed.insert(hash, Miss { revision, at: now });
                found
            }
            Err(NotFound::Busy) => match state.known.get(&hash) {
                Some(entry) if entry.revision == revision => self.in_time(entry.found),
                _ => found,
            },
            Err(NotFound::Unavailable) => {
                let entries = [state.known.get(&hash), self.told().get(&hash)];
                match entries.into_iter().flatten().max_by_key(|entry| entry.revision) {
                    Some(entry) if self.revision.age(now) < self.stale_for => {
                        state.known.insert(hash, entry.clone());
                        self.in_time(entry.found)
                    }
                    _ => found,
                }
            }
            Ok(_) | Err(NotFound::Revoked | NotFound::Rotated | NotFound::Expired | NotFound::Suspended) => {
                let entry = Entry { found: found.clone(), revision, at: now };
                state.missed.remove(&hash);
                self.tell(hash, entry.clone());
                state.known.insert(hash, entry);
                self.in_time(found)
            }
        }
    }

    /// What is newer stays.
    fn tell(&self, hash: KeyHash, entry: Entry) {
        let mut told = self.told();
        if told.get(&hash).is_none_or(|before| before.revision <= entry.revision) {
            told.insert(hash, entry);
        }
    }

    fn told(&self) -> MutexGuard<'_, Cache<KeyHash, Entry>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_time(&self, found: Found) -> Found {
        match &found {
            Ok(principal) if principal.expires_at.is_some_and(|end| end <= self.clock.now()) => {
                // What ends later than the first of the two has not ended it.
                Err(if principal.rotated == principal.expires_at { NotFound::Rotated } else { NotFound::Expired })
            }
            _ => found,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Look {
    Cached(Found),
    Join(watch::Receiver<Option<Found>>),
    Ask { revision: u64, landing: watch::Sender<Option<Found>> },
}

struct Flight<'a> {
    directory: &'a Directory,
    hash: KeyHash,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.directory.state().flights.remove(&self.hash);
    }
}

#[cfg(test)]
mod tests;
