//! `GET` and `POST /api/plans`, `PATCH /api/plans/{name}`.

use std::num::NonZeroU32;
use std::sync::Arc;

use access::{Budget, Measure, Per, Plan, PlanId, Refusal, usd};
use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{PlanChange, StoreError, StoredPlan};
use utoipa::ToSchema;

use crate::caller::{Admin, Caller};
use crate::input::{self, Segment};
use crate::moment::rfc3339;
use crate::problem::Problem;
use crate::state::App;
use crate::words::PerWord;

/// All plans, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Plans {
    items: Vec<Shown>,
    /// Always null: there is one page, of at most 1,000 plans.
    next: Option<String>,
}

/// What its users may use.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(super) struct Shown {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: PlanId,
    /// Its name, by which users have it.
    name: String,
    /// Credits of a UTC day, over all keys of a user; null is no quota.
    credits_per_day: Option<u64>,
    /// Requests a minute, of each key; null is no limit.
    requests_per_minute: Option<u32>,
    /// What holds each user beside that, over all of their keys.
    budgets: Vec<PlanBudget>,
    /// Whether its users' calls may go with shared provider keys.
    shared_keys: bool,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was changed last.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<StoredPlan> for Shown {
    fn from(StoredPlan { id, plan, created_at, updated_at }: StoredPlan) -> Self {
        Self {
            id,
            name: plan.name,
            credits_per_day: plan.credits_per_day,
            requests_per_minute: plan.requests_per_minute.map(NonZeroU32::get),
            budgets: plan.budgets.into_iter().map(PlanBudget::from).collect(),
            shared_keys: plan.shared_keys,
            created_at: rfc3339(created_at),
            updated_at: rfc3339(updated_at),
        }
    }
}

/// A plan to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewPlan, example = json!({"name": "team", "credits_per_day": 50000, "requests_per_minute": 600, "shared_keys": true}))]
#[serde(deny_unknown_fields)]
struct New {
    /// 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`; it stays.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// Credits of a UTC day, over all keys of a user; left out or null is no quota.
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    credits_per_day: Option<u64>,
    /// Requests a minute, of each key; left out or null is no limit.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 2_147_483_647)]
    requests_per_minute: Option<NonZeroU32>,
    /// What holds each user beside that, over all of their keys; one for each measure and period. Default none.
    budgets: Option<Vec<PlanBudget>>,
    /// Whether its users' calls may go with shared provider keys. Default true.
    shared_keys: Option<bool>,
}

/// What of a plan shall be another. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PlanChange, example = json!({"credits_per_day": 100000, "requests_per_minute": null,
    "budgets": [{"money": "20 USD", "per": "day"}]}))]
#[serde(deny_unknown_fields)]
struct Change {
    /// Credits of a UTC day, over all keys of a user; null is no quota.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    credits_per_day: Option<Option<u64>>,
    /// Requests a minute, of each key; null is no limit.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 2_147_483_647)]
    requests_per_minute: Option<Option<NonZeroU32>>,
    /// All that holds each user beside that, in place of what did; null is nothing.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<Vec<PlanBudget>>)]
    budgets: Option<Option<Vec<PlanBudget>>>,
    /// Whether its users' calls may go with shared provider keys.
    shared_keys: Option<bool>,
}

/// So much of one measure in a period of UTC.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"money": "20 USD", "per": "day"}))]
#[serde(deny_unknown_fields)]
struct PlanBudget {
    /// What calls may cost, with at most 9 decimal places; exactly one of `money`, `credits` and `tokens` is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    money: Option<String>,
    /// Credits of the quota.
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<u64>,
    /// Tokens of every class, summed.
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
    /// How long its period is.
    #[schema(value_type = PerWord)]
    per: String,
}

impl From<Budget> for PlanBudget {
    fn from(Budget { measure, per, amount }: Budget) -> Self {
        let of = |wanted| (measure == wanted).then_some(amount);
        let money = of(Measure::Money).map(usd::written_money);
        Self { money, credits: of(Measure::Credits), tokens: of(Measure::Tokens), per: per.as_str().to_owned() }
    }
}

