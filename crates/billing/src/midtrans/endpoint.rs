//! The URL of an API of Midtrans.

/// Scheme, host, port and path of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderEndpoint {
    /// Whether connections use TLS.
    pub has_tls: bool,
    /// The host name or the address.
    pub host: String,
    /// The port of the server.
    pub port: u16,
    /// Host and port as they are written in `Host`.
    pub authority: String,
    /// The path before each resource, without a final slash.
    pub path: String,
}
