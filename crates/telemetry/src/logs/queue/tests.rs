use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

/// Far longer than anything here takes that does not hang.
const HANGS: Duration = Duration::from_secs(30);

/// A pipe that nobody reads, until its other end is dropped.
struct Stuck(Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stuck() -> (Stuck, SyncSender<()>) {
    let (reader, pipe) = sync_channel(0);
    (Stuck(pipe), reader)
}

/// Does `work` on another thread; answers whether it ended.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, ended) = sync_channel(1);
    thread::spawn(move || done.send(work()));
    ended.recv_timeout(HANGS).ok()
}

#[test]
fn logging_goes_on_and_ends_while_nobody_reads() {
    const LOGGED: usize = 100_000;
    let (pipe, reader) = stuck();
    let dropped = ends(move || {
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
    let dropped = usize::try_from(dropped.expect("the caller was held up")).unwrap();
    // One line may have left the queue, and is in the hands of who writes.
    assert!((LOGGED - LINES_MAX - 1..=LOGGED - LINES_MAX).contains(&dropped), "{dropped}");
    drop(reader);
}

/// A pipe that takes nothing while a test holds it.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Vec<u8>>>);

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_wait_at_the_end_are_written() {
    let out = Held::default();
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
fn what_hangs_is_left_behind() {
    let (pipe, reader) = stuck();
    let begun = ends(move || {
        at_most(Duration::from_millis(10), move || {
            let mut pipe = pipe;
            let _ = pipe.write(b"words");
        });
    });
    assert!(begun.is_some());
    drop(reader);
}
