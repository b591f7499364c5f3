//! HTTP clients: one that returns every byte of a response, and one that uses little memory and sends prepared bytes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::request::{BenchRequest, EchoedMessage};

const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// One keep-alive connection to a server.
pub(crate) struct Loader {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    key: Option<Arc<str>>,
    /// The fields of each request, besides those of the key and the body.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    _connection: JoinSet<()>,
}

/// A response with its whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoaderResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Loader {
    pub(crate) async fn connect(address: SocketAddr, key: Option<&str>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| address.to_string())?;
        Self::over(stream, address, key).await
    }

    /// Connects from an address of this machine.
    pub(crate) async fn connect_from(from: Ipv4Addr, address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(address).await.with_context(|| format!("{address} from {from}"))?;
        Self::over(stream, address, None).await
    }

    async fn over(stream: TcpStream, address: SocketAddr, key: Option<&str>) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut task = JoinSet::new();
        // The sender returns the same error.
        task.spawn(async { drop(connection.await) });
        Ok(Self { sender, address, key: key.map(Arc::from), headers: &[], _connection: task })
    }

    /// Connects as soon as a server listens.
    pub(crate) async fn connect_soon(address: SocketAddr) -> anyhow::Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::connect(address, None).await {
                Ok(loader) => return Ok(loader),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<LoaderResponse> {
        self.send("GET", path, "").await
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<LoaderResponse> {
        let key = self.key.clone();
        self.send_as(key.as_deref(), method, path, body).await
    }

    /// Sends a request with another key than that of the connection.
    pub(crate) async fn send_as(
        &mut self,
        key: Option<&str>,
        method: &str,
        path: &str,
        body: &str,
    ) -> anyhow::Result<LoaderResponse> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        request = self.headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(LoaderResponse { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

impl LoaderResponse {
    /// The body as JSON. Any status except 200 is an error.
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        if self.status != 200 {
            bail!("{}: {}", self.status, String::from_utf8_lossy(&self.body));
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

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

    /// Sends a request and reads its response. Any response except 2xx with a `Content-Length` is an error.
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

    /// Sends a request and reads its stream to the end. Returns the number of events. Any status except 200 is an error.
    pub(crate) async fn stream(&mut self, request: &str) -> anyhow::Result<u32> {
        self.0.write_all(request.as_bytes()).await?;
        let mut received = Vec::with_capacity(1_024);
        while !received.ends_with(b"\r\n0\r\n\r\n") {
            let is_open = received.len() < RESPONSE_BYTES_MAX && self.0.read_buf(&mut received).await? > 0;
            let is_good = received.starts_with(b"HTTP/1.1 200 ");
            ensure!(is_open && is_good, "no whole stream: {:?}", String::from_utf8_lossy(&received));
        }
        Ok(u32::try_from(received.windows(2).filter(|pair| *pair == b"\n\n").count())?)
    }

    /// Opens a WebSocket. Any status except 101 is an error.
    pub(crate) async fn websocket(address: SocketAddr) -> anyhow::Result<Self> {
        let mut connection = Self::open(address).await?;
        connection.0.write_all(BenchRequest::SOCKET.bytes("").as_bytes()).await?;
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n\r\n") {
            ensure!(connection.0.read_buf(&mut received).await? > 0, "the connection closed before a response");
        }
        ensure!(received.starts_with(b"HTTP/1.1 101 "), "no WebSocket: {:?}", String::from_utf8_lossy(&received));
        Ok(connection)
    }

    /// Sends a message to a WebSocket and reads its echo.
    pub(crate) async fn echo(&mut self, message: &EchoedMessage) -> anyhow::Result<()> {
        self.0.write_all(&message.sent).await?;
        let mut received = vec![0; message.echo.len()];
        self.0.read_exact(&mut received).await?;
        ensure!(received == message.echo, "the echo differs from its message");
        Ok(())
    }

    /// Whether the server keeps the connection open and has sent nothing.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.0.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// The end of a response in chunks without trailers.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// Whether the bytes are a whole response.
pub(crate) fn complete(received: &[u8]) -> anyhow::Result<bool> {
    let Some(head_bytes) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let head = String::from_utf8_lossy(received.get(..head_bytes).unwrap_or_default()).to_ascii_lowercase();
    ensure!(head.starts_with("http/1.1 20"), "the response is not 2xx: {:?}", String::from_utf8_lossy(received));
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    // A response whose model is edited has no length.
    if value("transfer-encoding:") == Some("chunked") {
        return Ok(received.ends_with(LAST_CHUNK));
    }
    let length: usize = value("content-length:").context("the response has neither a length nor chunks")?.parse()?;
    Ok(received.len() >= head_bytes + 4 + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn responses_are_complete_with_their_last_byte() {
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert!((0..response.len()).all(|cut| !complete(&response[..cut]).unwrap()) && complete(response).unwrap());
        assert!(complete(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert!((0..chunked.len()).all(|cut| !complete(&chunked[..cut]).unwrap()) && complete(chunked).unwrap());
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
