//! The members of an upstream that discovery finds. They change within a snapshot.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{Secret, Timestamp};
use arc_swap::ArcSwap;
use tls::UpstreamTls;

use super::origin::{Backend, Origin};

/// The rules of the section `dns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsSettings {
    /// The servers that are asked; empty means those of the system.
    pub servers: Vec<SocketAddr>,
    /// Maximum time between two look-ups of a name, whatever its TTL. Default 60 s.
    pub refresh_max: Duration,
}

/// The rules of the section `etcd`.
#[derive(Debug, Clone)]
pub struct EtcdSettings {
    /// The servers of one cluster, at least one.
    pub urls: Vec<Origin>,
    /// The user's name and password, if the cluster requires them.
    pub user: Option<(Arc<str>, Secret)>,
    /// The TLS to the servers; `None` means Mozilla's roots and no client certificate.
    pub tls: Option<Arc<UpstreamTls>>,
}

/// The rules of the section `consul`.
#[derive(Debug, Clone)]
pub struct ConsulSettings {
    /// The agent or server.
    pub url: Origin,
    /// The token of queries.
    pub token: Option<Secret>,
    /// The data center; `None` means that of the agent.
    pub datacenter: Option<Arc<str>>,
    /// The TLS to the agent; `None` means Mozilla's roots and no client certificate.
    pub tls: Option<Arc<UpstreamTls>>,
}

/// A source of members.
#[derive(Debug, Clone)]
pub enum MemberSource {
    /// The addresses of the template's host.
    Dns {
        /// The servers and the pauses of look-ups.
        settings: Arc<DnsSettings>,
    },
    /// The hosts and ports of SRV records (RFC 2782), whose name is the template's host.
    Srv {
        /// The servers and the pauses of look-ups.
        settings: Arc<DnsSettings>,
    },
    /// The values of the keys of etcd with a prefix.
    Etcd {
        /// The cluster that has the keys.
        settings: Arc<EtcdSettings>,
        /// The prefix of the keys.
        prefix: Arc<str>,
    },
    /// The passing instances of a service of Consul.
    Consul {
        /// The agent that is queried.
        settings: Arc<ConsulSettings>,
        /// The name of the service.
        service: Arc<str>,
    },
}

/// A part of the members of an upstream.
#[derive(Debug, Clone)]
pub enum MemberPart {
    /// A backend with a fixed address.
    Fixed(Backend),
    /// The members that a source finds.
    Found {
        /// The source that finds them.
        source: MemberSource,
        /// The scheme, authority, path and permission of the members. Its host and port are those of the source.
        template: Origin,
        /// The weight of members without their own.
        weight: u32,
    },
}

/// The state of a source, as the admin API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// The kind and the name: `dns users.internal:8080`.
    pub name: Arc<str>,
    /// The number of members that it has found; `None` before its first list.
    pub members: Option<usize>,
    /// When the source last responded; `None` if it has not since the start.
    pub responded_at: Option<Timestamp>,
    /// The reason why it does not respond now.
    pub error: Option<Arc<str>>,
}

/// The members of an upstream at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberList {
    /// The backends, at most [`MEMBERS_MAX`].
    pub backends: Arc<[Backend]>,
    /// The sources, in the order of the configuration.
    pub sources: Arc<[SourceStatus]>,
}

/// Maximum number of members of an upstream.
pub const MEMBERS_MAX: usize = 1_000;

/// The discovery of the members of one upstream.
#[derive(Debug)]
pub struct Discovery {
    /// The parts of the members, in the order of the configuration; at least one is found.
    pub parts: Box<[MemberPart]>,
    list: ArcSwap<MemberList>,
}

impl MemberPart {
    /// Returns the kind and the name of the source; `None` for a fixed backend.
    #[must_use]
    pub fn source(&self) -> Option<String> {
        let Self::Found { source, template, .. } = self else { return None };
        Some(match source {
            MemberSource::Dns { .. } => format!("dns {}:{}", template.host, template.port),
            MemberSource::Srv { .. } => format!("dns {}", template.host),
            MemberSource::Etcd { prefix, .. } => format!("etcd {prefix}"),
            MemberSource::Consul { service, .. } => format!("consul {service}"),
        })
    }
}

impl Discovery {
    /// Returns the kinds and the names of the sources.
    pub fn sources(&self) -> impl Iterator<Item = String> {
        self.parts.iter().filter_map(MemberPart::source)
    }

    /// Returns the discovery of an upstream whose sources have found nothing yet.
    #[must_use]
    pub fn new(parts: Box<[MemberPart]>) -> Self {
        let fixed = parts.iter().filter_map(|part| match part {
            MemberPart::Fixed(backend) => Some(backend.clone()),
            MemberPart::Found { .. } => None,
        });
        let list = MemberList { backends: fixed.collect(), sources: Arc::default() };
        Self { list: ArcSwap::from_pointee(list), parts }
    }

    /// Returns the members now.
    #[must_use]
    pub fn list(&self) -> Arc<MemberList> {
        self.list.load_full()
    }

    /// Returns the backends now, unless they are still these.
    #[must_use]
    pub fn changed_from(&self, known: &Arc<[Backend]>) -> Option<Arc<[Backend]>> {
        let list = self.list.load();
        (!Arc::ptr_eq(&list.backends, known)).then(|| list.backends.clone())
    }

    /// Uses these members until the sources have responded.
    pub(crate) fn begin_with(&self, backends: Arc<[Backend]>) {
        self.list.store(Arc::new(MemberList { backends, sources: Arc::default() }));
    }

    /// Replaces the members. Backends that are equal to those before stay the same in memory, so that nothing is built again.
    pub fn replace(&self, mut list: MemberList) {
        let before = self.list.load();
        if before.backends == list.backends {
            list.backends = before.backends.clone();
        }
        if **before != list {
            self.list.store(Arc::new(list));
        }
    }
}
