//! Connections to servers that are no upstreams: receivers of traces, targets of the export, and webhooks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::issuer::is_link_local;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Maximum number of a name's addresses that are tried.
const ADDRESSES_MAX: usize = 4;

/// Why there is no connection to a server.
#[derive(Debug, Error)]
pub enum OutboundError {
    /// The name of the host does not resolve.
    #[error("the host cannot be resolved")]
    Resolve(#[source] io::Error),
    /// The host has a link-local address, at which clouds serve the credentials of machines.
    #[error("the host has a link-local address")]
    LinkLocal,
    /// No address of the host accepts a connection.
    #[error("the host cannot be reached")]
    Connect(#[source] io::Error),
    /// The handshake of TLS failed.
    #[error("TLS to the host failed")]
    Tls(#[source] io::Error),
}

/// Connects to a host. Each of its addresses gets at most the time `each`, so that a silent one does not use up all of the
/// caller's. The addresses are checked after the look-up, so that no name leads to metadata.
///
/// # Errors
/// [`OutboundError`], except `Tls`.
pub async fn connect(host: &str, port: u16, each: Duration) -> Result<TcpStream, OutboundError> {
    let found: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(OutboundError::Resolve)?.collect();
    if found.iter().any(|address| is_link_local(address.ip())) {
        return Err(OutboundError::LinkLocal);
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in found.into_iter().take(ADDRESSES_MAX) {
        match timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(late) => last = late.into(),
        }
    }
    Err(OutboundError::Connect(last))
}

/// Begins TLS on a connection, and verifies the certificate of the host. The caller limits the time.
///
/// # Errors
/// `Tls`, if the host is no server name or the handshake fails.
pub async fn encrypt(
    stream: TcpStream,
    host: &str,
    tls: &Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, OutboundError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| OutboundError::Tls(io::Error::other(error)))?;
    TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(OutboundError::Tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_connection_reaches_a_link_local_address() {
        for host in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"] {
            let refused = connect(host, 80, Duration::from_secs(1)).await;
            assert!(matches!(refused, Err(OutboundError::LinkLocal)), "{host}: {refused:?}");
        }
    }
}
