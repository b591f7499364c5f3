//! `GET` and `POST /api/plans`, `PATCH /api/plans/{name}`: plans of users.

mod price;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use access::amounts::usd;
use access::{Amount, Budget, Credits, LimitPeriod, Measure, Plan, PlanId, QuotaName, Refusal, Role, Tokens};
use axum::Json;
use axum::extract::{Request, State};
use config::Snapshot;
use config::snapshot::{PlanModels, Traffic};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{PlanChange, PlanError, StoredPlan};
use utoipa::ToSchema;

use self::price::PlanChargeView;
use super::billing::views::MoneyView;
use crate::input::{self, Segment};
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::{Admin, Caller};

/// All plans, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Plans {
    items: Vec<PlanView>,
    /// Always null: one page contains all plans, at most 1,000.
    next: Option<String>,
}

/// A plan: the limits of its users.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(super) struct PlanView {
    /// The id of the plan.
    #[schema(value_type = Uuid)]
    id: PlanId,
    /// The name of the plan, which users refer to.
    name: String,
    /// The daily quota in credits, over all keys of a user; null means no quota.
    credits_per_day: Option<u64>,
    /// The maximum number of requests per minute and user; null means no limit.
    requests_per_minute: Option<u32>,
    /// Further budgets of each user, over all of the user's keys.
    budgets: Vec<PlanBudget>,
    /// Whether requests of the plan's users may use shared provider keys.
    shared_keys: bool,
    /// The models that the plan includes, as the configuration lists them; missing if it includes all. Only the configuration
    /// changes them, as the next two fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
    /// Names that the plan's users may request, each with the name in its place; missing without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    aliases: Option<BTreeMap<String, String>>,
    /// The plan's own rate limits, as the header `RateLimit-Policy` has them; missing without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limits: Option<Vec<String>>,
    /// The time of creation.
    #[schema(format = DateTime)]
    created_at: String,
    /// The time of the last change.
    #[schema(format = DateTime)]
    updated_at: String,
    /// Whether users can subscribe to the plan.
    for_sale: bool,
    /// The amount per interval in advance, without tax; null if the plan is not for sale, as are the next fields.
    price: Option<MoneyView>,
    /// The length of a period: `month` or `year`.
    interval: Option<&'static str>,
    /// The days of the trial; 0 without one.
    trial_days: Option<u32>,
    /// The charges on usage, in arrears.
    charges: Option<Vec<PlanChargeView>>,
    /// The number of the version of the price, from 1.
    version: Option<i64>,
    /// The number of users with the plan. Only admins see it, and only in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<u64>,
}

impl From<StoredPlan> for PlanView {
    fn from(StoredPlan { id, plan, created_at, updated_at }: StoredPlan) -> Self {
        Self {
            id,
            name: plan.name,
            credits_per_day: plan.credits_per_day.map(Credits::rounded_down),
            requests_per_minute: plan.requests_per_minute.map(NonZeroU32::get),
            budgets: plan.budgets.into_iter().map(PlanBudget::from).collect(),
            shared_keys: plan.shared_keys,
            models: None,
            aliases: None,
            rate_limits: None,
            created_at: rfc3339(created_at),
            updated_at: rfc3339(updated_at),
            for_sale: false,
            price: None,
            interval: None,
            trial_days: None,
            charges: None,
            version: None,
            users: None,
        }
    }
}

impl PlanView {
    /// Adds what the configuration says about the plans, and the prices of those that are for sale.
    async fn complete(app: &App, plans: &mut [Self]) -> Result<(), Problem> {
        let snapshot = app.live.load();
        plans.iter_mut().for_each(|plan| plan.configure(&snapshot));
        for of in price::for_sale(app).await? {
            if let Some(plan) = plans.iter_mut().find(|plan| plan.id == of.plan) {
                plan.for_sale = true;
                plan.price = Some(of.price.price.into());
                plan.interval = Some(of.price.interval.as_str());
                plan.trial_days = Some(of.price.trial_days);
                plan.charges = Some(of.price.charges.into_iter().map(PlanChargeView::from).collect());
                plan.version = Some(of.version);
            }
        }
        Ok(())
    }
}

impl PlanView {
    /// Adds the models, aliases and rate limits of the plan in the configuration.
    fn configure(&mut self, snapshot: &Snapshot) {
        let Traffic { plan_models, rate_limits, .. } = &snapshot.traffic;
        if let Some(PlanModels { models, aliases }) = plan_models.get(self.name.as_str()) {
            self.models = models.as_ref().map(|models| models.iter().map(ToString::to_string).collect());
            let aliases = aliases.iter().map(|(alias, model)| (alias.to_string(), model.to_string()));
            self.aliases = Some(aliases.collect()).filter(|aliases: &BTreeMap<_, _>| !aliases.is_empty());
        }
        let limits = rate_limits.all().get(rate_limits.of_plan(&self.name)).unwrap_or_default();
        let policies = limits.iter().flat_map(|limit| &limit.tiers).map(|(_, tier)| tier.policy.to_string());
        self.rate_limits = Some(policies.collect()).filter(|policies: &Vec<_>| !policies.is_empty());
    }
}

