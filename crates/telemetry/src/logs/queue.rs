//! The way of lines to stderr: a bounded queue, and a thread that may be stuck behind a full pipe for ever.

use std::io::{Write, stderr};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines that wait: a reader may stop for half a second at 15,000 requests a second, each of which leaves one line of some
/// 500 bytes, so 4 MB.
pub(super) const LINES_MAX: usize = 8_192;
/// What is given to lines that wait when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The lines on their way to stderr. Dropped, it waits until all are written, at most a second.
#[derive(Debug)]
#[must_use = "lines are lost that are not written when the process ends"]
pub struct LogWriter {
    dropped: DroppedLines,
    guard: Option<WorkerGuard>,
}

/// Counts lines that nobody will read, because stderr was full for too long.
#[derive(Debug, Clone)]
pub struct DroppedLines(ErrorCounter);

impl DroppedLines {
    /// How many since the process began.
    #[must_use]
    pub fn lines(&self) -> u64 {
        u64::try_from(self.0.dropped_lines()).unwrap_or(u64::MAX)
    }
}

impl LogWriter {
    /// The count of lines that found the queue full.
    #[must_use]
    pub fn dropped(&self) -> DroppedLines {
        self.dropped.clone()
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        // tracing-appender 0.2.5 prints to stdout when it finds the queue full: that may be the same full pipe.
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

/// Writes to stderr what a process says before it ends, logs or not; gives up after a second.
pub fn write_stderr(text: String) {
    run_with_timeout(FLUSH_TIMEOUT, move || {
        // Nobody is left to be told.
        let _ = stderr().write_all(text.as_bytes());
    });
}

/// Does it on a thread of its own, which is left behind if it takes longer.
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
