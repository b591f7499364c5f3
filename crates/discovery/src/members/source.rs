//! A source of members, and a member as a source describes it.

use std::error::Error;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tls::UpstreamTls;

/// Maximum number of members of a source.
pub const FOUND_MAX: usize = 1_000;

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

/// The URL of a server of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceUrl {
    /// Whether the server speaks TLS.
    pub is_tls: bool,
    /// A host name, or an address without brackets.
    pub host: String,
    /// The port of the server.
    pub port: u16,
    /// The value of `Host`.
    pub authority: String,
    /// The path before those of the API; it may be empty.
    pub path: String,
}

/// The servers of a source, which have the same content.
#[derive(Clone)]
pub struct SourceServers {
    /// The URLs, at least one. After a failure, the next one is asked.
    pub urls: Vec<SourceUrl>,
    /// The TLS; `None` means the public roots.
    pub tls: Option<Arc<UpstreamTls>>,
}

impl PartialEq for SourceServers {
    fn eq(&self, other: &Self) -> bool {
        let is_same_tls = match (&self.tls, &other.tls) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_same_tls && self.urls == other.urls
    }
}

impl Eq for SourceServers {}

impl fmt::Debug for SourceServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceServers").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// The members below a prefix of an etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedPrefix {
    /// The prefix of the keys.
    pub prefix: Arc<str>,
    /// The servers of the cluster.
    pub servers: SourceServers,
    /// The user's name and password, if the cluster requires them.
    pub user: Option<(Arc<str>, Secret)>,
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
    /// The weight; `None` means that of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// The reason why a source has no list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The DNS servers of the system are unknown.
    #[error("/etc/resolv.conf cannot be used: {0}")]
    System(String),
    /// The DNS servers did not respond, or reported an error.
    #[error("the look-up failed: {0}")]
    Lookup(String),
    /// The source did not respond in time.
    #[error("no response within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// No connection to the server was opened.
    #[error("no connection to the server: {0}")]
    Connect(String),
    /// The server has a link-local or metadata address.
    #[error("the server has a link-local or metadata address, to which no connection is made")]
    LinkLocal,
    /// The server does not speak HTTP/1.1, or sends other content than expected.
    #[error("the response is invalid or incomplete: {0}")]
    Protocol(String),
    /// The status is not 200. Redirects are not followed.
    #[error("the status of the response is {0}, not 200")]
    Status(u16),
    /// The response is larger than its maximum.
    #[error("the response is too large")]
    TooLarge,
    /// A part of the response or of the configuration has no valid form.
    #[error("{0}")]
    Invalid(&'static str),
    /// The task that follows the source has ended.
    #[error("internal error: the task of the source has ended")]
    Ended,
}

impl SourceError {
    pub(super) fn connect(error: &io::Error) -> Self {
        Self::Connect(error.to_string())
    }

    pub(super) fn protocol(error: &hyper::Error) -> Self {
        let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        Self::Protocol(format!("{error}{cause}"))
    }
}
