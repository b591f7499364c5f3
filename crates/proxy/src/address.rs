//! Where a request comes from.

use std::net::IpAddr;

use access::address;
use http::{HeaderMap, HeaderValue};

use crate::exchange::Exchange;
use crate::transform::X_FORWARDED_FOR;

/// The caller's address: the peer's, or whom a trusted proxy says that it speaks for. `headers` are the caller's own.
pub(crate) fn of(exchange: &Exchange, headers: &HeaderMap) -> IpAddr {
    let said = headers.get_all(X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
    address::origin(exchange.at.peer.address, &exchange.snapshot.traffic.trusted_proxies, said)
}

/// Whether the peer is a trusted proxy.
pub(crate) fn is_of_trusted(exchange: &Exchange) -> bool {
    let peer = exchange.at.peer.address.to_canonical();
    exchange.snapshot.traffic.trusted_proxies.iter().any(|network| network.contains(&peer))
}

/// The caller's address as an upstream is told.
pub(crate) fn told(exchange: &Exchange, headers: &HeaderMap) -> HeaderValue {
    let (peer, address) = (&exchange.at.peer, of(exchange, headers));
    if address == peer.address {
        return peer.forwarded_for.clone();
    }
    // An address has no character that a header's value must not have.
    HeaderValue::from_str(&address.to_string()).unwrap_or_else(|_| peer.forwarded_for.clone())
}
