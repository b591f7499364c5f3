//! Cross-origin requests from pages of other origins, as the Fetch standard defines them.
//!
//! Origins are compared as a whole and byte for byte, as browsers write them. Pages of a listed origin may read every
//! response, including errors of every layer. Other origins receive no CORS header field.

use std::sync::Arc;

use access::only;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::process::state::App;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
const HEADERS: HeaderValue =
    HeaderValue::from_static("Authorization, Content-Type, Idempotency-Key, If-Match, X-API-Key");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Content-Disposition, ETag, Link, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, \
     X-Request-Id",
);
const VARY: HeaderValue = HeaderValue::from_static("Origin");
const VARY_PREFLIGHT: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
/// Seconds for which a browser caches a preflight response.
const MAX_AGE: HeaderValue = HeaderValue::from_static("3600");

pub(crate) async fn share(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let origin = listed(&app, request.headers());
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.append(header::VARY, if is_preflight { VARY_PREFLIGHT } else { VARY });
    let Some(origin) = origin else {
        if app.examples.is_some() {
            open(headers, is_preflight);
        }
        return response;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    if is_preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    } else {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    response
}

/// Pages of any origin may call a server with example files, without credentials: it has no real usage.
fn open(headers: &mut HeaderMap, is_preflight: bool) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if is_preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    } else {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// The origin of a request, if its pages may send requests.
fn listed(app: &App, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = only(headers.get_all(header::ORIGIN).iter())?;
    let allowed = &app.live.load().process.control.allowed_origins;
    allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}
