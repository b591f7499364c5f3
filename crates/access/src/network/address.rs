//! The IP address from which a request originates, and the network that rate limits count.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// Maximum number of proxies in a row that are believed. A longer list in `X-Forwarded-For` is forged.
const HOPS_MAX: usize = 32;
/// Bits of an IPv6 address that identify its network: one client usually controls all addresses of a /64 (RFC 6177).
const NETWORK_BITS: u32 = 64;

/// The address from which a request originates, and its place among those that proxies report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedClient {
    /// The address from which the client sent the request.
    pub address: IpAddr,
    /// The number of reported addresses from the last one to the client's; 0 if the address is that of the peer.
    pub hops: usize,
}

/// Returns the client's address: the peer's address or, if the peer is a proxy in `trusted`, the address that it
/// reports.
///
/// `forwarded` contains the values of `X-Forwarded-For` in the order of the request. Each proxy appends the address of
/// its peer. The list is therefore read from its end, until an address is not in `trusted` or cannot be parsed.
#[must_use]
pub fn origin<'a>(peer: IpAddr, trusted: &[IpNet], forwarded: impl DoubleEndedIterator<Item = &'a [u8]>) -> IpAddr {
    reported(peer, trusted, forwarded).address
}

/// Returns the client's address as [`origin`] does, with its place in the list. Empty elements of a list are ignored (RFC
/// 9110, 5.6.1.2).
#[must_use]
pub fn reported<'a>(
    peer: IpAddr,
    trusted: &[IpNet],
    forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> ReportedClient {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = ReportedClient { address: peer.to_canonical(), hops: 0 };
    if !is_trusted(&client.address) {
        return client;
    }
    for hop in elements(forwarded).rev().take(HOPS_MAX) {
        let Some(before) = parse(hop) else { break };
        client = ReportedClient { address: before, hops: client.hops + 1 };
        if !is_trusted(&before) {
            break;
        }
    }
    client
}

/// Returns the elements of a list in the values of a header, without whitespace around them and without empty ones.
pub fn elements<'a>(values: impl DoubleEndedIterator<Item = &'a [u8]>) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    let elements = values.flat_map(|value| value.split(|byte| *byte == b','));
    elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Returns the address under which a client is counted: an IPv4 address itself, and the first address of the /64 of an
/// IPv6 address.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> NETWORK_BITS << NETWORK_BITS)),
    }
}

/// Parses an address. Some proxies add a port, or brackets around an IPv6 address.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let address = text.parse().ok().or_else(bracketed);
    address
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn check(peer: &str, hops: &[&str]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|network| network.parse().unwrap()).into();
        origin(peer.parse().unwrap(), &trusted, hops.iter().map(|value| value.as_bytes())).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        for (peer, hops, caller) in [
            ("203.0.113.9", &["1.2.3.4"][..], "203.0.113.9"),
            ("::ffff:203.0.113.9", &["1.2.3.4"], "203.0.113.9"),
            (PROXY, &[], PROXY),
            (PROXY, &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("2001:db8:ffff::1", &["2001:db8::7"], "2001:db8::7"),
        ] {
            assert_eq!(check(peer, hops), caller, "{peer} {hops:?}");
        }
    }

    #[test]
    fn the_last_untrusted_address_is_the_clients_whatever_the_client_sent() {
        for (hops, caller) in [
            (&["1.1.1.1, 203.0.113.9"][..], "203.0.113.9"),
            (&["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
            (&["1.1.1.1, 203.0.113.9, 10.9.9.9", "10.8.8.8"], "203.0.113.9"),
            (&["10.9.9.9,10.8.8.8"], "10.9.9.9"),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["203.0.113.9, "], "203.0.113.9"),
            (&["203.0.113.9,", "", " , ,10.8.8.8,,"], "203.0.113.9"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["::ffff:203.0.113.9 \t"], "203.0.113.9"),
        ] {
            assert_eq!(check(PROXY, hops), caller, "{hops:?}");
        }
    }

    #[test]
    fn an_unreadable_entry_ends_the_list_at_the_last_readable_address() {
        for (hops, caller) in [
            (&["unknown"][..], PROXY),
            (&["203.0.113.9, nonsense, 10.8.8.8"], "10.8.8.8"),
            (&["203.0.113.9, fe80::1%eth0"], PROXY),
            (&["203.0.113.9\0"], PROXY),
            (&["203.0.113.09"], PROXY),
            (&[",,,,,"], PROXY),
        ] {
            assert_eq!(check(PROXY, hops), caller, "{hops:?}");
        }
        assert_eq!(check(PROXY, &["10.1.1.1,".repeat(1_000).as_str(), "10.2.2.2"]), "10.1.1.1");
        assert_eq!(check(PROXY, &[format!("1.1.1.1{}", ", 10.1.1.1".repeat(40)).as_str()]), "10.1.1.1");
        assert_eq!(
            origin(PROXY.parse().unwrap(), &["10.0.0.0/8".parse().unwrap()], [&b"\xff\xfe"[..]].into_iter())
                .to_string(),
            PROXY
        );
    }

    #[test]
    fn the_place_of_the_client_is_counted_from_the_end() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        for (list, hops) in
            [("", 0), ("x", 0), ("203.0.113.9", 1), ("1.1.1.1, 203.0.113.9, 10.0.0.2", 2), ("10.0.0.3,,10.0.0.2", 2)]
        {
            let found = reported(PROXY.parse().unwrap(), &trusted, [list.as_bytes()].into_iter());
            assert_eq!(found.hops, hops, "{list}");
        }
    }

    #[test]
    fn an_ipv6_address_is_counted_as_its_network() {
        for (address, counted) in [
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("203.0.113.9", "203.0.113.9"),
            ("::1", "::"),
        ] {
            assert_eq!(network(address.parse().unwrap()).to_string(), counted);
        }
    }
}
