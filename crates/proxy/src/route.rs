//! The match of a request: an LLM endpoint, or one of the configured routes.

use std::sync::Arc;

use access::Refusal;
use ai::endpoint::{Shape, unprefixed, unserved};
use ai::{Endpoint, EndpointCall};
use config::snapshot::{self, Auth, KeyPlaces, PathMatch, Route, RoutePolicy, Selection, Traffic};
use config::{RequestParts, RouteRequest};
use http::{HeaderValue, header};
use http1::KnownName;

use crate::account::client_context::ConnectionContext;
use crate::account::request::is_trusted;
use crate::action::Action;
use crate::action::forward::{ForwardedRoute, RouteUpstream};
use crate::action::inference::InferenceEndpoint;
use crate::client::dialect::dialect_by;
use crate::client::head::{Head, is_same_name, is_websocket, requests_websocket};
use crate::refusal::phase::Phase;
use crate::refusal::problem::{ErrorFormat, Problem};

/// The route of a request: a configured one, or a built-in one.
pub(crate) struct RouteMatch<'a> {
    pub(crate) policy: &'a Arc<RoutePolicy>,
    /// The paths that the configured route matches; the name of the policy of a built-in one is its path.
    pub(crate) path: Option<&'a PathMatch>,
    /// The authentication of the request: that of the policy, or none for a health check.
    pub(crate) auth: &'a Auth,
    /// The places in which the request may have a key; `None` if these are headers only.
    pub(crate) key_places: Option<&'a KeyPlaces>,
    pub(crate) action: Action<'a>,
}

/// Finds the route of a request.
pub(crate) fn find<'a>(traffic: &'a Traffic, head: &Head, at: &ConnectionContext) -> Phase<RouteMatch<'a>> {
    let parts = ArrivedParts { head, traffic, at };
    let requested = parts.requested(head.method());
    let RouteRequest { method, path, .. } = requested;
    let selection = traffic.select(requested);
    let key_places = traffic.key_places(&selection);
    let problem = match selection {
        Selection::Endpoint(called) => {
            let policy = traffic.built_in.of_endpoint(called.endpoint);
            let action = of_endpoint(called.into_owned());
            return Ok(RouteMatch { policy, path: None, auth: &policy.auth, key_places, action });
        }
        Selection::Health => {
            let policy = &traffic.built_in.health;
            return Ok(RouteMatch { policy, path: None, auth: &policy.auth, key_places, action: Action::Status });
        }
        Selection::Quotas(form) => {
            let policy = &traffic.built_in.quotas;
            return Ok(RouteMatch { policy, path: None, auth: &policy.auth, key_places, action: Action::Quotas(form) });
        }
        Selection::Route(route) if !route.websocket && requests_websocket(head) => no_websocket(),
        Selection::Route(route) => {
            if let Some(refusal) = traffic.path_refusal(requested, route) {
                return Err(Problem::new(Refusal::BadRequest, refusal.message()).into());
            }
            let auth = traffic.auth_of(route, method, path, || requests_websocket(head));
            return Ok(RouteMatch {
                policy: &route.policy,
                path: Some(&route.matches.path),
                auth,
                key_places,
                action: configured(route),
            });
        }
        Selection::WrongMethod { endpoint: Some(_), .. } if names_websocket(head) => upgrade_required(),
        Selection::WrongMethod { allow, .. } => wrong_method(&allow),
        Selection::Disputed { part } => Problem::new(Refusal::BadRequest, config::explain::disputed(part)),
        Selection::None => not_found(traffic, head),
    };
    Err(problem.into())
}

/// Returns the configured route of a request with this method and the path and fields of `head`.
pub(crate) fn configured_at<'a>(
    traffic: &'a Traffic,
    method: &str,
    head: &Head,
    at: &ConnectionContext,
) -> Option<&'a Route> {
    match traffic.select(ArrivedParts { head, traffic, at }.requested(method)) {
        Selection::Route(route) => Some(route),
        Selection::Endpoint(_)
        | Selection::Health
        | Selection::Quotas(_)
        | Selection::WrongMethod { .. }
        | Selection::Disputed { .. }
        | Selection::None => None,
    }
}

