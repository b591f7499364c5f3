//! The form of networks of clients and of destinations.

use access::limits::bounds;
use ipnet::IpNet;
use settings::form::{Scalar, TextForm, bad};
use settings::section::setting::Value;

/// Cloudflare's networks: one network per line, `#` begins a comment.
const CLOUDFLARE: &str = include_str!("traffic/cloudflare.txt");
pub(super) const NETWORK: TextForm<Vec<IpNet>> = TextForm {
    parse: |text| {
        let expected = "an address, a network (10.0.0.0/8) that is not all of them, or `cloudflare`";
        networks(text).ok_or_else(|| bad(expected))
    },
    shown: |networks| Value::text(networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    cell: "address, network (`10.0.0.0/8`), `cloudflare`",
    pattern: r"^(cloudflare|[0-9.]+(/([1-9]|[12][0-9]|3[0-2]))?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(/([1-9][0-9]?|1[01][0-9]|12[0-8]))?)$",
    scalar: Scalar::Text,
};

fn networks(text: &str) -> Option<Vec<IpNet>> {
    if text == "cloudflare" {
        return Some(cloudflare());
    }
    // If every peer were trusted, each client could claim any address.
    bounds::network(text).ok().filter(|network| network.prefix_len() > 0).map(|network| vec![network])
}

fn cloudflare() -> Vec<IpNet> {
    CLOUDFLARE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloudflares_networks_are_all_read() {
        let networks = cloudflare();
        assert_eq!(networks.len(), CLOUDFLARE.lines().filter(|line| !line.starts_with('#')).count());
        assert_eq!(networks.len(), 22);
        assert!(networks.iter().all(|network| *network == network.trunc() && network.prefix_len() >= 12));
    }
}
