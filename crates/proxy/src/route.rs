//! The match of a request: an LLM endpoint, or one of the configured routes.

use std::sync::Arc;

use access::Refusal;
use ai::endpoint::{EndpointMatch, Shape, unprefixed, unserved};
use ai::{Dialect, Endpoint, EndpointCall};
use config::Match;
use config::snapshot::{Ai, Route, Traffic};
use http::{HeaderValue, header};
use http1::KnownName;

use crate::answer::{ErrorFormat, Problem};
use crate::head::Head;

/// The match of a request.
pub(crate) enum RouteMatch {
    /// A configured route.
    Route(Arc<Route>),
    /// An LLM endpoint.
    Endpoint(EndpointCall<'static>),
}

/// Finds the route or endpoint. A route that is as specific as an LLM endpoint has priority.
pub(crate) fn find(traffic: &Traffic, head: &Head) -> Result<RouteMatch, Problem> {
    let (method, path) = (head.method(), head.path());
    let matched = traffic.router.find(method, path);
    match (find_endpoint(traffic, &matched, method, path), matched) {
        (EndpointMatch::Endpoint(called), _) => Ok(RouteMatch::Endpoint(called.into_owned())),
        (_, Match::Route(_)) if head.upgrade().is_some_and(is_websocket) => Err(no_websocket()),
        (_, Match::Route(route)) => Ok(RouteMatch::Route(route.clone())),
        (EndpointMatch::WrongMethod { .. }, _) if requests_websocket(head) => Err(upgrade_required()),
        (EndpointMatch::WrongMethod { allow, .. }, _) => Err(wrong_method(allow)),
        (EndpointMatch::None, Match::WrongMethod { allow }) => Err(wrong_method(&allow.join(", "))),
        (EndpointMatch::None, Match::None) => Err(not_found(traffic, head)),
    }
}

/// Returns the LLM endpoint that responds to this method and path, also if it does not serve the method.
pub(crate) fn endpoint_at(traffic: &Traffic, method: &str, path: &str) -> Option<Endpoint> {
    let matched = traffic.router.find(method, path);
    let endpoint = match (find_endpoint(traffic, &matched, method, path), matched) {
        (EndpointMatch::Endpoint(called), _) => Some(called.endpoint),
        (EndpointMatch::WrongMethod { called, .. }, Match::WrongMethod { .. } | Match::None) => Some(called.endpoint),
        (EndpointMatch::WrongMethod { .. }, Match::Route(_)) | (EndpointMatch::None, _) => None,
    };
    endpoint.filter(|endpoint| *endpoint != Endpoint::Root)
}

/// Finds the LLM endpoint, unless the matched route has priority.
fn find_endpoint<'a>(traffic: &Traffic, matched: &Match<'_>, method: &str, path: &'a str) -> EndpointMatch<'a> {
    match below(traffic.ai.as_ref(), path) {
        Some(rest) if !matched.precedes(path) => Endpoint::find(method, rest),
        _ => EndpointMatch::None,
    }
}

/// The refusal of a path of neither a route nor an endpoint. If it is a path of an LLM API, the error has that API's format.
fn not_found(traffic: &Traffic, head: &Head) -> Problem {
    let (ai, path) = (traffic.ai.as_ref(), head.path());
    let prefix = ai.map_or("", |ai| ai.prefix.as_str());
    let found = match below(ai, path) {
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

/// Returns the dialect of errors for the request's path, whether or not the request is served.
pub(crate) fn dialect(traffic: &Traffic, head: &Head) -> Option<Dialect> {
    let called = EndpointCall::at(below(traffic.ai.as_ref(), head.path())?)?;
    (called.endpoint != Endpoint::Root).then(|| dialect_of(&called, head))
}

/// Returns the dialect of the path or, if several APIs share the path, that of the client.
pub(crate) fn dialect_of(called: &EndpointCall<'_>, head: &Head) -> Dialect {
    called.dialect.unwrap_or_else(|| dialect_by(head))
}

/// Returns the dialect of the client that sent these fields.
fn dialect_by(head: &Head) -> Dialect {
    let has_version = head.fields().named(b"anthropic-version").next().is_some();
    ai::models::asking(head.get(KnownName::XGoogApiKey).is_some(), has_version)
}

/// Whether the client requests a WebSocket (RFC 6455, 4.1).
fn requests_websocket(head: &Head) -> bool {
    head.get(KnownName::Upgrade).is_some_and(is_websocket)
}

fn is_websocket(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(b"websocket")
}

/// The path after `ai.prefix`.
fn below<'a>(ai: Option<&Ai>, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(ai?.prefix.as_str())?;
    (rest.is_empty() || rest.starts_with('/')).then_some(if rest.is_empty() { "/" } else { rest })
}

/// Codex tries a WebSocket first; only this response makes it use HTTP at once (0.169, measured 2026-11-20).
fn upgrade_required() -> Problem {
    http_required("WebSockets are not supported here: send an HTTP POST")
}

/// The refusal of a WebSocket on a route. Another upgrade is ignored (RFC 9110, 7.8): its client can go on over HTTP.
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
