//! Listening sockets: one per worker and address, which share the port by `SO_REUSEPORT`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tls::ListenerTls;

/// Maximum number of connections per listener that wait to be accepted.
pub(crate) const BACKLOG: i32 = 4096;

/// A listener to bind.
#[derive(Debug, Clone)]
pub struct ListenerOptions {
    /// The address and port.
    pub address: SocketAddr,
    /// The TLS of its connections; `None` if they have none.
    pub tls: Option<Arc<ListenerTls>>,
    /// Whether connections begin with a header of the PROXY protocol, and only trusted proxies may connect.
    pub proxy_protocol: bool,
}

/// A listening socket of one worker.
#[derive(Debug)]
pub(crate) struct BoundSocket {
    pub(crate) socket: std::net::TcpListener,
    pub(crate) tls: Option<Arc<ListenerTls>>,
    pub(crate) proxy_protocol: bool,
}

/// The bound and listening sockets of each worker.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) by_worker: Vec<Vec<BoundSocket>>,
    addresses: Vec<SocketAddr>,
}

/// An address on which the process cannot listen.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {source}{}", hint(source))]
pub struct BindError {
    /// The address from the configuration.
    pub address: SocketAddr,
    /// The error of the operating system.
    pub source: io::Error,
}

impl Listeners {
    /// Returns the addresses, with the ports that the operating system chose for port 0.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl From<SocketAddr> for ListenerOptions {
    /// Returns the options of a listener without TLS and without the PROXY protocol.
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: None, proxy_protocol: false }
    }
}

/// Binds every address once for each of `workers` threads.
///
/// # Errors
/// [`BindError`] if an address is in use or does not belong to this machine. The function first binds without
/// `SO_REUSEPORT`, because with it a second process of the same user would share the port without an error.
pub fn bind(listeners: &[ListenerOptions], workers: usize) -> Result<Listeners, BindError> {
    let mut by_worker: Vec<Vec<_>> = (0..workers.max(1)).map(|_| Vec::new()).collect();
    let mut bound = Vec::new();
    for ListenerOptions { address, tls, proxy_protocol } in listeners {
        let address = *address;
        let refused = |source| BindError { address, source };
        let probe = socket(address, false).map_err(refused)?;
        drop(probe);
        let mut actual = address;
        for sockets in &mut by_worker {
            let listener = socket(actual, true).map_err(refused)?;
            actual = listener.local_addr().map_err(refused)?;
            sockets.push(BoundSocket { socket: listener, tls: tls.clone(), proxy_protocol: *proxy_protocol });
        }
        bound.push(actual);
    }
    Ok(Listeners { by_worker, addresses: bound })
}

fn socket(address: SocketAddr, share: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if share {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

fn hint(source: &io::Error) -> &'static str {
    let hints = [
        (io::ErrorKind::AddrInUse, "; another process listens there: stop it, or choose another address"),
        (io::ErrorKind::PermissionDenied, "; ports below 1024 need a privilege: choose a higher one"),
        (io::ErrorKind::AddrNotAvailable, "; no interface of this machine has that address"),
    ];
    hints.into_iter().find(|(kind, _)| *kind == source.kind()).map_or("", |(_, hint)| hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_an_error_that_says_what_to_do() {
        let listener = |address: SocketAddr| [ListenerOptions::from(address)];
        let first = bind(&listener("127.0.0.1:0".parse().unwrap()), 2).unwrap();
        assert_eq!(first.by_worker.len(), 2);
        let taken = bind(&listener(first.addresses()[0]), 2).unwrap_err();
        assert_eq!(taken.address, first.addresses()[0]);
        assert!(taken.to_string().contains("another process listens there"), "{taken}");
    }
}
