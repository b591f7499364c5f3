//! A new connection to an origin: name lookup, TCP, TLS, and the choice of the protocol.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::credentials::issuer::is_link_local;
use config::snapshot::{Origin, Scheme};
use rustls::pki_types::ServerName;
use socket2::SockRef;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::bytes::buffers::Buffers;
use crate::deadlines::probe::Gauge;
use crate::upstream::connection_limit::OpeningPermit;
use crate::upstream::http1::Http1Connection;
use crate::upstream::lookups::NameLookups;
use crate::upstream::pool::Pool;
use crate::upstream::pool::http2;
use crate::upstream::pool::http2::NewHttp2Connection;
use crate::upstream::socket::{Socket, Transport, probe_silent};

/// Maximum number of a name's addresses that are tried.
const ADDRESSES_MAX: usize = 4;
const ALPN_HTTP2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// The reason why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("the upstream's name does not resolve")]
    Resolve(#[source] Arc<io::Error>),
    #[error("the upstream's host name resolves to no IP address")]
    NoAddress,
    #[error("the upstream's host has a link-local or metadata address, which only `allow_link_local: true` permits")]
    LinkLocal,
    #[error("the TCP connection to the upstream failed")]
    Tcp(#[source] io::Error),
    #[error("the connection to the upstream's Unix socket failed")]
    Unix(#[source] io::Error),
    #[error("the upstream's name is not valid in a certificate")]
    Name,
    #[error("the upstream's TLS handshake failed{}", remedy(.0))]
    Tls(#[source] io::Error),
    #[error("the connection was refused by the HTTP/2 client")]
    Http2(#[source] h2::Error),
    #[error("{0} within the time to connect")]
    Late(ConnectStep),
}

/// The step of a connection that was late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectStep {
    Resolve,
    Tcp,
    Tls,
}

impl fmt::Display for ConnectStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the upstream's name did not resolve",
            Self::Tcp => "the upstream accepted no TCP connection",
            Self::Tls => "the upstream did not finish the TLS handshake",
        })
    }
}

/// The TLS settings, the buffers and the look-ups of names for new connections of a worker.
pub(crate) struct Connector {
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) lookups: Rc<NameLookups>,
    /// Time after which TCP probes a silent connection; `None` if it does not.
    pub(crate) keep_alive: Option<Duration>,
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

/// Returns what an operator can do about a failed handshake.
fn remedy(error: &io::Error) -> &'static str {
    use rustls::{AlertDescription as Alert, CertificateError, Error};
    let is_refused_by_upstream = |alert: &Alert| {
        let refusals = [
            Alert::CertificateRequired,
            Alert::BadCertificate,
            Alert::CertificateExpired,
            Alert::CertificateUnknown,
            Alert::UnknownCA,
            Alert::AccessDenied,
        ];
        refusals.contains(alert)
    };
    match error.get_ref().and_then(|error| error.downcast_ref::<Error>()) {
        // An authority that was replaced by one of the same name makes a bad signature.
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            " (`tls.ca` must name the authority that signed its certificate)"
        }
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => " (`tls.server_name` must be a name in its certificate)",
        Some(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            " (the upstream needs a new certificate)"
        }
        Some(Error::AlertReceived(alert)) if is_refused_by_upstream(alert) => {
            " (the upstream refuses the client certificate: check `tls.cert` and `tls.key`)"
        }
        Some(_) | None => "",
    }
}

/// Connects to the origin of a pool `within` a time, of which each address of a name has an equal share, with the right to a
/// connection of HTTP/1.1 if these are limited.
pub(crate) async fn connect(
    connector: &Connector,
    pool: &Pool,
    offered: OfferedProtocols,
    within: Duration,
    permit: Option<OpeningPermit>,
) -> Result<NewConnection, ConnectError> {
    let step = Cell::new(ConnectStep::Resolve);
    let until = Instant::now() + within;
    let opened = timeout_at(until, transport(connector, pool, offered, within, &step)).await;
    let (transport, speaks_http2) = opened.map_err(|_| ConnectError::Late(step.get()))??;
    let gauge = Gauge::new();
    let socket = Socket::new(transport, gauge.clone());
    if speaks_http2 {
        let opened = timeout_at(until, http2::open(socket, gauge)).await.map_err(|_| ConnectError::Late(step.get()))?;
        return Ok(NewConnection::Http2(Box::new(opened.map_err(ConnectError::Http2)?)));
    }
    Ok(NewConnection::Http1(Http1Connection::new(socket, gauge, connector.buffers.clone(), permit)))
}

