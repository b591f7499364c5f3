//! A source of members, and a member as a source describes it.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use serde::{Deserialize, Serialize};

use crate::etcd::EtcdCluster;
use crate::server::SourceServers;

/// Maximum number of members of a source.
pub const FOUND_MAX: usize = 1_000;

/// Maximum weight of a member.
const WEIGHT_MAX: u32 = 1_000;

/// The look-ups of one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FollowedName {
    /// The name, without a port.
    pub name: Arc<str>,
    /// The port of members; `None` if SRV records have it.
    pub port: Option<u16>,
    /// The servers that are asked; empty means those of the system.
    pub servers: Vec<SocketAddr>,
    /// Maximum time between two look-ups.
    pub refresh_max: Duration,
}

/// The members below a prefix of an etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedPrefix {
    /// The prefix of the keys.
    pub prefix: Arc<str>,
    /// The cluster with the keys.
    pub cluster: EtcdCluster,
}

/// The instances of a service of Consul.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedService {
    /// The name of the service.
    pub service: Arc<str>,
    /// The data center; `None` means that of the agent.
    pub datacenter: Option<Arc<str>>,
    /// The agent that is queried.
    pub servers: SourceServers,
    /// The token of the queries, if Consul requires one.
    pub token: Option<Secret>,
}

/// The place that a source reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowedPlace {
    /// The addresses of a name, or its SRV records.
    Dns(FollowedName),
    /// The values of keys in etcd.
    Etcd(FollowedPrefix),
    /// The passing instances of a service of Consul.
    Consul(FollowedService),
}

/// Scales weights in proportion, so that none exceeds [`WEIGHT_MAX`] and none that was greater becomes 0.
pub(super) fn scale(members: &mut [FoundMember]) {
    let greatest = members.iter().filter_map(|member| member.weight).max().unwrap_or(0);
    if greatest <= WEIGHT_MAX {
        return;
    }
    for weight in members.iter_mut().filter_map(|member| member.weight.as_mut()).filter(|weight| **weight > 0) {
        let scaled = u64::from(*weight) * u64::from(WEIGHT_MAX) / u64::from(greatest);
        *weight = u32::try_from(scaled).unwrap_or(WEIGHT_MAX).max(1);
    }
}

/// A source whose members are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedSource {
    /// The place that is read.
    pub place: FollowedPlace,
    /// Whether members may have link-local addresses.
    pub allow_link_local: bool,
}

impl FollowedSource {
    /// Returns the kind and the name, for people: `dns users.internal:8080`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.place {
            FollowedPlace::Dns(FollowedName { name, port: Some(port), .. }) => format!("dns {name}:{port}"),
            FollowedPlace::Dns(FollowedName { name, port: None, .. }) => format!("dns {name}"),
            FollowedPlace::Etcd(FollowedPrefix { prefix, .. }) => format!("etcd {prefix}"),
            FollowedPlace::Consul(FollowedService { service, .. }) => format!("consul {service}"),
        }
    }
}

impl Hash for FollowedSource {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

/// A member, as its source describes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FoundMember {
    /// A host name, or an address without brackets.
    pub host: String,
    /// The port of the member.
    pub port: u16,
    /// The URL that the source has written; `None` if the configuration determines all parts but host and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether the member is an address of the name in the configuration, which requests to it then have.
    #[serde(default)]
    pub is_address: bool,
    /// The name of which the member is an address, if it is not that in the configuration; requests to it then have this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The weight; `None` means that of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn great_weights_are_scaled_in_proportion() {
        for (weights, expected) in [
            ([Some(3), Some(1), None], [Some(3), Some(1), None]),
            ([Some(60_000), Some(6_000), Some(1)], [Some(1_000), Some(100), Some(1)]),
            ([Some(2_000), Some(0), None], [Some(1_000), Some(0), None]),
        ] {
            let member = |weight| FoundMember {
                host: "h".to_owned(),
                port: 80,
                url: None,
                is_address: false,
                name: None,
                weight,
            };
            let mut members = weights.map(member);
            scale(&mut members);
            assert_eq!(members.map(|member| member.weight), expected);
        }
    }
}
