//! `GET /ingest/status`: the progress of usage into the store.

use std::sync::Arc;

use access::Role;
use axum::Json;
use axum::extract::State;
use insights::IngestStatus;
use insights::figures::day::{date, rfc3339};
use ledger::UsageOf;

use super::documented::runtime;
use crate::day_insights::progress::IngestProgress;
use crate::day_insights::roles::HeldRoles;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::Caller;

/// Returns the progress of today's usage into the store; for admins also of each node. The requests are those that the
/// caller may see: members their own, admins and `finance` all.
#[utoipa::path(get, path = "/ingest/status", tag = "insights", security(("key" = []), ("cookie" = [])),
    responses((status = 200, body = IngestStatus, example = json!(runtime("ingest_status")))))]
pub(in crate::routes) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<IngestStatus>, Problem> {
    let now = app.clock.now();
    let progress = IngestProgress::new(app.store.node_progress().await?, now);
    let sees_all = HeldRoles::load(&app, &caller).await?.sees_all();
    let of = if sees_all { UsageOf::All } else { UsageOf::User(caller.user_no) };
    let totals = app.ledger.day_totals(of, [now.day(), now.day()]).await?;
    let (stored, refused) = totals.first().map_or((0, 0), |of| (of.results.all(), of.results.refused));
    Ok(Json(IngestStatus {
        as_of: rfc3339(now),
        date: date(now.day()),
        complete: progress.is_complete(now.day()),
        complete_until: progress.complete_until().map(rfc3339),
        received: stored.saturating_add(progress.spooled()),
        stored,
        spooled: progress.spooled(),
        refused,
        lag_ms: u64::try_from(progress.lag().as_millis()).unwrap_or(u64::MAX),
        oldest_unsent_at: progress.oldest_unsent().map(rfc3339),
        nodes: (caller.role == Role::Admin).then(|| progress.nodes()),
    }))
}
