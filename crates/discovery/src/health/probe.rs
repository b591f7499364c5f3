//! One check of a backend: a connection, a request of HTTP or gRPC over a new connection, or a script.

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Version, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::script;
use super::target::{CheckFailure, CheckedEndpoint, CheckedScheme};
use crate::address::{self, HostError};

/// Maximum size of the head of a response in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Maximum size of a gRPC message in bytes; that of a health check has two.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;
const GRPC_PATH: &str = "/grpc.health.v1.Health/Check";
const SERVING: u8 = 1;

/// The kind of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A connection is opened, with TLS if the backend has it.
    Tcp,
    /// A GET request; a redirect is not followed.
    Http {
        /// The path, with its query.
        path: String,
        /// The value of `Host` in place of the backend's.
        host: Option<String>,
        /// Further fields of the request.
        headers: HeaderMap,
        /// The statuses of a healthy backend.
        statuses: RangeInclusive<u16>,
    },
    /// A program with its arguments, which must end with status 0.
    Script(Vec<String>),
    /// A call of `grpc.health.v1.Health/Check`.
    Grpc {
        /// The name of the service; empty for the whole server.
        service: String,
    },
}

/// Checks a backend, over a new connection or with a script. The code that calls this function limits its time. `permit` is
/// that of a script: it is returned after the script's program has ended.
///
/// # Errors
/// The reason for which the backend is not healthy.
pub(super) async fn check(
    endpoint: &CheckedEndpoint,
    probe: &Probe,
    tls: &Arc<ClientConfig>,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<(), CheckFailure> {
    if let Probe::Script(command) = probe {
        return script::run(command, endpoint, permit).await;
    }
    let stream = connect(endpoint).await?;
    if endpoint.scheme != CheckedScheme::Https {
        return over(stream, endpoint, probe).await;
    }
    let own = endpoint.tls.as_ref();
    let invalid = |error| CheckFailure::Tls(io::Error::other(error));
    let name = match own.and_then(|tls| tls.server_name()) {
        Some(name) => name.clone(),
        None => ServerName::try_from(endpoint.server_name().to_owned()).map_err(invalid)?,
    };
    let mut config = ClientConfig::clone(&own.map_or_else(|| tls.clone(), |tls| tls.config()));
    let protocols: &[&[u8]] = match probe {
        Probe::Grpc { .. } => &[b"h2"],
        // As requests do: some backends accept HTTP/2 only.
        Probe::Tcp => &[b"h2", b"http/1.1"],
        Probe::Http { .. } | Probe::Script(_) => &[b"http/1.1"],
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(CheckFailure::Tls)?;
    over(stream, endpoint, probe).await
}

async fn connect(endpoint: &CheckedEndpoint) -> Result<TcpStream, CheckFailure> {
    let CheckedEndpoint { host, port, allow_link_local, .. } = endpoint;
    if host.starts_with('/') {
        return tls::unix_socket::connect(Path::new(host)).await.map_err(CheckFailure::Connect);
    }
    let addresses = address::of_host(host, *port, *allow_link_local).await.map_err(|error| match error {
        HostError::Resolve(_) => CheckFailure::Resolve,
        HostError::LinkLocal => CheckFailure::LinkLocal,
    })?;
    if addresses.is_empty() {
        return Err(CheckFailure::Resolve);
    }
    TcpStream::connect(&*addresses).await.map_err(CheckFailure::Connect)
}

async fn over<T>(stream: T, endpoint: &CheckedEndpoint, probe: &Probe) -> Result<(), CheckFailure>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match probe {
        // A script needs no connection.
        Probe::Tcp | Probe::Script(_) => Ok(()),
        Probe::Grpc { service } => grpc(stream, endpoint, service).await,
        Probe::Http { path, host, headers, statuses } => {
            let target = format!("{}{path}", endpoint.path);
            let authority = host.as_deref().unwrap_or(&endpoint.authority);
            let is_http2 = endpoint.scheme == CheckedScheme::H2c;
            let request = request(Method::GET, &target, authority, is_http2)?;
            let request = with_headers(request, headers);
            let status = if is_http2 { http2(stream, request).await? } else { http1(stream, request).await? };
            if statuses.contains(&status) { Ok(()) } else { Err(CheckFailure::Status(status)) }
        }
    }
}

/// Returns a request without content. Over HTTP/2, the authority is part of the target.
fn request(method: Method, target: &str, authority: &str, is_http2: bool) -> Result<Request<()>, CheckFailure> {
    let builder = Request::builder().method(method).header(header::USER_AGENT, "tollgate-health-check");
    let builder = if is_http2 {
        builder.version(Version::HTTP_2).uri(format!("http://{authority}{target}"))
    } else {
        builder.uri(target).header(header::HOST, authority).header(header::CONNECTION, "close")
    };
    builder.body(()).map_err(protocol)
}

fn with_headers(mut request: Request<()>, headers: &HeaderMap) -> Request<()> {
    for (name, value) in headers {
        request.headers_mut().insert(name.clone(), value.clone());
    }
    request
}

fn protocol(error: impl std::fmt::Display) -> CheckFailure {
    CheckFailure::Protocol(error.to_string())
}

/// Sends a request over HTTP/1.1, and returns the status. The content of the response is not read.
async fn http1<T>(stream: T, request: Request<()>) -> Result<u16, CheckFailure>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
    let (mut sender, connection) = builder.await.map_err(protocol)?;
    // Dropping the set ends the connection.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let response = sender.send_request(request.map(|()| Empty::<Bytes>::new())).await.map_err(protocol)?;
    Ok(response.status().as_u16())
}

