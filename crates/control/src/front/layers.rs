//! The layers around every request, in one place. [`around`] lists them from the inside out, with their reasons.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::credentials::api_key;
use access::{Clock, Ids, Refusal, RequestId};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http1::Violation;
use telemetry::Metrics;
use telemetry::metrics::{self, ApiLabels, LabelValue, PathLabels};
use tower_http::catch_panic::CatchPanicLayer;

use crate::front::cors;
use crate::front::undeclared::{self, InputsByPath};
use crate::message::problem::{Cause, Problem};
use crate::pages::{scripts, static_file};
use crate::process::state::App;
use crate::sign_in::limits;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The maximum length of a client's `x-request-id` that is used as the correlation id.
const CORRELATION_BYTES_MAX: usize = 128;
/// Probes arrive every few seconds and are logged at debug level, as are the many files of a page.
const PROBES: [&str; 4] = ["/health", "/livez", "/readyz", "/metrics"];

/// Assigns an id to every request, counts it and logs it.
#[derive(Debug)]
pub(crate) struct Observer {
    metrics: Arc<Metrics>,
    clock: Clock,
    ids: Mutex<Ids>,
    challenge: HeaderValue,
}

impl Observer {
    /// Creates the observer. `brand` becomes the realm of `WWW-Authenticate`.
    pub(crate) fn new(metrics: Arc<Metrics>, clock: Clock, brand: &str) -> Self {
        let realm: String = brand.chars().filter(|c| (' '..='~').contains(c) && !matches!(c, '"' | '\\')).collect();
        let challenge = HeaderValue::from_str(&format!("Bearer realm=\"{realm}\""));
        let challenge = challenge.unwrap_or(HeaderValue::from_static("Bearer"));
        Self { metrics, ids: Mutex::new(Ids::new(clock.clone())), clock, challenge }
    }
}

/// Adds the layer next to the handlers. It refuses parameters and bodies that an operation does not declare.
pub(crate) fn strict(router: Router<Arc<App>>, undeclared: InputsByPath) -> Router<Arc<App>> {
    router.layer(from_fn_with_state(Arc::new(undeclared), undeclared::refuse))
}

/// Adds every layer around `router`; the last one is the outermost. `guard` is [`guard`].
pub(crate) fn around(
    router: Router,
    observer: Arc<Observer>,
    call: Duration,
    guard: impl FnOnce(Router) -> Router,
) -> Router {
    let panics = observer.metrics.control.panics.clone();
    let router = router
        // Inside the limits, which count refused requests too: a head that servers read differently reaches no handler.
        .layer(from_fn(refuse_malformed))
        // Next, so that no layer holds anything when it aborts a request. Bounds the duration of every request.
        .layer(from_fn_with_state(call, deadline))
        // Around the handlers and inside the counting layer: a panic becomes a 500 response instead of an aborted
        // connection.
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn std::any::Any + Send>| {
            panics.inc();
            // The panic hook has already logged the location.
            drop(panic);
            Problem::internal().into_response()
        }))
        // Responses contain user data: proxies and browsers must not cache them, unless the handler permits it, or guess
        // another media type.
        .layer(from_fn(private));
    // Outermost: every response has an id, is counted and is logged once.
    guard(router).layer(from_fn_with_state(observer, observe))
}

/// Adds the layer of the rate limits alone.
pub(crate) fn limited(router: Router<Arc<App>>, app: &Arc<App>) -> Router<Arc<App>> {
    router.layer(from_fn_with_state(app.clone(), limits::limit))
}

/// Adds the layers that refuse clients.
pub(crate) fn guard(router: Router, app: &Arc<App>) -> Router {
    router
        // Around all expensive work: a client over its limit reaches no handler. All responses carry the limit's
        // state.
        .layer(from_fn_with_state(app.clone(), limits::limit))
        // Around every response: pages of allowed origins can read them all, 429 included. Preflights end here and
        // count nothing.
        .layer(from_fn_with_state(app.clone(), cors::share))
        // Around every error, 429 and 500 included: a shell that runs the downloaded body runs a script that fails.
        .layer(from_fn_with_state(app.clone(), scripts::fail_as_scripts))
}

async fn deadline(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::late().into_response(),
    }
}

async fn refuse_malformed(request: Request, next: Next) -> Response {
    match request.extensions().get::<Violation>() {
        None => next.run(request).await,
        Some(violation) => {
            let refusal = if violation.is_head_too_large() { Refusal::HeaderTooLarge } else { Refusal::BadRequest };
            Problem::new(refusal, violation.to_string()).into_response()
        }
    }
}

async fn private(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn observe(State(observer): State<Arc<Observer>>, request: Request, next: Next) -> Response {
    let began = observer.clock.mono();
    let id = RequestId(observer.ids.lock().unwrap_or_else(PoisonError::into_inner).next_uuid());
    let method = metrics::method(request.method().as_str().as_bytes());
    // The label is the path's pattern, because paths that clients invent must not create new series.
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or(metrics::OTHER, MatchedPath::as_str);
    let correlation = correlation(request.headers()).map(|id| api_key::masked(id, "").into_owned());
    let correlation_id = correlation.as_deref();
    tracing::debug!(request_id = %id, correlation_id, method, path, "request begins");

    let mut response = next.run(request).await;

    let status = response.status();
    let took = observer.clock.mono().since(began);
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, observer.challenge.clone());
    }
    let control = &observer.metrics.control;
    let labels = ApiLabels { method, path: LabelValue::from(path), status: status.as_u16() };
    control.requests.get_or_create(&labels).inc();
    control.response_time.get_or_create(&PathLabels { method, path: labels.path }).observe(took);

    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let (code, source) = match response.extensions().get::<Cause>() {
        Some(cause) => (Some(cause.refusal.code()), cause.source.as_deref().map(chain)),
        None => (None, None),
    };
    let status = status.as_u16();
    let source = source.as_deref();
    if status >= 500 {
        tracing::warn!(request_id = %id, correlation_id, method, path, status, code, source, took_us, "request failed");
    } else if PROBES.contains(&path) || path == static_file::DASHBOARD {
        tracing::debug!(request_id = %id, correlation_id, method, path, status, code, took_us, "request done");
    } else {
        tracing::info!(request_id = %id, correlation_id, method, path, status, code, took_us, "request done");
    }
    response
}

/// The client's own request id, if it is fit for a log line.
fn correlation(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let fit = (1..=CORRELATION_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fit.then_some(text)
}

fn chain(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests;
