//! A TCP relay between one process and a server, which a test can cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Relays connections to one address and can close them all; dropping it also closes them.
#[derive(Debug)]
pub struct TcpRelay {
    address: SocketAddr,
    is_cut: Arc<watch::Sender<bool>>,
    _tasks: JoinSet<()>,
}

impl TcpRelay {
    /// Starts a relay to the address `to` (`HOST:PORT`).
    pub async fn to(to: &str) -> Self {
        let bound = TcpListener::bind("127.0.0.1:0").await.and_then(|bound| Ok((bound.local_addr()?, bound)));
        let (address, listener) = match bound {
            Ok(bound) => bound,
            Err(error) => panic!("no relay to {to}: {error}"),
        };
        let is_cut = Arc::new(watch::Sender::new(false));
        let cut_signal = Arc::clone(&is_cut);
        let to = to.to_owned();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                ways.spawn(pass(near, to.clone(), cut_signal.subscribe()));
            }
        });
        Self { address, is_cut, _tasks: tasks }
    }

    /// Returns the address on which the relay listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection, and each new one at once, until [`TcpRelay::mend`] is called.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Relays new connections again.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn pass(mut near: TcpStream, to: String, mut is_cut: watch::Receiver<bool>) {
    let through = async {
        if let Ok(mut far) = TcpStream::connect(to).await {
            // An error of one direction ends the connection for both peers.
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    };
    tokio::select! {
        biased;
        _ = is_cut.wait_for(|is_cut| *is_cut) => {}
        () = through => {}
    }
}
