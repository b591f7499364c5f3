//! Whether the store still needs its first admin, for pages that everybody may open.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use access::{Clock, Mono};
use store::Store;

/// The time for which a missing admin is not looked up again: the endpoint that reports it has no rate limit.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// The cached state of the setup.
#[derive(Debug)]
pub(crate) struct SetupState {
    clock: Clock,
    last: Mutex<LastLookup>,
}

/// The result of the last lookup.
#[derive(Debug, Clone, Copy)]
enum LastLookup {
    Never,
    /// No admin existed at this time.
    Missing(Mono),
    /// An admin exists. The store never removes its last admin.
    Done,
}

impl SetupState {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, last: Mutex::new(LastLookup::Never) }
    }

    /// Whether no admin with a password exists. If the store fails, the result is `false`: the pages then report the
    /// failure, and not an empty store. May be cancelled at any point.
    pub(crate) async fn is_needed(&self, store: &Store) -> bool {
        let now = self.clock.mono();
        match self.last() {
            LastLookup::Done => return false,
            LastLookup::Missing(at) if now.since(at) < FRESH_FOR => return true,
            LastLookup::Never | LastLookup::Missing(_) => {}
        }
        // An error is reported by readiness, and by every request that needs the store.
        let Ok(has_admin) = store.has_admin().await else { return false };
        if has_admin {
            self.finish();
        } else {
            self.set(LastLookup::Missing(now));
        }
        !has_admin
    }

    /// Records that the first admin exists.
    pub(crate) fn finish(&self) {
        self.set(LastLookup::Done);
    }

    fn last(&self) -> LastLookup {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, now: LastLookup) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // A lookup that began before the first admin was created must not undo it.
        if !matches!(*last, LastLookup::Done) {
            *last = now;
        }
    }
}
