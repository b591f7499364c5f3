//! `GET /roi/today`: the cost of today and its savings.

use std::sync::Arc;

use axum::extract::State;
use insights::Roi;

use super::documented::runtime;
use crate::day_insights::day_scope::VisibleScope;
use crate::day_insights::gather::DayReader;
use crate::message::problem::Problem;
use crate::process::day_cache::{DayEndpoint, DayText};
use crate::process::state::App;
use crate::sign_in::caller::Caller;

/// Returns the cost and the savings of today, with formulas and assumptions; for admins of all users.
#[utoipa::path(get, path = "/roi/today", tag = "insights", security(("key" = []), ("cookie" = [])),
    responses((status = 200, body = Roi, example = json!(runtime("roi_today")))))]
pub(in crate::routes) async fn today(State(app): State<Arc<App>>, caller: Caller) -> Result<DayText, Problem> {
    let visible = VisibleScope::resolve(&app, &caller, None).await?;
    let reader = DayReader::begin(&app, app.clock.now().day(), visible).await?;
    reader.text(DayEndpoint::Roi).await
}
