//! The servers to which requests are sent.

/// One entry of `upstreams[].backends`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The address of the backend.
    pub origin: Origin,
    /// The backend's share of the requests, relative to the other backends: 0 to 1,000. Default 1. With 0, it
    /// gets no new requests.
    pub weight: u32,
}

/// The protocol of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http://`: HTTP/1.1 without TLS.
    Http,
    /// `https://`: TLS; the handshake (ALPN) chooses HTTP/2 or HTTP/1.1.
    Https,
    /// `h2c://`: HTTP/2 without TLS, from the first byte (RFC 9113, 3.3).
    H2c,
}

/// The destination of requests: scheme, authority and a path that is put before theirs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The protocol of the origin.
    pub scheme: Scheme,
    /// A host name, an address without brackets, or the path of a Unix socket, which alone begins with a slash.
    pub host: String,
    /// The port, even if the URL omits it; 0 for a Unix socket.
    pub port: u16,
    /// The value of the `Host` header: it has a port only if it is not the scheme's default. `localhost` for a Unix socket.
    pub authority: String,
    /// The path without a final slash; it may be empty.
    pub path: String,
    /// Whether the host may have a link-local address, at which clouds serve the credentials of machines.
    pub allow_link_local: bool,
}
