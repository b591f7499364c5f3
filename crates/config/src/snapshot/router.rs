//! Selects the route of a request. docs/routing.md has the order of precedence.
//!
//! An exact host comes before wildcards, a longer wildcard before shorter ones, and routes of all hosts last; of one host, one
//! with a port is first. For one host and port, paths are compared segment by segment (`paths`). Routes of the same path are ordered by `Route::specificity`, and
//! then as in the file. If a route does not accept the method or the request does not meet its conditions, the next
//! matching route that does is used.
//!
//! Paths are compared byte for byte in their one spelling ([`normalized`]); hosts without case, their ports as numbers.

mod paths;
mod readings;
mod table;

use std::sync::Arc;

use self::paths::first;
use self::readings::OtherReadings;
use self::table::{RouteTable, compared, domains, requested_port};
use super::ambiguous::PathRefusal;
use super::conditions::{DisputedPart, Fit, RequestParts, Specificity};
use super::normal_form::normalized;
use super::path_forms::PathSteps;
use super::route::{HostName, PathMatch, Route};
use super::template::Template;

/// The compiled routes of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Router {
    table: RouteTable,
    routes: Vec<Arc<Route>>,
    /// The routes at other readings of paths; `None` if none matters.
    readings: Option<Box<OtherReadings>>,
}

/// The part of a request that selects its route.
#[derive(Clone, Copy)]
pub struct RouteRequest<'a> {
    /// The method as it was sent, which is case-sensitive.
    pub method: &'a str,
    /// The host as it was sent, with or without a port; empty if it is unknown. One that is not ASCII matches no host.
    pub host: &'a [u8],
    /// The path without the query.
    pub path: &'a str,
    /// The position of the listener that received it.
    pub listener: usize,
    /// The parts that only routes with conditions need.
    pub parts: &'a dyn RequestParts,
}

/// The result of looking up a request.
#[derive(Debug, Clone)]
pub enum Match<'a> {
    /// The route of the request.
    Route(&'a Arc<Route>),
    /// Routes match all but the method.
    WrongMethod {
        /// The accepted methods for the `Allow` header, without duplicates.
        allow: Vec<&'a str>,
    },
    /// The values of a part of the request disagree about a route that would come first.
    Disputed {
        /// The part of the request whose values disagree.
        part: DisputedPart<'a>,
        /// The route that would come first.
        route: &'a Arc<Route>,
    },
    /// No route matches, whatever the method.
    None,
}

/// The way in which a route accepts a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MethodMatch {
    /// The route accepts all methods.
    All,
    /// The route lists the method.
    Listed,
    /// The method is HEAD, and the route lists GET, which includes it (RFC 9110, 9.3.2).
    AsGet,
}

/// The routes that a search has passed.
#[derive(Debug, Default)]
struct PassedRoutes<'a> {
    /// The methods of those that match all but the method.
    allow: Vec<&'a str>,
    /// The first route that matches but for a part whose values disagree.
    disputed: Option<(DisputedPart<'a>, &'a Arc<Route>)>,
}

impl<'a> PassedRoutes<'a> {
    /// Returns the result of the search.
    fn into_match(self, found: Option<&'a Arc<Route>>) -> Match<'a> {
        match (self.disputed, found) {
            (Some((part, route)), _) => Match::Disputed { part, route },
            (None, Some(route)) => Match::Route(route),
            (None, None) if self.allow.is_empty() => Match::None,
            (None, None) => Match::WrongMethod { allow: self.allow },
        }
    }
}

impl Router {
    /// Compiles `routes`. If two of the same precedence match a request, the first is used.
    #[must_use]
    pub fn new(routes: Vec<Arc<Route>>) -> Self {
        let mut table = RouteTable::default();
        for route in &routes {
            table.add(route, &route.matches.path.clone().in_normal_form());
        }
        Self { table, routes, readings: None }
    }

    /// Compiles the routes at the paths that backends may read in place of received ones. `body_bytes_max` is the maximum body
    /// of requests of routes without their own.
    #[must_use]
    pub fn with_readings(self, steps: PathSteps, body_bytes_max: u64) -> Self {
        Self { readings: OtherReadings::new(&self.routes, steps, body_bytes_max), ..self }
    }

    /// Finds the route of a request.
    #[must_use]
    pub fn find(&self, requested: RouteRequest<'_>) -> Match<'_> {
        let path = normalized(requested.path);
        let mut passed = PassedRoutes::default();
        let found = self.table.find(requested, &path, |routes| first(routes, requested, &mut passed));
        passed.into_match(found)
    }

    /// Returns the refusal of a request for `route`, which its path selects: a backend may read the path as another one, whose
    /// route asks more.
    #[must_use]
    pub fn refusal(&self, requested: RouteRequest<'_>, route: &Arc<Route>) -> Option<PathRefusal<'_>> {
        self.readings.as_ref()?.refusal(requested, route)
    }

    /// Returns whether routes name this host, and all of them are bound to other listeners than the one at this position.
    #[must_use]
    pub fn is_host_elsewhere(&self, host: &[u8], listener: usize) -> bool {
        let of_host = || self.routes.iter().filter(|route| route.matches.host.is_some() && route.is_of_host(host));
        of_host().next().is_some() && !of_host().any(|route| route.is_of(listener))
    }

    /// Returns every route, in the order of the file.
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }
}

impl Route {
    /// Returns how the route accepts `method`; `None` if it does not. Only a route that lists TRACE accepts it: its responses
    /// repeat fields of requests (RFC 9110, 9.3.8).
    pub(crate) fn accepts(&self, method: &str) -> Option<MethodMatch> {
        let lists = |method: &str| self.matches.methods.iter().any(|listed| listed == method);
        if self.matches.methods.is_empty() {
            (method != "TRACE").then_some(MethodMatch::All)
        } else if lists(method) {
            Some(MethodMatch::Listed)
        } else {
            (method == "HEAD" && lists("GET")).then_some(MethodMatch::AsGet)
        }
    }

