//! The listeners, which are all open before any of them is announced.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use access::Clock;
use config::snapshot::Process;
use proxy::{ListenerOptions, Listeners};
use tls::{ListenerTls, TlsSettings};
use tokio::net::TcpListener;

use super::ServeOptions;
use crate::failure::StartFault;

/// The protocols that the control listener offers.
const CONTROL_ALPN: &[&[u8]] = &[b"http/1.1"];

/// All listeners, before requests are accepted.
#[derive(Debug)]
pub(crate) struct OpenListeners {
    /// The listeners of the proxy; `None` in a process without a proxy.
    pub(crate) proxy: Option<Listeners>,
    pub(crate) control: TcpListener,
    pub(crate) control_tls: Option<Arc<ListenerTls>>,
    /// The TLS of all listeners.
    pub(crate) tls: Vec<Arc<ListenerTls>>,
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
        let now = Clock::system().now();
        let mut tls = Vec::new();
        let mut load = |settings: &Option<TlsSettings>, protocols: &[&[u8]]| -> anyhow::Result<_> {
            let Some(settings) = settings else { return Ok(None) };
            let loaded = Arc::new(ListenerTls::load(settings.clone(), protocols, now)?);
            tls.push(loaded.clone());
            Ok(Some(loaded))
        };
        let proxy = if options.role.proxies() {
            let listeners = process.listen.iter();
            let listeners: anyhow::Result<Vec<_>> = listeners
                .map(|listener| {
                    let (address, proxy_protocol) = (listener.address, listener.proxy_protocol);
                    Ok(ListenerOptions { address, tls: load(&listener.tls, &proxy::ALPN)?, proxy_protocol })
                })
                .collect();
            let bound = proxy::bind(&listeners?, options.workers);
            Some(bound.map_err(|error| StartFault::listen(error.address, "--listen", error.source))?)
        } else {
            None
        };
        let control_tls = load(&process.control.tls, CONTROL_ALPN)?;
        let address = process.control.listen;
        let control = TcpListener::bind(address);
        let control = control.await.map_err(|error| StartFault::listen(address, "--addr", error))?;
        let addresses = ListenAddresses {
            proxy: proxy.as_ref().map(|proxy| proxy.addresses().to_vec()).unwrap_or_default(),
            control: control.local_addr()?,
        };
        Ok(Self { proxy, control, control_tls, tls, addresses })
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