/// A plan to create.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewPlan, example = json!({"name": "team", "credits_per_day": 50000, "requests_per_minute": 600, "shared_keys": true}))]
#[serde(deny_unknown_fields)]
struct NewPlanRequest {
    /// The name: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`; it cannot be changed.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// The daily quota in credits, over all keys of a user. Default or null: no quota.
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    credits_per_day: Option<u64>,
    /// The maximum number of requests per minute and user. Default or null: no limit.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 2_147_483_647)]
    requests_per_minute: Option<NonZeroU32>,
    /// Further budgets of each user, over all of the user's keys; at most one per measure and period. Default: no
    /// budgets.
    budgets: Option<Vec<PlanBudget>>,
    /// Whether requests of the plan's users may use shared provider keys. Default true.
    shared_keys: Option<bool>,
}

/// Changes of a plan. Missing fields stay unchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PlanChange, example = json!({"credits_per_day": 100000, "requests_per_minute": null,
    "budgets": [{"money": "20 USD", "per": "day"}]}))]
#[serde(deny_unknown_fields)]
struct PlanChangeRequest {
    /// The daily quota in credits, over all keys of a user; null means no quota.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    credits_per_day: Option<Option<u64>>,
    /// The maximum number of requests per minute and user; null means no limit.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 2_147_483_647)]
    requests_per_minute: Option<Option<NonZeroU32>>,
    /// The further budgets of each user. The list replaces the previous one; null removes all of them.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<Vec<PlanBudget>>)]
    budgets: Option<Option<Vec<PlanBudget>>>,
    /// Whether requests of the plan's users may use shared provider keys.
    shared_keys: Option<bool>,
}

/// A maximum of one measure in a period.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"money": "20 USD", "per": "day"}))]
#[serde(deny_unknown_fields)]
pub(super) struct PlanBudget {
    /// The name in responses and messages: 1 to 32 of `a-z`, `0-9`, `-`, `_` and `.`; each at most once. Default: the length.
    #[schema(max_length = 32)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The maximum cost, with at most 9 decimal places. Exactly one of `money`, `credits` and `tokens` must be
    /// present.
    #[serde(skip_serializing_if = "Option::is_none")]
    money: Option<String>,
    /// The maximum number of quota credits.
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<u64>,
    /// The maximum number of tokens, summed over all token classes.
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
    /// The period: `day`, `week` or `month` in UTC, or a window: `5h/first_use`, `week/Asia/Jakarta`, `week/subscription`, or
    /// `period`, the paid period of the subscription.
    per: String,
}

impl From<Budget> for PlanBudget {
    fn from(Budget { measure, per, amount, name }: Budget) -> Self {
        let of = |other| (measure == other).then(|| measure.units_of(amount));
        let money = (measure == Measure::Money).then(|| usd::written_money(amount.money()));
        let name = name.map(|name| name.to_string());
        Self { name, money, credits: of(Measure::Credits), tokens: of(Measure::Tokens), per: per.to_string() }
    }
}

impl PlanBudget {
    fn read(self) -> Result<Budget, Problem> {
        let refused = |why: String| Problem::new(Refusal::Unprocessable, why);
        let (measure, amount) = match (self.money, self.credits, self.tokens) {
            (Some(money), None, None) => {
                let money = usd::parse_money(&money)
                    .map_err(|expected| refused(format!("the money of a budget must be {expected}")))?;
                (Measure::Money, Amount::of_money(money))
            }
            (None, Some(credits), None) => (Measure::Credits, Measure::Credits.limit_of(credits)),
            (None, None, Some(tokens)) => (Measure::Tokens, Amount::of_tokens(Tokens(tokens))),
            _ => return Err(refused("a budget must have exactly one of money, credits and tokens".to_owned())),
        };
        // A plan has no window of one user.
        let per = LimitPeriod::parse(&self.per).filter(|per| *per == per.of_plan()).ok_or_else(|| {
            refused(
                "`per` must be `day`, `week`, `month`, or a window such as `5h/first_use`, `week/Asia/Jakarta`, \
                 `week/subscription` or `period`"
                    .to_owned(),
            )
        })?;
        let name = match self.name {
            Some(text) => Some(QuotaName::parse(&text).ok_or_else(|| {
                refused("the `name` of a budget must be 1 to 32 of a-z, 0-9, `-`, `_` and `.`".to_owned())
            })?),
            None => None,
        };
        Ok(Budget { name, ..Budget::new(measure, per, amount) })
    }
}

