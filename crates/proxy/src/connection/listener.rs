//! Listening sockets: one per worker and address, which share the port by `SO_REUSEPORT`, or those that another process has
//! opened.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use thiserror::Error;
use tls::listening::bind_unix;
use tls::{BoundListener, ListenAddress, ListenerTls};

use crate::upstream::socket::probe_silent;

/// Maximum number of connections per listener that wait to be accepted.
pub(crate) const BACKLOG: i32 = 4096;

/// A listener to bind.
#[derive(Debug)]
pub struct ListenerOptions {
    /// The address of the listener.
    pub address: ListenAddress,
    /// The permissions of the file of a Unix socket.
    pub socket_mode: u32,
    /// The TLS of its connections; `None` if they have none.
    pub tls: Option<Arc<ListenerTls>>,
    /// Whether connections begin with a header of the PROXY protocol, and only trusted proxies may connect.
    pub proxy_protocol: bool,
    /// Time after which TCP probes a silent connection; `None` if it does not.
    pub keep_alive: Option<Duration>,
    /// The listening sockets of this address that another process has opened. Without any, the address is bound.
    pub inherited: Vec<BoundListener>,
}

/// A listening socket of one worker.
#[derive(Debug)]
pub(crate) struct BoundSocket {
    /// The position of its listener in the configuration.
    pub(crate) position: usize,
    pub(crate) socket: BoundListener,
    pub(crate) tls: Option<Arc<ListenerTls>>,
    pub(crate) proxy_protocol: bool,
}

/// The bound and listening sockets of each worker.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) by_worker: Vec<Vec<BoundSocket>>,
    addresses: Vec<ListenAddress>,
}

/// An address on which the process cannot listen.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {source}{}", hint(source))]
pub struct BindError {
    /// The address from the configuration.
    pub address: ListenAddress,
    /// The error of the operating system.
    pub source: io::Error,
}

impl Listeners {
    /// Returns the addresses, with the ports that the operating system chose for port 0.
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// Returns another handle of each socket, with the position of its listener in the configuration. A socket is closed once
    /// all its handles are.
    ///
    /// # Errors
    /// The process has too many open files.
    pub fn handles(&self) -> io::Result<Vec<(usize, OwnedFd)>> {
        let sockets = self.by_worker.iter().flatten();
        sockets.map(|bound| Ok((bound.position, bound.socket.try_clone()?.into()))).collect()
    }
}

impl From<SocketAddr> for ListenerOptions {
    /// Returns the options of a listener without TLS and without the PROXY protocol.
    fn from(address: SocketAddr) -> Self {
        let address = address.into();
        Self { address, socket_mode: 0, tls: None, proxy_protocol: false, keep_alive: None, inherited: Vec::new() }
    }
}

/// Binds every address once for each of `workers` threads, unless its sockets are inherited. A Unix socket is bound once and
/// shared by them.
///
/// # Errors
/// [`BindError`] if an address is in use or does not belong to this machine. The function first binds without
/// `SO_REUSEPORT`, because with it a second process of the same user would share the port without an error.
pub fn bind(listeners: Vec<ListenerOptions>, workers: usize) -> Result<Listeners, BindError> {
    let workers = workers.max(1);
    let mut by_worker: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for (position, listener) in listeners.into_iter().enumerate() {
        let ListenerOptions { address, socket_mode, tls, proxy_protocol, keep_alive, inherited } = listener;
        let refused = |source| BindError { address: address.clone(), source };
        let sockets = match &address {
            _ if !inherited.is_empty() => adopted(inherited, workers),
            ListenAddress::Tcp(address) => bound(*address, workers),
            ListenAddress::Unix(path) => bound_unix(path, socket_mode, workers),
        };
        let sockets = sockets.map_err(refused)?;
        // Accepted connections have the options of their listening socket.
        sockets.iter().try_for_each(|socket| probe(socket, keep_alive)).map_err(refused)?;
        let actual = sockets.first().map_or(Ok(address.clone()), BoundListener::address).map_err(refused)?;
        addresses.push(actual);
        let mut left = sockets.into_iter();
        while left.len() > 0 {
            for (own, socket) in by_worker.iter_mut().zip(&mut left) {
                own.push(BoundSocket { position, socket, tls: tls.clone(), proxy_protocol });
            }
        }
    }
    Ok(Listeners { by_worker, addresses })
}

