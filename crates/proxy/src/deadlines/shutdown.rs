//! A shutdown, in phases that every worker, connection and stream follows.

use std::time::Duration;

use tokio::sync::watch;

use super::pause::Pause;

/// A phase of the shutdown, in the order in which the process reaches them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShutdownPhase {
    /// There is no shutdown.
    Serving,
    /// Clients begin to leave: each connection of HTTP/1.1 ends with its next response. Connections are still accepted.
    Announced,
    /// Listeners are closed, because another process has them. Each connection ends with its next response, so that no client
    /// sends a request to a connection that ends.
    Leaving,
    /// Listeners are closed. Requests in flight continue, and idle connections end.
    Closing,
    /// Requests in flight end now; streams end with the error event of their format.
    Ending,
}

/// Reports the phase of a shutdown to the workers.
#[derive(Debug)]
pub struct Shutdown {
    phase: watch::Sender<ShutdownPhase>,
    pause: Pause,
}

/// Receives the phases of a [`Shutdown`].
pub(crate) type ShutdownReceiver = watch::Receiver<ShutdownPhase>;

impl Default for Shutdown {
    fn default() -> Self {
        Self { phase: watch::Sender::new(ShutdownPhase::Serving), pause: Pause::default() }
    }
}

impl Shutdown {
    /// Changes to `phase`, unless a later phase is already reached.
    pub fn enter(&self, phase: ShutdownPhase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    /// Returns the pause before a shutdown.
    #[must_use]
    pub const fn pause(&self) -> &Pause {
        &self.pause
    }

    pub(crate) fn follow(&self) -> ShutdownReceiver {
        self.phase.subscribe()
    }
}

/// Resolves when `phase` is reached, or when the [`Shutdown`] has been dropped.
pub(crate) async fn reached(mut follow: ShutdownReceiver, phase: ShutdownPhase) {
    // An error means that the sender was dropped, because the process ends.
    let _ = follow.wait_for(|now| *now >= phase).await;
}

/// Time that streams have to write their last event after [`ShutdownPhase::Ending`].
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(500);
