//! Sessions as the store had them a moment ago: every request of a signed-in caller asks for one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::{Clock, Mono, SessionId, UserId};
use store::{SessionState, Store, StoreError};

/// An answer serves for so long after it was asked for: what is ended anywhere is refused here within a second.
const FRESH_FOR: Duration = Duration::from_millis(750);
/// Answers held at once.
const KNOWN_MAX: usize = 20_000;

/// The cache. Nothing in it serves while the store is away.
#[derive(Debug)]
pub(crate) struct Sessions {
    clock: Clock,
    known: Mutex<HashMap<SessionId, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    /// `None`: there is no such session.
    state: Option<Arc<SessionState>>,
    asked_at: Mono,
}

impl Sessions {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// What stands behind a session; `None` where there is no such. May be cancelled at any point.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(crate) async fn find(&self, store: &Store, id: SessionId) -> Result<Option<Arc<SessionState>>, StoreError> {
        // What changes while the store answers may be in the answer or not: it ages from here on.
        let asked_at = self.clock.mono();
        if let Some(known) = self.lock().get(&id)
            && asked_at.since(known.asked_at) < FRESH_FOR
        {
            return Ok(known.state.clone());
        }
        let state = store.session_state(id).await?.map(Arc::new);
        self.keep(id, Known { state: state.clone(), asked_at });
        Ok(state)
    }

    /// Has one asked for again: it was ended here.
    pub(crate) fn forget(&self, id: SessionId) {
        self.lock().remove(&id);
    }

    /// The same of all of a user's.
    pub(crate) fn forget_all_of(&self, user: UserId) {
        self.lock().retain(|_, known| known.state.as_ref().is_some_and(|state| state.user.id != user));
    }

    fn keep(&self, id: SessionId, new: Known) {
        let mut known = self.lock();
        if known.len() >= KNOWN_MAX {
            known.retain(|_, known| new.asked_at.since(known.asked_at) < FRESH_FOR);
        }
        if known.len() >= KNOWN_MAX {
            // So many in one second: each is asked for once more.
            known.clear();
        }
        known.insert(id, new);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use access::{Ids, Timestamp};

    use super::*;

    #[test]
    fn it_is_bounded_and_drops_what_is_stale_first() {
        let clock = Clock::manual(Timestamp(1_795_176_000_000_000));
        let (sessions, mut ids) = (Sessions::new(clock.clone()), Ids::new(clock.clone()));
        let mut add = || {
            let id = SessionId(ids.next_uuid());
            sessions.keep(id, Known { state: None, asked_at: clock.mono() });
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
