//! `GET /api/dashboard/overview`: the data of a user's overview page.

mod of_scope;

use std::sync::Arc;

use access::{Credits, Day, KeyId, Plan, UserId};
use axum::Json;
use axum::extract::{Request, State};
use ledger::{Overview, OverviewKey, OverviewModel, RequestLine, ResultTotals};
use meter::BudgetId;
use serde::{Deserialize, Serialize};
use store::User;
use telemetry::Metrics;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input;
use crate::message::figures::{KeyOwnerView, UsageFigures, ms};
use crate::message::moment::{date, first_of_month, rfc3339};
use crate::message::problem::Problem;
use crate::nouns::budgets::{self, BudgetQuery};
use crate::nouns::latency;
use crate::nouns::quota::{self, Quota};
use crate::nouns::usage_scope::{self, Scope, Selection, UsageScope};
use crate::process::state::App;
use crate::routes::usage::requests::RequestItem;
use crate::sign_in::Account;
use crate::sign_in::caller::Caller;
use of_scope::{TopRoutes, TopUsers};

/// The number of newest requests that the overview shows.
const RECENT: usize = 20;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OverviewQuery {
    /// The usage of `me` (the default), of `all` users, of `user:ID`, of the users with the plan `plan:NAME` now, or of
    /// the key `key:ID`. Only for admins, except `me`.
    scope: Option<String>,
    /// The user; only for admins. Default: the authenticated user.
    user_id: Option<Uuid>,
}

/// The overview of a user's day and month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overview)]
pub(super) struct OverviewResponse {
    /// The user; absent for several users, as are the plan and the quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<OverviewPlanView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<Quota>,
    /// This month's users, only for several users.
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<TopUsers>,
    /// This month's routes, only for several users.
    #[serde(skip_serializing_if = "Option::is_none")]
    routes: Option<TopRoutes>,
    /// The budgets that apply to all these requests: of a user as in `usage/today`; of several users the `global` ones, and
    /// those of the plan.
    budgets: Vec<budgets::BudgetView>,
    today: Today,
    month: Month,
    /// The user's keys: keys used this month first, by credits; then other keys that are not revoked, newest first. Of several
    /// users: the keys with the highest cost of this month. At most 100.
    keys: Vec<OverviewKeyView>,
    /// This month's models, the most used ones first. At most 20.
    models: Vec<OverviewModelView>,
    latency: Latency,
    errors: OverviewErrorRate,
    /// The newest requests, at most 20.
    recent: Vec<RequestItem>,
}

/// The user's plan and its limits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewPlan)]
struct OverviewPlanView {
    name: String,
    /// The daily quota in credits; null means no quota.
    credits_per_day: Option<u64>,
    /// The maximum number of requests per minute and user; null means no limit.
    requests_per_minute: Option<u32>,
}

/// The recorded usage since midnight UTC.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewToday)]
struct Today {
    #[schema(format = Date)]
    date: String,
    #[serde(flatten)]
    used: UsageFigures,
    /// Credits of requests that are in flight or not recorded yet. Together with `credits` they equal `quota.used`.
    #[schema(value_type = f64)]
    pending_credits: Credits,
}

/// The recorded usage of this month, including today.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewMonth)]
struct Month {
    /// The first day of the month.
    #[schema(format = Date)]
    since: String,
    #[serde(flatten)]
    used: UsageFigures,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewKey)]
struct OverviewKeyView {
    #[schema(value_type = Uuid)]
    id: KeyId,
    label: String,
    prefix: String,
    last4: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// The user who owns the key; only with several users, or one key.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<KeyOwnerView>,
    today: UsageFigures,
    month: UsageFigures,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewModel)]
struct OverviewModelView {
    /// The model as clients name it; null for requests without a known model name.
    model: Option<String>,
    #[serde(flatten)]
    used: UsageFigures,
    /// The number of requests that neither were refused nor failed.
    succeeded: u64,
    /// The number of requests that the gateway refused.
    refused: u64,
    /// The number of failed requests. The rate of failures is `errors` divided by the sum of `errors` and `succeeded`.
    errors: u64,
    /// The mean duration of `requests`, from the request's head to the end of the response; null without requests.
    mean_ms: Option<f64>,
}

/// The durations of the newest requests, from the request's head to the end of the response.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewLatency)]
struct Latency {
    /// The median duration; null without requests.
    p50_ms: Option<f64>,
    /// The 95th percentile of the duration; null without requests.
    p95_ms: Option<f64>,
    /// The basis of the figures: `newest_requests` are the newest 50 requests, except those that reached no provider and those
    /// that are only counted. If the newest requests of all users have no durations, `process` is all requests of this process
    /// since its start.
    basis: &'static str,
    /// The number of these requests.
    requests: u64,
}

