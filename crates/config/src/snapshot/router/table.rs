//! The routes of all hosts.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::route::{HostMatch, PathMatch, Route};
use super::paths::Paths;

/// Maximum length of a host name (RFC 1035, 2.3.4), without a final full stop. Longer ones match no route with a host.
const HOST_LEN_MAX: usize = 253;

/// Routes by their hosts and paths.
#[derive(Debug, Clone, Default)]
pub(super) struct RouteTable {
    any_host: Paths,
    hosts: FxHashMap<String, Paths>,
    /// The routes of `*.example.com` under `example.com`.
    wildcards: FxHashMap<String, Paths>,
}

impl RouteTable {
    /// Adds a route at this path, after those of the same rank that were added before.
    pub(super) fn add(&mut self, route: &Arc<Route>, path: &PathMatch) {
        let paths = match &route.matches.host {
            None => &mut self.any_host,
            Some(HostMatch::Exact(host)) => self.hosts.entry(host.clone()).or_default(),
            Some(HostMatch::Below(domain)) => self.wildcards.entry(domain.clone()).or_default(),
        };
        paths.add(route, path);
    }

    /// Returns the first result of `pick` for the routes at a path, in the order of precedence.
    pub(super) fn find<'a>(
        &'a self,
        host: &[u8],
        path: &str,
        mut pick: impl FnMut(&'a [Arc<Route>]) -> Option<&'a Arc<Route>>,
    ) -> Option<&'a Arc<Route>> {
        if !(self.hosts.is_empty() && self.wildcards.is_empty())
            && let Some(host) = std::str::from_utf8(host).ok().and_then(compared)
        {
            let below = domains(&host).filter_map(|domain| self.wildcards.get(domain));
            for paths in self.hosts.get(&*host).into_iter().chain(below) {
                if let found @ Some(_) = paths.find(path, &mut pick) {
                    return found;
                }
            }
        }
        self.any_host.find(path, &mut pick)
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
