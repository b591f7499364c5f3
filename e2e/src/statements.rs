//! A relay to PostgreSQL that is cut at the n-th statement, before the server receives it or after the server executed
//! it. Its client cannot distinguish the two cases.
//!
//! A statement is one unit for which the client waits: a simple query, or messages of the extended protocol that
//! contain an `Execute` and end with a `Sync`. The check of a connection that returns to its pool is not counted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Begin of the simple query that checks a connection between two uses.
const CHECK: &[u8] = b"SELECT current_setting('transaction_read_only')";

/// The moment at which the connection is cut, relative to the n-th statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never receives the statement.
    Before,
    /// The server has executed the statement, and its response is lost.
    After,
}

/// Relays connections; dropping it closes them.
#[derive(Debug)]
pub struct StatementRelay {
    address: SocketAddr,
    plan: Arc<Plan>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Plan {
    /// Twice the number of the statement to cut, plus one to cut after it; 0 counts no statement.
    nth: AtomicU64,
    count: AtomicU64,
    cuts: AtomicU64,
}

impl Plan {
    /// Counts a statement; returns how to cut its connection if it is the planned one.
    fn take(&self) -> Option<Cut> {
        let nth = self.nth.load(Ordering::SeqCst);
        if nth == 0 || self.count.fetch_add(1, Ordering::SeqCst) + 1 != nth / 2 {
            return None;
        }
        self.cuts.fetch_add(1, Ordering::SeqCst);
        Some(if nth.is_multiple_of(2) { Cut::Before } else { Cut::After })
    }
}

impl StatementRelay {
    /// Starts a relay to the address `to` (`HOST:PORT`).
    pub async fn to(to: &str) -> Self {
        let bound = TcpListener::bind("127.0.0.1:0").await.and_then(|bound| Ok((bound.local_addr()?, bound)));
        let (address, listener) = bound.unwrap_or_else(|error| panic!("no relay to {to}: {error}"));
        let plan = Arc::new(Plan::default());
        let cut_now = Arc::clone(&plan);
        let to = to.to_owned();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let plan = Arc::clone(&cut_now);
                let to = to.clone();
                // An error of one direction ends the connection for both peers.
                ways.spawn(async move { drop(pass(near, &to, &plan).await) });
            }
        });
        Self { address, plan, _tasks: tasks }
    }

    /// Returns the address on which the relay listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts at the n-th statement from now on, once.
    pub fn cut(&self, nth: u64, cut: Cut) {
        self.plan.nth.store(0, Ordering::SeqCst);
        self.plan.count.store(0, Ordering::SeqCst);
        self.plan.nth.store(nth * 2 + u64::from(cut == Cut::After), Ordering::SeqCst);
    }

    /// Cuts no further statement; returns the number of cuts since the last call.
    pub fn mend(&self) -> u64 {
        self.plan.nth.store(0, Ordering::SeqCst);
        self.plan.cuts.swap(0, Ordering::SeqCst)
    }
}

async fn pass(near: TcpStream, to: &str, plan: &Plan) -> io::Result<()> {
    let far = TcpStream::connect(to).await?;
    let near = near.into_split();
    let far = far.into_split();
    // One message means: cut the connection after the next `ReadyForQuery`.
    let (cut_after, cut_now) = mpsc::channel(1);
    tokio::select! {
        done = relay_requests(near.0, far.1, plan, cut_after) => done,
        done = relay_responses(far.0, near.1, cut_now) => done,
    }
}

/// Relays messages from the client to the server, one statement at a time.
async fn relay_requests(
    mut near: OwnedReadHalf,
    mut far: OwnedWriteHalf,
    plan: &Plan,
    cut_after: mpsc::Sender<()>,
) -> io::Result<()> {
    // Startup messages have no type byte: first a request for TLS (which the server declines), then the parameters.
    loop {
        let (length, body) = start(&mut near).await?;
        far.write_all(&length).await?;
        far.write_all(&body).await?;
        if body.get(..4) != Some(&80_877_103_u32.to_be_bytes()) {
            break;
        }
    }
    let mut buffered = Vec::new();
    let mut executes = false;
    loop {
        let kind = message(&mut near, &mut buffered).await?;
        let is_check = kind == b'Q' && buffered.get(5..).is_some_and(|text| text.starts_with(CHECK));
        executes |= matches!(kind, b'E' | b'Q') && !is_check;
        // A `Flush` waits for a response too; its statement ends at the `Sync`.
        if !matches!(kind, b'S' | b'Q' | b'X' | b'H' | b'p') {
            continue;
        }
        let cut = if std::mem::take(&mut executes) { plan.take() } else { None };
        match cut {
            Some(Cut::Before) => return Ok(()),
            Some(Cut::After) => cut_after.try_send(()).map_err(io::Error::other)?,
            None => {}
        }
        far.write_all(&buffered).await?;
        buffered.clear();
    }
}

/// Relays from the server to the client; discards the response of the statement after which it cuts.
async fn relay_responses(
    mut far: OwnedReadHalf,
    mut near: OwnedWriteHalf,
    mut cut_now: mpsc::Receiver<()>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            biased;
            _ = cut_now.recv() => break,
            count = far.read(&mut bytes) => match count? {
                0 => return Ok(()),
                count => near.write_all(bytes.get(..count).unwrap_or_default()).await?,
            },
        }
    }
    // The response ends with `ReadyForQuery`: `Z`, a length of 5, and a state byte.
    let mut last: Vec<u8> = Vec::new();
    loop {
        let count = far.read(&mut bytes).await?;
        last.extend(bytes.get(..count).unwrap_or_default());
        if count == 0 || last.get(last.len().saturating_sub(6)..).is_some_and(|end| end.starts_with(b"Z\0\0\0\x05")) {
            return Ok(());
        }
    }
}

async fn start(near: &mut OwnedReadHalf) -> io::Result<([u8; 4], Vec<u8>)> {
    let mut length = [0; 4];
    near.read_exact(&mut length).await?;
    let mut body = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
    near.read_exact(&mut body).await?;
    Ok((length, body))
}

/// Appends the next message to `buffered`; returns its type byte.
async fn message(near: &mut OwnedReadHalf, buffered: &mut Vec<u8>) -> io::Result<u8> {
    let mut head = [0; 5];
    near.read_exact(&mut head).await?;
    let [kind, length @ ..] = head;
    buffered.extend(head);
    let from = buffered.len();
    buffered.resize(from + (u32::from_be_bytes(length) as usize).saturating_sub(4), 0);
    near.read_exact(buffered.get_mut(from..).unwrap_or_default()).await?;
    Ok(kind)
}