/// Today's failed requests, of LLM endpoints and ordinary routes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewErrors)]
struct OverviewErrorRate {
    /// The number of failed requests.
    today: u64,
    /// The number of requests that succeeded or failed.
    requests: u64,
    /// The number of requests that the gateway refused. `requests` does not include them.
    refused: u64,
    /// `today` divided by `requests`; null without requests.
    rate: Option<f64>,
}

impl From<&Plan> for OverviewPlanView {
    fn from(plan: &Plan) -> Self {
        Self {
            name: plan.name.clone(),
            credits_per_day: plan.credits_per_day.map(Credits::rounded_down),
            requests_per_minute: plan.requests_per_minute.map(std::num::NonZeroU32::get),
        }
    }
}

impl OverviewResponse {
    /// Returns the figures of an overview, with its newest requests as `item` returns them.
    fn from_overview(overview: Overview, today: Day, item: fn(RequestLine) -> RequestItem) -> Self {
        Self {
            user: None,
            plan: None,
            quota: None,
            users: None,
            routes: None,
            budgets: Vec::new(),
            today: Today {
                date: date(today),
                used: UsageFigures::from(&overview.today),
                pending_credits: Credits::ZERO,
            },
            month: Month { since: date(first_of_month(today)), used: UsageFigures::from(&overview.month) },
            latency: Latency::from_requests(&overview.newest),
            keys: overview.keys.into_iter().map(OverviewKeyView::from).collect(),
            models: overview.models.into_iter().map(OverviewModelView::from).collect(),
            errors: OverviewErrorRate::from_results(overview.results_today),
            recent: overview.newest.into_iter().take(RECENT).map(item).collect(),
        }
    }
}

impl From<OverviewKey> for OverviewKeyView {
    fn from(key: OverviewKey) -> Self {
        Self {
            id: key.id,
            label: key.label,
            prefix: key.prefix,
            last4: key.last4,
            created_at: rfc3339(key.created_at),
            expires_at: key.expires_at.map(rfc3339),
            revoked_at: key.revoked_at.map(rfc3339),
            user: key.owner.map(KeyOwnerView::from),
            today: UsageFigures::from(&key.today),
            month: UsageFigures::from(&key.month),
        }
    }
}

impl From<OverviewModel> for OverviewModelView {
    fn from(model: OverviewModel) -> Self {
        let mean_ms = model.duration_us.checked_div(model.total.requests).map(ms);
        let used = UsageFigures::from(&model.total);
        let ResultTotals { succeeded, refused, errors } = model.results;
        Self { model: model.name, used, succeeded, refused, errors, mean_ms }
    }
}

impl Latency {
    fn from_requests(newest: &[RequestLine]) -> Self {
        let sent = newest.iter().filter(|line| line.attempts > 0 && line.counted.is_none());
        let mut took: Vec<u64> = sent.map(|line| line.duration_us).collect();
        took.sort_unstable();
        // Nearest-rank percentile: the lowest duration that `percent` of the requests do not exceed.
        let percentile = |percent: usize| {
            let rank = (took.len() * percent).div_ceil(100).saturating_sub(1);
            took.get(rank).copied().map(ms)
        };
        Self { p50_ms: percentile(50), p95_ms: percentile(95), basis: "newest_requests", requests: took.len() as u64 }
    }
}

impl Latency {
    /// Returns the durations of all requests of this process.
    fn of_process(metrics: &Metrics) -> Self {
        let counts = latency::of_routes(metrics, |_| true);
        let percentile = |percent| counts.percentile_us(percent).map(ms);
        Self { p50_ms: percentile(50), p95_ms: percentile(95), basis: "process", requests: counts.total() }
    }
}

impl OverviewErrorRate {
    #[expect(clippy::cast_precision_loss, reason = "a rate of a day's requests")]
    fn from_results(results: ResultTotals) -> Self {
        let ResultTotals { succeeded, refused, errors: today } = results;
        let requests = succeeded + today;
        let rate = (requests > 0).then(|| today as f64 / requests as f64);
        Self { today, requests, refused, rate }
    }
}

