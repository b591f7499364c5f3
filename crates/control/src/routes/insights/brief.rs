//! `GET /brief/{id}`: one day of a scope, explained.

use std::sync::Arc;

use axum::extract::State;
use insights::Brief;

use super::documented::file;
use crate::day_insights::day_scope::brief_of;
use crate::day_insights::gather::DayReader;
use crate::input::Segment;
use crate::message::problem::Problem;
use crate::process::day_cache::{DayEndpoint, DayText};
use crate::process::state::App;
use crate::sign_in::caller::Caller;

/// Returns the brief of a day: its spend, the changes, anomalies, errors and possible savings.
#[utoipa::path(get, path = "/brief/{id}", tag = "insights", security(("key" = []), ("cookie" = [])),
    params(("id" = String, Path, description = "`today`, a day such as `2026-11-21`, or a day and a scope: \
        `2026-11-21~user=ID` or `2026-11-21~team=payments`. Without a scope, the widest that the caller may see")),
    extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = Brief, example = json!(file("brief_test.json")))))]
pub(in crate::routes) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<DayText, Problem> {
    let (day, visible) = brief_of(&app, &caller, &id).await?;
    DayReader::begin(&app, day, visible).await?.text(DayEndpoint::Brief).await
}