/// Binds an address once for each worker.
fn bound(address: SocketAddr, workers: usize) -> io::Result<Vec<BoundListener>> {
    let probe = socket(address, false)?;
    drop(probe);
    let mut actual = address;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let listener = socket(actual, true)?;
        actual = listener.local_addr()?;
        sockets.push(BoundListener::Tcp(listener));
    }
    Ok(sockets)
}

/// Binds a Unix socket.
fn bound_unix(path: &Path, mode: u32, workers: usize) -> io::Result<Vec<BoundListener>> {
    adopted(vec![bind_unix(path, mode, BACKLOG)?], workers)
}

/// Lets TCP probe the silent connections of a socket.
fn probe(socket: &BoundListener, keep_alive: Option<Duration>) -> io::Result<()> {
    match socket {
        BoundListener::Tcp(listener) => probe_silent(&SockRef::from(listener), keep_alive),
        BoundListener::Unix(_) => Ok(()),
    }
}

/// Prepares inherited sockets. All of them are used, because clients may wait in each; if there are fewer than workers, several
/// workers accept from one.
fn adopted(mut sockets: Vec<BoundListener>, workers: usize) -> io::Result<Vec<BoundListener>> {
    let shared: Vec<BoundListener> = sockets
        .iter()
        .cycle()
        .take(workers.max(sockets.len()))
        .skip(sockets.len())
        .map(BoundListener::try_clone)
        .collect::<io::Result<_>>()?;
    sockets.extend(shared);
    for socket in &sockets {
        socket.set_nonblocking(true)?;
    }
    Ok(sockets)
}

fn socket(address: SocketAddr, share: bool) -> io::Result<TcpListener> {
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
        let listener = |address: SocketAddr| vec![ListenerOptions::from(address)];
        let first = bind(listener("127.0.0.1:0".parse().unwrap()), 2).unwrap();
        assert_eq!(first.by_worker.len(), 2);
        let taken = bind(listener(first.addresses()[0].tcp().unwrap()), 2).unwrap_err();
        assert_eq!(taken.address, first.addresses()[0]);
        assert!(taken.to_string().contains("another process listens there"), "{taken}");
    }

    #[test]
    fn accepted_connections_are_probed_after_the_configured_time() {
        for keep_alive in [None, Some(Duration::from_secs(7))] {
            let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
            let bound = bind(vec![ListenerOptions { keep_alive, ..any.into() }], 1).unwrap();
            let _client = std::net::TcpStream::connect(bound.addresses()[0].tcp().unwrap()).unwrap();
            let BoundListener::Tcp(listening) = &bound.by_worker[0][0].socket else { panic!("the socket is of TCP") };
            listening.set_nonblocking(false).unwrap();
            let (accepted, _) = listening.accept().unwrap();
            let options = SockRef::from(&accepted);
            assert_eq!(options.keepalive().unwrap(), keep_alive.is_some());
            if let Some(time) = keep_alive {
                let found = (options.tcp_keepalive_time().unwrap(), options.tcp_keepalive_interval().unwrap());
                assert_eq!((found, options.tcp_keepalive_retries().unwrap()), ((time, Duration::from_secs(15)), 4));
            }
        }
    }

    #[test]
    fn inherited_sockets_are_all_used_and_shared_if_workers_are_more() {
        for (sockets, workers, counts) in
            [(1, 3, vec![1, 1, 1]), (3, 2, vec![2, 1]), (2, 2, vec![1, 1]), (2, 5, vec![1; 5])]
        {
            let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
            let opened = bind(vec![ListenerOptions::from(any)], sockets).unwrap();
            let address = opened.addresses()[0].clone();
            let handles = opened.handles().unwrap().into_iter();
            let inherited: Vec<_> = handles.map(|(_, fd)| BoundListener::Tcp(fd.into())).collect();
            assert_eq!(inherited.len(), sockets);
            drop(opened);
            let adopted = bind(vec![ListenerOptions { inherited, ..any.into() }], workers).unwrap();
            assert_eq!(adopted.addresses(), [address]);
            let found: Vec<usize> = adopted.by_worker.iter().map(Vec::len).collect();
            assert_eq!(found, counts, "{sockets} sockets, {workers} workers");
        }
    }
}
