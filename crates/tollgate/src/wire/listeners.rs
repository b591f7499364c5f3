//! The listeners, which are all open before any of them is announced.

use std::fmt;
use std::net::SocketAddr;

use config::snapshot::Process;
use proxy::Listeners;
use tokio::net::TcpListener;

use super::ServeOptions;
use crate::failure::StartFault;

/// All listeners, before requests are accepted.
#[derive(Debug)]
pub(crate) struct OpenListeners {
    /// The listeners of the proxy; `None` in a process without a proxy.
    pub(crate) proxy: Option<Listeners>,
    pub(crate) control: TcpListener,
    pub(crate) addresses: ListenAddresses,
}

/// The addresses of the listeners.
#[derive(Debug, Clone)]
pub(crate) struct ListenAddresses {
    pub(crate) proxy: Vec<SocketAddr>,
    pub(crate) control: SocketAddr,
}

impl OpenListeners {
    /// Opens the listeners that `process` configures.
    pub(crate) async fn open(process: &Process, options: &ServeOptions) -> anyhow::Result<Self> {
        let bind = || proxy::bind(&process.listen, options.workers);
        let proxy = options.role.proxies().then(bind).transpose();
        let proxy = proxy.map_err(|error| StartFault::listen(error.address, "--listen", error.source))?;
        let address = process.control.listen;
        let control = TcpListener::bind(address);
        let control = control.await.map_err(|error| StartFault::listen(address, "--addr", error))?;
        let addresses = ListenAddresses {
            proxy: proxy.as_ref().map(|proxy| proxy.addresses().to_vec()).unwrap_or_default(),
            control: control.local_addr()?,
        };
        Ok(Self { proxy, control, addresses })
    }
}

impl ListenAddresses {
    /// Returns the addresses of the proxy in one line.
    pub(crate) fn proxies(&self) -> String {
        self.proxy.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for ListenAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.proxy.is_empty() {
            write!(f, "proxy {}, ", self.proxies())?;
        }
        write!(f, "control {}", self.control)
    }
}
