//! SIGTERM and SIGINT: the first begins the shutdown, a second ends the process at once.

use std::io::IsTerminal;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals of this process.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Which signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    Terminate,
    Interrupt,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(crate) async fn next(&mut self) -> Came {
        tokio::select! {
            _ = self.terminate.recv() => Came::Terminate,
            _ = self.interrupt.recv() => Came::Interrupt,
        }
    }
}

impl Came {
    /// How long accepting goes on: somebody at a terminal does not wait for load balancers.
    pub(crate) fn delay(self, configured: Duration) -> Duration {
        match self {
            Self::Interrupt if std::io::stdin().is_terminal() => Duration::ZERO,
            Self::Interrupt | Self::Terminate => configured,
        }
    }

    /// The exit code of a process that the signal ended: 128 and its number.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
        }
    }
}
