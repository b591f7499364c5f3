//! A network between the store and PostgreSQL that loses selected messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

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

pub(crate) struct LossyNetwork {
    loss: Arc<AtomicU8>,
    up: watch::Sender<bool>,
    heard: watch::Sender<bool>,
    _serving: JoinSet<()>,
}

impl LossyNetwork {
    /// Opens a network to the server of `url`.
    pub(crate) async fn to(url: &Secret) -> (Self, Secret) {
        let (front, rest) = url.expose().split_once("@127.0.0.1:").unwrap();
        let (port, name) = rest.split_once('/').unwrap();
        let server: u16 = port.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (up, heard) = (watch::Sender::new(true), watch::Sender::new(true));
        let loss = Arc::new(AtomicU8::new(Loss::Nothing as u8));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, server, loss.clone(), (up.clone(), heard.clone())));
        let through = Secret::new(format!("{front}@127.0.0.1:{port}/{name}"));
        (Self { loss, up, heard, _serving: serving }, through)
    }

    /// Cuts the connection at the next commit, or makes it silent there.
    pub(crate) fn lose(&self, loss: Loss) {
        self.loss.store(loss as u8, Ordering::SeqCst);
    }

    /// Whether a loss has occurred.
    pub(crate) fn has_lost(&self) -> bool {
        self.loss.load(Ordering::SeqCst) == Loss::Nothing as u8
    }

    /// With `false`, cuts all connections and accepts no others.
    pub(crate) fn set_up(&self, up: bool) {
        self.up.send_replace(up);
    }

    /// With `false`, forwards no data from the server and closes no connection.
    pub(crate) fn set_heard(&self, heard: bool) {
        self.heard.send_replace(heard);
    }
}

type Switches = (watch::Sender<bool>, watch::Sender<bool>);

async fn serve(listener: TcpListener, server: u16, loss: Arc<AtomicU8>, switches: Switches) {
    let (up, heard) = switches;
    let mut connections = JoinSet::new();
    loop {
        let (from, _) = listener.accept().await.unwrap();
        let mut cut = up.subscribe();
        if !*cut.borrow_and_update() {
            continue;
        }
        let to = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
        let (loss, heard) = (loss.clone(), heard.subscribe());
        connections.spawn(async move {
            let ((from_read, from_write), (to_read, to_write)) = (from.into_split(), to.into_split());
            tokio::select! {
                () = there(from_read, to_write, &loss) => {}
                () = back(to_read, from_write, &loss, heard) => {}
                _ = cut.changed() => {}
            }
        });
    }
}

/// Forwards data from the store; returns if the connection is to be cut.
async fn there(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, loss: &AtomicU8) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        let commits = bytes[..read].windows(7).any(|window| window == b"COMMIT\0");
        if read == 0 || (commits && take(loss, Loss::Commit)) || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// Forwards the responses of the server.
async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, loss: &AtomicU8, mut heard: watch::Receiver<bool>) {
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
