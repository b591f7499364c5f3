//! A bounded queue of log lines, and the thread that writes them to stderr and may block on a full pipe.

use std::io::{Write, stderr};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Maximum number of queued lines. At 15,000 requests per second, with one line of about 500 bytes each, the reader of
/// stderr may pause for half a second (4 MB).
pub(super) const LINES_MAX: usize = 8_192;
/// Maximum time to write the queued lines at exit.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The writer of queued lines. Dropping it waits until all lines are written, for at most one second.
#[derive(Debug)]
#[must_use = "dropping it flushes the queued lines; keep it until the process ends"]
pub struct LogWriter {
    dropped: DroppedLines,
    guard: Option<WorkerGuard>,
}

/// The number of lines dropped because stderr was blocked for too long.
#[derive(Debug, Clone)]
pub struct DroppedLines(ErrorCounter);

impl DroppedLines {
    /// Returns the number of dropped lines since the process began.
    #[must_use]
    pub fn lines(&self) -> u64 {
        u64::try_from(self.0.dropped_lines()).unwrap_or(u64::MAX)
    }
}

impl LogWriter {
    /// Returns a handle to the number of dropped lines.
    #[must_use]
    pub fn dropped(&self) -> DroppedLines {
        self.dropped.clone()
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        // tracing-appender 0.2.5 prints to stdout when the queue is full; stdout may be the same blocked pipe.
        let guard = self.guard.take();
        run_with_timeout(FLUSH_TIMEOUT, move || drop(guard));
    }
}

/// Starts the thread that writes to `out`.
pub(super) fn start(out: impl Write + Send + 'static) -> (NonBlocking, LogWriter) {
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX).thread_name("log");
    let (writer, guard) = builder.finish(out);
    let dropped = DroppedLines(writer.error_counter());
    (writer, LogWriter { dropped, guard: Some(guard) })
}

/// Writes a final message to stderr without the log; gives up after one second.
pub fn write_stderr(text: String) {
    run_with_timeout(FLUSH_TIMEOUT, move || {
        // A failure cannot be reported anywhere.
        let _ = stderr().write_all(text.as_bytes());
    });
}

/// Runs `work` on a new thread and waits for at most `limit`; the thread is not stopped.
fn run_with_timeout(limit: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, ended) = sync_channel(1);
    let thread = thread::Builder::new().name("last-words".to_owned()).spawn(move || {
        work();
        let _ = done.send(());
    });
    if thread.is_ok() {
        let _ = ended.recv_timeout(limit);
    }
}

#[cfg(test)]
mod tests;