fn read(budgets: Option<Vec<PlanBudget>>) -> Result<Vec<Budget>, Problem> {
    budgets.unwrap_or_default().into_iter().map(PlanBudget::read).collect()
}

/// Lists all plans by name.
#[utoipa::path(get, path = "/api/plans", tag = "account", security(("key" = []), ("cookie" = [])),
    responses((status = 200, body = Plans, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000003", "name": "pro", "credits_per_day": 10000,
            "requests_per_minute": 300, "budgets": [{"money": "20 USD", "per": "day"}], "shared_keys": true,
            "models": ["fast", "openai/*"], "aliases": {"gpt-4o": "fast"}, "rate_limits": ["\"user+model\";q=60;w=60"],
            "created_at": "2026-11-20T08:03:52Z", "updated_at": "2026-11-20T08:03:52Z", "for_sale": true,
            "price": {"amount": 150000, "currency": "IDR"}, "interval": "month", "trial_days": 0, "version": 1,
            "charges": [{"name": "Credits", "metric": "credits", "models": [], "included": 300000, "model": "tiered",
                "tiers": [{"up_to": 1000000, "unit_price": "0.5"}, {"up_to": null, "unit_price": "0.3"}]}]}],
        "next": null
    }))))]
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Plans>, Problem> {
    let plans = app.store.stored_plans().await?;
    let mut items: Vec<PlanView> = plans.into_iter().map(PlanView::from).collect();
    PlanView::complete(&app, &mut items).await?;
    if caller.role == Role::Admin {
        let users = app.store.users_by_plan().await?;
        for plan in &mut items {
            plan.users = Some(users.iter().find(|(id, _)| *id == plan.id).map_or(0, |(_, users)| *users));
        }
    }
    Ok(Json(Plans { items, next: None }))
}

/// Creates a plan, which users can have at once.
#[utoipa::path(post, path = "/api/plans", tag = "admin", request_body = NewPlanRequest, security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "conflict", "unprocessable"]))),
    responses((status = 201, body = PlanView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000003", "name": "team", "credits_per_day": 50000, "requests_per_minute": 600,
        "budgets": [], "shared_keys": true, "created_at": "2026-11-20T08:03:52Z", "updated_at": "2026-11-20T08:03:52Z",
        "for_sale": false, "price": null, "interval": null, "trial_days": null, "charges": null, "version": null
    }))))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    request: Request,
) -> Result<(StatusCode, Json<PlanView>), Problem> {
    let new: NewPlanRequest = input::required(request, app.limits.body).await?;
    let plan = Plan {
        name: new.name,
        credits_per_day: new.credits_per_day.map(Credits::whole),
        requests_per_minute: new.requests_per_minute,
        budgets: read(new.budgets)?,
        shared_keys: new.shared_keys.unwrap_or(true),
    };
    let mut created = PlanView::from(app.store.create_plan(&caller.actor(), &plan).await?);
    created.configure(&app.live.load());
    Ok((StatusCode::CREATED, Json(created)))
}

/// Changes a plan for all of its users within a second.
#[utoipa::path(patch, path = "/api/plans/{name}", tag = "admin", request_body = PlanChangeRequest,
    security(("token" = []), ("cookie" = [])), params(("name" = String, Path, description = "The plan's name")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "unprocessable"]))),
    responses((status = 200, body = PlanView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000003", "name": "team", "credits_per_day": 100000, "requests_per_minute": null,
        "budgets": [{"money": "20 USD", "per": "day"}], "shared_keys": true, "created_at": "2026-11-20T08:03:52Z", "updated_at": "2026-11-21T10:00:00Z",
        "for_sale": false, "price": null, "interval": null, "trial_days": null, "charges": null, "version": null
    }))))]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Segment(name): Segment,
    request: Request,
) -> Result<Json<PlanView>, Problem> {
    let PlanChangeRequest { credits_per_day, requests_per_minute, budgets, shared_keys } =
        input::required(request, app.limits.body).await?;
    let budgets = budgets.map(read).transpose()?;
    let credits_per_day = credits_per_day.map(|limit| limit.map(Credits::whole));
    let change = PlanChange { credits_per_day, requests_per_minute, budgets, shared_keys };
    match app.store.change_plan(&caller.actor(), &name, change).await {
        Ok(changed) => {
            let mut changed = [PlanView::from(changed)];
            PlanView::complete(&app, &mut changed).await?;
            let [changed] = changed;
            Ok(Json(changed))
        }
        Err(PlanError::NoPlan(_)) => Err(Problem::new(Refusal::NotFound, "no plan has this name")),
        Err(error) => Err(error.into()),
    }
}
