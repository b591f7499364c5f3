//! The listeners, which are all open before any of them is announced.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use access::Clock;
use config::snapshot::Process;
use proxy::{ListenerOptions, Listeners};
use tls::{ListenerTls, TlsSettings};
use tokio::net::TcpListener;

use super::ServeOptions;
use crate::failure::StartFault;
use crate::inherited::{self, InheritedSockets};

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
    /// Opens the listeners that `process` configures, of inherited sockets if there are any.
    pub(crate) async fn open(
        process: &Process,
        options: &ServeOptions,
        sockets: &mut InheritedSockets,
    ) -> anyhow::Result<Self> {
        let now = Clock::system().now();
        let mut tls = Vec::new();
        let mut load = |settings: &Option<TlsSettings>, protocols: &[&[u8]]| -> anyhow::Result<_> {
            let Some(settings) = settings else { return Ok(None) };
            let loaded = Arc::new(ListenerTls::load(settings.clone(), protocols, now)?);
            tls.push(loaded.clone());
            Ok(Some(loaded))
        };
        let proxy = if options.role.proxies() {
            let listeners = process.listen.iter().enumerate();
            let listeners: anyhow::Result<Vec<_>> = listeners
                .map(|(position, listener)| {
                    let (address, proxy_protocol) = (listener.address, listener.proxy_protocol);
                    let inherited = sockets.take(&inherited::proxy_name(position), address);
                    let (tls, keep_alive) = (load(&listener.tls, &proxy::ALPN)?, process.connections.keep_alive);
                    Ok(ListenerOptions { address, tls, proxy_protocol, keep_alive, inherited })
                })
                .collect();
            let bound = proxy::bind(listeners?, options.workers);
            Some(bound.map_err(|error| StartFault::listen(error.address, "--listen", error.source))?)
        } else {
            None
        };
        let control_tls = load(&process.control.tls, CONTROL_ALPN)?;
        let address = process.control.listen;
        let control = match sockets.take(inherited::CONTROL, address).into_iter().next() {
            Some(socket) => socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket)),
            None => TcpListener::bind(address).await,
        };
        let control = control.map_err(|error| StartFault::listen(address, "--addr", error))?;
        let addresses = ListenAddresses {
            proxy: proxy.as_ref().map(|proxy| proxy.addresses().to_vec()).unwrap_or_default(),
            control: control.local_addr()?,
        };
        Ok(Self { proxy, control, control_tls, tls, addresses })
    }

    /// Returns another handle of each socket, with its name for a successor.
    pub(super) fn handles(&self) -> std::io::Result<Vec<(String, OwnedFd)>> {
        let proxy = self.proxy.as_ref().map(Listeners::handles).transpose()?.unwrap_or_default();
        let mut handles: Vec<_> =
            proxy.into_iter().map(|(position, fd)| (inherited::proxy_name(position), fd)).collect();
        handles.push((inherited::CONTROL.to_owned(), self.control.as_fd().try_clone_to_owned()?));
        Ok(handles)
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
