//! Who is called, with every byte noted: a backend that reads in one sense only ([`crate::reading`]), and answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::reading::{Reading, Request, read};

/// Bytes of one connection that are not a whole request yet.
const UNREAD_BYTES_MAX: usize = 64 << 20;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// A running backend; dropped, it ends with its connections.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Entry>>>,
    _tasks: JoinSet<()>,
}

/// A line of the backend's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A whole request, which was answered 200 with `{}`.
    Whole(Request),
    /// A connection ended in the middle of these bytes.
    Cut(Vec<u8>),
    /// Bytes without one sense, and what is wrong with them; the connection was closed.
    Wrong(&'static str, Vec<u8>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// Starts one.
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
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&log)));
        Self { address, log, _tasks: tasks }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it saw after the first `after` lines, in order.
    #[must_use]
    pub fn log(&self, after: usize) -> Vec<Entry> {
        lock(&self.log).get(after..).unwrap_or_default().to_vec()
    }

    /// How many lines its log has.
    #[must_use]
    pub fn lines(&self) -> usize {
        lock(&self.log).len()
    }
}

async fn accept(listener: TcpListener, log: Arc<Mutex<Vec<Entry>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&log)));
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Entry>>>) {
    let mut bytes = Vec::new();
    loop {
        match read(&bytes) {
            Reading::Whole(request, taken) => {
                bytes.drain(..taken);
                lock(&log).push(Entry::Whole(request));
                // An error is a gateway that does not want the answer any more, which the next read finds.
                let _ = stream.write_all(ANSWER).await;
            }
            Reading::Part if bytes.len() <= UNREAD_BYTES_MAX => {
                bytes.reserve(64 * 1024);
                if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                    break;
                }
            }
            Reading::Part => return lock(&log).push(Entry::Wrong("it has no end", bytes)),
            Reading::Wrong(why) => return lock(&log).push(Entry::Wrong(why, bytes)),
        }
    }
    if !bytes.is_empty() {
        lock(&log).push(Entry::Cut(bytes));
    }
}
