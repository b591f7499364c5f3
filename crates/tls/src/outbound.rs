//! Connections to servers that are no upstreams: receivers of traces, targets of the export, webhooks, and Midtrans.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::credentials::issuer::is_link_local;
use access::network::outbound::{OutboundRefusal, OutboundRules};
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
    /// The rules for destinations that users set refuse an address of the host, or its port.
    #[error("{server} may not receive requests: {refusal}")]
    Refused {
        /// The name of the server in texts.
        server: &'static str,
        /// What the rules refuse.
        refusal: OutboundRefusal,
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
            Self::LinkLocal { .. } | Self::Refused { .. } => false,
        }
    }
}

/// A server that a user of the API has set.
#[derive(Debug, Clone, Copy)]
pub struct UserDestination<'a> {
    /// The host name or the address, without brackets.
    pub host: &'a str,
    /// The port of the server.
    pub port: u16,
    /// Whether the connection will use TLS.
    pub has_tls: bool,
    /// The rules for such servers.
    pub rules: &'a OutboundRules,
}

/// Connects to a host that the operator has set; errors call it `server`. Each of its addresses gets at most the time `each`,
/// so that a silent one does not use up all of the caller's. The addresses are checked after the look-up, so that no name leads
/// to metadata.
///
/// # Errors
/// [`OutboundError`], except `Refused` and `Tls`.
pub async fn connect(server: &'static str, host: &str, port: u16, each: Duration) -> Result<TcpStream, OutboundError> {
    let found = addresses(server, host, port).await?;
    if found.iter().any(|address| is_link_local(address.ip())) {
        return Err(OutboundError::LinkLocal { server });
    }
    first_of(server, found, each).await
}

/// Like [`connect`], for a host that a user has set. The checked addresses are those of the connection, so a name whose address
/// changes leads nowhere else. A name with one refused address is refused as a whole.
///
/// # Errors
/// [`OutboundError`], except `LinkLocal` and `Tls`.
pub async fn connect_for_user(
    server: &'static str,
    to: UserDestination<'_>,
    each: Duration,
) -> Result<TcpStream, OutboundError> {
    let UserDestination { host, port, has_tls, rules } = to;
    let refused = |refusal| OutboundError::Refused { server, refusal };
    let found = addresses(server, host, port).await?;
    found.iter().try_for_each(|address| rules.check(address.ip(), has_tls)).map_err(refused)?;
    let stream = first_of(server, found, each).await?;
    let failed = |source| OutboundError::Connect { server, source };
    let local = stream.local_addr().map_err(failed)?;
    let peer = stream.peer_addr().map_err(failed)?;
    rules.check_ends(local, peer).map_err(refused)?;
    Ok(stream)
}

async fn addresses(server: &'static str, host: &str, port: u16) -> Result<Vec<SocketAddr>, OutboundError> {
    let found = lookup_host((host, port)).await.map_err(|source| OutboundError::Resolve { server, source })?;
    Ok(found.collect())
}

/// Connects to the first address that accepts a connection.
async fn first_of(server: &'static str, found: Vec<SocketAddr>, each: Duration) -> Result<TcpStream, OutboundError> {
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
    #[tokio::test]
    async fn a_destination_of_a_user_is_checked_after_the_look_up_and_at_the_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = |allow: &[&str], own_ports: &[u16]| {
            let networks = allow.iter().map(|network| network.parse().unwrap()).collect();
            OutboundRules::new(networks, own_ports.to_vec())
        };
        let closed = open(&[], &[]);
        let both = open(&["127.0.0.0/8", "::1/128"], &[]);
        let own = open(&["127.0.0.0/8", "::1/128"], &[port]);
        // The resolver of the system reads `2130706433` as 127.0.0.1, as any name may resolve to it.
        for host in ["127.0.0.1", "2130706433", "0x7f000001"] {
            for (rules, expected) in [
                (
                    &closed,
                    Err(
                        "the receiver may not receive requests: an internal address, which only `outbound.allow` of the configuration file permits",
                    ),
                ),
                (&both, Ok(())),
                (&own, Err("the receiver may not receive requests: a port of the gateway itself")),
            ] {
                let to = UserDestination { host, port, has_tls: true, rules };
                let connected = connect_for_user("the receiver", to, Duration::from_secs(1)).await;
                let connected = connected.map(drop).map_err(|error| error.to_string());
                assert_eq!(connected.as_ref().map_err(String::as_str).copied(), expected, "{host}");
            }
        }
    }
}
