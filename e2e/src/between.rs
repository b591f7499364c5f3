//! A way to a server that one process takes alone, and that may be cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Passes connections on to an address, and can end them all; dropped, it is cut.
#[derive(Debug)]
pub struct Between {
    address: SocketAddr,
    is_cut: Arc<watch::Sender<bool>>,
    _tasks: JoinSet<()>,
}

impl Between {
    /// A way to `to` (`HOST:PORT`).
    pub async fn to(to: &str) -> Self {
        let bound = TcpListener::bind("127.0.0.1:0").await.and_then(|bound| Ok((bound.local_addr()?, bound)));
        let (address, listener) = match bound {
            Ok(bound) => bound,
            Err(error) => panic!("no way to {to}: {error}"),
        };
        let is_cut = Arc::new(watch::Sender::new(false));
        let (told, to) = (Arc::clone(&is_cut), to.to_owned());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                ways.spawn(pass(near, to.clone(), told.subscribe()));
            }
        });
        Self { address, is_cut, _tasks: tasks }
    }

    /// Where it begins.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and each that comes, until it is mended.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Passes on again what comes from now on.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn pass(mut near: TcpStream, to: String, mut is_cut: watch::Receiver<bool>) {
    let through = async {
        if let Ok(mut far) = TcpStream::connect(to).await {
            // However it ends, it has ended for both.
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    };
    tokio::select! {
        biased;
        _ = is_cut.wait_for(|is_cut| *is_cut) => {}
        () = through => {}
    }
}
