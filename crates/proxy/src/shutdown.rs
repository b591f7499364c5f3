//! A shutdown, in phases that every worker, connection and stream follows.

use std::time::Duration;

use tokio::sync::watch;

/// How far a shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No shutdown.
    Serving,
    /// Listeners are closed; what is in flight goes on, idle connections end.
    Closing,
    /// What is in flight ends now, streams with their format's error event.
    Ending,
}

/// Tells the workers how far a shutdown has come.
#[derive(Debug)]
pub struct Shutdown(watch::Sender<Phase>);

/// Follows a [`Shutdown`].
pub(crate) type ShutdownReceiver = watch::Receiver<Phase>;

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }
}

impl Shutdown {
    /// Moves on to `phase`; never back.
    pub fn enter(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    pub(crate) fn follow(&self) -> ShutdownReceiver {
        self.0.subscribe()
    }
}

/// Resolves when `phase` is reached, or when nobody can say any more.
pub(crate) async fn reached(mut follow: ShutdownReceiver, phase: Phase) {
    // An error means that the drain's owner is gone: the process ends.
    let _ = follow.wait_for(|now| *now >= phase).await;
}

/// Time that streams have to write their last event after [`Phase::Ending`].
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(500);
