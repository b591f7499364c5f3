//! The listeners, which are all open before any of them is announced.

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use access::Clock;
use config::snapshot::Process;
use proxy::{ListenerOptions, Listeners};
use tls::listening::bind_unix;
use tls::{AsyncListener, BoundListener, ListenAddress, ListenerTls, TlsSettings};
use tokio::net::TcpListener;

use super::ServeOptions;
use crate::failure::StartFault;
use crate::inherited::{self, InheritedSockets};

/// The protocols that the control listener offers.
const CONTROL_ALPN: &[&[u8]] = &[b"http/1.1"];
/// Maximum number of connections of a Unix socket that wait to be accepted, as Tokio sets it for TCP.
const CONTROL_BACKLOG: i32 = 1_024;

/// All listeners, before requests are accepted.
#[derive(Debug)]
pub(crate) struct OpenListeners {
    /// The listeners of the proxy; `None` in a process without a proxy.
    pub(crate) proxy: Option<Listeners>,
    pub(crate) control: AsyncListener,
    pub(crate) control_tls: Option<Arc<ListenerTls>>,
    /// The TLS of all listeners.
    pub(crate) tls: Vec<Arc<ListenerTls>>,
    pub(crate) addresses: ListenAddresses,
}

/// The addresses of the listeners.
#[derive(Debug, Clone)]
pub(crate) struct ListenAddresses {
    pub(crate) proxy: Vec<ListenAddress>,
    pub(crate) control: ListenAddress,
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
                    let inherited = sockets.take(&inherited::proxy_name(position), &listener.address);
                    Ok(ListenerOptions {
                        address: listener.address.clone(),
                        socket_mode: listener.socket_mode,
                        tls: load(&listener.tls, &proxy::ALPN)?,
                        proxy_protocol: listener.proxy_protocol,
                        keep_alive: process.connections.keep_alive,
                        inherited,
                    })
                })
                .collect();
            let bound = proxy::bind(listeners?, options.workers);
            Some(bound.map_err(|error| StartFault::listen(error.address, "--listen", error.source))?)
        } else {
            None
        };
        let control_tls = load(&process.control.tls, CONTROL_ALPN)?;
        let address = &process.control.listen;
        let inherited = sockets.take(inherited::CONTROL, address).into_iter().next();
        let control = control(address, process.control.socket_mode, inherited).await;
        let control = control.map_err(|error| StartFault::listen(address.clone(), "--addr", error))?;
        let addresses = ListenAddresses {
            proxy: proxy.as_ref().map(|proxy| proxy.addresses().to_vec()).unwrap_or_default(),
            control: control.address()?,
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

/// Opens the listener of control, unless a socket is inherited.
async fn control(address: &ListenAddress, mode: u32, inherited: Option<BoundListener>) -> io::Result<AsyncListener> {
    match (inherited, address) {
        (Some(socket), _) => socket.set_nonblocking(true).and_then(|()| AsyncListener::from_bound(socket)),
        (None, ListenAddress::Tcp(address)) => TcpListener::bind(address).await.map(AsyncListener::Tcp),
        (None, ListenAddress::Unix(path)) => AsyncListener::from_bound(bind_unix(path, mode, CONTROL_BACKLOG)?),
    }
}

impl ListenAddresses {
    /// Returns the addresses of the proxy in one line.
    pub(crate) fn proxies(&self) -> String {
        self.proxy.iter().map(ListenAddress::to_string).collect::<Vec<_>>().join(", ")
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
