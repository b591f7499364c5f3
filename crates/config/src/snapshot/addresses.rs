//! The addresses from which clients may use a route.

use std::net::IpAddr;

use ipnet::IpNet;

/// The address rules of a route: `routes[].addresses`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRules {
    /// The networks of accepted clients; empty means all.
    pub allow: Box<[IpNet]>,
    /// The networks of refused clients, which precede those of `allow`.
    pub deny: Box<[IpNet]>,
}

impl AddressRules {
    /// Returns whether a client at this address may use the route.
    #[must_use]
    pub fn accepts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let has = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        !has(&self.deny) && (self.allow.is_empty() || has(&self.allow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denied_networks_precede_allowed_ones() {
        let check = |allow: &[&str], deny: &[&str], address: &str, expected: bool| {
            let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
            let rules = AddressRules { allow: networks(allow), deny: networks(deny) };
            assert_eq!(rules.accepts(address.parse().unwrap()), expected, "{allow:?} {deny:?} {address}");
        };
        let allow = ["203.0.113.0/24"];
        let deny = ["203.0.113.66/32"];
        for (address, expected) in [
            ("203.0.113.1", true),
            ("203.0.113.66", false),
            ("::ffff:203.0.113.66", false),
            ("::ffff:203.0.113.1", true),
            ("198.51.100.1", false),
            ("2001:db8::1", false),
        ] {
            check(&allow, &deny, address, expected);
        }
        check(&[], &deny, "198.51.100.1", true);
        check(&[], &deny, "203.0.113.66", false);
        check(&allow, &[], "203.0.113.66", true);
        check(&["2001:db8::/32"], &["2001:db8:1::/48"], "2001:db8:1::1", false);
        check(&["2001:db8::/32"], &["2001:db8:1::/48"], "2001:db8:2::1", true);
    }
}
