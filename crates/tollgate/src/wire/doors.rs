//! The listeners, open before anything is said to listen.

use std::fmt;
use std::net::SocketAddr;

use anyhow::Context;
use config::Snapshot;
use proxy::Listeners;
use tokio::net::TcpListener;

/// Every listener; nobody is answered yet.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) proxy: Listeners,
    pub(crate) control: TcpListener,
    pub(crate) addresses: Addresses,
}

/// Where they listen.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    pub(crate) proxy: Vec<SocketAddr>,
    pub(crate) control: SocketAddr,
}

impl Doors {
    /// Listens where `snapshot` says.
    pub(crate) async fn open(snapshot: &Snapshot, workers: usize) -> anyhow::Result<Self> {
        let proxy = proxy::bind(&snapshot.listen, workers)?;
        let control = TcpListener::bind(snapshot.control_listen).await.with_context(|| {
            format!(
                "cannot listen on {}: stop what listens there, or choose another address with --addr",
                snapshot.control_listen
            )
        })?;
        let addresses = Addresses { proxy: proxy.addresses().to_vec(), control: control.local_addr()? };
        Ok(Self { proxy, control, addresses })
    }
}

impl Addresses {
    /// Those of the proxy, in one line.
    pub(crate) fn proxies(&self) -> String {
        self.proxy.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {}, control {}", self.proxies(), self.control)
    }
}
