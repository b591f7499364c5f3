//! SIGTERM and SIGINT: the first one begins the shutdown, a second one ends the process immediately. SIGHUP reads the
//! configuration again, and SIGUSR2 upgrades the server in place.

use std::io::IsTerminal;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// Time within which an equal signal is the same one: GNU timeout and supervisors signal a process and then its group.
const SAME_WITHIN: Duration = Duration::from_millis(500);

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

/// A signal that begins or ends the shutdown.
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
    /// Waits for a signal that is another one than this one, which was received at `at`.
    pub(crate) async fn second(self, at: Instant, mut next: impl AsyncFnMut() -> Self) -> Self {
        loop {
            let signal = next().await;
            if signal != self || at.elapsed() > SAME_WITHIN {
                return signal;
            }
        }
    }

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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::channel;
    use tokio::time::{advance, timeout};

    use super::*;

    /// Whether a signal some time after SIGTERM is a second one.
    async fn is_second(signal: ShutdownSignal, millis: u64) -> bool {
        let (sender, mut receiver) = channel(1);
        let at = Instant::now();
        advance(Duration::from_millis(millis)).await;
        sender.send(signal).await.unwrap();
        let second = ShutdownSignal::Terminate.second(at, async || receiver.recv().await.unwrap());
        timeout(Duration::from_secs(60), second).await.is_ok_and(|second| second == signal)
    }

    #[tokio::test(start_paused = true)]
    async fn an_equal_signal_directly_after_the_first_is_no_second_one() {
        let terminate = ShutdownSignal::Terminate;
        let interrupt = ShutdownSignal::Interrupt;
        for (signal, millis, expected) in
            [(terminate, 0, false), (terminate, 499, false), (terminate, 501, true), (interrupt, 0, true)]
        {
            assert_eq!(is_second(signal, millis).await, expected, "{signal:?} after {millis} ms");
        }
    }
}
