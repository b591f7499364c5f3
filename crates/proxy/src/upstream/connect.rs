//! A new connection to an origin: name lookup, TCP, TLS, and the choice of the protocol.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::{Origin, Scheme};
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::buffers::Buffers;
use crate::probe::Gauge;
use crate::upstream::http1::Http1Connection;
use crate::upstream::pool::http2::{self, NewHttp2Connection};
use crate::upstream::socket::{Socket, Transport};

/// Maximum number of a name's addresses that are tried.
const ADDRESSES_MAX: usize = 4;
const ALPN_HTTP2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// The reason why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("the upstream's name does not resolve")]
    Resolve(#[source] io::Error),
    #[error("the upstream's host name resolves to no IP address")]
    NoAddress,
    #[error("the TCP connection to the upstream failed")]
    Tcp(#[source] io::Error),
    #[error("the upstream's name is not valid in a certificate")]
    Name,
    #[error("the upstream's TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("the connection was refused by the HTTP/2 client")]
    Http2(#[source] h2::Error),
}

/// The TLS settings and the buffers for new connections of a worker.
pub(crate) struct Connector {
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) buffers: Rc<Buffers>,
}

/// The protocols that a TLS handshake offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfferedProtocols {
    /// HTTP/2 is preferred to HTTP/1.1.
    All,
    /// HTTP/1.1 only: the connection is to become a tunnel.
    Http1,
}

/// A new connection with its protocol.
pub(crate) enum NewConnection {
    Http1(Box<Http1Connection>),
    Http2(Box<NewHttp2Connection>),
}

/// Returns the TLS configuration for upstreams: certificates are verified against Mozilla's root certificates, and
/// HTTP/2 is offered before HTTP/1.1.
#[must_use]
pub fn tls_config() -> Arc<rustls::ClientConfig> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
    Arc::new(config)
}

/// Connects to an origin. The code that calls this function limits the whole time to `within`, of which each address of
/// a name has an equal share.
pub(crate) async fn connect(
    connector: &Connector,
    origin: &Origin,
    offered: OfferedProtocols,
    within: Duration,
) -> Result<NewConnection, ConnectError> {
    let stream = tcp(origin, within).await?;
    // The call fails only on a socket that has already ended; the first write detects that.
    let _ = stream.set_nodelay(true);
    let (transport, speaks_http2) = match origin.scheme {
        Scheme::Http => (Transport::Plain(stream), false),
        Scheme::H2c => (Transport::Plain(stream), true),
        Scheme::Https => {
            let name = ServerName::try_from(origin.host.clone()).map_err(|_| ConnectError::Name)?;
            let tls = match offered {
                OfferedProtocols::All => connector.tls.clone(),
                OfferedProtocols::Http1 => {
                    let mut tls = rustls::ClientConfig::clone(&connector.tls);
                    tls.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
                    Arc::new(tls)
                }
            };
            let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(ConnectError::Tls)?;
            let chosen = stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2);
            (Transport::Tls(Box::new(stream)), chosen)
        }
    };
    let gauge = Gauge::new();
    let socket = Socket::new(transport, gauge.clone());
    if speaks_http2 {
        let opened = http2::open(socket, gauge).await.map_err(ConnectError::Http2)?;
        return Ok(NewConnection::Http2(Box::new(opened)));
    }
    Ok(NewConnection::Http1(Http1Connection::new(socket, gauge, connector.buffers.clone())))
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
