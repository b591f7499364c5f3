//! `GET` and `POST /api/config/plans`: plans of the configuration that differ from the store, and their application.

use std::num::NonZeroU32;
use std::sync::Arc;

use access::{Plan, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use config::Setting;
use serde::{Deserialize, Serialize};
use store::{PlanDifference, PlanDifferences};
use utoipa::ToSchema;

use crate::configuration::RunningText;
use crate::input;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::routes::plans::PlanBudget;
use crate::sign_in::caller::Admin;

/// The plans of the configuration that differ from the store, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanDifferences)]
pub(in crate::routes) struct DifferencesView {
    items: Vec<DifferenceView>,
    /// Always null: the list is not paged.
    next: Option<String>,
}

/// A plan of the configuration with its limits there and in the store.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanDifference)]
struct DifferenceView {
    /// The name of the plan.
    name: String,
    /// The limits in the configuration.
    configured: PlanLimits,
    /// The limits in the store, which apply; after an application, those before it. Null if the store has no such plan.
    stored: Option<PlanLimits>,
}

/// The limits of a plan.
#[derive(Debug, Serialize, ToSchema)]
struct PlanLimits {
    /// The daily quota in credits, over all keys of a user; null means no quota.
    credits_per_day: Option<u64>,
    /// The maximum number of requests per minute and user; null means no limit.
    requests_per_minute: Option<u32>,
    /// Further budgets of each user, over all of the user's keys.
    budgets: Vec<PlanBudget>,
    /// Whether requests of the plan's users may use shared provider keys.
    shared_keys: bool,
}

/// The plans of the configuration to apply.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = PlanApplication, example = json!({"names": ["pro"]}))]
#[serde(deny_unknown_fields)]
struct ApplicationRequest {
    /// The names of the plans. Default: all plans that differ.
    #[schema(max_items = 1000)]
    names: Option<Vec<String>>,
}

impl From<Plan> for PlanLimits {
    fn from(plan: Plan) -> Self {
        Self {
            credits_per_day: plan.credits_per_day.map(access::Credits::rounded_down),
            requests_per_minute: plan.requests_per_minute.map(NonZeroU32::get),
            budgets: plan.budgets.into_iter().map(PlanBudget::from).collect(),
            shared_keys: plan.shared_keys,
        }
    }
}

impl From<PlanDifferences> for DifferencesView {
    fn from(PlanDifferences { absent, differing }: PlanDifferences) -> Self {
        let absent = absent.into_iter().map(|configured| (configured, None));
        let differing = differing.into_iter().map(|PlanDifference { stored, configured }| (configured, Some(stored)));
        let mut items: Vec<DifferenceView> = absent
            .chain(differing)
            .map(|(configured, stored)| DifferenceView {
                name: configured.name.clone(),
                configured: configured.into(),
                stored: stored.map(PlanLimits::from),
            })
            .collect();
        items.sort_by(|a, b| a.name.cmp(&b.name));
        Self { items, next: None }
    }
}

/// Returns the plans that the running configuration lists. Built-in plans are only initial values.
fn listed(app: &App, running: &RunningText) -> Vec<Plan> {
    let is_name = |key: &str| key.starts_with("plans[") && key.ends_with("].name");
    let names = running.settings.iter().filter(|setting| is_name(&setting.key)).filter_map(Setting::given_text);
    let names: Vec<&str> = names.collect();
    let plans = &app.live.load().traffic.plans;
    plans.iter().filter(|plan| names.contains(&plan.name.as_str())).cloned().collect()
}

/// Lists the plans of the running configuration whose limits differ from those in the store, which apply.
///
/// Plans that only the store has are no difference, nor are the built-in plans of a configuration without `plans`.
#[utoipa::path(get, path = "/api/config/plans", tag = "admin", security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = DifferencesView, example = json!({
        "items": [{"name": "pro",
            "configured": {"credits_per_day": 20000, "requests_per_minute": 300, "budgets": [], "shared_keys": true},
            "stored": {"credits_per_day": 10000, "requests_per_minute": 300, "budgets": [], "shared_keys": true}}],
        "next": null
    }))))]
pub(in crate::routes) async fn compare_plans(
    State(app): State<Arc<App>>,
    _: Admin,
) -> Result<Json<DifferencesView>, Problem> {
    let listed = listed(&app, &app.configurator.running());
    Ok(Json(app.store.compare_plans(&listed).await?.into()))
}

/// Applies plans of the running configuration to the store: on every server within a second.
///
/// Returns the plans that were changed, each with a line in the audit log. `tollgate plans apply` does the same.
#[utoipa::path(post, path = "/api/config/plans", tag = "admin", request_body = Option<ApplicationRequest>,
    security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = DifferencesView, example = json!({
        "items": [{"name": "pro",
            "configured": {"credits_per_day": 20000, "requests_per_minute": 300, "budgets": [], "shared_keys": true},
            "stored": {"credits_per_day": 10000, "requests_per_minute": 300, "budgets": [], "shared_keys": true}}],
        "next": null
    }))))]
pub(in crate::routes) async fn apply_plans(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    request: Request,
) -> Result<Json<DifferencesView>, Problem> {
    let body: Option<ApplicationRequest> = input::json(request, app.limits.body).await?;
    let mut plans = listed(&app, &app.configurator.running());
    if let Some(names) = body.and_then(|body| body.names) {
        if names.iter().any(|name| plans.iter().all(|plan| plan.name != *name)) {
            let message = "the running configuration does not list each of these plans; read the differences again";
            return Err(Problem::new(Refusal::NotFound, message));
        }
        plans.retain(|plan| names.contains(&plan.name));
    }
    Ok(Json(app.store.apply_plans(&caller.actor(), &plans).await?.into()))
}
