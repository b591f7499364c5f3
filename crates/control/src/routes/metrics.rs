//! `GET /metrics`: the metrics of this process.

use std::net::IpAddr;
use std::sync::Arc;

use access::{Refusal, Secret, only};
use axum::extract::State;
use axum::response::IntoResponse;
use http::uri::Authority;
use http::{HeaderMap, header};
use telemetry::metrics::{CONTENT_TYPE, TEXT_CONTENT_TYPE};

use crate::accept::weight;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::address::Address;

const OPEN_METRICS: &str = "application/openmetrics-text";
const PLAIN: &str = "text/plain";

/// Returns all metrics of this process, in the text format of OpenMetrics, or of Prometheus with `Accept: text/plain`.
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
    // Prometheus names both formats.
    let open_metrics = weight(&headers, OPEN_METRICS).unwrap_or_default();
    let plain = weight(&headers, PLAIN).unwrap_or_default();
    let (media_type, text) = if open_metrics > 0.0 && open_metrics >= plain {
        (CONTENT_TYPE, app.metrics.encode_with_exemplars())
    } else if plain > 0.0 {
        (TEXT_CONTENT_TYPE, app.metrics.encode_text())
    } else {
        // Readers that name neither may not know exemplars.
        (CONTENT_TYPE, app.metrics.encode())
    };
    Ok(([(header::CONTENT_TYPE, media_type), (header::VARY, "Accept")], text))
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
    let Some(host) = only(headers.get_all(header::HOST).iter()) else { return false };
    let Ok(host) = Authority::try_from(host.as_bytes()) else { return false };
    let literal = host.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.host().eq_ignore_ascii_case("localhost") || literal.parse().is_ok_and(is_loopback)
}

/// Whether the request carries the token, compared in constant time.
fn has_metrics_token(headers: &HeaderMap, expected: &Secret) -> bool {
    let Some(authorization) = only(headers.get_all(header::AUTHORIZATION).iter()) else { return false };
    let bearer = authorization.to_str().ok().and_then(|text| text.split_once(' '));
    bearer.is_some_and(|(scheme, token)| {
        scheme.eq_ignore_ascii_case("bearer") && Secret::new(token.trim().to_owned()) == *expected
    })
}
