//! Refusals of gRPC calls: a head with the status of the call, and no content (gRPC over HTTP/2, "Trailers-Only").

use access::Refusal;
use access::refusal::Retry;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use meter::Outcome;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// A negative value tells clients that retry not to do so.
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const NO_RETRY: HeaderValue = HeaderValue::from_static("-1");
/// The status 14 of gRPC.
const UNAVAILABLE: u8 = 14;
/// The status 4 of gRPC.
const DEADLINE_EXCEEDED: u8 = 4;

/// Returns the status of gRPC for a refusal, by its HTTP status.
const fn status(refusal: Refusal) -> u8 {
    match refusal.status() {
        // INVALID_ARGUMENT
        400 | 415 | 422 => 3,
        // UNAUTHENTICATED
        401 => 16,
        // PERMISSION_DENIED
        403 => 7,
        // UNIMPLEMENTED
        404 | 405 | 421 | 426 => 12,
        408 | 504 => DEADLINE_EXCEEDED,
        // ABORTED
        409 => 10,
        // RESOURCE_EXHAUSTED
        413 | 429 | 431 => 8,
        502 | 503 => UNAVAILABLE,
        // INTERNAL
        _ => 13,
    }
}

/// Returns the response to a refused call; `response` is that to other requests, whose further fields it has.
pub(crate) fn response(refusal: Refusal, message: &str, response: &Response<Bytes>) -> Response<Bytes> {
    let mut trailers_only = Response::new(Bytes::new());
    let headers = trailers_only.headers_mut();
    headers.clone_from(response.headers());
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    add_status(headers, status(refusal), message);
    if refusal.retry() == Retry::Never {
        headers.insert(PUSHBACK, NO_RETRY);
    }
    *trailers_only.status_mut() = StatusCode::OK;
    trailers_only
}

/// Returns the trailers of a call whose response ends early for this reason.
pub(crate) fn trailers(outcome: Outcome) -> HeaderMap {
    let (status, message) = match outcome {
        Outcome::TimedOut => (DEADLINE_EXCEEDED, "the response took too long: it is incomplete"),
        Outcome::Drained => (UNAVAILABLE, "this instance is shutting down: the response is incomplete"),
        Outcome::Completed | Outcome::CallerGone | Outcome::UpstreamCut | Outcome::Interrupted | Outcome::BudgetCut => {
            (UNAVAILABLE, "the upstream aborted its response: it is incomplete")
        }
    };
    let mut trailers = HeaderMap::with_capacity(2);
    add_status(&mut trailers, status, message);
    trailers
}

fn add_status(headers: &mut HeaderMap, status: u8, message: &str) {
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(status)));
    if let Ok(message) = HeaderValue::try_from(encoded(message)) {
        headers.insert(GRPC_MESSAGE, message);
    }
}

/// Returns a message as a field has it: octets other than visible ASCII and spaces are percent-encoded, and so is `%`.
fn encoded(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for octet in message.bytes() {
        if matches!(octet, b' '..=b'~') && octet != b'%' {
            encoded.push(char::from(octet));
        } else {
            encoded.push_str(&format!("%{octet:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_status_of_grpc() {
        for (refusal, expected) in [
            (Refusal::BadRequest, 3),
            (Refusal::Unauthorized, 16),
            (Refusal::Forbidden, 7),
            (Refusal::RouteNotFound, 12),
            (Refusal::RequestTimeout, 4),
            (Refusal::PayloadTooLarge, 8),
            (Refusal::QuotaExceeded, 8),
            (Refusal::RateLimited, 8),
            (Refusal::Internal, 13),
            (Refusal::UpstreamConnect, 14),
            (Refusal::Draining, 14),
            (Refusal::UpstreamTimeout, 4),
        ] {
            assert_eq!(status(refusal), expected, "{refusal:?}");
        }
        for refusal in Refusal::ALL {
            assert!((3..=16).contains(&status(*refusal)), "{refusal:?}");
        }
    }

    #[test]
    fn a_refusal_has_its_message_and_the_fields_of_the_response() {
        let mut http = Response::new(Bytes::from_static(b"{}"));
        http.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("7"));
        http.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let never = response(Refusal::QuotaExceeded, "100% – used\n", &http);
        assert_eq!((never.status(), never.body().len()), (StatusCode::OK, 0));
        let field = |name: &str| never.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(field("content-type"), Some("application/grpc"));
        assert_eq!((field("grpc-status"), field("retry-after")), (Some("8"), Some("7")));
        assert_eq!(field("grpc-message"), Some("100%25 %E2%80%93 used%0A"));
        assert_eq!(field("grpc-retry-pushback-ms"), Some("-1"));
        assert!(response(Refusal::RateLimited, "", &http).headers().get(PUSHBACK).is_none());
    }
}
