//! `GET /metrics`.

use std::sync::Arc;

use access::Refusal;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use telemetry::metrics::CONTENT_TYPE;

use crate::problem::Problem;
use crate::state::App;

/// Every metric. They tell of routes, models and money, so only a loopback listener shows them to whoever asks.
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    if !app.loopback {
        return Err(Problem::new(Refusal::Unauthorized, "metrics are shown only where control listens on loopback"));
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], app.metrics.encode()))
}