    /// The methods that the route accepts: the listed ones, and HEAD with GET. Of a route that lists none, the usual ones.
    pub(crate) fn accepted_methods(&self) -> impl Iterator<Item = &str> {
        const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let listed = || self.matches.methods.iter().map(String::as_str);
        let head = listed().any(|method| method == "GET") && !listed().any(|method| method == "HEAD");
        let usual = if self.matches.methods.is_empty() { &USUAL[..] } else { &[] };
        let listed = listed().flat_map(move |method| [Some(method), (head && method == "GET").then_some("HEAD")]);
        listed.flatten().chain(usual.iter().copied())
    }

    /// Whether the route matches this host, with its port or the one of the scheme, and this path, which is normalized.
    pub(crate) fn is_at(&self, scheme: &str, host: &[u8], path: &str) -> bool {
        let port = self.matches.host.as_ref().and_then(|host| host.port);
        let is_of_port = port.is_none() || port == requested_port(host, scheme);
        is_of_port && self.is_of_host(host) && self.matches.path.is_match(path)
    }

    /// Whether the route matches this host, whatever its port is.
    fn is_of_host(&self, host: &[u8]) -> bool {
        let host = || std::str::from_utf8(host).ok().and_then(compared);
        match self.matches.host.as_ref().map(|host| &host.name) {
            None => true,
            Some(HostName::Exact(own)) => host().is_some_and(|host| *host == **own),
            Some(HostName::Below(own)) => host().is_some_and(|host| domains(&host).any(|domain| domain == own)),
        }
    }

    /// Whether the route gets requests of the listener at this position.
    pub(crate) fn is_of(&self, listener: usize) -> bool {
        let listeners = &self.matches.listeners;
        listeners.is_empty() || listeners.iter().any(|matched| matched.position == listener)
    }

    /// Returns whether the request meets the conditions of the route.
    fn fit(&self, requested: RouteRequest<'_>) -> Fit<'_> {
        if !self.is_of(requested.listener) {
            return Fit::Unmet;
        }
        self.matches.conditions.as_ref().map_or(Fit::Met, |conditions| conditions.fit(requested.parts))
    }

    /// Returns the rank of the route among those of the same host and path.
    fn specificity(&self) -> Specificity {
        let [a, b, c, d, e, f] = self.matches.conditions.as_ref().map_or([0; 6], |conditions| conditions.specificity());
        let listeners = &self.matches.listeners;
        let methods = &self.matches.methods;
        [usize::from(!listeners.is_empty()), usize::from(!methods.is_empty()), a, b, c, d, e, f]
    }
}

impl Match<'_> {
    /// Whether a matching route has priority over an LLM endpoint at `endpoint_path` (whole, with `ai.prefix`) that
    /// matches the same request. It has priority if it has a host, as endpoints have none, or if it is as specific as the
    /// endpoint: an exact path or a prefix at least as long.
    #[must_use]
    pub fn precedes(&self, endpoint_path: &str) -> bool {
        match self {
            Self::Route(route) | Self::Disputed { route, .. } => {
                route.matches.host.is_some() || route.matches.path.precedes(endpoint_path)
            }
            Self::WrongMethod { .. } | Self::None => false,
        }
    }
}

impl PathMatch {
    /// Whether routes of the path come before those of regular expressions, as all do but those of every path.
    pub(crate) fn precedes_expressions(&self) -> bool {
        match self {
            Self::Exact(_) => true,
            Self::Prefix(prefix) => !prefix.trim_end_matches('/').is_empty(),
            Self::Template(template) => template.segments().len() > 1 || !template.ends_with_rest(),
            Self::Regex(_) => false,
        }
    }

    /// Returns the path in the form in which paths are compared.
    pub(crate) fn in_normal_form(self) -> Self {
        match self {
            Self::Exact(path) => Self::Exact(normalized(&path).into_owned()),
            Self::Prefix(path) => Self::Prefix(normalized(&path).into_owned()),
            Self::Template(template) => {
                // No escape that is decoded is that of a slash, a brace or an asterisk.
                let normal = Template::parse(&normalized(&template.to_string()));
                Self::Template(normal.unwrap_or(template))
            }
            Self::Regex(pattern) => Self::Regex(pattern),
        }
    }

    /// Whether it matches a path, which is normalized.
    pub(crate) fn is_match(&self, path: &str) -> bool {
        match self {
            Self::Exact(own) => path == normalized(own),
            Self::Prefix(own) => {
                let own = normalized(own);
                path.strip_prefix(own.trim_end_matches('/'))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Template(template) => template.captures(path).is_some(),
            Self::Regex(pattern) => pattern.is_match(path.as_bytes()),
        }
    }

    fn precedes(&self, endpoint_path: &str) -> bool {
        match self {
            Self::Exact(_) => true,
            Self::Prefix(prefix) => prefix.len() >= endpoint_path.trim_end_matches('/').len(),
            Self::Template(_) | Self::Regex(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
