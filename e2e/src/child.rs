//! A child process of a test.

use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::eventually_within;

/// Maximum time until a server has ended after SIGTERM; then it is killed.
pub(crate) const END_TIMEOUT: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(20);

/// A process that does not outlive the test.
#[derive(Debug)]
pub struct Process {
    /// `None` for a process that a server has started, which this process cannot wait for.
    child: Option<Child>,
    pid: u32,
}

impl Process {
    /// Takes ownership of `child`.
    #[must_use]
    pub fn new(child: Child) -> Self {
        Self { pid: child.id(), child: Some(child) }
    }

    /// Takes ownership of a process that another one has started.
    #[must_use]
    pub const fn adopted(pid: u32) -> Self {
        Self { child: None, pid }
    }

    /// Returns the process id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.pid
    }

    /// Sends SIGTERM to the process.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGHUP to the process.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Sends SIGUSR2 to the process, without a request for a certain binary.
    pub fn upgrade(&self) {
        self.signal(Signal::USR2);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // Fails only if the process has already ended.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills the process with SIGKILL, as a crash would end it.
    #[expect(
        clippy::disallowed_methods,
        reason = "drop cannot await, and another process has no other sign of its end"
    )]
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
        while self.child.is_none() && !is_gone(self.pid) {
            std::thread::sleep(STEP);
        }
    }

    /// Returns the exit code if the process has ended; `None` in its place for a process that another one has started.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        match &mut self.child {
            Some(child) => child.try_wait().ok().flatten().map(|status| status.code()),
            None => is_gone(self.pid).then_some(None),
        }
    }

    /// Waits at most `limit` until the process has ended, and returns its exit code.
    pub async fn ends_within(mut self, limit: Duration) -> Option<i32> {
        eventually_within(limit, "the process ends", async || self.ended()).await
    }
}

/// Whether a process has ended, and with it its last thread, until which its files are locked. One for which nobody waits
/// counts as ended.
fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let has_ended = stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['Z', 'X']));
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    has_ended && threads <= 1
}

impl Drop for Process {
    #[expect(clippy::disallowed_methods, reason = "drop cannot await, and a child must not outlive its test")]
    fn drop(&mut self) {
        // The signal is repeated: a second SIGTERM ends the drain at once, and no test waits for this drain.
        for _ in 0..END_TIMEOUT.as_millis() / STEP.as_millis() {
            self.terminate();
            std::thread::sleep(STEP);
            if self.ended().is_some() {
                return;
            }
        }
        self.kill();
    }
}
