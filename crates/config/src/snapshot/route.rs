//! Routes of ordinary APIs.

use std::fmt;
use std::sync::Arc;

use settings::place::Place;

use super::conditions::Conditions;
use super::fixed_response::FixedResponse;
use super::pattern::Pattern;
use super::policy::RoutePolicy;
use super::redirect::Redirect;
use super::rewrite::Rewrite;
use super::split::Split;
use super::template::Template;
use super::upstream::Upstream;

/// One host and one path of an entry of `routes`.
#[derive(Debug, Clone)]
pub struct Route {
    /// The requests that it takes.
    pub matches: RouteMatches,
    /// What applies to its requests, whatever the action.
    pub policy: Arc<RoutePolicy>,
    /// What happens to its requests.
    pub action: Action,
    /// The change of the targets of its requests to upstreams.
    pub rewrite: Option<Box<Rewrite>>,
    /// Whether its clients may open WebSockets. Default false.
    pub websocket: bool,
    /// Its position in the file; `None` if a variable has it.
    pub place: Option<Place>,
    /// The number of its entry in `routes`. An entry with several hosts or paths is as many routes.
    pub entry: usize,
}

/// The keys of a route that select requests.
#[derive(Debug, Clone)]
pub struct RouteMatches {
    /// The hosts that it matches; `None` means all.
    pub host: Option<HostMatch>,
    /// The paths that it matches.
    pub path: PathMatch,
    /// The listeners whose requests it matches; empty means all.
    pub listeners: Box<[ListenerMatch]>,
    /// The methods that it accepts, uppercase; empty means all.
    pub methods: Vec<String>,
    /// The conditions on fields and query parameters; `None` without one.
    pub conditions: Option<Box<Conditions>>,
}

/// What happens to the requests of a route.
#[derive(Debug, Clone)]
pub enum Action {
    /// They are forwarded: `upstreams`.
    Forward(Arc<Upstream>),
    /// They are divided among several upstreams: a list in `upstreams`.
    Split(Split),
    /// The gateway responds: `respond`.
    Respond(FixedResponse),
    /// The client is sent to another address: `redirect`.
    Redirect(Redirect),
}

/// A listener of `routes[].listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerMatch {
    /// The position in [`Process::listen`](super::Process::listen).
    pub position: usize,
    /// The name of the listener.
    pub name: Arc<str>,
}

/// The setting `routes[].host` of the file, in lowercase.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostMatch {
    /// The host or the hosts.
    pub name: HostName,
    /// The port of requests to the host; `None` means any.
    pub port: Option<u16>,
}

/// The host of a [`HostMatch`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostName {
    /// Requests to this host only.
    Exact(String),
    /// All hosts below this domain: `*.example.com` is `example.com`.
    Below(String),
}

impl fmt::Display for HostMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

/// The setting `routes[].path` of the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathMatch {
    /// This path only, byte for byte.
    Exact(String),
    /// This path and the paths below it: `/api` matches `/api` and `/api/x`, not `/apix`.
    Prefix(String),
    /// The paths of which each segment fits: `/users/{id}`.
    Template(Template),
    /// The paths in which the expression is found.
    Regex(Pattern),
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(path) if path.is_empty() => f.write_str("/"),
            Self::Exact(path) | Self::Prefix(path) => f.write_str(path),
            Self::Template(template) => template.fmt(f),
            Self::Regex(pattern) => pattern.fmt(f),
        }
    }
}

/// The values of `routes[].upgrades`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// A WebSocket over HTTP/1.1 (RFC 6455).
    WebSocket,
}
