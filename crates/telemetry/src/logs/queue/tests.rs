use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

/// Limit that only a deadlock exceeds.
const HANG_TIMEOUT: Duration = Duration::from_secs(30);

/// A pipe whose writes block until the other end is dropped.
struct StuckPipe(Receiver<()>);

impl Write for StuckPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stuck() -> (StuckPipe, SyncSender<()>) {
    let (reader, pipe) = sync_channel(0);
    (StuckPipe(pipe), reader)
}

/// Runs `work` on another thread; returns its result, or `None` after [`HANG_TIMEOUT`].
fn result_of<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, ended) = sync_channel(1);
    thread::spawn(move || done.send(work()));
    ended.recv_timeout(HANG_TIMEOUT).ok()
}

#[test]
fn logging_continues_and_ends_while_stderr_is_blocked() {
    const LOGGED: usize = 100_000;
    let (pipe, reader) = stuck();
    let dropped = result_of(move || {
        let (writer, lines) = start(pipe);
        let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..LOGGED {
                tracing::info!(number, "a line");
            }
        });
        let dropped = lines.dropped();
        drop(lines);
        dropped.lines()
    });
    let dropped = usize::try_from(dropped.expect("logging blocked")).unwrap();
    // The writer thread may have taken one line from the queue.
    assert!((LOGGED - LINES_MAX - 1..=LOGGED - LINES_MAX).contains(&dropped), "{dropped}");
    drop(reader);
}

/// A pipe whose writes block while the test holds the lock.
#[derive(Clone, Default)]
struct LockedPipe(Arc<Mutex<Vec<u8>>>);

impl Write for LockedPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn queued_lines_are_written_at_exit() {
    let out = LockedPipe::default();
    let (mut writer, lines) = start(out.clone());
    let held = out.0.lock().unwrap();
    for _ in 0..LINES_MAX / 2 {
        writer.write_all(b"a line\n").unwrap();
    }
    let dropped = lines.dropped();
    drop(held);
    drop(lines);
    assert_eq!(out.0.lock().unwrap().len(), LINES_MAX / 2 * b"a line\n".len());
    assert_eq!(dropped.lines(), 0);
}

#[test]
fn a_hanging_thread_does_not_delay_the_exit() {
    let (pipe, reader) = stuck();
    let begun = result_of(move || {
        run_with_timeout(Duration::from_millis(10), move || {
            let mut pipe = pipe;
            let _ = pipe.write(b"words");
        });
    });
    assert!(begun.is_some());
    drop(reader);
}
