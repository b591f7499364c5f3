//! A child process of a test.

use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Maximum time until a server has ended after SIGTERM; then it is killed.
pub(crate) const END_TIMEOUT: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(20);

/// A child process that does not outlive the test.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Takes ownership of `child`.
    #[must_use]
    pub const fn new(child: Child) -> Self {
        Self(child)
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends SIGTERM to the process.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails only if the process has already ended.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Sends SIGHUP to the process.
    pub fn hang_up(&self) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // Fails only if the process has already ended.
            let _ = kill_process(pid, Signal::HUP);
        }
    }

    /// Kills the process with SIGKILL, as a crash would end it.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Returns the exit code if the process has ended.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        self.0.try_wait().ok().flatten().map(|status| status.code())
    }
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
