//! What a route asks of requests that another route does not ask: then no other spelling of a path may reach its backends
//! over the other route.

use std::net::IpAddr;
use std::sync::Arc;

use super::auth::Auth;
use super::discovery::{MemberPart, MemberSource};
use super::origin::Origin;
use super::policy::RoutePolicy;
use super::route::{Action, Route};
use super::upstream::Upstream;

impl Route {
    /// Whether requests of the route are forwarded.
    #[must_use]
    pub const fn is_forwarded(&self) -> bool {
        matches!(self.action, Action::Forward(_) | Action::Split(_))
    }

    /// Whether the route asks more of requests than `other`, which forwards them: it responds itself, or it forwards to a
    /// common destination and has other authentication, addresses, rate limits, smaller bodies or more credits. `body_bytes_max`
    /// is the maximum of routes without their own.
    pub(crate) fn asks_more_than(&self, other: &Self, body_bytes_max: u64) -> bool {
        !self.is_forwarded()
            || (self.policy.asks_more_than(&other.policy, body_bytes_max)
                && upstreams(self).any(|one| upstreams(other).any(|other| one.shares_destination(other))))
    }

    /// Whether one of two routes asks more than the other, if they had a common destination.
    pub(crate) fn is_treated_otherwise_than(&self, other: &Self, body_bytes_max: u64) -> bool {
        self.is_forwarded() != other.is_forwarded()
            || self.policy.asks_more_than(&other.policy, body_bytes_max)
            || other.policy.asks_more_than(&self.policy, body_bytes_max)
    }
}

impl RoutePolicy {
    fn asks_more_than(&self, other: &Self, body_bytes_max: u64) -> bool {
        (self.addresses.is_some() && self.addresses != other.addresses)
            || (!is_open(&self.auth) && !is_same_auth(&self.auth, &other.auth))
            || (!self.rate_limits.is_empty() && self.rate_limits != other.rate_limits)
            || self.body_bytes_max(body_bytes_max) < other.body_bytes_max(body_bytes_max)
            || self.credits > other.credits
    }
}

/// Whether both require the same credentials.
fn is_same_auth(one: &Auth, other: &Auth) -> bool {
    match (one, other) {
        (Auth::Key, Auth::Key) | (Auth::None, Auth::None) => true,
        (Auth::Jwt(one), Auth::Jwt(other)) => Arc::ptr_eq(&one.entry, &other.entry) && one.require == other.require,
        (Auth::Listed(one), Auth::Listed(other)) => Arc::ptr_eq(one, other),
        (Auth::Redis(one), Auth::Redis(other)) => Arc::ptr_eq(one, other),
        (Auth::Basic(one), Auth::Basic(other)) => Arc::ptr_eq(one, other),
        (Auth::Forward(one), Auth::Forward(other)) => Arc::ptr_eq(one, other),
        (Auth::Any(one), Auth::Any(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same_auth(one, other))
        }
        _ => false,
    }
}

/// Whether requests without a credential are admitted.
fn is_open(auth: &Auth) -> bool {
    match auth {
        Auth::None => true,
        Auth::Any(list) => list.iter().any(is_open),
        Auth::Key | Auth::Listed(_) | Auth::Redis(_) | Auth::Jwt(_) | Auth::Basic(_) | Auth::Forward(_) => false,
    }
}

/// Returns the upstreams of a route.
fn upstreams(route: &Route) -> impl Iterator<Item = &Arc<Upstream>> {
    let (one, several) = match &route.action {
        Action::Forward(upstream) => (Some(upstream), None),
        Action::Split(split) => (None, Some(split.upstreams.iter())),
        Action::Respond(_) | Action::Redirect(_) => (None, None),
    };
    one.into_iter().chain(several.into_iter().flatten().map(|weighted| &weighted.upstream))
}

impl Upstream {
    /// Whether a server may be a backend of both upstreams, whatever their names.
    fn shares_destination(&self, other: &Self) -> bool {
        if self.name == other.name {
            return true;
        }
        let found_by_both = || self.sources().any(|one| other.sources().any(|other| is_same_source(one, other)));
        let own = self.origins();
        let others = other.origins();
        own.iter().any(|one| others.iter().any(|other| is_same_server(one, other))) || found_by_both()
    }

    /// Returns the origins of the configuration, and those that discovery has found.
    fn origins(&self) -> Vec<Origin> {
        let backends = self.backends();
        let known = self.configured.iter().chain(backends.iter()).map(|backend| backend.origin.clone());
        // The host and the port of the template are those of the name that is looked up.
        let named = self.parts().filter_map(|part| match part {
            MemberPart::Found { source: MemberSource::Dns { .. }, template, .. } => Some(template.clone()),
            MemberPart::Found { .. } | MemberPart::Fixed(_) => None,
        });
        known.chain(named).collect()
    }

    fn parts(&self) -> impl Iterator<Item = &MemberPart> {
        self.discovery.iter().flat_map(|discovery| discovery.parts.iter())
    }

    fn sources(&self) -> impl Iterator<Item = (&MemberSource, &Origin)> {
        self.parts().filter_map(|part| match part {
            MemberPart::Found { source, template, .. } => Some((source, template)),
            MemberPart::Fixed(_) => None,
        })
    }
}

/// Whether two sources find the same members.
fn is_same_source(one: (&MemberSource, &Origin), other: (&MemberSource, &Origin)) -> bool {
    match (one, other) {
        ((MemberSource::Srv { .. }, one), (MemberSource::Srv { .. }, other)) => {
            one.host.eq_ignore_ascii_case(&other.host)
        }
        ((MemberSource::Etcd { prefix: one, .. }, _), (MemberSource::Etcd { prefix: other, .. }, _)) => {
            one.starts_with(&**other) || other.starts_with(&**one)
        }
        ((MemberSource::Consul { service: one, .. }, _), (MemberSource::Consul { service: other, .. }, _)) => {
            one == other
        }
        _ => false,
    }
}

/// Whether two origins are on one server, whatever their schemes and paths.
fn is_same_server(one: &Origin, other: &Origin) -> bool {
    one.port == other.port
        && (one.host.eq_ignore_ascii_case(&other.host) || (is_loopback(&one.host) && is_loopback(&other.host)))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
