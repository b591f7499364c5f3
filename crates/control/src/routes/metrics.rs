//! `GET /metrics`: the metrics of this process.

use std::net::IpAddr;
use std::sync::Arc;

use access::{Refusal, Secret};
use axum::extract::State;
use axum::response::IntoResponse;
use http::uri::Authority;
use http::{HeaderMap, header};
use telemetry::metrics::CONTENT_TYPE;

use crate::address::Address;
use crate::problem::Problem;
use crate::state::App;

/// Returns all metrics of this process.
///
/// Metrics reveal routes, models and money. With `metrics.token` set, every request needs the token as a bearer token.
/// Without a token, metrics are shown on loopback only: to a client on loopback, at a listener on loopback, under a
/// loopback `Host`.
#[utoipa::path(get, path = "/metrics", tag = "health", extensions(("x-codes" = json!(["unauthorized"]))),
    responses((status = 200, description = "In the OpenMetrics text format",
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8", body = String,
        example = "api_requests_total{method=\"GET\",path=\"/health\",status=\"200\"} 3\n# EOF\n")))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    address: Address,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    // A proxy on this host that adds no `Forwarded` header looks like a local client. Only the token distinguishes
    // them.
    let (is_open, message) = match app.live.load().process.metrics.token.as_ref() {
        Some(token) => (
            has_metrics_token(&headers, token),
            "metrics need `Authorization: Bearer TOKEN` with the token of metrics.token",
        ),
        None => (
            app.loopback && is_local(address, &headers),
            "metrics are shown on loopback only, as no metrics.token is configured",
        ),
    };
    if !is_open {
        return Err(Problem::new(Refusal::Unauthorized, message));
    }
    let text = if accepts_exemplars(&headers) { app.metrics.encode_with_exemplars() } else { app.metrics.encode() };
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}

/// Whether the reader names OpenMetrics in `Accept`, as Prometheus does. Other readers may know the older text format only,
/// which has no exemplars.
fn accepts_exemplars(headers: &HeaderMap) -> bool {
    const OPEN_METRICS: &str = "application/openmetrics-text";
    headers.get_all(header::ACCEPT).iter().any(|value| value.to_str().is_ok_and(|types| types.contains(OPEN_METRICS)))
}

/// Whether the request comes from this machine. A proxy on the same host, trusted or not, forwards the address of its
/// client.
fn is_local(address: Address, headers: &HeaderMap) -> bool {
    let is_passed_on = [header::FORWARDED.as_str(), "x-forwarded-for"].iter().any(|name| headers.contains_key(*name));
    address.0.to_canonical().is_loopback() && !is_passed_on && has_loopback_host(headers)
}

/// Whether `Host` is `localhost` or a loopback address. In a DNS rebinding attack, a browser on this machine sends the
/// request and could read the response, but `Host` then contains the attacker's name.
fn has_loopback_host(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (all.next(), all.next()) else { return false };
    let Ok(host) = Authority::try_from(host.as_bytes()) else { return false };
    let literal = host.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.host().eq_ignore_ascii_case("localhost") || literal.parse().is_ok_and(is_loopback)
}

/// Whether the request carries the token, compared in constant time.
fn has_metrics_token(headers: &HeaderMap, expected: &Secret) -> bool {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(authorization), None) = (all.next(), all.next()) else { return false };
    let bearer = authorization.to_str().ok().and_then(|text| text.split_once(' '));
    bearer.is_some_and(|(scheme, token)| {
        scheme.eq_ignore_ascii_case("bearer") && Secret::new(token.trim().to_owned()) == *expected
    })
}