/// Sends a request over HTTP/2, and returns the status. The content of the response is not read.
async fn http2<T>(stream: T, request: Request<()>) -> Result<u16, CheckFailure>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = h2::client::handshake(stream).await.map_err(protocol)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let mut sender = sender.ready().await.map_err(protocol)?;
    let (response, _) = sender.send_request(request, true).map_err(protocol)?;
    Ok(response.await.map_err(protocol)?.status().as_u16())
}

/// Calls `grpc.health.v1.Health/Check` (the gRPC health checking protocol).
async fn grpc<T>(stream: T, endpoint: &CheckedEndpoint, service: &str) -> Result<(), CheckFailure>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = h2::client::handshake(stream).await.map_err(protocol)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let mut sender = sender.ready().await.map_err(protocol)?;
    let mut request = request(Method::POST, GRPC_PATH, &endpoint.authority, true)?;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let (response, mut content) = sender.send_request(request, false).map_err(protocol)?;
    content.send_data(message(service), true).map_err(protocol)?;
    let response = response.await.map_err(protocol)?;
    if response.status() != 200 {
        return Err(CheckFailure::Status(response.status().as_u16()));
    }
    let in_head = grpc_status(response.headers());
    let mut body = response.into_body();
    let mut received = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part.map_err(protocol)?;
        body.flow_control().release_capacity(part.len()).map_err(protocol)?;
        if received.len() + part.len() > MESSAGE_BYTES_MAX {
            return Err(CheckFailure::Protocol("the message is too large".to_owned()));
        }
        received.put(part);
    }
    let trailers = body.trailers().await.map_err(protocol)?;
    let status = trailers.as_ref().and_then(grpc_status).or(in_head);
    match (status.as_deref(), serving_status(&received)) {
        (Some("0"), Some(SERVING)) => Ok(()),
        (Some("0"), status) => Err(CheckFailure::NotServing(format!("status {}", status.unwrap_or(0)))),
        (status, _) => Err(CheckFailure::NotServing(format!("grpc-status {}", status.unwrap_or("is missing")))),
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<String> {
    headers.get("grpc-status")?.to_str().ok().map(str::to_owned)
}

/// Returns a `HealthCheckRequest` with its prefix: not compressed, the length, and field 1 with the service's name.
fn message(service: &str) -> Bytes {
    let mut field = BytesMut::new();
    if let Ok(length) = u8::try_from(service.len())
        && (1..=127).contains(&length)
    {
        field.put_slice(&[0x0a, length]);
        field.put_slice(service.as_bytes());
    }
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(u32::try_from(field.len()).unwrap_or(0));
    message.put(field);
    message.freeze()
}

/// Returns the status of a `HealthCheckResponse`: field 1, a number below 128.
fn serving_status(received: &[u8]) -> Option<u8> {
    match received.get(5..)? {
        [] => Some(0),
        [0x08, status, ..] if *status < 128 => Some(*status),
        _ => None,
    }
}
