//! `GET /health`, `/livez`, `/readyz`: health and readiness.

use std::sync::Arc;

use access::Refusal;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use telemetry::NotReady;
use utoipa::ToSchema;

use crate::message::problem::Problem;
use crate::process::state::App;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    status: &'static str,
    version: &'static str,
    uptime_s: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Status {
    status: &'static str,
}

/// Returns the version and the uptime.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = Health,
    example = json!({"status": "ok", "version": "0.1.0", "uptime_s": 4711}))))]
pub(super) async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let uptime_s = app.clock.mono().since(app.started).as_secs();
    Json(Health { status: "ok", version: app.version, uptime_s })
}

/// Reports that the process responds.
///
/// It checks no dependency, because a restart does not help if the database is unavailable.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Status,
    example = json!({"status": "ok"}))))]
pub(super) async fn live() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// Reports whether this instance is ready for requests.
#[utoipa::path(get, path = "/readyz", tag = "health", extensions(("x-codes" = json!(["draining"]))),
    responses((status = 200, body = Status, example = json!({"status": "ready"}))))]
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Status>, Problem> {
    match app.live_state.ready() {
        Ok(()) => Ok(Json(Status { status: "ready" })),
        Err(reason @ NotReady::Draining) => Err(Problem::new(Refusal::Draining, reason.to_string())),
        Err(reason @ (NotReady::Snapshot | NotReady::Directory | NotReady::SpoolFull | NotReady::CutOff)) => {
            Err(Problem::new(Refusal::Unavailable, reason.to_string()))
        }
    }
}
