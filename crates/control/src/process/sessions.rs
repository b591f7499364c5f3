//! A cache of sessions, because every request of a signed-in user needs its session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::{Clock, Mono, SessionId, UserId};
use store::{DatabaseError, SessionState, Store};

/// The lifetime of an entry. It makes every node refuse an ended session within a second.
const FRESH_FOR: Duration = Duration::from_millis(750);
/// The maximum number of entries.
const KNOWN_MAX: usize = 20_000;

/// The cache of sessions. An expired entry is never used, even if the store is unavailable.
#[derive(Debug)]
pub(crate) struct SessionCache {
    clock: Clock,
    known: Mutex<HashMap<SessionId, CachedSession>>,
}

#[derive(Debug, Clone)]
struct CachedSession {
    /// The state of the session; `None` if the session does not exist.
    state: Option<Arc<SessionState>>,
    asked_at: Mono,
}

impl SessionCache {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// Returns the state of a session, or `None` if it does not exist. May be cancelled at any point.
    ///
    /// # Errors
    /// An error of the database.
    pub(crate) async fn find(&self, store: &Store, id: SessionId) -> Result<Option<Arc<SessionState>>, DatabaseError> {
        // A change during the read may be missing in the result, so the entry's lifetime begins here.
        let asked_at = self.clock.mono();
        if let Some(known) = self.lock().get(&id)
            && asked_at.since(known.asked_at) < FRESH_FOR
        {
            return Ok(known.state.clone());
        }
        let state = store.session_state(id).await?.map(Arc::new);
        self.keep(id, CachedSession { state: state.clone(), asked_at });
        Ok(state)
    }

    /// Removes a session that ended on this node.
    pub(crate) fn forget(&self, id: SessionId) {
        self.lock().remove(&id);
    }

    /// Removes all sessions of a user, which ended on this node.
    pub(crate) fn forget_all_of(&self, user: UserId) {
        self.lock().retain(|_, known| known.state.as_ref().is_some_and(|state| state.user.id != user));
    }

    fn keep(&self, id: SessionId, new: CachedSession) {
        let mut known = self.lock();
        if known.len() >= KNOWN_MAX {
            known.retain(|_, known| new.asked_at.since(known.asked_at) < FRESH_FOR);
        }
        if known.len() >= KNOWN_MAX {
            // All entries are fresh. Each session is read from the store once more.
            known.clear();
        }
        known.insert(id, new);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, CachedSession>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use access::{Ids, Timestamp};

    use super::*;

    #[test]
    fn the_cache_is_bounded_and_evicts_stale_sessions_first() {
        let clock = Clock::manual(Timestamp(1_795_176_000_000_000));
        let sessions = SessionCache::new(clock.clone());
        let mut ids = Ids::new(clock.clone());
        let mut add = || {
            let id = SessionId(ids.next_uuid());
            sessions.keep(id, CachedSession { state: None, asked_at: clock.mono() });
            id
        };
        for _ in 0..KNOWN_MAX - 1 {
            add();
        }
        clock.advance(FRESH_FOR);
        let fresh = add();
        let next = add();
        assert_eq!(sessions.lock().len(), 2);
        assert!(sessions.lock().contains_key(&fresh) && sessions.lock().contains_key(&next));
        for _ in 0..3 * KNOWN_MAX {
            add();
            assert!(sessions.lock().len() <= KNOWN_MAX);
        }
    }
}
