//! Cross-origin requests of LLM endpoints by the pages of control, as the Fetch standard defines them.
//!
//! Only the origin of `public_url.control`, or without it those of control's listener, may send them; they are compared byte
//! for byte, as browsers write them. Any other request costs one lookup of `Origin`, and its response does not change. Browsers never send credentials of their own.

use ai::Endpoint;
use bytes::Bytes;
use config::snapshot::Snapshot;
use http::{HeaderValue, Response, StatusCode, header};
use http1::KnownName;

use crate::client::head::Head;
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
    pub(crate) fn of(head: &Head, snapshot: &Snapshot) -> Option<Self> {
        let received = only_origin(head)?;
        if !snapshot.process.control_origins().iter().any(|allowed| received == allowed.as_bytes()) {
            return None;
        }
        let requested_method = preflight_method(head);
        let endpoint = route::endpoint_at(&snapshot.traffic, requested_method.unwrap_or(head.method()), head)?;
        let origin = HeaderValue::from_bytes(received).ok()?;
        Some(Self { origin, preflight: requested_method.map(|_| endpoint) })
    }

    /// Returns the endpoint that the page will call, if this is a preflight request.
    pub(crate) const fn preflight(&self) -> Option<Endpoint> {
        self.preflight
    }

    /// Returns the origin of the page, which may read the response.
    pub(crate) fn into_origin(self) -> HeaderValue {
        self.origin
    }
}

/// Returns the response to a preflight request, before it is shared.
pub(crate) fn preflight_response() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

/// Returns the value of `Origin`, if the head has exactly one.
fn only_origin(head: &Head) -> Option<&[u8]> {
    let mut origins = head.fields().all(KnownName::Origin);
    origins.next().filter(|_| origins.next().is_none())
}

/// Returns the method of the call that a preflight request announces.
fn preflight_method(head: &Head) -> Option<&str> {
    if head.method() != "OPTIONS" {
        return None;
    }
    let method = head.fields().named(b"access-control-request-method").next();
    method.and_then(crate::client::head::text)
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
    }
}
