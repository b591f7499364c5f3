//! A network between the store and PostgreSQL that loses selected messages, and counts statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use access::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Fate of the next `COMMIT` that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Loss {
    Nothing,
    /// The commit does not arrive.
    Commit,
    /// The commit arrives, its response does not.
    Answer,
    /// The commit arrives, its response does not, and the connection stays open but silent.
    Silence,
}

/// Begin of the message that executes a prepared statement: its type, its length, and the empty name of its portal. The
/// maximum number of rows follows.
const EXECUTE: &[u8] = b"E\0\0\0\x09\0";
/// Length of the whole message.
const EXECUTE_BYTES: usize = 10;

pub(crate) struct LossyNetwork {
    switches: Switches,
    _serving: JoinSet<()>,
}

#[derive(Clone)]
struct Switches {
    loss: Arc<AtomicU8>,
    statements: Arc<AtomicUsize>,
    up: watch::Sender<bool>,
    heard: watch::Sender<bool>,
}

impl LossyNetwork {
    /// Opens a network to the server of `url`.
    pub(crate) async fn to(url: &Secret) -> (Self, Secret) {
        let (front, rest) = url.expose().split_once("@127.0.0.1:").unwrap();
        let (port, name) = rest.split_once('/').unwrap();
        let server: u16 = port.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let switches = Switches {
            loss: Arc::new(AtomicU8::new(Loss::Nothing as u8)),
            statements: Arc::default(),
            up: watch::Sender::new(true),
            heard: watch::Sender::new(true),
        };
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, server, switches.clone()));
        let through = Secret::new(format!("{front}@127.0.0.1:{port}/{name}"));
        (Self { switches, _serving: serving }, through)
    }

    /// Cuts the connection at the next commit, or makes it silent there.
    pub(crate) fn lose(&self, loss: Loss) {
        self.switches.loss.store(loss as u8, Ordering::SeqCst);
    }

    /// Whether a loss has occurred.
    pub(crate) fn has_lost(&self) -> bool {
        self.switches.loss.load(Ordering::SeqCst) == Loss::Nothing as u8
    }

    /// Returns the number of prepared statements that the store has executed, without the first of each connection.
    pub(crate) fn statements(&self) -> usize {
        self.switches.statements.load(Ordering::SeqCst)
    }

    /// With `false`, cuts all connections and accepts no others.
    pub(crate) fn set_up(&self, up: bool) {
        self.switches.up.send_replace(up);
    }

    /// With `false`, forwards no data from the server and closes no connection.
    pub(crate) fn set_heard(&self, heard: bool) {
        self.switches.heard.send_replace(heard);
    }
}

async fn serve(listener: TcpListener, server: u16, switches: Switches) {
    let mut connections = JoinSet::new();
    loop {
        let (from, _) = listener.accept().await.unwrap();
        let mut cut = switches.up.subscribe();
        if !*cut.borrow_and_update() {
            continue;
        }
        let to = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
        let switches = switches.clone();
        connections.spawn(async move {
            let (from_read, from_write) = from.into_split();
            let (to_read, to_write) = to.into_split();
            tokio::select! {
                () = there(from_read, to_write, &switches) => {}
                () = back(to_read, from_write, &switches) => {}
                _ = cut.changed() => {}
            }
        });
    }
}

/// Forwards data from the store; returns if the connection is to be cut.
async fn there(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, Switches { loss, statements, .. }: &Switches) {
    let mut bytes = vec![0; 64 << 10];
    // The last bytes of the previous read, in which a message may begin.
    let mut tail = Vec::new();
    // The first statement of a connection sets its time limits, and a connection may be opened at any time.
    let mut is_set_up = false;
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        tail.extend_from_slice(&bytes[..read]);
        for _ in tail.windows(EXECUTE_BYTES).filter(|message| message.starts_with(EXECUTE)) {
            statements.fetch_add(usize::from(is_set_up), Ordering::SeqCst);
            is_set_up = true;
        }
        tail.drain(..tail.len().saturating_sub(EXECUTE_BYTES - 1));
        let commits = bytes[..read].windows(7).any(|window| window == b"COMMIT\0");
        if read == 0 || (commits && take(loss, Loss::Commit)) || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// Forwards the responses of the server.
async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, Switches { loss, heard, .. }: &Switches) {
    let mut heard = heard.subscribe();
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        heard.wait_for(|heard| *heard).await.unwrap();
        let committed = bytes[..read].windows(7).any(|window| window == b"COMMIT\0");
        if committed && take(loss, Loss::Silence) {
            std::future::pending::<()>().await;
        }
        if read == 0 || (committed && take(loss, Loss::Answer)) || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

fn take(loss: &AtomicU8, wanted: Loss) -> bool {
    loss.compare_exchange(wanted as u8, Loss::Nothing as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok()
}