/// Returns the data of the overview page: of a user, or for admins of any scope.
///
/// It contains plan and quota, today's usage and this month's by key and by model, latency, errors, and the newest
/// requests. The cost of this request does not depend on the number of requests.
#[utoipa::path(get, path = "/api/dashboard/overview", tag = "usage", params(OverviewQuery), security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = OverviewResponse, example = json!({
        "user": Account::ada(),
        "plan": {"name": "starter", "credits_per_day": 1000, "requests_per_minute": 60},
        "quota": {"limit": 1000, "used": 3, "remaining": 997, "resets_at": "2026-11-21T00:00:00Z"},
        "budgets": [{"dimension": "user", "id": "0199aa00-0000-7000-8000-000000000000", "name": null, "per": "day",
            "credits": 1000, "used": 3, "remaining": 997, "resets_at": "2026-11-21T00:00:00Z", "source": "plan"}],
        "today": {"date": "2026-11-20", "requests": 3, "credits": 3,
            "tokens": {"input": 300, "cached_input": 60, "cache_write": 21, "output": 150, "reasoning": 30, "total": 561},
            "cost": {"amount_nano": 1750, "currency": "USD"}, "unpriced_requests": 0, "pending_credits": 0},
        "month": {"since": "2026-11-01", "requests": 3, "credits": 3,
            "tokens": {"input": 300, "cached_input": 60, "cache_write": 21, "output": 150, "reasoning": 30, "total": 561},
            "cost": {"amount_nano": 1750, "currency": "USD"}, "unpriced_requests": 0},
        "keys": [],
        "models": [{"model": "fast", "requests": 3, "credits": 3,
            "tokens": {"input": 300, "cached_input": 60, "cache_write": 21, "output": 150, "reasoning": 30, "total": 561},
            "cost": {"amount_nano": 1750, "currency": "USD"}, "unpriced_requests": 0, "succeeded": 3, "refused": 1, "errors": 1,
            "mean_ms": 812.5}],
        "latency": {"p50_ms": 790.25, "p95_ms": 1204.5, "basis": "newest_requests", "requests": 3},
        "errors": {"today": 1, "requests": 4, "refused": 1, "rate": 0.25},
        "recent": []
    }))))]
pub(super) async fn overview(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Json<OverviewResponse>, Problem> {
    let OverviewQuery { scope, user_id } = input::query(request.uri())?;
    let of_scope = scope.as_deref().filter(|word| *word != "me" && !word.starts_with("user:"));
    if let Some(word) = of_scope {
        let selection = Selection { scope: Some(word), user_id, key_id: None };
        return of_scope::overview(&app, Scope::resolve(&app, &caller, selection).await?).await.map(Json);
    }
    let user_id = match scope.as_deref() {
        None | Some("me") => user_id,
        Some(_) => {
            let selection = Selection { scope: scope.as_deref(), user_id, key_id: None };
            Scope::resolve(&app, &caller, selection).await?.user.map(|user| user.user.0)
        }
    };
    let user = UsageScope::id(&caller, user_id)?;
    let today = app.clock.now().day();
    let (mut owner, mut overview) = read(&app, user, today).await?;
    let no = owner.no;
    if overview.today.credits < quota::settled(&app, no, today) {
        quota::recorded(&app, no, today).await?;
        (owner, overview) = read(&app, user, today).await?;
    }
    let scope = UsageScope { user, no, plan: Arc::new(owner.plan.clone()) };
    let key = budgets::BudgetKey::from_caller(&caller, &scope);
    let query = BudgetQuery { role: caller.role, scope: &scope, key };
    let budgets = budgets::holding(app.budget_sources(&app.live.load_full()), query, today).await?;
    Ok(Json(OverviewResponse { budgets, ..response(&app, &owner, overview, today) }))
}

async fn read(app: &App, user: UserId, today: Day) -> Result<(User, Overview), Problem> {
    let found = app.ledger.overview(user, [first_of_month(today), today]).await?;
    // The user does not exist, or a restored store is older than the credential and does not contain the user.
    found.ok_or_else(usage_scope::no_such_user)
}

fn response(app: &App, user: &User, overview: Overview, today: Day) -> OverviewResponse {
    let of_user = BudgetId::credits_a_day(meter::BudgetScope::User(user.no));
    let recorded = overview.today.credits;
    let used = app.meter.as_ref().map_or(Credits::ZERO, |meter| meter.used(of_user, today).credits()).max(recorded);
    let quota = Quota::new(user.plan.credits_per_day, used, today);
    let pending_credits = quota::pending(&quota, recorded);
    let mut response = OverviewResponse::from_overview(overview, today, RequestItem::from);
    response.today.pending_credits = pending_credits;
    OverviewResponse {
        user: Some(Account::from(user)),
        plan: Some(OverviewPlanView::from(&user.plan)),
        quota: Some(quota),
        ..response
    }
}