impl PlanBudget {
    fn read(self) -> Result<Budget, Problem> {
        let refused = |why: String| Problem::new(Refusal::Unprocessable, why);
        let (measure, amount) = match (self.money, self.credits, self.tokens) {
            (Some(money), None, None) => {
                let amount = usd::parse_money(&money);
                (Measure::Money, amount.map_err(|expected| refused(format!("the money of a budget is {expected}")))?)
            }
            (None, Some(credits), None) => (Measure::Credits, credits),
            (None, None, Some(tokens)) => (Measure::Tokens, tokens),
            _ => return Err(refused("a budget has exactly one of money, credits and tokens".to_owned())),
        };
        let per = Per::parse(&self.per).ok_or_else(|| refused("`per` is `day` or `month`".to_owned()))?;
        Ok(Budget { measure, per, amount })
    }
}

fn read(budgets: Option<Vec<PlanBudget>>) -> Result<Vec<Budget>, Problem> {
    budgets.unwrap_or_default().into_iter().map(PlanBudget::read).collect()
}

/// All plans.
#[utoipa::path(get, path = "/api/plans", tag = "account", security(("key" = []), ("cookie" = [])),
    responses((status = 200, body = Plans, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000003", "name": "pro", "credits_per_day": 10000,
            "requests_per_minute": 300, "budgets": [{"money": "20 USD", "per": "day"}], "shared_keys": true,
            "created_at": "2026-11-20T08:03:52Z", "updated_at": "2026-11-20T08:03:52Z"}],
        "next": null
    }))))]
pub(super) async fn list(State(app): State<Arc<App>>, _: Caller) -> Result<Json<Plans>, Problem> {
    let plans = app.store.stored_plans().await.map_err(Problem::store)?;
    Ok(Json(Plans { items: plans.into_iter().map(Shown::from).collect(), next: None }))
}

/// Makes a plan; users may have it at once.
#[utoipa::path(post, path = "/api/plans", tag = "admin", request_body = New, security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "conflict", "unprocessable"]))),
    responses((status = 201, body = Shown, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000003", "name": "team", "credits_per_day": 50000, "requests_per_minute": 600,
        "budgets": [], "shared_keys": true, "created_at": "2026-11-20T08:03:52Z", "updated_at": "2026-11-20T08:03:52Z"
    }))))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    request: Request,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    let new: New = input::required(request, app.limits.body).await?;
    let plan = Plan {
        name: new.name,
        credits_per_day: new.credits_per_day,
        requests_per_minute: new.requests_per_minute,
        budgets: read(new.budgets)?,
        shared_keys: new.shared_keys.unwrap_or(true),
    };
    let made = app.store.create_plan(&caller.actor(), &plan).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// Changes a plan for everybody who has it, within a second.
#[utoipa::path(patch, path = "/api/plans/{name}", tag = "admin", request_body = Change,
    security(("token" = []), ("cookie" = [])), params(("name" = String, Path, description = "The plan's name")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "unprocessable"]))),
    responses((status = 200, body = Shown, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000003", "name": "team", "credits_per_day": 100000, "requests_per_minute": null,
        "budgets": [{"money": "20 USD", "per": "day"}], "shared_keys": true, "created_at": "2026-11-20T08:03:52Z", "updated_at": "2026-11-21T10:00:00Z"
    }))))]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Segment(name): Segment,
    request: Request,
) -> Result<Json<Shown>, Problem> {
    let Change { credits_per_day, requests_per_minute, budgets, shared_keys } =
        input::required(request, app.limits.body).await?;
    let budgets = budgets.map(read).transpose()?;
    let change = PlanChange { credits_per_day, requests_per_minute, budgets, shared_keys };
    match app.store.change_plan(&caller.actor(), &name, change).await {
        Ok(changed) => Ok(Json(changed.into())),
        Err(StoreError::NoPlan { .. }) => Err(Problem::new(Refusal::NotFound, "there is no plan of this name")),
        Err(error) => Err(error.into()),
    }
}
