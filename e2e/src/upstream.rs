//! A server that answers by a script and records the received requests.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::wire::{Head, Wire};

/// A scripted server; dropping it closes its connections.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    record: Arc<Record>,
    _tasks: JoinSet<()>,
}

/// A port without a listener, reserved while this value exists.
#[derive(Debug)]
pub struct ReservedPort {
    address: SocketAddr,
    _bound: TcpSocket,
}

impl ReservedPort {
    /// Reserves a port without listening on it.
    #[must_use]
    pub fn new() -> Self {
        let bound = TcpSocket::new_v4().and_then(|socket| {
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            Ok(Self { address: socket.local_addr()?, _bound: socket })
        });
        match bound {
            Ok(closed_port) => closed_port,
            Err(error) => panic!("no port: {error}"),
        }
    }

    /// Returns the reserved address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Default for ReservedPort {
    fn default() -> Self {
        Self::new()
    }
}

/// One request that the server received.
#[derive(Debug, Clone, Default)]
pub struct ReceivedRequest {
    /// The number of its connection, from 0.
    pub connection: usize,
    /// The head of the request.
    pub head: Head,
    /// The body, as far as the script read it.
    pub body: Vec<u8>,
    /// Whether the script read the whole body.
    pub whole: bool,
}

#[derive(Debug, Default)]
struct Record {
    seen: Mutex<Vec<ReceivedRequest>>,
    opened: Mutex<usize>,
    closed: Mutex<usize>,
}

/// A request that a script handles. If the script returns it, the connection stays open; if it drops it, the
/// connection is closed.
#[derive(Debug)]
pub struct Turn {
    /// The head of the request.
    pub head: Head,
    /// The connection; bytes written to it are the response.
    pub wire: Wire,
    /// The number of the connection, from 0.
    pub connection: usize,
    /// The number of the request on its connection, from 0.
    pub number: usize,
    index: usize,
    record: Arc<Record>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstream {
    /// Starts a server that runs `script` for each request.
    pub async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Turn) -> F + Send + Sync + 'static,
        F: Future<Output = Option<Turn>> + Send + 'static,
    {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    /// Starts a server at this address that runs `script` for each request.
    pub async fn start_at<S, F>(at: SocketAddr, script: S) -> Self
    where
        S: Fn(Turn) -> F + Send + Sync + 'static,
        F: Future<Output = Option<Turn>> + Send + 'static,
    {
        let (listener, address) = match TcpListener::bind(at).await {
            Ok(listener) => match listener.local_addr() {
                Ok(address) => (listener, address),
                Err(error) => panic!("no address: {error}"),
            },
            Err(error) => panic!("no listener: {error}"),
        };
        let record = Arc::new(Record::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&record), Arc::new(script)));
        Self { address, record, _tasks: tasks }
    }

    /// Starts a server that reads each body and sends the same response: a head without framing, and a body.
    pub async fn answering(head: &str, body: impl AsRef<[u8]>) -> Self {
        let head = head.to_owned();
        let body = body.as_ref().to_vec();
        Self::start(move |mut turn| {
            let head = head.clone();
            let body = body.clone();
            async move {
                turn.read_body().await;
                turn.answer(&head, &body).await;
                Some(turn)
            }
        })
        .await
    }

    /// Starts a server that answers every request with this JSON.
    pub async fn json(body: &Value) -> Self {
        Self::answering("200 OK\r\ncontent-type: application/json", body.to_string()).await
    }

    /// Returns the address on which the server listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the requests received so far, in the order of their heads.
    #[must_use]
    pub fn seen(&self) -> Vec<ReceivedRequest> {
        lock(&self.record.seen).clone()
    }

    /// Returns the only request received; panics if there is not exactly one.
    #[must_use]
    #[track_caller]
    pub fn only(&self) -> ReceivedRequest {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "expected one request, received {}", seen.len());
        seen.remove(0)
    }

    /// Returns how many connections were opened so far.
    #[must_use]
    pub fn opened(&self) -> usize {
        *lock(&self.record.opened)
    }

    /// Returns how many connections have ended so far, by either peer.
    #[must_use]
    pub fn closed(&self) -> usize {
        *lock(&self.record.closed)
    }
}

async fn accept<S, F>(listener: TcpListener, record: Arc<Record>, script: Arc<S>)
where
    S: Fn(Turn) -> F + Send + Sync + 'static,
    F: Future<Output = Option<Turn>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Without Nagle's algorithm each write becomes a segment, which tests observe.
        let _ = stream.set_nodelay(true);
        let connection = {
            let mut opened = lock(&record.opened);
            *opened += 1;
            *opened - 1
        };
        connections.spawn(serve(Wire::new(stream), connection, Arc::clone(&record), Arc::clone(&script)));
    }
}

async fn serve<S, F>(mut wire: Wire, connection: usize, record: Arc<Record>, script: Arc<S>)
where
    S: Fn(Turn) -> F + Send + Sync + 'static,
    F: Future<Output = Option<Turn>> + Send + 'static,
{
    for number in 0.. {
        let Some(head) = wire.idle_head().await else { break };
        let index = {
            let mut seen = lock(&record.seen);
            seen.push(ReceivedRequest { connection, head: head.clone(), ..ReceivedRequest::default() });
            seen.len() - 1
        };
        let turn = Turn { head, wire, connection, number, index, record: Arc::clone(&record) };
        match script(turn).await {
            Some(turn) => wire = turn.wire,
            None => break,
        }
    }
    *lock(&record.closed) += 1;
}

impl Turn {
    /// Reads the body to its end, or until the connection ends.
    pub async fn read_body(&mut self) -> Vec<u8> {
        let (body, whole) = match self.head.framing() {
            Some(framing) => self.wire.body(framing).await,
            None => (Vec::new(), true),
        };
        if let Some(seen) = lock(&self.record.seen).get_mut(self.index) {
            seen.body.clone_from(&body);
            seen.whole = whole;
        }
        body
    }

    /// Answers with the rest of a status line and header fields, adds `content-length`, and sends the body. Returns
    /// false if the client has disconnected.
    pub async fn answer(&mut self, head: &str, body: &[u8]) -> bool {
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
        self.write(head.as_bytes()).await && self.write(body).await
    }

    /// Sends the head of a response with a chunked body.
    pub async fn stream(&mut self, head: &str) -> bool {
        self.write(format!("HTTP/1.1 {head}\r\ntransfer-encoding: chunked\r\n\r\n").as_bytes()).await
    }

    /// Writes one chunk; an empty one ends the body.
    pub async fn chunk(&mut self, data: &[u8]) -> bool {
        let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
        chunk.extend(data);
        chunk.extend(b"\r\n");
        self.write(&chunk).await
    }

    /// Writes the bytes unchanged. Returns false if the client has disconnected.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.wire.write(bytes).await.is_ok()
    }
}