/// Returns the LLM endpoint that responds to a request with this method and the path of `head`, also if it does not serve
/// the method.
pub(crate) fn endpoint_at(traffic: &Traffic, method: &str, head: &Head, at: &ConnectionContext) -> Option<Endpoint> {
    let parts = ArrivedParts { head, traffic, at };
    let called = match traffic.select(parts.requested(method)) {
        Selection::Endpoint(called) | Selection::WrongMethod { endpoint: Some(called), .. } => called,
        Selection::Route(_)
        | Selection::Health
        | Selection::Quotas(_)
        | Selection::WrongMethod { endpoint: None, .. }
        | Selection::Disputed { .. }
        | Selection::None => return None,
    };
    Some(called.endpoint).filter(|endpoint| *endpoint != Endpoint::Root)
}

/// The parts of a request that conditions of routes see.
struct ArrivedParts<'a> {
    head: &'a Head,
    traffic: &'a Traffic,
    at: &'a ConnectionContext,
}

impl ArrivedParts<'_> {
    fn requested<'a>(&'a self, method: &'a str) -> RouteRequest<'a> {
        let Self { head, at, .. } = self;
        RouteRequest { method, host: head.host(), path: head.path(), listener: at.listener, parts: self }
    }
}

impl RequestParts for ArrivedParts<'_> {
    fn query(&self) -> Option<&str> {
        self.head.query()
    }

    fn each_field(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        let same = self.head.fields().iter().filter(|field| is_same_name(field.name, name.as_bytes()));
        same.for_each(|field| see(field.value));
    }

    fn is_of_trusted_proxy(&self) -> bool {
        is_trusted(&self.at.peer, self.traffic)
    }

    fn scheme(&self) -> &'static str {
        self.at.peer.origin.scheme
    }

    fn certificate_subject(&self) -> Option<&[u8]> {
        self.at.peer.certificate_subject()
    }
}

fn configured(route: &Arc<Route>) -> Action<'_> {
    match &route.action {
        snapshot::Action::Forward(upstream) => Action::Forward(ForwardedRoute::to(route, RouteUpstream::One(upstream))),
        snapshot::Action::Split(split) => Action::Forward(ForwardedRoute::to(route, RouteUpstream::Split(split))),
        snapshot::Action::Respond(fixed) => Action::Respond(fixed),
        snapshot::Action::Redirect(redirect) => Action::Redirect(redirect),
    }
}

/// Returns the action of an LLM endpoint.
fn of_endpoint(called: EndpointCall<'static>) -> Action<'static> {
    match called.endpoint.format() {
        _ if called.endpoint == Endpoint::Root => Action::Status,
        Some(format) => Action::Inference(InferenceEndpoint { called, format }),
        None => Action::Models(called),
    }
}

/// The refusal of a path of neither a route nor an endpoint. If it is a path of an LLM API, the error has that API's format.
fn not_found(traffic: &Traffic, head: &Head) -> Problem {
    let ai = traffic.ai.as_ref();
    let path = head.path();
    let prefix = ai.map_or("", |ai| ai.prefix.as_str());
    let found = match ai.and_then(|ai| ai.below(path)) {
        Some(rest) => unserved(prefix, rest),
        None if ai.is_some() => unprefixed(prefix, path),
        None => None,
    };
    let Some(found) = found else { return Problem::new(Refusal::RouteNotFound, "no route has this path") };
    let problem = Problem::new(Refusal::RouteNotFound, found.message);
    match found.shape {
        Shape::Of(dialect) => problem.in_format(ErrorFormat::Dialect(dialect)),
        Shape::Shared => problem.in_format(ErrorFormat::Dialect(dialect_by(head))),
        Shape::Bedrock => problem.in_format(ErrorFormat::Bedrock),
    }
}

/// Whether `Upgrade` names WebSocket, even if the request lacks `Connection: upgrade` (RFC 6455, 4.1).
fn names_websocket(head: &Head) -> bool {
    head.get(KnownName::Upgrade).is_some_and(is_websocket)
}

/// Codex tries a WebSocket first; only this response makes it use HTTP at once (0.169, measured 2026-11-20).
fn upgrade_required() -> Problem {
    http_required("WebSockets are not supported here: send an HTTP POST")
}

/// The refusal of a WebSocket on a route. Other upgrades are ignored (RFC 9110, 7.8): their clients continue over HTTP.
fn no_websocket() -> Problem {
    http_required("this route does not support WebSockets: send a request without Upgrade")
}

fn http_required(message: &'static str) -> Problem {
    Problem::new(Refusal::UpgradeRequired, message)
        .header(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"))
        .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
}

fn wrong_method(allow: &str) -> Problem {
    Problem::new(Refusal::MethodNotAllowed, format!("this path is served for {allow}")).allowing(allow)
}
