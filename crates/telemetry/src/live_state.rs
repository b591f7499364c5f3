//! Readiness of this process: other crates set it, the admin API reports it.

use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

/// The readiness of this process. A new value is not ready.
#[derive(Debug, Default)]
pub struct LiveState {
    draining: AtomicBool,
    snapshot: AtomicBool,
    directory: AtomicBool,
    spool_full: AtomicBool,
    cut_off: AtomicBool,
}

/// The reason why this process must not receive requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotReady {
    /// The process is shutting down.
    #[error("this instance is shutting down")]
    Draining,
    /// No configuration is loaded yet.
    #[error("no configuration is loaded yet")]
    Snapshot,
    /// Keys cannot be authenticated: the store is unavailable and the cache is too old.
    #[error("keys cannot be authenticated: the store is unavailable and the cache is too old")]
    Directory,
    /// The spool or its disk is full, so that calls are refused.
    #[error("the spool or its disk is full: requests whose usage is recorded are refused")]
    SpoolFull,
    /// This process does not reach the store.
    #[error("this instance has not reached the store for a while: requests that need it are refused")]
    CutOff,
}

impl LiveState {
    /// Records that shutdown began. This cannot be undone.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Returns whether the process is shutting down.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Records whether a configuration is loaded.
    pub fn set_snapshot(&self, loaded: bool) {
        self.snapshot.store(loaded, Ordering::Release);
    }

    /// Records whether keys can be authenticated, from the store or from the cache.
    pub fn set_directory(&self, answers: bool) {
        self.directory.store(answers, Ordering::Release);
    }

    /// Records whether the spool has no room for further requests.
    pub fn set_spool_full(&self, is_full: bool) {
        self.spool_full.store(is_full, Ordering::Release);
    }

    /// Records whether other processes should get the requests of this one, which does not reach the store.
    pub fn set_cut_off(&self, is_cut_off: bool) {
        self.cut_off.store(is_cut_off, Ordering::Release);
    }

    /// Returns whether this process may receive requests.
    ///
    /// # Errors
    /// Returns the first [`NotReady`] reason that applies.
    pub fn ready(&self) -> Result<(), NotReady> {
        if self.draining() {
            return Err(NotReady::Draining);
        }
        if !self.snapshot.load(Ordering::Acquire) {
            return Err(NotReady::Snapshot);
        }
        if !self.directory.load(Ordering::Acquire) {
            return Err(NotReady::Directory);
        }
        if self.spool_full.load(Ordering::Acquire) {
            return Err(NotReady::SpoolFull);
        }
        if self.cut_off.load(Ordering::Acquire) {
            return Err(NotReady::CutOff);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_requires_snapshot_and_directory_and_ends_with_drain() {
        let live_state = LiveState::default();
        assert_eq!(live_state.ready(), Err(NotReady::Snapshot));
        live_state.set_snapshot(true);
        assert_eq!(live_state.ready(), Err(NotReady::Directory));
        live_state.set_directory(true);
        assert_eq!(live_state.ready(), Ok(()));
        live_state.set_cut_off(true);
        assert_eq!(live_state.ready(), Err(NotReady::CutOff));
        live_state.set_spool_full(true);
        assert_eq!(live_state.ready(), Err(NotReady::SpoolFull));
        live_state.set_directory(false);
        assert_eq!(live_state.ready(), Err(NotReady::Directory));
        live_state.drain();
        assert_eq!(live_state.ready(), Err(NotReady::Draining));
    }
}
