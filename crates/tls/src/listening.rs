//! Listening sockets of TCP and of the Unix domain, and their addresses.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::unix_socket;

/// The start of the address of a Unix socket.
const UNIX: &str = "unix:";
/// Longest path of a Unix socket, in bytes: `sun_path` of unix(7) has one more for the final zero.
const PATH_LEN_MAX: usize = 107;
/// The address of all clients of a Unix socket: they are processes of this machine.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The address of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenAddress {
    /// An IP address and a port: `127.0.0.1:8080`.
    Tcp(SocketAddr),
    /// The absolute path of a Unix socket: `unix:/run/tollgate.sock`.
    Unix(Arc<Path>),
}

impl ListenAddress {
    /// Returns the address and the port; `None` for a Unix socket.
    #[must_use]
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Whether only this machine reaches the listener.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.tcp().is_none_or(|address| address.ip().to_canonical().is_loopback())
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

/// The text is no address of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an IP address and a port, or `unix:` and a path: 127.0.0.1:8080, \"[::1]:8080\", unix:/run/tollgate.sock")]
pub struct ListenAddressError;

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        match text.strip_prefix(UNIX) {
            Some(path) if is_socket_path(path) => Ok(Self::Unix(Path::new(path).into())),
            Some(_) => Err(ListenAddressError),
            None => text.parse().map(Self::Tcp).map_err(|_| ListenAddressError),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// Whether a Unix socket may have this path: it is absolute, names a file, and fits the address of a socket.
#[must_use]
pub fn is_socket_path(path: &str) -> bool {
    let is_absolute = path.starts_with('/') && !path.ends_with('/');
    is_absolute && path.len() <= PATH_LEN_MAX && !path.contains(char::is_control)
}

/// A socket that listens, without a runtime.
#[derive(Debug)]
pub enum BoundListener {
    /// A socket of TCP.
    Tcp(StdTcpListener),
    /// A socket of the Unix domain.
    Unix(StdUnixListener),
}

impl BoundListener {
    /// Returns the address.
    ///
    /// # Errors
    /// The socket is of the Unix domain and has no path.
    pub fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Self::Unix(listener) => named(listener.local_addr()?.as_pathname()),
        }
    }

    /// Returns another handle of the socket.
    ///
    /// # Errors
    /// The process has too many open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }

    /// Sets whether calls wait for a connection.
    ///
    /// # Errors
    /// The operating system refuses it.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(nonblocking),
            Self::Unix(listener) => listener.set_nonblocking(nonblocking),
        }
    }

    /// Accepts a connection, and returns the address of the client.
    ///
    /// # Errors
    /// No connection waits, or it cannot be accepted.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok((TcpStream::from_std(stream)?, peer))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok((unix_socket::stream(stream)?, LOCAL))
            }
        }
    }
}

impl From<BoundListener> for OwnedFd {
    fn from(listener: BoundListener) -> Self {
        match listener {
            BoundListener::Tcp(listener) => listener.into(),
            BoundListener::Unix(listener) => listener.into(),
        }
    }
}

/// A listening socket of a runtime.
#[derive(Debug)]
pub enum AsyncListener {
    /// A socket of TCP.
    Tcp(TcpListener),
    /// A socket of the Unix domain.
    Unix(UnixListener),
}

impl AsyncListener {
    /// Registers a socket, which does not block, with the runtime.
    ///
    /// # Errors
    /// The runtime has no free resources.
    pub fn from_bound(bound: BoundListener) -> io::Result<Self> {
        match bound {
            BoundListener::Tcp(listener) => TcpListener::from_std(listener).map(Self::Tcp),
            BoundListener::Unix(listener) => UnixListener::from_std(listener).map(Self::Unix),
        }
    }

    /// Returns the address.
    ///
    /// # Errors
    /// The socket is of the Unix domain and has no path.
    pub fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Self::Unix(listener) => named(listener.local_addr()?.as_pathname()),
        }
    }

    /// Returns the socket without the runtime.
    ///
    /// # Errors
    /// The runtime does not release it.
    pub fn into_bound(self) -> io::Result<BoundListener> {
        match self {
            Self::Tcp(listener) => listener.into_std().map(BoundListener::Tcp),
            Self::Unix(listener) => listener.into_std().map(BoundListener::Unix),
        }
    }

    /// Accepts a connection, and returns the address of the client. May be cancelled at any point.
    ///
    /// # Errors
    /// The connection cannot be accepted.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept().await,
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((unix_socket::stream(stream.into_std()?)?, LOCAL))
            }
        }
    }
}

impl AsFd for AsyncListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

/// Returns the address of a Unix socket by its path.
fn named(path: Option<&Path>) -> io::Result<ListenAddress> {
    path.map(|path| ListenAddress::Unix(path.into())).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Binds a Unix socket whose file has these permissions, and listens with a queue of at most `backlog` connections. It
/// replaces a file that a killed process has left.
///
/// # Errors
/// Another process listens there, another file has the path, or the folder cannot be written.
pub fn bind_unix(path: &Path, mode: u32, backlog: i32) -> io::Result<BoundListener> {
    let socket = match bound(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left(path)? => {
            fs::remove_file(path)?;
            bound(path, mode)
        }
        result => result,
    }?;
    socket.listen(backlog)?;
    Ok(BoundListener::Unix(OwnedFd::from(socket).into()))
}

fn bound(path: &Path, mode: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // The file is created with the permissions of the socket, less those of the umask: never with more than `mode`.
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode))?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(socket)
}

/// Whether nobody listens on a socket.
fn is_left(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path names a file that is not a socket"));
    }
    let client = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    client.set_nonblocking(true)?;
    let connected = client.connect(&SockAddr::unix(path)?);
    Ok(connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_tcp_or_paths_of_sockets() {
        for (text, is_local) in [
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("0.0.0.0:80", false),
            ("unix:/run/tollgate.sock", true),
            ("unix:/a b/ü.sock", true),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.is_local()), (text, is_local));
        }
        for text in ["", "localhost:1", "unix:", "unix:a.sock", "unix:/", "unix:/a/", "unix:/a\nb", "UNIX:/a"] {
            assert_eq!(text.parse::<ListenAddress>(), Err(ListenAddressError), "{text}");
        }
        assert!(format!("unix:/{}", "a".repeat(106)).parse::<ListenAddress>().is_ok());
        assert!(format!("unix:/{}", "a".repeat(107)).parse::<ListenAddress>().is_err());
    }

    #[tokio::test]
    async fn a_socket_has_its_permissions_and_replaces_a_left_file_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let permissions = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        for mode in [0o600, 0o666] {
            // The file of the first socket is left behind: dropping a socket does not remove it.
            let listener = AsyncListener::from_bound(bind_unix(&path, mode, 8).unwrap()).unwrap();
            assert_eq!(permissions(), mode);
            let (client, accepted) = tokio::join!(unix_socket::connect(&path), listener.accept());
            client.unwrap();
            assert_eq!(accepted.unwrap().1, LOCAL);
            let bound = listener.into_bound().unwrap();
            assert_eq!(bound.address().unwrap(), ListenAddress::Unix(path.as_path().into()));
            let taken = bind_unix(&path, mode, 8).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse, "another socket listens there");
        }
        let other = folder.path().join("file");
        fs::write(&other, "kept").unwrap();
        assert_eq!(bind_unix(&other, 0o600, 8).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&other).unwrap(), "kept");
        assert_eq!(bind_unix(&folder.path().join("none/a"), 0o600, 8).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
