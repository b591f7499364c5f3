//! Cross-origin requests, as the Fetch standard defines them: those of pages of control to LLM endpoints, and those to routes
//! with `cors`.
//!
//! LLM endpoints accept only the origin of `public_url.control`, or without it those of control's listener; origins are
//! compared byte for byte, as browsers write them. Any other request costs one lookup of `Origin`, and its response does not
//! change. Browsers never send credentials of their own to an LLM endpoint.

use std::sync::Arc;

use access::only;
use ai::Endpoint;
use bytes::Bytes;
use config::snapshot::{Cors, RoutePolicy, Snapshot, Traffic, is_announced_method};
use http::{HeaderValue, Response, StatusCode, header};
use http1::KnownName;

use crate::account::client_context::ConnectionContext;
use crate::client::head::Head;
use crate::response::sharing::Sharing;
use crate::route;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
/// Request fields that clients of the formats send.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, X-Api-Key, Api-Key, X-Goog-Api-Key, Anthropic-Version, Anthropic-Beta, \
    Anthropic-Dangerous-Direct-Browser-Access, OpenAI-Beta, Idempotency-Key, X-Request-Id",
);
/// Seconds for which a browser caches the response to a preflight request.
const MAX_AGE: HeaderValue = HeaderValue::from_static("3600");

/// A request of an LLM endpoint by a page of control.
pub(crate) struct PageRequest {
    origin: HeaderValue,
    /// The endpoint that the page will call; `None` if the request is itself the call.
    preflight: Option<Endpoint>,
}

impl PageRequest {
    /// Returns the request if a page of control sent it and its path is an LLM endpoint's.
    pub(crate) fn from_head(head: &Head, snapshot: &Snapshot, at: &ConnectionContext) -> Option<Self> {
        let received = only_origin(head)?;
        if !snapshot.process.control_origins().iter().any(|allowed| received == allowed.as_bytes()) {
            return None;
        }
        let requested_method = preflight_method(head);
        let endpoint = route::endpoint_at(&snapshot.traffic, requested_method.unwrap_or(head.method()), head, at)?;
        let origin = HeaderValue::from_bytes(received).ok()?;
        Some(Self { origin, preflight: requested_method.map(|_| endpoint) })
    }

    /// Returns the endpoint that the page will call, if this is a preflight request.
    pub(crate) const fn preflight(&self) -> Option<Endpoint> {
        self.preflight
    }

    /// Returns how the response is shared with the page.
    fn sharing(&self) -> Sharing<'_> {
        Sharing { origin: Some(self.origin.as_bytes()), credentials: false, exposed: None, varies: true }
    }
}

/// Returns how the response to a request is shared; `None` if neither a page of control has sent it nor its route has `cors`.
pub(crate) fn sharing<'a>(
    page: Option<&'a PageRequest>,
    policy: &'a RoutePolicy,
    head: &'a Head,
) -> Option<Sharing<'a>> {
    match &policy.cors {
        Some(cors) => Some(by_rules(cors, head)),
        None => page.map(PageRequest::sharing),
    }
}

/// Applies the rules of a route to the origin of a request.
fn by_rules<'a>(cors: &'a Cors, head: &'a Head) -> Sharing<'a> {
    let origin = match &cors.origins {
        None => Some(&b"*"[..]),
        Some(_) => only_origin(head).filter(|origin| cors.allows(origin)),
    };
    let exposed = cors.exposed.as_ref().map(HeaderValue::as_bytes);
    Sharing { origin, credentials: cors.credentials, exposed, varies: cors.origins.is_some() }
}

/// Returns the response to a preflight request of an LLM endpoint, before it is shared.
pub(crate) fn preflight_response() -> Response<Bytes> {
    let mut response = no_content();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

/// Returns the policy of the route that a preflight request announces, if it has `cors`, and the response before it is shared.
pub(crate) fn preflight_of_route<'a>(
    traffic: &'a Traffic,
    head: &Head,
    at: &ConnectionContext,
) -> Option<(&'a Arc<RoutePolicy>, Response<Bytes>)> {
    let method = preflight_method(head)?;
    let origin = only_origin(head)?;
    let policy = &route::configured_at(traffic, method, head, at)?.policy;
    let cors = policy.cors.as_ref()?;
    let mut response = no_content();
    // A page of another origin learns nothing about the route.
    if cors.allows(origin) {
        let methods = cors.methods.clone().or_else(|| HeaderValue::try_from(method).ok());
        let headers = response.headers_mut();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, &methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &cors.headers),
            (header::ACCESS_CONTROL_MAX_AGE, &cors.max_age),
        ] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
    }
    Some((policy, response))
}

fn no_content() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Returns the value of `Origin`, if the head has exactly one.
fn only_origin(head: &Head) -> Option<&[u8]> {
    only(head.fields().all(KnownName::Origin))
}

/// Returns the method of the call that a preflight request announces.
fn preflight_method(head: &Head) -> Option<&str> {
    if head.method_bytes() != b"OPTIONS" {
        return None;
    }
    let method = head.fields().named(b"access-control-request-method").next();
    method.filter(|method| is_announced_method(method)).and_then(crate::client::head::text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::head::tests::head;

    #[test]
    fn origins_are_read_only_if_there_is_exactly_one() {
        let check = |fields: &[(&str, &str)], expected: Option<&str>| {
            assert_eq!(only_origin(&head("POST /v1/messages", fields)), expected.map(str::as_bytes), "{fields:?}");
        };
        check(&[], None);
        check(&[("Origin", "https://a.example")], Some("https://a.example"));
        check(&[("origin", "null")], Some("null"));
        check(&[("Origin", "https://a.example"), ("Origin", "https://a.example")], None);
    }

    #[test]
    fn preflight_requests_are_options_that_announce_a_method() {
        let check = |line: &str, fields: &[(&str, &str)], expected: Option<&str>| {
            assert_eq!(preflight_method(&head(line, fields)), expected, "{line} {fields:?}");
        };
        let announced = [("access-control-request-METHOD", "POST")];
        check("OPTIONS /v1/messages", &announced, Some("POST"));
        check("OPTIONS /v1/messages", &[], None);
        check("POST /v1/messages", &announced, None);
        check("options /v1/messages", &announced, None);
        check("OPTIONS /v1/messages", &[("access-control-request-method", "A B")], None);
        check("OPTIONS /v1/messages", &[("access-control-request-method", &"A".repeat(33))], None);
    }
}
