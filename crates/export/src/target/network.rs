//! Connections to a target, within bounds of time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use access::issuer::is_link_local;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::EventExportError;

/// Maximum time for one batch, from the name look-up to the confirmation.
pub(super) const BATCH_MAX: Duration = Duration::from_secs(30);
/// Maximum time to connect to one address.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Maximum number of a name's addresses that are tried.
const ADDRESSES_MAX: usize = 4;

/// Connects to a host.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, EventExportError> {
    let found = lookup_host((host, port)).await.map_err(EventExportError::Resolve)?;
    let found: Vec<_> = found.take(ADDRESSES_MAX).collect();
    if found.iter().any(|address| is_link_local(address.ip())) {
        return Err(EventExportError::LinkLocal);
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in found {
        match timeout(CONNECT_MAX, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(late) => last = late.into(),
        }
    }
    Err(EventExportError::Connect(last))
}

/// Begins TLS on a connection, and verifies the certificate of the host.
pub(super) async fn encrypt(
    stream: TcpStream,
    host: &str,
    tls: &Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, EventExportError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| EventExportError::Tls(io::Error::other(error)))?;
    TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(EventExportError::Tls)
}
