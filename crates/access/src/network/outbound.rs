//! The rules for outgoing requests whose destination a user of the API has set, such as webhooks.
//!
//! Such requests must not reach what only the gateway's machine reaches: its own ports, and internal networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use thiserror::Error;

use crate::credentials::issuer::is_link_local;

/// Where such requests may go besides the addresses of the public Internet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboundRules {
    allow: Vec<IpNet>,
    own_ports: Vec<u16>,
}

/// The reason why a request may not go to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OutboundRefusal {
    /// The address belongs to a network that is not public, and is not listed.
    #[error("an internal address, which only `outbound.allow` of the configuration file permits")]
    Internal,
    /// The request is not encrypted, and the address is not listed.
    #[error("no https, which only `outbound.allow` of the configuration file permits")]
    Plain,
    /// The address and the port are those of the gateway.
    #[error("a port of the gateway itself")]
    OwnPort,
}

impl OutboundRules {
    /// Returns rules that permit these networks too; no request reaches `own_ports` of the machine.
    #[must_use]
    pub const fn new(allow: Vec<IpNet>, own_ports: Vec<u16>) -> Self {
        Self { allow, own_ports }
    }

    /// Whether any network is listed.
    #[must_use]
    pub const fn lists_any(&self) -> bool {
        !self.allow.is_empty()
    }

    /// Checks an address before a connection is made to it.
    ///
    /// # Errors
    /// [`OutboundRefusal::Internal`] and [`OutboundRefusal::Plain`].
    pub fn check(&self, address: IpAddr, has_tls: bool) -> Result<(), OutboundRefusal> {
        let address = address.to_canonical();
        // Clouds serve the credentials of machines at link-local addresses, so no list permits them.
        if is_link_local(address) {
            return Err(OutboundRefusal::Internal);
        }
        match (self.allow.iter().any(|network| network.contains(&address)), has_tls) {
            (true, _) => Ok(()),
            (false, _) if !is_public(address) => Err(OutboundRefusal::Internal),
            (false, true) => Ok(()),
            (false, false) => Err(OutboundRefusal::Plain),
        }
    }

    /// Checks the ends of a new connection before a byte is sent over it. A connection to an address of this machine has that
    /// address at both ends.
    ///
    /// # Errors
    /// [`OutboundRefusal::OwnPort`].
    pub fn check_ends(&self, local: SocketAddr, peer: SocketAddr) -> Result<(), OutboundRefusal> {
        let from = local.ip().to_canonical();
        let to = peer.ip().to_canonical();
        let is_own = (from == to || to.is_loopback()) && self.own_ports.contains(&peer.port());
        if is_own { Err(OutboundRefusal::OwnPort) } else { Ok(()) }
    }
}

/// Whether the address belongs to the public Internet: no private, loopback, link-local, unique-local, shared, multicast or
/// reserved network (RFC 6890). IPv4 addresses within IPv6 are checked as well.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_internal = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || matches!((a, b, c), (0 | 240..=255, _, _) | (100, 64..=127, _) | (192, 0, 0) | (198, 18 | 19, _));
    !is_internal
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let [one, two] = high.to_be_bytes();
        let [three, four] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(one, two, three, four))
    };
    match [a, b, c, d, e, f] {
        // Loopback, the unspecified address, and IPv4 in compatible form; translated IPv4 (RFC 6052), and that of a site.
        [0, 0, 0, 0, 0, 0] => false,
        [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        [0x64, 0xff9b, 1, ..] => false,
        // IPv4 in 6to4 (RFC 3056).
        [0x2002, high, low, ..] => v4(high, low),
        // Global unicast addresses have these three first bits (RFC 4291, 2.4).
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERNAL: [&str; 31] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.1.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:a00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    const PUBLIC: [&str; 9] = [
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.169.0.1",
        "2606:4700::1",
        "64:ff9b::101:101",
        "::ffff:1.1.1.1",
    ];

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn internal_addresses_need_a_list_and_link_local_ones_are_never_allowed() {
        let none = OutboundRules::default();
        for text in INTERNAL {
            assert_eq!(none.check(address(text), true), Err(OutboundRefusal::Internal), "{text}");
        }
        for text in PUBLIC {
            assert_eq!(none.check(address(text), true), Ok(()), "{text}");
            assert_eq!(none.check(address(text), false), Err(OutboundRefusal::Plain), "{text}");
        }
        let networks = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8", "169.254.0.0/16"].map(|text| text.parse().unwrap());
        let some = OutboundRules::new(networks.to_vec(), Vec::new());
        for (text, allowed) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("10.1.2.3", true),
            ("fd00::7", true),
            ("fd00:ec2::254", false),
            ("169.254.169.254", false),
            ("192.168.0.1", false),
            ("::1", false),
        ] {
            assert_eq!([true, false].map(|tls| some.check(address(text), tls).is_ok()), [allowed; 2], "{text}");
        }
    }

    #[test]
    fn no_connection_to_this_machine_reaches_the_own_ports() {
        let rules = OutboundRules::new(Vec::new(), vec![8080, 8787]);
        for (local, peer, allowed) in [
            ("203.0.113.7:50000", "203.0.113.7:8787", false),
            ("203.0.113.7:50000", "203.0.113.7:443", true),
            ("203.0.113.7:50000", "203.0.113.8:8787", true),
            ("127.0.0.1:50000", "127.0.0.2:8080", false),
            ("[::1]:50000", "[::1]:8080", false),
            ("[::ffff:127.0.0.1]:5", "[::ffff:127.0.0.1]:8787", false),
        ] {
            let checked = rules.check_ends(local.parse().unwrap(), peer.parse().unwrap());
            assert_eq!(checked.is_ok(), allowed, "{peer}");
        }
    }
}
