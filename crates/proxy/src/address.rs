//! The address of a request's client.

use std::borrow::Cow;
use std::net::IpAddr;

use access::address;
use http1::KnownName;

use crate::exchange::Exchange;

/// Returns the client's address: the peer's address, or the one that a trusted proxy reports.
pub(crate) fn of(exchange: &Exchange) -> IpAddr {
    let forwarded = exchange.head.fields().all(KnownName::XForwardedFor);
    address::origin(exchange.at.peer.address, &exchange.snapshot.traffic.trusted_proxies, forwarded)
}

/// Whether the peer is a trusted proxy.
pub(crate) fn is_of_trusted(exchange: &Exchange) -> bool {
    let peer = exchange.at.peer.address.to_canonical();
    exchange.snapshot.traffic.trusted_proxies.iter().any(|network| network.contains(&peer))
}

/// Returns the client's address as text, for upstreams.
pub(crate) fn forwarded(exchange: &Exchange) -> Cow<'_, [u8]> {
    let (peer, address) = (&exchange.at.peer, of(exchange));
    if address == peer.address {
        return Cow::Borrowed(peer.forwarded_for.as_bytes());
    }
    Cow::Owned(address.to_string().into_bytes())
}
