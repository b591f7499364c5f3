//! Stream sockets of the Unix domain, as streams of Tokio's TCP: reads, writes, readiness and the shutdown are the same system
//! calls. Only options and addresses of TCP fail on them.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;

use tokio::net::{TcpStream, UnixStream};

/// Connects to the socket at a path. May be cancelled at any point.
///
/// # Errors
/// There is no socket, nothing listens on it, or this process may not write to it.
pub async fn connect(path: &Path) -> io::Result<TcpStream> {
    stream(UnixStream::connect(path).await?.into_std()?)
}

/// Returns a connection, which does not block, as a stream of TCP.
///
/// # Errors
/// The process has no free resources to wait for it.
pub fn stream(connection: StdUnixStream) -> io::Result<TcpStream> {
    TcpStream::from_std(OwnedFd::from(connection).into())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_carries_bytes_in_both_directions_and_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        assert_eq!(connect(&path).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        let mut client = connect(&path).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let mut server = stream(accepted.into_std().unwrap()).unwrap();
        client.write_all(b"request").await.unwrap();
        client.shutdown().await.unwrap();
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"request");
        server.write_all(b"response").await.unwrap();
        drop(server);
        let mut response = Vec::new();
        client.read_to_end(&mut response).await.unwrap();
        assert_eq!(response, b"response");
        drop(listener);
        assert_eq!(connect(&path).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
