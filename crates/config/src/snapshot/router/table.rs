//! The routes of all hosts.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::route::{HostName, PathMatch, Route};
use super::RouteRequest;
use super::paths::Paths;

/// Maximum length of a host name (RFC 1035, 2.3.4), without a final full stop. Longer ones match no route with a host.
const HOST_LEN_MAX: usize = 253;

/// Routes by their hosts and paths.
#[derive(Debug, Clone, Default)]
pub(super) struct RouteTable {
    any_host: Paths,
    hosts: FxHashMap<String, HostPaths>,
    /// The routes of `*.example.com` under `example.com`.
    wildcards: FxHashMap<String, HostPaths>,
}

/// The routes of one host, or of one domain.
#[derive(Debug, Clone, Default)]
struct HostPaths {
    /// The routes with a port, by their ports.
    by_port: FxHashMap<u16, Paths>,
    any_port: Paths,
}

impl RouteTable {
    /// Adds a route at this path, after those of the same rank that were added before.
    pub(super) fn add(&mut self, route: &Arc<Route>, path: &PathMatch) {
        let Some(host) = &route.matches.host else { return self.any_host.add(route, path) };
        let paths = match &host.name {
            HostName::Exact(host) => self.hosts.entry(host.clone()).or_default(),
            HostName::Below(domain) => self.wildcards.entry(domain.clone()).or_default(),
        };
        paths.of_port(host.port).add(route, path);
    }

    /// Returns the first result of `pick` for the routes at a path, in the order of precedence.
    pub(super) fn find<'a>(
        &'a self,
        requested: RouteRequest<'_>,
        path: &str,
        mut pick: impl FnMut(&'a [Arc<Route>]) -> Option<&'a Arc<Route>>,
    ) -> Option<&'a Arc<Route>> {
        if !(self.hosts.is_empty() && self.wildcards.is_empty())
            && let Some(host) = std::str::from_utf8(requested.host).ok().and_then(compared)
        {
            let below = domains(&host).filter_map(|domain| self.wildcards.get(domain));
            for paths in self.hosts.get(&*host).into_iter().chain(below) {
                if let found @ Some(_) = paths.find(requested, path, &mut pick) {
                    return found;
                }
            }
        }
        self.any_host.find(path, &mut pick)
    }
}

impl HostPaths {
    /// Returns the routes with this port.
    fn of_port(&mut self, port: Option<u16>) -> &mut Paths {
        let Some(port) = port else { return &mut self.any_port };
        self.by_port.entry(port).or_default()
    }

    /// Returns the first result of `pick`. Routes with the port of the request come before those without a port.
    fn find<'a>(
        &'a self,
        requested: RouteRequest<'_>,
        path: &str,
        pick: &mut impl FnMut(&'a [Arc<Route>]) -> Option<&'a Arc<Route>>,
    ) -> Option<&'a Arc<Route>> {
        if !self.by_port.is_empty() {
            let port = requested_port(requested.host, requested.parts.scheme());
            let paths = port.and_then(|port| self.by_port.get(&port));
            if let found @ Some(_) = paths.and_then(|paths| paths.find(path, &mut *pick)) {
                return found;
            }
        }
        self.any_port.find(path, &mut *pick)
    }
}

/// Returns the port to which a request was sent: that of its host, otherwise that of the scheme. `None` if it is no port.
pub(super) fn requested_port(host: &[u8], scheme: &str) -> Option<u16> {
    let written = std::str::from_utf8(host).ok()?.rsplit_once(':').map(|(_, port)| port);
    match written.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty()) {
        Some(port) => port.parse().ok(),
        None => Some(if scheme == "https" { 443 } else { 80 }),
    }
}

/// Returns a host in the form in which hosts of routes are stored: lowercase, without port and final full stop.
pub(super) fn compared(host: &str) -> Option<Cow<'_, str>> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_lowercase = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    (1..=HOST_LEN_MAX)
        .contains(&name.len())
        .then(|| if is_lowercase { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) })
}

/// Returns the domains above a host, longest first.
pub(super) fn domains(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(host.split_once('.').map(|(_, above)| above), |domain| {
        domain.split_once('.').map(|(_, above)| above)
    })
}
