//! Live states that the control API shows and other parts set.

use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

/// Whether this instance may be given requests. Nothing is ready before it says so.
#[derive(Debug, Default)]
pub struct LiveState {
    draining: AtomicBool,
    snapshot: AtomicBool,
    directory: AtomicBool,
}

/// Why this instance may not be given requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotReady {
    /// It is shutting down.
    #[error("this instance is shutting down")]
    Draining,
    /// No configuration is in force yet.
    #[error("no configuration is in force yet")]
    Snapshot,
    /// Keys can be answered neither from the store nor from what is cached.
    #[error("keys can be answered neither from the store nor from what is cached")]
    Directory,
}

impl LiveState {
    /// The shutdown began; there is no way back.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the shutdown began.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A configuration is in force.
    pub fn set_snapshot(&self, loaded: bool) {
        self.snapshot.store(loaded, Ordering::Release);
    }

    /// Whether keys can be answered, from the store or from what is cached.
    pub fn set_directory(&self, answers: bool) {
        self.directory.store(answers, Ordering::Release);
    }

    /// Whether this instance may be given requests.
    ///
    /// # Errors
    /// [`NotReady`] names the first reason against it.
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
        live_state.set_directory(false);
        assert_eq!(live_state.ready(), Err(NotReady::Directory));
        live_state.drain();
        assert_eq!(live_state.ready(), Err(NotReady::Draining));
    }
}
