//! Who is called: a server that does as a script says, and remembers what it received.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::wire::{Head, Wire};

/// A scripted server; dropped, it ends with its connections.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    record: Arc<Record>,
    _tasks: JoinSet<()>,
}

/// An address where nobody listens, and nobody else can while this lives.
#[derive(Debug)]
pub struct Nobody {
    address: SocketAddr,
    _bound: TcpSocket,
}

impl Nobody {
    /// Takes a port without listening on it.
    #[must_use]
    pub fn new() -> Self {
        let bound = TcpSocket::new_v4().and_then(|socket| {
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            Ok(Self { address: socket.local_addr()?, _bound: socket })
        });
        match bound {
            Ok(nobody) => nobody,
            Err(error) => panic!("no port: {error}"),
        }
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Default for Nobody {
    fn default() -> Self {
        Self::new()
    }
}

/// One request that was received.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// Its head.
    pub head: Head,
    /// Its body, as far as the script read it.
    pub body: Vec<u8>,
    /// Whether the script read all of it.
    pub whole: bool,
}

#[derive(Debug, Default)]
struct Record {
    seen: Mutex<Vec<Seen>>,
    opened: Mutex<usize>,
    closed: Mutex<usize>,
}

/// A request in a script's hands. Given back, its connection is kept alive; dropped, it is closed.
#[derive(Debug)]
pub struct Turn {
    /// The request's head.
    pub head: Head,
    /// The connection; what is written to it is the answer.
    pub wire: Wire,
    /// Which connection it is, from 0.
    pub connection: usize,
    /// Which request it is on its connection, from 0.
    pub number: usize,
    index: usize,
    record: Arc<Record>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstream {
    /// One that does as `script` says for each request.
    pub async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Turn) -> F + Send + Sync + 'static,
        F: Future<Output = Option<Turn>> + Send + 'static,
    {
        let (listener, address) = match TcpListener::bind("127.0.0.1:0").await {
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

    /// One that reads each body and gives the same answer: a head without framing, and a body.
    pub async fn answering(head: &str, body: impl AsRef<[u8]>) -> Self {
        let (head, body) = (head.to_owned(), body.as_ref().to_vec());
        Self::start(move |mut turn| {
            let (head, body) = (head.clone(), body.clone());
            async move {
                turn.read_body().await;
                turn.answer(&head, &body).await;
                Some(turn)
            }
        })
        .await
    }

    /// One that answers every call with this JSON.
    pub async fn json(body: &Value) -> Self {
        Self::answering("200 OK\r\ncontent-type: application/json", body.to_string()).await
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it received so far, in order of the heads.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.record.seen).clone()
    }

    /// The only request that it received.
    #[must_use]
    #[track_caller]
    pub fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "one request, not {}", seen.len());
        seen.remove(0)
    }

    /// Connections that were opened so far.
    #[must_use]
    pub fn opened(&self) -> usize {
        *lock(&self.record.opened)
    }

    /// Connections whose end was seen so far, whoever ended them.
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
        // Without a delay a test sees each write as a segment of its own.
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
            seen.push(Seen { connection, head: head.clone(), ..Seen::default() });
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
    /// Reads the body to its end, or as far as it comes.
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

    /// Answers with a status line's end and headers, `content-length` and a body. False when the peer is gone.
    pub async fn answer(&mut self, head: &str, body: &[u8]) -> bool {
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
        self.write(head.as_bytes()).await && self.write(body).await
    }

    /// Answers with a head for a chunked body.
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

    /// Writes bytes as they are; a character of `text` is a byte. False when the peer is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.wire.write(bytes).await.is_ok()
    }
}
