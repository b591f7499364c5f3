//! The routes in their order, with the requests that they match and the destinations of these requests.

use std::sync::Arc;

use ai::Endpoint;
use serde::Serialize;
use utoipa::ToSchema;

use super::routes::reasons;
use crate::snapshot::{Action, Auth, Events, Route, Snapshot, normalized};

/// A route of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListedRoute {
    /// The position in the file, `FILE:LINE:COLUMN`; null if the file does not have it.
    pub place: Option<String>,
    /// The hosts, separated by commas: a name, or `*.` and a domain; null means all.
    pub host: Option<String>,
    /// The paths, templates or expressions, separated by commas.
    pub path: String,
    /// The accepted methods; empty means all.
    pub methods: Vec<String>,
    /// All requirements on a request, in words.
    pub matches: Vec<String>,
    /// `forward`, `respond` or `redirect`.
    pub action: &'static str,
    /// The upstreams that get the requests; empty unless the action is `forward`.
    pub upstreams: Vec<ListedUpstream>,
    /// The required authentication: `none`, `key`, `jwt`, `basic`, `forward` or `any`.
    pub auth: &'static str,
    /// The form in which requests are recorded: `rows` or `folded`.
    pub events: &'static str,
}

/// An upstream of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListedUpstream {
    /// The name of the upstream.
    pub name: String,
    /// Its share of the requests of the route, relative to the other upstreams.
    pub weight: u32,
}

impl Snapshot {
    /// Returns the names of the configured routes in the order of the file, each with its description.
    #[must_use]
    pub fn listed_routes(&self) -> Vec<(Arc<str>, ListedRoute)> {
        let entries = self.traffic.router.routes().chunk_by(|route, next| route.entry == next.entry);
        entries.filter_map(|routes| Some((routes.first()?.policy.name.clone(), self.listed(routes)?))).collect()
    }

    /// Returns the description of the routes of one entry, which differ in their hosts and paths.
    fn listed(&self, routes: &[Arc<Route>]) -> Option<ListedRoute> {
        let route = routes.first()?;
        let hosts = different(routes.iter().filter_map(|route| route.matches.host.as_ref().map(ToString::to_string)));
        let paths = different(routes.iter().map(|route| route.matches.path.to_string()));
        let is_one = routes.len() == 1;
        let several = || {
            let host = hosts.as_ref().map(|hosts| format!("the host is one of {hosts}"));
            let path = paths.as_ref().map(|paths| format!("the path matches one of {paths}"));
            let matches = &route.matches;
            let fixed = usize::from(matches.host.is_some()) + 1;
            host.into_iter().chain(path).chain(reasons(route).into_iter().skip(fixed)).collect()
        };
        let upstream = |name: &Arc<str>, weight| ListedUpstream { name: name.to_string(), weight };
        let (action, upstreams) = match &route.action {
            Action::Forward(to) => ("forward", vec![upstream(&to.name, 1)]),
            Action::Split(split) => {
                ("forward", split.upstreams.iter().map(|part| upstream(&part.upstream.name, part.weight)).collect())
            }
            Action::Respond(_) => ("respond", Vec::new()),
            Action::Redirect(_) => ("redirect", Vec::new()),
        };
        Some(ListedRoute {
            place: self.place_text(route.place),
            matches: if is_one { reasons(route) } else { several() },
            host: hosts,
            path: paths.unwrap_or_default(),
            methods: route.matches.methods.clone(),
            action,
            upstreams,
            auth: auth_kind(&route.policy.auth),
            events: match route.policy.events {
                Events::Rows => "rows",
                Events::Folded => "folded",
            },
        })
    }

    /// Returns the name of the route that has the rate limit at this position; `None` for a limit of all routes.
    #[must_use]
    pub fn route_of_limit(&self, position: usize) -> Option<&Arc<str>> {
        let policies = self.traffic.router.routes().iter().map(|route| &route.policy);
        policies.into_iter().find(|policy| policy.rate_limits.contains(&position)).map(|policy| &policy.name)
    }

    /// Returns the names under which requests with this path are recorded: of the routes that match the path, for any host
    /// and method, and of the LLM endpoint.
    #[must_use]
    pub fn routes_at(&self, path: &str) -> Vec<String> {
        let normal = normalized(path);
        let routes = self.traffic.router.routes().iter().filter(|route| route.matches.path.is_match(&normal));
        let endpoint = self.traffic.ai.as_ref().and_then(|ai| ai.below(path)).and_then(ai::EndpointCall::from_path);
        let endpoint = endpoint.map(|called| called.endpoint.path().to_owned());
        let mut names: Vec<String> = routes.map(|route| route.policy.name.to_string()).collect();
        names.dedup();
        names.into_iter().chain(endpoint).collect()
    }
}

/// Returns the different texts, separated by commas; `None` without one.
fn different(texts: impl Iterator<Item = String>) -> Option<String> {
    let mut different: Vec<String> = Vec::new();
    for text in texts {
        if !different.contains(&text) {
            different.push(text);
        }
    }
    (!different.is_empty()).then(|| different.join(", "))
}

/// Whether requests of the route with this name are those of an LLM endpoint.
#[must_use]
pub fn is_endpoint(route: &str) -> bool {
    Endpoint::ALL.into_iter().any(|endpoint| endpoint.path() == route)
}

const fn auth_kind(auth: &Auth) -> &'static str {
    match auth {
        Auth::None => "none",
        Auth::Key | Auth::Listed(_) | Auth::Redis(_) => "key",
        Auth::Jwt(_) => "jwt",
        Auth::Basic(_) => "basic",
        Auth::Forward(_) => "forward",
        Auth::Any(_) => "any",
    }
}
