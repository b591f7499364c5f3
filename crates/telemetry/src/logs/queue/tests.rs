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
    const LINE: &[u8] = b"a line of thirty-two bytes, here\n";
    const LOGGED: usize = 2 * BYTES_MAX / LINE.len();
    let (pipe, reader) = stuck();
    let dropped = result_of(move || {
        let (queue, lines) = start(pipe).unwrap();
        for _ in 0..LOGGED {
            queue.make_writer().write_all(LINE).unwrap();
        }
        let dropped = lines.dropped();
        drop(lines);
        dropped.lines()
    });
    let dropped = usize::try_from(dropped.expect("logging blocked")).unwrap();
    // Lines that the writer thread took count as long as they are not written.
    assert_eq!(dropped, LOGGED - BYTES_MAX / LINE.len());
    drop(reader);
}

#[test]
fn lines_after_the_exit_are_dropped_and_counted() {
    let (queue, lines) = start(LockedPipe::default()).unwrap();
    let dropped = lines.dropped();
    drop(lines);
    queue.make_writer().write_all(b"late\n").unwrap();
    assert_eq!(dropped.lines(), 1);
}

/// A pipe that sends each batch to the test.
struct BatchPipe(SyncSender<Vec<u8>>);

impl Write for BatchPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_keep_their_order_in_batches() {
    const THREADS: usize = 4;
    const LINES: usize = 5_000;
    let (pipe, batches) = sync_channel(THREADS * LINES);
    let (queue, lines) = start(BatchPipe(pipe)).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let queue = &queue;
            scope.spawn(move || {
                for line in 0..LINES {
                    queue.append(format!("{thread} {line}\n").as_bytes(), line % 1_000 == 0);
                }
            });
        }
    });
    drop(lines);
    let batches: Vec<Vec<u8>> = batches.try_iter().collect();
    assert!(batches.iter().all(|batch| batch.ends_with(b"\n")), "a batch has whole lines");
    let text = String::from_utf8(batches.concat()).unwrap();
    for thread in 0..THREADS {
        let of_thread = text.lines().filter_map(|line| line.strip_prefix(&format!("{thread} ")));
        assert!(of_thread.map(|line| line.parse::<usize>().unwrap()).eq(0..LINES), "{thread}");
    }
}

#[test]
fn lines_are_due_if_one_is_urgent_or_many_wait_or_at_the_exit() {
    fn check(change: impl FnOnce(&mut Buffer), is_due: bool) {
        let mut buffer = Buffer { lines: b"a line\n".to_vec(), ..Buffer::default() };
        change(&mut buffer);
        assert_eq!(buffer.is_due(), is_due, "{buffer:?}");
    }
    check(|_| (), false);
    check(|buffer| buffer.urgent = true, true);
    check(|buffer| buffer.closed = true, true);
    check(|buffer| buffer.lines.resize(BATCH_BYTES - 1, b'a'), false);
    check(|buffer| buffer.lines.resize(BATCH_BYTES, b'a'), true);
}

/// The writer thread is not waited for longer than a test may take, whatever it waits for when a line arrives.
#[test]
fn each_line_is_written_without_another_one_after_it() {
    let (pipe, batches) = sync_channel(1);
    let (queue, lines) = start(BatchPipe(pipe)).unwrap();
    for line in 0..100_u32 {
        queue.append(&line.to_le_bytes(), line % 3 == 0);
        assert_eq!(batches.recv_timeout(HANG_TIMEOUT).unwrap(), line.to_le_bytes());
    }
    drop(lines);
}

#[test]
fn lines_above_info_are_urgent() {
    let urgent = Arc::new(Mutex::new(Vec::new()));
    /// Records whether the writer of each line is urgent.
    struct Recorder(LineQueue, Arc<Mutex<Vec<bool>>>);
    impl<'a> MakeWriter<'a> for Recorder {
        type Writer = LineWriter<'a>;

        fn make_writer(&'a self) -> LineWriter<'a> {
            self.0.make_writer()
        }

        fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter<'a> {
            let writer = self.0.make_writer_for(metadata);
            self.1.lock().unwrap().push(writer.urgent);
            writer
        }
    }
    let recorder = Recorder(LineQueue(Arc::default()), Arc::clone(&urgent));
    let subscriber = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(recorder).finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::error!("of the process");
        tracing::warn!("of an upstream");
        tracing::info!("of a request");
        tracing::debug!("of a developer");
        tracing::trace!("of a developer");
    });
    assert_eq!(*urgent.lock().unwrap(), [true, true, false, false, false]);
}

/// A pipe with one result for each write.
struct FaultyPipe {
    results: Vec<io::Result<usize>>,
    written: Vec<u8>,
}

impl Write for FaultyPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.results.pop().unwrap_or(Ok(bytes.len()));
        self.written.extend_from_slice(&bytes[..*result.as_ref().unwrap_or(&0)]);
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn interrupted_writes_continue_and_failed_ones_are_counted() {
    fn check(results: Vec<io::Result<usize>>, written: &str, lost: u64) {
        let mut out = FaultyPipe { results, written: Vec::new() };
        assert_eq!(write(&mut out, b"one\ntwo\nthree\n"), lost);
        assert_eq!(String::from_utf8(out.written).unwrap(), written);
    }
    let fails = |kind: ErrorKind| Err(io::Error::from(kind));
    let all = "one\ntwo\nthree\n";
    check(vec![], all, 0);
    check(vec![Ok(3), fails(ErrorKind::Interrupted), Ok(2)], all, 0);
    check(vec![fails(ErrorKind::WouldBlock), fails(ErrorKind::WouldBlock), Ok(5)], all, 0);
    check(vec![fails(ErrorKind::BrokenPipe)], "", 3);
    check(vec![fails(ErrorKind::BrokenPipe), Ok(5)], "one\nt", 2);
    check(vec![Ok(0)], "", 3);
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
    const LINES: usize = 10_000;
    let out = LockedPipe::default();
    let (queue, lines) = start(out.clone()).unwrap();
    let held = out.0.lock().unwrap();
    for _ in 0..LINES {
        queue.make_writer().write_all(b"a line\n").unwrap();
    }
    let dropped = lines.dropped();
    drop(held);
    drop(lines);
    assert_eq!(out.0.lock().unwrap().len(), LINES * b"a line\n".len());
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
