//! `GET /api/usage/history`: usage per day.

use std::sync::Arc;

use access::{KeyNo, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use ledger::UsageOf;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input;
use crate::message::figures::UsageFigures;
use crate::message::moment::date;
use crate::message::problem::Problem;
use crate::nouns::usage_scope::{Scope, Selection};
use crate::process::state::App;
use crate::sign_in::caller::KeyReader;

/// The default number of days.
const DAYS: u32 = 30;
/// The maximum number of days.
const DAYS_MAX: u32 = 366;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct UsageHistoryQuery {
    /// The number of days, including today. Default 30.
    #[param(minimum = 1, maximum = 366)]
    days: Option<u32>,
    /// Returns only the usage of this key.
    key_id: Option<Uuid>,
    /// The usage of `me` (the default), of `all` users, of `user:ID`, of the users with the plan `plan:NAME` now, or of
    /// the key `key:ID`. Only for admins, except `me`.
    scope: Option<String>,
    /// The user; only for admins. Default: the authenticated user.
    user_id: Option<Uuid>,
}

/// Consecutive days with their usage.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageHistory)]
pub(in crate::routes) struct History {
    /// The days, oldest first and today last; days without usage have zeros.
    days: Vec<UsageOfDay>,
}

/// The usage of one day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageOfDay)]
pub(in crate::routes) struct UsageOfDay {
    /// The day in UTC.
    #[schema(format = Date)]
    date: String,
    #[serde(flatten)]
    used: UsageFigures,
}

/// Returns the usage of a user per day, of all keys or with `?key_id=` of one key; for admins also of several users.
#[utoipa::path(get, path = "/api/usage/history", tag = "usage", params(UsageHistoryQuery), security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["bad_request", "not_found"]))),
    responses((status = 200, body = History, example = json!({"days": [{
        "date": "2026-11-20", "requests": 12, "credits": 12,
        "tokens": {"input": 900, "cached_input": 100, "cache_write": 0, "output": 400, "reasoning": 50, "total": 1450},
        "cost": {"amount_nano": 1234000, "currency": "USD"}, "unpriced_requests": 0
    }]}))))]
pub(in crate::routes) async fn history(
    State(app): State<Arc<App>>,
    KeyReader(caller): KeyReader,
    request: Request,
) -> Result<Json<History>, Problem> {
    let UsageHistoryQuery { days, key_id, scope, user_id } = input::query(request.uri())?;
    let days = match days.unwrap_or(DAYS) {
        days @ 1..=DAYS_MAX => days,
        _ => return Err(Problem::new(Refusal::BadRequest, format!("`days` must be 1 to {DAYS_MAX}"))),
    };
    let scope = Scope::resolve(&app, &caller, Selection { scope: scope.as_deref(), user_id, key_id }).await?;
    Ok(Json(History { days: days_of(&app, scope.of, scope.key_no(), days).await? }))
}

/// Returns the usage of the users of a scope, or of one key, for a number of days, today last.
///
/// # Errors
/// `unavailable`.
pub(in crate::routes) async fn days_of(
    app: &App,
    of: UsageOf,
    key: Option<KeyNo>,
    days: u32,
) -> Result<Vec<UsageOfDay>, Problem> {
    let totals = app.ledger.usage_of_days(of, key, days, app.clock.now().day()).await?;
    Ok(totals.iter().map(|(day, totals)| UsageOfDay { date: date(*day), used: UsageFigures::from(totals) }).collect())
}
