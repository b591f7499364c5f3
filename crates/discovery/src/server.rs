//! Requests to the servers of a source over HTTP/1.1: each over a new connection, within bounds of time and size.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tls::UpstreamTls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::address::{self, HostError};
use crate::source_error::SourceError;

/// Maximum time to connect, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Maximum time of the content of a whole response.
const CONTENT_MAX: Duration = Duration::from_secs(10);
/// Maximum size of the head of a response in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Maximum size of the content of a response in bytes.
const CONTENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The URL of a server of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceUrl {
    /// Whether the server speaks TLS.
    pub is_tls: bool,
    /// A host name, or an address without brackets.
    pub host: String,
    /// The port of the server.
    pub port: u16,
    /// The value of `Host`.
    pub authority: String,
    /// The path before those of the API; it may be empty.
    pub path: String,
}

/// The servers of a source, which have the same content.
#[derive(Clone)]
pub struct SourceServers {
    /// The URLs, at least one. After a failure, the next one is asked.
    pub urls: Vec<SourceUrl>,
    /// The TLS; `None` means the public roots.
    pub tls: Option<Arc<UpstreamTls>>,
}

impl PartialEq for SourceServers {
    fn eq(&self, other: &Self) -> bool {
        let is_same_tls = match (&self.tls, &other.tls) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_same_tls && self.urls == other.urls
    }
}

impl Eq for SourceServers {}

impl fmt::Debug for SourceServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceServers").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// A request to a server of a source.
pub(crate) struct ServerRequest {
    pub(crate) method: Method,
    /// The path below that of the URL, with the query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Bytes,
    /// Maximum time until the head of the response.
    pub(crate) head_within: Duration,
}

/// A response whose content is still to be read. Dropping it ends the connection.
pub(crate) struct ServerResponse {
    pub(crate) headers: HeaderMap,
    content: Incoming,
    _connection: JoinSet<hyper::Result<()>>,
}

impl ServerRequest {
    /// Adds a field whose value is a secret.
    pub(crate) fn secret(mut self, name: HeaderName, value: &str) -> Result<Self, SourceError> {
        let mut value = HeaderValue::from_str(value).map_err(|_| SourceError::Invalid("a secret is no field value"))?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sends the request to a server, and returns a response with status 200. `public` is the TLS of servers without their own.
    pub(crate) async fn send(
        self,
        url: &SourceUrl,
        own: Option<&Arc<UpstreamTls>>,
        public: &Arc<ClientConfig>,
    ) -> Result<ServerResponse, SourceError> {
        let connected = timeout(CONNECT_MAX, connect(url)).await;
        let stream = connected.map_err(|_| SourceError::TimedOut(CONNECT_MAX))??;
        if !url.is_tls {
            return self.over(stream, url).await;
        }
        let invalid = |error| SourceError::connect(&io::Error::other(error));
        let name = match own.and_then(|tls| tls.server_name()) {
            Some(name) => name.clone(),
            None => ServerName::try_from(url.host.clone()).map_err(invalid)?,
        };
        let mut config = ClientConfig::clone(&own.map_or_else(|| public.clone(), |tls| tls.config()));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let handshake = timeout(CONNECT_MAX, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
        let stream =
            handshake.map_err(|_| SourceError::TimedOut(CONNECT_MAX))?.map_err(|error| SourceError::connect(&error))?;
        self.over(stream, url).await
    }

    async fn over<T>(self, stream: T, url: &SourceUrl) -> Result<ServerResponse, SourceError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let builder = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
        let (mut sender, connection) = builder.await.map_err(|error| SourceError::protocol(&error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("{}{}", url.path, self.target))
            .header(header::HOST, &url.authority)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "tollgate")
            .header(header::CONNECTION, "close")
            .body(Full::new(self.content))
            .map_err(|error| SourceError::Protocol(error.to_string()))?;
        request.headers_mut().extend(self.headers);
        let response = timeout(self.head_within, sender.send_request(request)).await;
        let response = response
            .map_err(|_| SourceError::TimedOut(self.head_within))?
            .map_err(|error| SourceError::protocol(&error))?;
        if response.status() != StatusCode::OK {
            return Err(SourceError::Status(response.status().as_u16()));
        }
        let (head, content) = response.into_parts();
        Ok(ServerResponse { headers: head.headers, content, _connection: tasks })
    }
}

/// Connects to a server. The admin API may set its URL, so that no link-local address is permitted.
async fn connect(url: &SourceUrl) -> Result<TcpStream, SourceError> {
    let addresses = address::of_host(&url.host, url.port, false).await.map_err(|error| match error {
        HostError::Resolve(error) => SourceError::connect(&error),
        HostError::LinkLocal => SourceError::LinkLocal,
    })?;
    TcpStream::connect(&*addresses).await.map_err(|error| SourceError::connect(&error))
}

impl ServerResponse {
    /// Reads the whole content.
    pub(crate) async fn content(self) -> Result<Bytes, SourceError> {
        let read = timeout(CONTENT_MAX, Limited::new(self.content, CONTENT_BYTES_MAX).collect()).await;
        let read = read.map_err(|_| SourceError::TimedOut(CONTENT_MAX))?;
        let content = read.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => SourceError::TooLarge,
            Err(error) => SourceError::Protocol(error.to_string()),
        })?;
        Ok(content.to_bytes())
    }

    /// Reads the next part of the content; `None` at its end.
    pub(crate) async fn part(&mut self) -> Result<Option<Bytes>, SourceError> {
        loop {
            let Some(frame) = self.content.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| SourceError::protocol(&error))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_at_a_metadata_address_is_not_connected_to() {
        let url = |host: &str| SourceUrl {
            is_tls: false,
            host: host.to_owned(),
            port: 80,
            authority: host.to_owned(),
            path: String::new(),
        };
        for host in ["169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254"] {
            assert_eq!(connect(&url(host)).await.unwrap_err(), SourceError::LinkLocal, "{host}");
        }
    }
}
