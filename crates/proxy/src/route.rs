//! The match of a request: an LLM endpoint, or one of the configured routes.

use std::ops::Range;

use access::Refusal;
use ai::endpoint::{Shape, unprefixed, unserved};
use ai::{Endpoint, EndpointCall};
use config::Requested;
use config::snapshot::{self, Auth, Events, Route, Selection, Traffic};
use http::{HeaderValue, header};
use http1::KnownName;

use crate::account::RequestPolicy;
use crate::action::Action;
use crate::action::forward::{ForwardedRoute, RouteUpstream};
use crate::action::inference::InferenceEndpoint;
use crate::client::dialect::dialect_by;
use crate::client::head::{Head, is_websocket, requests_websocket};
use crate::metrics::Handles;
use crate::refusal::phase::Phase;
use crate::refusal::problem::{ErrorFormat, Problem};

/// The authentication of LLM endpoints, and that of the gateway's own status.
static KEY: Auth = Auth::Key;
static NO_AUTH: Auth = Auth::None;

/// The route of a request: a configured one, or the built-in one of an LLM endpoint.
pub(crate) struct RouteMatch<'a> {
    pub(crate) policy: RequestPolicy,
    pub(crate) auth: &'a Auth,
    /// Whether a key that is restricted to routes needs this one among them.
    pub(crate) is_restrictable: bool,
    /// The positions of the rate limits that only this route has.
    pub(crate) rate_limits: Range<usize>,
    pub(crate) action: Action<'a>,
}

/// Finds the route of a request.
pub(crate) fn find<'a>(traffic: &'a Traffic, head: &Head, handles: &Handles) -> Phase<RouteMatch<'a>> {
    let (method, path) = (head.method(), head.path());
    let problem = match traffic.select(requested(head, method, path)) {
        Selection::Endpoint(called) => return Ok(built_in(called.into_owned(), traffic, handles)),
        Selection::Health => return Ok(own_health(traffic, handles)),
        Selection::Route(route) if !route.websocket && requests_websocket(head) => no_websocket(),
        Selection::Route(route) => {
            if let Some(message) = route.refused_paths.refusal(path) {
                return Err(Problem::new(Refusal::BadRequest, message).into());
            }
            let auth = traffic.auth_of(route, method, path, || requests_websocket(head));
            return Ok(configured(route, traffic, auth));
        }
        Selection::WrongMethod { endpoint: Some(_), .. } if names_websocket(head) => upgrade_required(),
        Selection::WrongMethod { allow, .. } => wrong_method(&allow),
        Selection::Disputed { field } => Problem::new(Refusal::BadRequest, config::explain::disputed(field)),
        Selection::None => not_found(traffic, head),
    };
    Err(problem.into())
}

/// Returns the LLM endpoint that responds to a request with this method and the path of `head`, also if it does not serve
/// the method.
pub(crate) fn endpoint_at(traffic: &Traffic, method: &str, head: &Head) -> Option<Endpoint> {
    let called = match traffic.select(requested(head, method, head.path())) {
        Selection::Endpoint(called) | Selection::WrongMethod { endpoint: Some(called), .. } => called,
        Selection::Route(_)
        | Selection::Health
        | Selection::WrongMethod { endpoint: None, .. }
        | Selection::Disputed { .. }
        | Selection::None => return None,
    };
    Some(called.endpoint).filter(|endpoint| *endpoint != Endpoint::Root)
}

fn requested<'a>(head: &'a Head, method: &'a str, path: &'a str) -> Requested<'a> {
    Requested { method, host: head.host(), path, parts: head }
}

fn configured<'a>(route: &'a Route, traffic: &Traffic, auth: &'a Auth) -> RouteMatch<'a> {
    let policy = RequestPolicy { route: route.name.clone(), events: route.events, timeouts: traffic.timeouts };
    let action = match &route.action {
        snapshot::Action::Forward(upstream) => {
            Action::Forward(ForwardedRoute { route, upstream: RouteUpstream::One(upstream) })
        }
        snapshot::Action::Split(split) => {
            Action::Forward(ForwardedRoute { route, upstream: RouteUpstream::Split(split) })
        }
        snapshot::Action::Respond(fixed) => Action::Respond(fixed),
        snapshot::Action::Redirect(redirect) => Action::Redirect(redirect),
    };
    RouteMatch { policy, auth, is_restrictable: true, rate_limits: route.rate_limits.clone(), action }
}

/// Returns the gateway's own health check.
fn own_health<'a>(traffic: &Traffic, handles: &Handles) -> RouteMatch<'a> {
    let policy = RequestPolicy { route: handles.healthz(), events: Events::Folded, timeouts: traffic.timeouts };
    RouteMatch { policy, auth: &NO_AUTH, is_restrictable: false, rate_limits: 0..0, action: Action::Status }
}

/// Returns the route of an LLM endpoint.
fn built_in<'a>(called: EndpointCall<'static>, traffic: &'a Traffic, handles: &Handles) -> RouteMatch<'a> {
    let timeouts = traffic.ai.as_ref().map_or(traffic.timeouts, |ai| ai.timeouts);
    let policy = RequestPolicy { route: handles.endpoint(called.endpoint), events: Events::Rows, timeouts };
    let (auth, is_restrictable, rate_limits) = (&KEY, false, 0..0);
    match called.endpoint.format() {
        _ if called.endpoint == Endpoint::Root => {
            let policy = RequestPolicy { events: Events::Folded, timeouts: traffic.timeouts, ..policy };
            RouteMatch { policy, auth: &NO_AUTH, is_restrictable, rate_limits, action: Action::Status }
        }
        Some(format) => {
            let action = Action::Inference(InferenceEndpoint { called, format });
            RouteMatch { policy, auth, is_restrictable, rate_limits, action }
        }
        None => RouteMatch { policy, auth, is_restrictable, rate_limits, action: Action::Models(called) },
    }
}

/// The refusal of a path of neither a route nor an endpoint. If it is a path of an LLM API, the error has that API's format.
fn not_found(traffic: &Traffic, head: &Head) -> Problem {
    let (ai, path) = (traffic.ai.as_ref(), head.path());
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
