//! `GET /classify/today`: today's requests by class.

use std::sync::Arc;

use axum::extract::{Request, State};
use insights::Classification;
use serde::Deserialize;
use utoipa::IntoParams;

use super::documented::file;
use crate::day_insights::day_scope::VisibleScope;
use crate::day_insights::gather::DayReader;
use crate::input;
use crate::message::problem::Problem;
use crate::process::day_cache::{DayEndpoint, DayText};
use crate::process::state::App;
use crate::sign_in::caller::Caller;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ClassificationQuery {
    /// The users: `all` (the default for admins), `user:ID` (the default for others is the caller), or
    /// `label:NAME=VALUE`.
    scope: Option<String>,
}

/// Returns today's requests by class, with the rules that decided.
#[utoipa::path(get, path = "/classify/today", tag = "insights", params(ClassificationQuery),
    security(("key" = []), ("cookie" = [])), extensions(("x-codes" = json!(["bad_request", "not_found"]))),
    responses((status = 200, body = Classification, example = json!(file("classify_today.json")))))]
pub(in crate::routes) async fn today(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<DayText, Problem> {
    let ClassificationQuery { scope } = input::query(request.uri())?;
    let visible = VisibleScope::of_query(&app, &caller, scope.as_deref()).await?;
    let reader = DayReader::begin(&app, app.clock.now().day(), visible).await?;
    reader.text(DayEndpoint::Classification).await
}
