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
    /// The hosts: a name, or `*.` and a domain; null means all.
    pub host: Option<String>,
    /// The path, the template or the expression.
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
        self.traffic.router.routes().iter().map(|route| (route.policy.name.clone(), self.listed(route))).collect()
    }

    fn listed(&self, route: &Route) -> ListedRoute {
        let upstream = |name: &Arc<str>, weight| ListedUpstream { name: name.to_string(), weight };
        let (action, upstreams) = match &route.action {
            Action::Forward(to) => ("forward", vec![upstream(&to.name, 1)]),
            Action::Split(split) => {
                ("forward", split.upstreams.iter().map(|part| upstream(&part.upstream.name, part.weight)).collect())
            }
            Action::Respond(_) => ("respond", Vec::new()),
            Action::Redirect(_) => ("redirect", Vec::new()),
        };
        ListedRoute {
            place: self.at(route.place),
            host: route.matches.host.as_ref().map(ToString::to_string),
            path: route.matches.path.to_string(),
            methods: route.matches.methods.clone(),
            matches: reasons(route),
            action,
            upstreams,
            auth: auth_kind(&route.policy.auth),
            events: match route.policy.events {
                Events::Rows => "rows",
                Events::Folded => "folded",
            },
        }
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
        let endpoint = self.traffic.ai.as_ref().and_then(|ai| ai.below(path)).and_then(ai::EndpointCall::at);
        let endpoint = endpoint.map(|called| called.endpoint.path().to_owned());
        routes.map(|route| route.policy.name.to_string()).chain(endpoint).collect()
    }
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