/// Returns a connection over which requests can be sent, and whether HTTP/2 is spoken over it.
async fn transport(
    connector: &Connector,
    pool: &Pool,
    offered: OfferedProtocols,
    within: Duration,
    step: &Cell<ConnectStep>,
) -> Result<(Transport, bool), ConnectError> {
    let origin = &pool.origin;
    let stream = match origin.socket_path() {
        Some(path) => {
            step.set(ConnectStep::Tcp);
            tls::unix_socket::connect(path).await.map_err(ConnectError::Unix)?
        }
        None => {
            let stream = tcp(&connector.lookups, origin, within, step).await?;
            // The calls fail only on a socket that has already ended; the first write detects that.
            let _ = stream.set_nodelay(true);
            let _ = probe_silent(&SockRef::from(&stream), connector.keep_alive);
            stream
        }
    };
    Ok(match origin.scheme {
        Scheme::Http => (Transport::Plain(stream), false),
        Scheme::H2c => (Transport::Plain(stream), true),
        Scheme::Https => {
            let own = pool.tls.as_ref();
            let name = match own.and_then(|tls| tls.server_name()) {
                Some(name) => name.clone(),
                None => ServerName::try_from(origin.server_name().to_owned()).map_err(|_| ConnectError::Name)?,
            };
            let tls = own.map_or_else(|| connector.tls.clone(), |tls| tls.config());
            let tls = match offered {
                OfferedProtocols::All => tls,
                OfferedProtocols::Http1 => {
                    let mut tls = rustls::ClientConfig::clone(&tls);
                    tls.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
                    Arc::new(tls)
                }
            };
            step.set(ConnectStep::Tls);
            let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(ConnectError::Tls)?;
            let chosen = stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2);
            (Transport::Tls(Box::new(stream)), chosen)
        }
    })
}

async fn tcp(
    lookups: &Rc<NameLookups>,
    origin: &Origin,
    within: Duration,
    step: &Cell<ConnectStep>,
) -> Result<TcpStream, ConnectError> {
    if let Ok(address) = origin.host.parse() {
        check_address(origin, address)?;
        step.set(ConnectStep::Tcp);
        return TcpStream::connect(SocketAddr::new(address, origin.port)).await.map_err(ConnectError::Tcp);
    }
    let found = lookups.addresses(&origin.host, origin.port).await.map_err(ConnectError::Resolve)?;
    found.iter().try_for_each(|address| check_address(origin, address.ip()))?;
    step.set(ConnectStep::Tcp);
    let addresses = found.get(..ADDRESSES_MAX).unwrap_or(&found);
    let mut last = ConnectError::NoAddress;
    let share = within / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    for &address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = ConnectError::Tcp(error),
            Err(_) => last = ConnectError::Late(ConnectStep::Tcp),
        }
    }
    Err(last)
}

/// Refuses an address at which clouds serve the credentials of machines, unless the configuration file allows it. A name with
/// one such address is refused as a whole.
fn check_address(origin: &Origin, address: IpAddr) -> Result<(), ConnectError> {
    if is_link_local(address) && !origin.allow_link_local { Err(ConnectError::LinkLocal) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError, Error};
    use tokio::task::LocalSet;

    use super::*;

    #[test]
    fn failed_handshake_names_what_the_operator_can_do() {
        for (error, expected) in [
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), "`tls.ca`"),
            (Error::InvalidCertificate(CertificateError::BadSignature), "`tls.ca`"),
            (Error::InvalidCertificate(CertificateError::NotValidForName), "`tls.server_name`"),
            (Error::InvalidCertificate(CertificateError::Expired), "needs a new certificate"),
            (Error::AlertReceived(AlertDescription::CertificateRequired), "`tls.cert` and `tls.key`"),
            (Error::AlertReceived(AlertDescription::UnknownCA), "`tls.cert` and `tls.key`"),
        ] {
            let error = ConnectError::Tls(io::Error::new(io::ErrorKind::InvalidData, error));
            assert!(error.to_string().contains(expected), "{error}");
        }
        let other = ConnectError::Tls(io::ErrorKind::UnexpectedEof.into());
        assert_eq!(other.to_string(), "the upstream's TLS handshake failed");
    }

    /// The backlog of a listener that accepts nothing completes TCP connections, but no handshake.
    #[tokio::test]
    async fn a_connection_that_is_late_names_its_step() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Origin::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = Arc::new(tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth());
        let lookups = NameLookups::of_system();
        let connector = Connector { tls, buffers: Rc::default(), lookups, keep_alive: None };
        let pool = Rc::<crate::upstream::pool::Pools>::default().pool_for(
            &origin,
            None,
            &crate::upstream::pool::PoolBounds::UNLIMITED,
        );
        let connecting = connect(&connector, &pool, OfferedProtocols::All, Duration::from_millis(50), None);
        let error = LocalSet::new().run_until(connecting).await.err().unwrap();
        let expected = "the upstream did not finish the TLS handshake within the time to connect";
        assert_eq!(error.to_string(), expected);
    }

    /// The resolver of the system reads `0xa9fea9fe` as 169.254.169.254, as a name of metadata does.
    #[tokio::test]
    async fn no_connection_reaches_a_link_local_address_that_is_not_allowed() {
        let lookups = NameLookups::of_system();
        for host in ["169.254.169.254", "fe80::1", "::ffff:a9fe:a9fe", "fd00:ec2::254", "0xa9fea9fe", "2852039166"] {
            let origin = Origin { host: host.to_owned(), ..Origin::parse("http://h:1").unwrap() };
            let step = Cell::new(ConnectStep::Resolve);
            let connecting = tcp(&lookups, &origin, Duration::from_secs(5), &step);
            let error = LocalSet::new().run_until(connecting).await.unwrap_err();
            assert!(matches!(error, ConnectError::LinkLocal), "{host}: {error}");
            let origin = Origin { allow_link_local: true, ..origin };
            assert!(check_address(&origin, "169.254.169.254".parse().unwrap()).is_ok());
        }
    }
}
