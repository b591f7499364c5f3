//! The IP address that a request comes from.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use access::network::address;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderName, HeaderValue};

use crate::process::state::App;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The IP address of the connection's other end. The server adds it to the extensions of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The client's IP address: the peer's, or the address that a trusted proxy forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) IpAddr);

impl Address {
    pub(crate) fn from_parts(parts: &Parts, app: &App) -> Self {
        // A router in a unit test has no connection. Its requests count as local.
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0);
        let fields = parts.headers.get_all(X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
        Self(address::origin(peer, &app.live.load().traffic.trusted_proxies, fields))
    }
}

impl FromRequestParts<Arc<App>> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Self::from_parts(parts, app))
    }
}
