//! The address of a checked backend, and the reasons for which a check fails.

use std::io;
use std::sync::Arc;

use access::credentials::issuer::host_and_port;
use thiserror::Error;
use tls::UpstreamTls;

/// The protocol of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckedScheme {
    /// The backend speaks HTTP/1.1 without TLS.
    Http,
    /// HTTP/2 without TLS, from the first byte.
    H2c,
    /// TLS: HTTP/1.1, or HTTP/2 for gRPC.
    Https,
}

/// The address to which checks connect.
#[derive(Debug, Clone)]
pub struct CheckedEndpoint {
    /// The protocol of the backend.
    pub scheme: CheckedScheme,
    /// A host name, an address without brackets, or the path of a Unix socket, which alone begins with a slash.
    pub host: String,
    /// The port of checks.
    pub port: u16,
    /// The value of `Host`.
    pub authority: String,
    /// The path of the backend's URL, which is put before that of the check.
    pub path: String,
    /// Whether the host may have a link-local address.
    pub allow_link_local: bool,
    /// The TLS of the upstream; `None` means the public roots.
    pub tls: Option<Arc<UpstreamTls>>,
}

impl CheckedEndpoint {
    /// Returns the host for TLS: that of the authority, because the host may be an address of its name.
    pub(crate) fn server_name(&self) -> &str {
        host_and_port(&self.authority, self.port).map_or(&*self.host, |(name, _)| name)
    }
}

/// Why a check failed.
#[derive(Debug, Error)]
pub enum CheckFailure {
    /// The check took longer than its maximum time.
    #[error("no response in time")]
    TimedOut,
    /// The name has no address.
    #[error("the host name does not resolve")]
    Resolve,
    /// The address is one of metadata services.
    #[error("the host has a link-local or metadata address, which only `allow_link_local: true` permits")]
    LinkLocal,
    /// No connection was opened.
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("TLS failed: {0}")]
    Tls(#[source] io::Error),
    /// The connection ended, or its protocol was violated.
    #[error("the response is invalid or incomplete: {0}")]
    Protocol(String),
    /// The status is not one of a healthy backend.
    #[error("the status is {0}")]
    Status(u16),
    /// The script could not be started, or did not end with status 0.
    #[error("the script failed: {0}")]
    Script(String),
    /// The gRPC service is not `SERVING`.
    #[error("the gRPC service does not serve ({0})")]
    NotServing(String),
    /// A defect of the gateway ended the check.
    #[error("the check ended with an internal error")]
    Internal,
}
