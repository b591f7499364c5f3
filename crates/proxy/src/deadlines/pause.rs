//! A pause of the admission, while the store is handed over to another process (`docs/decisions/0043-upgrade-on-sqlite.md`).
//!
//! Unlike a shutdown, a pause can end: then this process continues to serve.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::watch;

/// A step of a pause, in the order in which they are entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PausePhase {
    /// There is no pause.
    Open,
    /// Each connection ends with its next response, so that few are open when the pause begins.
    Announced,
    /// No connection is accepted. The kernel keeps new ones. Requests on open connections are served.
    Closed,
    /// Idle connections end, and requests wait before they reserve.
    Shut,
    /// Each worker writes its counts to the spool.
    Flushing,
}

/// Reports the phase of a pause to the workers.
#[derive(Debug)]
pub struct Pause {
    phase: watch::Sender<PausePhase>,
    is_shut: AtomicBool,
    /// The number of workers that have written their counts.
    flushed: AtomicUsize,
}

/// Receives the phases of a [`Pause`].
pub(crate) type PauseReceiver = watch::Receiver<PausePhase>;

impl Default for Pause {
    fn default() -> Self {
        let phase = watch::Sender::new(PausePhase::Open);
        Self { phase, is_shut: AtomicBool::new(false), flushed: AtomicUsize::new(0) }
    }
}

impl Pause {
    /// Enters a phase, and wakes whatever waits for it.
    pub fn enter(&self, phase: PausePhase) {
        self.flushed.store(0, Ordering::SeqCst);
        self.is_shut.store(phase >= PausePhase::Shut, Ordering::SeqCst);
        self.phase.send_replace(phase);
    }

    /// Returns the number of workers that have written their counts since [`PausePhase::Flushing`] began.
    #[must_use]
    pub fn flushed(&self) -> usize {
        self.flushed.load(Ordering::SeqCst)
    }

    pub(crate) fn note_flushed(&self) {
        self.flushed.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether no request may reserve now. A request that has reserved checks this again.
    pub(crate) fn is_shut(&self) -> bool {
        self.is_shut.load(Ordering::SeqCst)
    }

    pub(crate) fn follow(&self) -> PauseReceiver {
        self.phase.subscribe()
    }

    /// Resolves when the phase satisfies the condition.
    pub(crate) async fn until(&self, is_met: impl Fn(PausePhase) -> bool) {
        // An error means that the sender was dropped, because the process ends.
        let _ = self.follow().wait_for(|phase| is_met(*phase)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pause_shuts_and_ends() {
        let pause = Pause::default();
        assert!(!pause.is_shut());
        pause.until(|phase| phase == PausePhase::Open).await;
        pause.enter(PausePhase::Closed);
        assert!(!pause.is_shut());
        pause.enter(PausePhase::Shut);
        assert!(pause.is_shut());
        pause.until(|phase| phase >= PausePhase::Closed).await;
        pause.enter(PausePhase::Flushing);
        pause.note_flushed();
        assert_eq!((pause.is_shut(), pause.flushed()), (true, 1));
        pause.enter(PausePhase::Open);
        assert_eq!((pause.is_shut(), pause.flushed()), (false, 0));
    }
}
