//! The choice between the configured routes and the built-in routes of LLM endpoints.

use std::borrow::Cow;
use std::sync::Arc;

use ai::endpoint::EndpointMatch;
use ai::models::quota::QuotaForm;
use ai::{Dialect, Endpoint, EndpointCall};

use super::ambiguous::PathRefusal;
use super::auth::Auth;
use super::conditions::DisputedPart;
use super::key_places::{KeyPlaces, OF_GOOGLE};
use super::route::{Action, PathMatch, Route};
use super::router::{Match, RouteRequest};
use super::traffic::{Ai, Traffic};

/// The path of the gateway's own health check, which needs no route. A route with this exact path has priority.
const HEALTHZ: &str = "/healthz";
static NO_AUTH: Auth = Auth::None;

/// The route of a request.
#[derive(Debug)]
pub enum Selection<'t, 'p> {
    /// A route of the configuration.
    Route(&'t Arc<Route>),
    /// The built-in route of an LLM endpoint.
    Endpoint(EndpointCall<'p>),
    /// The gateway's own health check.
    Health,
    /// The quotas and budgets of the client, in a form.
    Quotas(QuotaForm),
    /// The path is served, but not for this method.
    WrongMethod {
        /// The value of the `Allow` header.
        allow: Cow<'static, str>,
        /// The LLM endpoint of the path; `None` if the path is one of configured routes.
        endpoint: Option<EndpointCall<'p>>,
    },
    /// The values of a part of the request disagree about the route.
    Disputed {
        /// The part of the request whose values disagree.
        part: DisputedPart<'t>,
    },
    /// No route has this path.
    None,
}

impl Traffic {
    /// Selects the route of a request. A configured route that is as specific as an LLM endpoint has priority.
    #[must_use]
    pub fn select<'p>(&self, requested: RouteRequest<'p>) -> Selection<'_, 'p> {
        let RouteRequest { method, path, .. } = requested;
        let matched = self.router.find(requested);
        if path == HEALTHZ && !matched.precedes(path) {
            let allow = Cow::Borrowed("GET, HEAD");
            let is_check = matches!(method, "GET" | "HEAD");
            return if is_check { Selection::Health } else { Selection::WrongMethod { allow, endpoint: None } };
        }
        let below = self.ai.as_ref().and_then(|ai| ai.below(path));
        if !matched.precedes(path)
            && let Some(form) = below.and_then(QuotaForm::from_path)
        {
            let allow = Cow::Borrowed("GET, HEAD");
            let is_read = matches!(method, "GET" | "HEAD");
            return if is_read { Selection::Quotas(form) } else { Selection::WrongMethod { allow, endpoint: None } };
        }
        let endpoint = match below {
            Some(rest) if !matched.precedes(path) => Endpoint::find(method, rest),
            _ => EndpointMatch::None,
        };
        match (endpoint, matched) {
            (EndpointMatch::Endpoint(called), _) => Selection::Endpoint(called),
            (_, Match::Route(route)) => Selection::Route(route),
            (_, Match::Disputed { part, .. }) => Selection::Disputed { part },
            (EndpointMatch::WrongMethod { called, allow }, _) => {
                Selection::WrongMethod { allow: Cow::Borrowed(allow), endpoint: Some(called) }
            }
            (EndpointMatch::None, Match::WrongMethod { allow }) => {
                Selection::WrongMethod { allow: Cow::Owned(allow.join(", ")), endpoint: None }
            }
            (EndpointMatch::None, Match::None) => Selection::None,
        }
    }

    /// Returns the refusal of the path of a request, as it was sent, on the route that it selects; `None` if it is accepted.
    #[must_use]
    pub fn path_refusal(&self, requested: RouteRequest<'_>, route: &Arc<Route>) -> Option<PathRefusal<'_>> {
        let refused = self.refused_paths.refusal(requested.path).map(PathRefusal::Form);
        refused.or_else(|| self.router.refusal(requested, route))
    }

    /// Returns the authentication that a route requires for this method and path, as it was sent: none for a health check
    /// that does not ask for an upgrade.
    #[must_use]
    pub fn auth_of<'t>(
        &self,
        route: &'t Route,
        method: &str,
        path: &str,
        is_upgrade: impl FnOnce() -> bool,
    ) -> &'t Auth {
        let is_open = self.is_health_check(method, path) && route.may_be_health_check() && !is_upgrade();
        if is_open { &NO_AUTH } else { &route.policy.auth }
    }

    /// Returns the places of a selected request in which it may have a key besides headers; `None` if these are headers only.
    #[must_use]
    pub fn key_places<'a>(&self, selection: &Selection<'a, '_>) -> Option<&'a KeyPlaces> {
        match selection {
            Selection::Route(route) => route.policy.key_places.as_deref(),
            Selection::Endpoint(called) => (called.dialect == Some(Dialect::Google)).then(|| &*OF_GOOGLE),
            Selection::Health
            | Selection::Quotas(_)
            | Selection::WrongMethod { .. }
            | Selection::Disputed { .. }
            | Selection::None => None,
        }
    }
}

impl Route {
    /// Whether the upstream receives the path of a health check as such. A parameter, an expression or a rewrite could make
    /// it another one.
    fn may_be_health_check(&self) -> bool {
        match self.matches.path {
            PathMatch::Exact(_) => true,
            PathMatch::Prefix(_) => self.rewrite.is_none() && !self.has_upstream_rewrite(),
            PathMatch::Template(_) | PathMatch::Regex(_) => false,
        }
    }

    /// Whether one of several upstreams has its own rewrite.
    fn has_upstream_rewrite(&self) -> bool {
        match &self.action {
            Action::Split(split) => {
                let mut changes = split.upstreams.iter().filter_map(|upstream| upstream.changes.as_ref());
                changes.any(|changes| changes.rewrite.is_some())
            }
            Action::Forward(_) | Action::Respond(_) | Action::Redirect(_) => false,
        }
    }
}

impl Ai {
    /// Returns the path after the prefix, if `path` has it; the root is `/`.
    #[must_use]
    pub fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.prefix.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(if rest.is_empty() { "/" } else { rest })
    }
}
