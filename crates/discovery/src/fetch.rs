//! One document over HTTP/1.1, within bounds of time and size.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::credentials::issuer::{IssuerUrl, UrlScheme};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tls::UpstreamTls;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::address;
use crate::error::FetchError;
use crate::max_age::max_age;

/// Maximum time for one document, from the name lookup to its last byte.
const FETCH_MAX: Duration = Duration::from_secs(10);
/// Maximum time to connect to one address.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Maximum size of a document in bytes.
const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Maximum size of the head of a response in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HTTP1: &[u8] = b"http/1.1";

/// Fetches documents over HTTP/1.1.
#[derive(Debug, Clone)]
pub struct Fetcher {
    tls: Arc<ClientConfig>,
    /// The name in the certificates of servers; `None` means the host of the URL.
    server_name: Option<ServerName<'static>>,
}

/// A document, with the time for which its server permits caching it.
#[derive(Debug, Clone)]
pub struct Document {
    /// The content of the response.
    pub bytes: Vec<u8>,
    /// `max-age` of `Cache-Control` (RFC 9111, 5.2.2.1).
    pub max_age: Option<Duration>,
}

impl Fetcher {
    /// Creates a fetcher that verifies the certificates of servers with `tls`. It offers HTTP/1.1 only.
    #[must_use]
    pub fn new(tls: &ClientConfig) -> Self {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![HTTP1.to_vec()];
        Self { tls: Arc::new(tls), server_name: None }
    }

    /// Creates a fetcher with the files of `tls` that are in use now.
    #[must_use]
    pub fn of_upstream(tls: &UpstreamTls) -> Self {
        Self { server_name: tls.server_name().cloned(), ..Self::new(&tls.config()) }
    }

    /// Fetches the document at `url`.
    ///
    /// # Errors
    /// [`FetchError`]. The future may be dropped at any time.
    pub async fn fetch(&self, url: &IssuerUrl, allow_link_local: bool) -> Result<Document, FetchError> {
        timeout(FETCH_MAX, self.fetch_slowly(url, allow_link_local)).await.unwrap_or(Err(FetchError::TimedOut))
    }

    async fn fetch_slowly(&self, url: &IssuerUrl, allow_link_local: bool) -> Result<Document, FetchError> {
        let addresses = address::resolve(url, allow_link_local).await?;
        let stream = connect(&addresses).await?;
        match url.scheme() {
            UrlScheme::Http => exchange(url, TokioIo::new(stream)).await,
            UrlScheme::Https => {
                let name = match &self.server_name {
                    Some(name) => name.clone(),
                    None => ServerName::try_from(url.host().to_owned())
                        .map_err(|error| FetchError::Tls(io::Error::other(error)))?,
                };
                let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await;
                exchange(url, TokioIo::new(stream.map_err(FetchError::Tls)?)).await
            }
        }
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    let mut last = FetchError::NoAddress;
    for address in addresses {
        match timeout(CONNECT_MAX, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = FetchError::Connect(error),
            Err(late) => last = FetchError::Connect(late.into()),
        }
    }
    Err(last)
}

/// Sends one request on a new connection and reads the document.
async fn exchange<T: Read + Write + Unpin + Send + 'static>(url: &IssuerUrl, io: T) -> Result<Document, FetchError> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(io).await.map_err(FetchError::Http)?;
    // Dropping the set ends the connection.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let request = Request::get(url.target())
        .header(header::HOST, url.authority())
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "tollgate")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new());
    let request = request.map_err(|error| FetchError::Incomplete(error.into()))?;
    let response = sender.send_request(request).await.map_err(FetchError::Http)?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let max_age = max_age(response.headers());
    let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX).collect().await;
    let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
        Ok(_) => FetchError::TooLarge,
        Err(error) => FetchError::Incomplete(error),
    })?;
    Ok(Document { bytes: body.to_bytes().into(), max_age })
}
