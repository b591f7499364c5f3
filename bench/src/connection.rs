//! A keep-alive connection that uses little memory and sends prepared bytes.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The maximum size of a response.
const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// An open connection without buffers.
pub(crate) struct PlainConnection(TcpStream);

impl PlainConnection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| address.to_string())?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends a request and reads its response. Any response except 200 with a `Content-Length` is an error.
    pub(crate) async fn exchange(&mut self, request: &str) -> anyhow::Result<()> {
        self.0.write_all(request.as_bytes()).await?;
        let mut received = Vec::with_capacity(1_024);
        while !complete(&received)? {
            ensure!(received.len() < RESPONSE_BYTES_MAX, "the response exceeds {RESPONSE_BYTES_MAX} bytes");
            let bytes = self.0.read_buf(&mut received).await?;
            ensure!(bytes > 0, "the connection closed in a response: {:?}", String::from_utf8_lossy(&received));
        }
        Ok(())
    }

    /// Whether the server keeps the connection open and has sent nothing.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.0.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// Whether the bytes are a whole response.
pub(crate) fn complete(received: &[u8]) -> anyhow::Result<bool> {
    let Some(head_bytes) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let head = String::from_utf8_lossy(received.get(..head_bytes).unwrap_or_default()).to_ascii_lowercase();
    ensure!(head.starts_with("http/1.1 200"), "the response is not 200: {:?}", String::from_utf8_lossy(received));
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("the response has no Content-Length")?.trim().parse()?;
    Ok(received.len() >= head_bytes + 4 + length)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn responses_are_complete_with_their_last_byte() {
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        for cut in 0..response.len() {
            assert!(!complete(&response[..cut]).unwrap(), "{cut}");
        }
        assert!(complete(response).unwrap());
        assert!(complete(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(complete(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[tokio::test]
    async fn a_closed_connection_is_not_idle() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connection = PlainConnection::open(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        assert!(connection.is_idle());
        drop(server);
        connection.0.readable().await.unwrap();
        assert!(!connection.is_idle());
    }
}
