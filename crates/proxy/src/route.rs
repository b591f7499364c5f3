//! Which way a request goes: an LLM endpoint, or one of the configured routes.

use std::sync::Arc;

use access::Refusal;
use ai::endpoint::{EndpointMatch, Shape, unprefixed, unserved};
use ai::{Dialect, Endpoint, EndpointCall};
use config::Match;
use config::snapshot::{Ai, Route, Traffic};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};

use crate::answer::{ErrorFormat, Problem};
use crate::identify::X_GOOG_API_KEY;

/// Where a request goes.
pub(crate) enum RouteMatch {
    /// To a configured upstream.
    Route(Arc<Route>),
    /// To an LLM endpoint.
    Endpoint(EndpointCall<'static>),
}

/// Finds the way. A route that is as specific as an LLM endpoint comes first.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) fn find(traffic: &Traffic, request: &Parts) -> Result<RouteMatch, Problem> {
    let (method, path) = (&request.method, request.uri.path());
    let matched = traffic.router.find(method.as_str(), path);
    let found = match below(traffic.ai.as_ref(), path) {
        Some(rest) if !matched.precedes(path) => Endpoint::find(method.as_str(), rest),
        _ => EndpointMatch::None,
    };
    match (found, matched) {
        (EndpointMatch::Endpoint(called), _) => Ok(RouteMatch::Endpoint(called.into_owned())),
        (_, Match::Route(route)) => Ok(RouteMatch::Route(route.clone())),
        (EndpointMatch::WrongMethod { .. }, _) if asks_for_websocket(&request.headers) => Err(upgrade_required()),
        (EndpointMatch::WrongMethod { allow, .. }, _) => Err(wrong_method(allow)),
        (EndpointMatch::None, Match::WrongMethod { allow }) => Err(wrong_method(&allow.join(", "))),
        (EndpointMatch::None, Match::None) => Err(not_found(traffic, path, &request.headers)),
    }
}

/// Neither a route nor an endpoint has this path. Where it belongs to an LLM API, the error is in that API's format.
fn not_found(traffic: &Traffic, path: &str, headers: &HeaderMap) -> Problem {
    let ai = traffic.ai.as_ref();
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
        Shape::Shared => problem.in_format(ErrorFormat::Dialect(dialect_by(headers))),
        Shape::Bedrock => problem.in_format(ErrorFormat::Bedrock),
    }
}

/// In whose words a caller of `path` reads errors, whether or not the request is served.
pub(crate) fn dialect(traffic: &Traffic, path: &str, headers: &HeaderMap) -> Option<Dialect> {
    let called = EndpointCall::at(below(traffic.ai.as_ref(), path)?)?;
    (called.endpoint != Endpoint::Root).then(|| dialect_of(&called, headers))
}

/// Whose path it is, or whose client asks where it is everybody's.
pub(crate) fn dialect_of(called: &EndpointCall<'_>, headers: &HeaderMap) -> Dialect {
    called.dialect.unwrap_or_else(|| dialect_by(headers))
}

/// Whose client sent these headers.
fn dialect_by(headers: &HeaderMap) -> Dialect {
    ai::models::asking(headers.contains_key(&X_GOOG_API_KEY), headers.contains_key("anthropic-version"))
}

/// Whether a WebSocket is asked for (RFC 6455, 4.1).
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The path after `ai.prefix`.
fn below<'a>(ai: Option<&Ai>, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(ai?.prefix.as_str())?;
    (rest.is_empty() || rest.starts_with('/')).then_some(if rest.is_empty() { "/" } else { rest })
}

/// Codex tries a WebSocket first; this answer alone makes it turn to HTTP at once (0.169, measured 2026-11-20).
fn upgrade_required() -> Problem {
    Problem::new(Refusal::UpgradeRequired, "WebSockets are not supported here: send an HTTP POST")
        .header(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"))
        .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
}

fn wrong_method(allow: &str) -> Problem {
    Problem::new(Refusal::MethodNotAllowed, format!("this path is served for {allow}")).allowing(allow)
}
