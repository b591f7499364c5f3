//! A bounded buffer of log lines, and the thread that writes them to stderr in batches and may block on a full pipe.
//!
//! A thread appends its line to the buffer under a lock that is held for the copy of the line only. All lines keep the
//! order in which they were appended. The writer thread takes the whole buffer at once, so under load several requests
//! share one system call and one wake-up.

use std::io::{self, ErrorKind, Write, stderr};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Maximum bytes of lines that are not written. At 15,000 requests per second, with one line of about 400 bytes each,
/// the reader of stderr may pause for a third of a second.
pub(super) const BYTES_MAX: usize = 2 << 20;
/// Maximum time for which a line of the levels `info`, `debug` and `trace` waits for other lines. A process that is
/// killed loses at most the lines of this time, unless stderr was blocked.
const LINGER: Duration = Duration::from_millis(10);
/// Bytes that are written without waiting for other lines.
const BATCH_BYTES: usize = 64 << 10;
/// Time until the next try if stderr is a full pipe that does not block.
const RETRY: Duration = Duration::from_millis(1);
/// Maximum time to write the remaining lines at exit.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The writer of log lines. Dropping it waits until all lines are written, for at most one second.
#[derive(Debug)]
#[must_use = "dropping it flushes the remaining lines; keep it until the process ends"]
pub struct LogWriter {
    queue: LineQueue,
    /// Disconnected when the thread has written all lines.
    ended: Receiver<()>,
}

/// The number of lines dropped because stderr was blocked for too long, or could not be written.
#[derive(Debug, Clone)]
pub struct DroppedLines(LineQueue);

/// The buffer that threads append to.
#[derive(Debug, Clone)]
pub(super) struct LineQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Buffer {
    /// Whole lines in the order of their arrival.
    lines: Vec<u8>,
    /// Bytes that the writer thread took and has not written.
    taken_bytes: usize,
    dropped_lines: u64,
    /// A line must be written without delay.
    urgent: bool,
    /// The writer thread waits for lines, or for more lines.
    waiting: Waiting,
    closed: bool,
}

/// What the writer thread waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Waiting {
    /// It does not wait: it reads the buffer again before it does.
    #[default]
    Not,
    FirstLine,
    MoreLines,
}

/// The destination of one line.
#[derive(Debug)]
pub(super) struct LineWriter<'a> {
    queue: &'a LineQueue,
    urgent: bool,
}

impl DroppedLines {
    /// Returns the number of dropped lines since the process began.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.0.buffer().dropped_lines
    }
}

impl LogWriter {
    /// Returns a handle to the number of dropped lines.
    #[must_use]
    pub fn dropped(&self) -> DroppedLines {
        DroppedLines(self.queue.clone())
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.queue.buffer().closed = true;
        self.queue.0.wake.notify_one();
        // The thread sends nothing: this returns when it ends, or after the timeout.
        let _ = self.ended.recv_timeout(FLUSH_TIMEOUT);
    }
}

/// Starts the thread that writes to `out`.
pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(LineQueue, LogWriter)> {
    let queue = LineQueue(Arc::default());
    let (alive, ended) = sync_channel(0);
    let of_thread = queue.clone();
    thread::Builder::new().name("log".to_owned()).spawn(move || of_thread.write_batches(out, alive))?;
    Ok((queue.clone(), LogWriter { queue, ended }))
}

impl LineQueue {
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a line; drops and counts it if the buffer is full.
    fn append(&self, line: &[u8], urgent: bool) {
        let mut buffer = self.buffer();
        if buffer.closed || buffer.lines.len() + buffer.taken_bytes + line.len() > BYTES_MAX {
            buffer.dropped_lines += 1;
            return;
        }
        buffer.lines.extend_from_slice(line);
        buffer.urgent |= urgent;
        let wakes = match buffer.waiting {
            Waiting::Not => false,
            Waiting::FirstLine => true,
            Waiting::MoreLines => buffer.is_due(),
        };
        if wakes {
            buffer.waiting = Waiting::Not;
            drop(buffer);
            self.0.wake.notify_one();
        }
    }

    /// Writes batches until the queue is closed and empty. `_alive` is dropped at the end.
    fn write_batches(&self, mut out: impl Write, _alive: SyncSender<()>) {
        let mut batch = Vec::new();
        while self.take(&mut batch) {
            let lost = write(&mut out, &batch);
            batch.clear();
            batch.shrink_to(2 * BATCH_BYTES);
            let mut buffer = self.buffer();
            buffer.taken_bytes = 0;
            buffer.dropped_lines += lost;
        }
    }

    /// Exchanges the empty `batch` for all lines, as soon as they are due. Returns false if the queue is closed and
    /// empty.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let wake = &self.0.wake;
        let mut buffer = self.buffer();
        while buffer.lines.is_empty() && !buffer.closed {
            buffer.waiting = Waiting::FirstLine;
            buffer = wake.wait(buffer).unwrap_or_else(PoisonError::into_inner);
        }
        if !buffer.is_due() {
            buffer.waiting = Waiting::MoreLines;
            let waited = wake.wait_timeout_while(buffer, LINGER, |buffer| !buffer.is_due());
            buffer = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        buffer.waiting = Waiting::Not;
        buffer.urgent = false;
        buffer.taken_bytes = buffer.lines.len();
        std::mem::swap(&mut buffer.lines, batch);
        !batch.is_empty()
    }
}

impl Buffer {
    /// Whether the lines are written without waiting for more.
    fn is_due(&self) -> bool {
        self.urgent || self.closed || self.lines.len() >= BATCH_BYTES
    }
}

impl<'a> MakeWriter<'a> for LineQueue {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter { queue: self, urgent: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter { queue: self, urgent: *metadata.level() < Level::INFO }
    }
}

impl Write for LineWriter<'_> {
    /// Appends a whole line, as the formatter writes each event at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.append(line, self.urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the lines; returns the number of those that could not be written.
fn write(out: &mut impl Write, mut lines: &[u8]) -> u64 {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(0) => break,
            Ok(bytes) => lines = lines.get(bytes..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // As with a pipe that blocks, lines are dropped only when the buffer is full.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::park_timeout(RETRY),
            Err(_) => break,
        }
    }
    lines.iter().map(|byte| u64::from(*byte == b'\n')).sum()
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
