//! A backend that records every byte, parses strictly with [`crate::reading`], and answers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::reading::{Reading, Request, read};

/// Maximum bytes of one connection that do not form a whole request yet.
const UNREAD_BYTES_MAX: usize = 64 << 20;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// A running backend; dropping it closes its connections.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    log: Arc<Mutex<Vec<RecorderEntry>>>,
    begun: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

/// An entry of the backend's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecorderEntry {
    /// A whole request, which was answered with 200 and `{}`.
    Whole(Request),
    /// The bytes of an incomplete request whose connection ended.
    Cut(Vec<u8>),
    /// Bytes that are not a valid request, and the reason; the connection was closed.
    Wrong(&'static str, Vec<u8>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// Starts a backend on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let bound = match TcpListener::bind("127.0.0.1:0").await {
            Ok(listener) => listener.local_addr().map(|address| (listener, address)),
            Err(error) => Err(error),
        };
        let (listener, address) = match bound {
            Ok(bound) => bound,
            Err(error) => panic!("no listener: {error}"),
        };
        let log = Arc::new(Mutex::new(Vec::new()));
        let begun = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&log), Arc::clone(&begun)));
        Self { address, log, begun, _tasks: tasks }
    }

    /// Returns the address on which the backend listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the log entries after the first `after` ones, in order.
    #[must_use]
    pub fn log(&self, after: usize) -> Vec<RecorderEntry> {
        lock(&self.log).get(after..).unwrap_or_default().to_vec()
    }

    /// Returns the number of requests that have begun to arrive and have not ended.
    #[must_use]
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Returns the number of log entries.
    #[must_use]
    pub fn lines(&self) -> usize {
        lock(&self.log).len()
    }
}

async fn accept(listener: TcpListener, log: Arc<Mutex<Vec<RecorderEntry>>>, begun: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&log), Arc::clone(&begun)));
    }
}

async fn serve(stream: TcpStream, log: Arc<Mutex<Vec<RecorderEntry>>>, begun: Arc<AtomicUsize>) {
    let mut is_begun = false;
    record(stream, &log, |bytes| {
        match (is_begun, bytes > 0) {
            (false, true) => begun.fetch_add(1, Ordering::Relaxed),
            (true, false) => begun.fetch_sub(1, Ordering::Relaxed),
            (false, false) | (true, true) => return,
        };
        is_begun = bytes > 0;
    })
    .await;
    if is_begun {
        begun.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Records a connection; `unread` is called with the number of bytes that are not part of a whole request.
async fn record(mut stream: TcpStream, log: &Mutex<Vec<RecorderEntry>>, mut unread: impl FnMut(usize)) {
    let mut bytes = Vec::new();
    loop {
        match read(&bytes) {
            Reading::Whole(request, taken) => {
                bytes.drain(..taken);
                unread(bytes.len());
                lock(log).push(RecorderEntry::Whole(request));
                // A write fails if Tollgate no longer reads the response; the next read then fails too.
                let _ = stream.write_all(ANSWER).await;
            }
            Reading::Part if bytes.len() <= UNREAD_BYTES_MAX => {
                bytes.reserve(64 * 1024);
                if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                    break;
                }
                unread(bytes.len());
            }
            Reading::Part => return lock(log).push(RecorderEntry::Wrong("it has no end", bytes)),
            Reading::Wrong(why) => return lock(log).push(RecorderEntry::Wrong(why, bytes)),
        }
    }
    if !bytes.is_empty() {
        lock(log).push(RecorderEntry::Cut(bytes));
    }
}
