//! `GET /api/usage/today`: usage since midnight UTC.

use std::sync::Arc;

use access::{Credits, Day, KeyId};
use axum::Json;
use axum::extract::{Request, State as Extracted};
use ledger::{DayUsage, KeyUsage, UsageOf};
use serde::{Deserialize, Serialize};
use store::Key;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input;
use crate::message::figures::{KeyOwnerView, UsageFigures};
use crate::message::moment::{date, rfc3339};
use crate::message::problem::Problem;
use crate::nouns::budgets::{self, BudgetQuery};
use crate::nouns::quota::{self, SpentCredits};
use crate::nouns::usage_scope::{Scope, Selection};
use crate::process::state::{App, State};
use crate::sign_in::caller::KeyReader;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct UsageTodayQuery {
    /// Returns only the usage of this key.
    key_id: Option<Uuid>,
    /// The usage of `me` (the default), of `all` users, of `user:ID`, of the users with the plan `plan:NAME` now, or of
    /// the key `key:ID`. Only for admins, except `me`.
    scope: Option<String>,
    /// The user; only for admins. Default: the authenticated user.
    user_id: Option<Uuid>,
}

/// The recorded usage of the day. `pending_credits`, `limit`, `remaining` and `resets_at` always belong to the user's
/// quota, even if one key is selected. Without `key_id`, `credits`, `pending_credits` and `remaining` add up to
/// `limit` until it is used up.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::routes) struct Today {
    date: String,
    #[serde(flatten)]
    used: UsageFigures,
    /// Credits of requests that are in flight or not recorded yet.
    #[schema(value_type = f64)]
    pending_credits: Credits,
    /// The quota of the user; null without one, and for several users.
    #[schema(value_type = Option<f64>)]
    limit: Option<Credits>,
    #[schema(value_type = Option<f64>)]
    remaining: Option<Credits>,
    resets_at: String,
    /// The budgets that apply to the user's requests, including the quota: of the user, the plan, all users together,
    /// and of the authenticating or selected key.
    budgets: Vec<budgets::BudgetView>,
    /// The keys that were used; of several users, those with the highest cost, at most 100.
    by_key: Vec<UsageOfKey>,
}

#[derive(Debug, Serialize, ToSchema)]
struct UsageOfKey {
    #[schema(value_type = Uuid)]
    key_id: KeyId,
    label: String,
    prefix: String,
    last4: String,
    /// The user who owns the key; only with several users.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<KeyOwnerView>,
    #[serde(flatten)]
    used: UsageFigures,
}

impl From<KeyUsage> for UsageOfKey {
    fn from(usage: KeyUsage) -> Self {
        let used = UsageFigures::from(&usage.total);
        Self { key_id: usage.key, label: usage.label, prefix: usage.prefix, last4: usage.last4, user: None, used }
    }
}

/// Returns the usage since midnight UTC: of a user, of all keys or with `?key_id=` of one key; for admins also of several users.
#[utoipa::path(get, path = "/api/usage/today", tag = "usage", params(UsageTodayQuery), security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = Today, example = json!({
        "date": "2026-11-20", "requests": 12, "credits": 12,
        "tokens": {"input": 900, "cached_input": 100, "cache_write": 0, "output": 400, "reasoning": 50, "total": 1450},
        "cost": {"amount_nano": 1234000, "currency": "USD"}, "unpriced_requests": 0,
        "pending_credits": 0, "limit": 10000, "remaining": 9988, "resets_at": "2026-11-21T00:00:00Z",
        "budgets": [{"dimension": "user", "id": "0199aa00-0000-7000-8000-000000000000", "name": null, "per": "day",
            "credits": 10000, "used": 12, "remaining": 9988, "resets_at": "2026-11-21T00:00:00Z", "source": "plan"}],
        "by_key": []
    }))))]
pub(in crate::routes) async fn today(
    Extracted(app): Extracted<Arc<App>>,
    KeyReader(caller): KeyReader,
    request: Request,
) -> Result<Json<Today>, Problem> {
    let UsageTodayQuery { key_id, scope, user_id } = input::query(request.uri())?;
    let scope = Scope::resolve(&app, &caller, Selection { scope: scope.as_deref(), user_id, key_id }).await?;
    let day = app.clock.now().day();
    let Scope { of, user, key } = scope;
    let Some(scope) = user else { return of_several(&app, of, key, day).await };
    let usage = quota::recorded(&app, scope.no, day).await?;
    let quota = SpentCredits::or(&app, scope.no, &usage, day).of_user(&scope.plan);
    let requested_key = key.as_ref().map(|key| budgets::BudgetKey {
        id: key.id,
        no: key.no,
        credits_per_day: key.bounds.credits_per_day,
    });
    let own = requested_key.or_else(|| budgets::BudgetKey::from_caller(&caller, &scope));
    let query = BudgetQuery { role: caller.role, scope: &scope, key: own };
    let budgets = budgets::holding(app.budget_sources(&app.live.load_full()), query, day).await?;
    let pending_credits = quota::pending(&quota, usage.total.credits);
    let DayUsage { total, by_key } = match key {
        Some(key) => usage.of_key(key.no),
        None => usage,
    };
    Ok(Json(Today {
        date: date(day),
        used: UsageFigures::from(&total),
        pending_credits,
        limit: quota.limit,
        remaining: quota.remaining,
        resets_at: quota.resets_at,
        budgets,
        by_key: by_key.into_iter().map(UsageOfKey::from).collect(),
    }))
}

/// Returns the usage of several users, or of one key among them.
async fn of_several(app: &State, of: UsageOf, key: Option<Key>, day: Day) -> Result<Json<Today>, Problem> {
    let (total, keys) = app.ledger.scope_day(of, key.map(|key| key.no), day).await?;
    let by_key = keys.into_iter().map(|(usage, owner)| UsageOfKey { user: Some(owner.into()), ..usage.into() });
    Ok(Json(Today {
        date: date(day),
        used: UsageFigures::from(&total),
        pending_credits: Credits::ZERO,
        limit: None,
        remaining: None,
        resets_at: rfc3339(day.next().start()),
        budgets: Vec::new(),
        by_key: by_key.collect(),
    }))
}
