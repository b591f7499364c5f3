//! SIGTERM and SIGINT: the first one begins the shutdown, a second one ends the process immediately. SIGHUP reads the
//! configuration again, and SIGUSR2 upgrades the server in place.

use std::io::IsTerminal;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that the process receives.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    upgrade: Signal,
    /// `None` once the task that reloads the configuration has it.
    hang_up: Option<Signal>,
}

/// A signal to a server that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerSignal {
    Shutdown(ShutdownSignal),
    Upgrade,
}

/// The signal that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShutdownSignal {
    Terminate,
    Interrupt,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            upgrade: signal(SignalKind::user_defined2())?,
            hang_up: Some(signal(SignalKind::hangup())?),
        })
    }

    /// Returns the receiver of SIGHUP, once. A signal that arrived earlier is still in it.
    pub(crate) const fn take_hang_up(&mut self) -> Option<Signal> {
        self.hang_up.take()
    }

    /// Waits for a signal to a server that serves. It may be cancelled.
    pub(crate) async fn next_of_server(&mut self) -> ServerSignal {
        tokio::select! {
            _ = self.terminate.recv() => ServerSignal::Shutdown(ShutdownSignal::Terminate),
            _ = self.interrupt.recv() => ServerSignal::Shutdown(ShutdownSignal::Interrupt),
            _ = self.upgrade.recv() => ServerSignal::Upgrade,
        }
    }

    pub(crate) async fn next(&mut self) -> ShutdownSignal {
        tokio::select! {
            _ = self.terminate.recv() => ShutdownSignal::Terminate,
            _ = self.interrupt.recv() => ShutdownSignal::Interrupt,
        }
    }
}

impl ShutdownSignal {
    /// Time for which the server continues to accept requests: with SIGINT on a terminal, no load balancer has to be
    /// waited for.
    pub(crate) fn delay(self, configured: Duration) -> Duration {
        match self {
            Self::Interrupt if std::io::stdin().is_terminal() => Duration::ZERO,
            Self::Interrupt | Self::Terminate => configured,
        }
    }

    /// Returns the exit code of a process that the signal ended: 128 plus its number.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
        }
    }
}
