//! Connections to servers that are no upstreams: receivers of traces, targets of the export, webhooks, and Midtrans.

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

/// Why there is no connection to a server. The texts name it as the caller does, and contain no host.
#[derive(Debug, Error)]
pub enum OutboundError {
    /// The name of the host does not resolve.
    #[error("the host of {server} cannot be resolved")]
    Resolve {
        /// The name of the server in texts.
        server: &'static str,
        /// The error of the look-up.
        source: io::Error,
    },
    /// The host has a link-local address, at which clouds serve the credentials of machines.
    #[error("{server} has a link-local address, to which Tollgate does not connect")]
    LinkLocal {
        /// The name of the server in texts.
        server: &'static str,
    },
    /// No address of the host accepts a connection.
    #[error("{server} cannot be reached")]
    Connect {
        /// The name of the server in texts.
        server: &'static str,
        /// The error of the last address.
        source: io::Error,
    },
    /// The handshake of TLS failed.
    #[error("TLS to {server} failed")]
    Tls {
        /// The name of the server in texts.
        server: &'static str,
        /// The error of the handshake.
        source: io::Error,
    },
}

impl OutboundError {
    /// Returns whether a later connection may succeed without a change of the configuration.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } | Self::Tls { .. } => true,
            Self::LinkLocal { .. } => false,
        }
    }
}

/// Connects to a host; errors call it `server`. Each of its addresses gets at most the time `each`, so that a silent one does
/// not use up all of the caller's. The addresses are checked after the look-up, so that no name leads to metadata.
///
/// # Errors
/// [`OutboundError`], except `Tls`.
pub async fn connect(server: &'static str, host: &str, port: u16, each: Duration) -> Result<TcpStream, OutboundError> {
    let found = lookup_host((host, port)).await.map_err(|source| OutboundError::Resolve { server, source })?;
    let found: Vec<SocketAddr> = found.collect();
    if found.iter().any(|address| is_link_local(address.ip())) {
        return Err(OutboundError::LinkLocal { server });
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in found.into_iter().take(ADDRESSES_MAX) {
        match timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(late) => last = late.into(),
        }
    }
    Err(OutboundError::Connect { server, source: last })
}

/// Begins TLS on a connection, and verifies the certificate of the host; errors call it `server`. The caller limits the time.
///
/// # Errors
/// `Tls`, if the host is no server name or the handshake fails.
pub async fn encrypt(
    server: &'static str,
    stream: TcpStream,
    host: &str,
    tls: &Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, OutboundError> {
    let failed = |source| OutboundError::Tls { server, source };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(io::Error::other(error)))?;
    TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_connection_reaches_a_link_local_address() {
        for host in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"] {
            let refused = connect("the receiver", host, 80, Duration::from_secs(1)).await.unwrap_err();
            let text = "the receiver has a link-local address, to which Tollgate does not connect";
            assert_eq!((refused.to_string().as_str(), refused.is_temporary()), (text, false), "{host}");
        }
    }
}
