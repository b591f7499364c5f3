//! `GET /metrics`.

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

/// Every metric. They tell of routes, models and money: who asks from loopback, at a listener on loopback and under a name of loopback,
/// sees them; others need `metrics.token` as a bearer token.
#[utoipa::path(get, path = "/metrics", tag = "health", extensions(("x-codes" = json!(["unauthorized"]))),
    responses((status = 200, description = "In the OpenMetrics text format",
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8", body = String,
        example = "api_requests_total{method=\"GET\",path=\"/health\",status=\"200\"} 3\n# EOF\n")))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    address: Address,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let wanted = app.live.load().metrics_token.clone();
    if !(app.loopback && is_here(address, &headers) || is_told(&headers, wanted.as_ref())) {
        let message = match wanted {
            Some(_) => "metrics need `Authorization: Bearer TOKEN` with the token of metrics.token",
            None => "metrics are shown on loopback only, as no metrics.token is configured",
        };
        return Err(Problem::new(Refusal::Unauthorized, message));
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], app.metrics.encode()))
}

/// Whether the call begins on this machine: a proxy beside us, trusted or not, says for whom it calls.
fn is_here(address: Address, headers: &HeaderMap) -> bool {
    let is_passed_on = [header::FORWARDED.as_str(), "x-forwarded-for"].iter().any(|name| headers.contains_key(*name));
    address.0.to_canonical().is_loopback() && !is_passed_on && is_asked_for_here(headers)
}

/// Whether `Host` is `localhost` or an address of loopback. A page whose own name was made to lead to this machine (DNS rebinding) has its
/// browser ask from here, and may read the answer, but under that name.
fn is_asked_for_here(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (all.next(), all.next()) else { return false };
    let Ok(host) = Authority::try_from(host.as_bytes()) else { return false };
    let literal = host.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.host().eq_ignore_ascii_case("localhost") || literal.parse().is_ok_and(is_loopback)
}

/// Whether it brings the token; compared in constant time.
fn is_told(headers: &HeaderMap, wanted: Option<&Secret>) -> bool {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(wanted), Some(authorization), None) = (wanted, all.next(), all.next()) else {
        return false;
    };
    let bearer = authorization.to_str().ok().and_then(|text| text.split_once(' '));
    bearer.is_some_and(|(scheme, token)| {
        scheme.eq_ignore_ascii_case("bearer") && Secret::new(token.trim().to_owned()) == *wanted
    })
}
