//! A new connection to an origin: name, TCP, TLS, HTTP/1.1.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use config::snapshot::Origin;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::body::Upload;
use crate::upstream::pool::Link;
use crate::worker::{Worker, spawn};

/// Fields of an answer's head.
const HEADERS_MAX: usize = 256;
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;
/// An answer's head; also what is read ahead of a slow caller.
const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("the upstream's name does not resolve")]
    Resolve(#[source] io::Error),
    #[error("the upstream's name has no address")]
    NoAddress,
    #[error("the upstream does not accept connections")]
    Tcp(#[source] io::Error),
    #[error("the upstream's name cannot stand in a certificate")]
    Name,
    #[error("the upstream's TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("the connection was refused by the HTTP client")]
    Http(#[source] hyper::Error),
}

/// How upstreams' certificates are verified: Mozilla's roots, HTTP/1.1 by ALPN.
#[must_use]
pub fn tls_config() -> Arc<rustls::ClientConfig> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Connects; the caller bounds the whole time to `within`, of which each address of a name has its share.
pub(crate) async fn connect(worker: &Worker, origin: &Origin, within: Duration) -> Result<Link, ConnectError> {
    let stream = tcp(origin, within).await?;
    // Fails only for a socket that is already gone, which the first write will find.
    let _ = stream.set_nodelay(true);
    let written = Rc::new(Cell::new(0));
    let transport = if origin.tls {
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| ConnectError::Name)?;
        let connector = TlsConnector::from(worker.shared.tls.clone());
        Transport::Tls(Box::new(connector.connect(name, stream).await.map_err(ConnectError::Tls)?))
    } else {
        Transport::Plain(stream)
    };
    let io = TokioIo::new(UpstreamIo { transport, written: written.clone() });
    let (sender, connection) = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .handshake::<_, Upload>(io)
        .await
        .map_err(ConnectError::Http)?;
    let task = spawn(async move {
        // What went wrong reaches the request through its own future.
        let _ = connection.await;
    });
    Ok(Link::new(sender, task.abort_handle(), written))
}

async fn tcp(origin: &Origin, within: Duration) -> Result<TcpStream, ConnectError> {
    if let Ok(address) = origin.host.parse() {
        return TcpStream::connect(SocketAddr::new(address, origin.port)).await.map_err(ConnectError::Tcp);
    }
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((origin.host.as_str(), origin.port))
        .await
        .map_err(ConnectError::Resolve)?
        .take(ADDRESSES_MAX)
        .collect();
    let mut last = ConnectError::NoAddress;
    let share = within / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = ConnectError::Tcp(error),
            Err(late) => last = ConnectError::Tcp(late.into()),
        }
    }
    Err(last)
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An upstream's socket that counts what was written: from the first byte on, a request counts.
struct UpstreamIo {
    transport: Transport,
    written: Rc<Cell<u64>>,
}

impl AsyncRead for UpstreamIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl UpstreamIo {
    fn note(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &result {
            self.written.set(self.written.get() + u64::try_from(*bytes).unwrap_or(0));
        }
        result
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        };
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
