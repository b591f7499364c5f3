//! `POST /api/billing/shadow`: the usage of past months at the price of a draft plan.

use std::sync::Arc;

use access::{Currency, PlanPrice, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use billing::BillingError;
use billing::books::{ShadowBill, ShadowDraft};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::enabled::{books, refused};
use super::views::{MoneyView, PeriodView};
use crate::input;
use crate::message::listing;
use crate::message::problem::Problem;
use crate::permissions::finance::Finance;
use crate::process::state::App;

/// The keys of a plan in the configuration that a draft may have.
const KEYS: [&str; 3] = ["price", "interval", "charges"];

/// A draft plan, and the months on which it is tried.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewShadow, example = json!({"plan": {"price": "175000 IDR", "charges": [
    {"name": "Requests", "metric": "requests", "model": "package", "size": 1000, "unit": "250 IDR"}]}, "months": 1}))]
#[serde(deny_unknown_fields)]
struct ShadowBody {
    /// `price`, `interval` and `charges`, as `plans` of the configuration has them.
    #[schema(value_type = Object)]
    plan: Map<String, Value>,
    /// The number of complete calendar months before the current one.
    #[schema(minimum = 1, maximum = 3)]
    months: u32,
    /// The maximum number of users on the page. Default 50.
    #[schema(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
}

/// The amounts of users without tax, at their present prices and at the draft's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shadow)]
pub(in crate::routes) struct ShadowView {
    /// The days of the months.
    period: PeriodView,
    /// Users with a subscription or with usage.
    users: Vec<ShadowUser>,
    /// The sums of the users on this page.
    totals: ShadowAmounts,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

/// The amounts of one user.
#[derive(Debug, Serialize, ToSchema)]
struct ShadowUser {
    /// The user who would owe the amounts.
    user_id: Uuid,
    #[serde(flatten)]
    amounts: ShadowAmounts,
}

/// An amount at present prices, at the draft's price, and the difference.
#[derive(Debug, Serialize, ToSchema)]
struct ShadowAmounts {
    /// The amount at the present plan version; 0 without a subscription.
    now: MoneyView,
    /// The amount at the price of the draft.
    then: MoneyView,
    /// The draft's amount minus the present one.
    difference: MoneyView,
}

impl ShadowAmounts {
    fn new(now: i64, then: i64, currency: Currency) -> Self {
        let money = |amount| MoneyView::new(amount, currency);
        Self { now: money(now), then: money(then), difference: money(then.saturating_sub(now)) }
    }
}

/// Compares the present prices with a draft plan, on the usage of past months. Nothing is stored.
#[utoipa::path(post, path = "/api/billing/shadow", tag = "billing", request_body = ShadowBody,
    security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "not_found", "unprocessable"]))),
    responses((status = 200, body = ShadowView, example = json!({
        "period": {"first_day": "2026-10-01", "last_day": "2026-10-31"},
        "users": [{"user_id": "0199aa00-0000-7000-8000-000000000001", "now": {"amount": 150000, "currency": "IDR"},
            "then": {"amount": 175750, "currency": "IDR"}, "difference": {"amount": 25750, "currency": "IDR"}}],
        "totals": {"now": {"amount": 150000, "currency": "IDR"}, "then": {"amount": 175750, "currency": "IDR"},
            "difference": {"amount": 25750, "currency": "IDR"}},
        "next": null
    }))))]
pub(in crate::routes) async fn shadow(
    State(app): State<Arc<App>>,
    _finance: Finance,
    request: Request,
) -> Result<Json<ShadowView>, Problem> {
    let ShadowBody { plan, months, limit, cursor } = input::required(request, app.limits.body).await?;
    let limit = listing::limit(limit)?;
    let after = listing::after(cursor.as_deref())?.unwrap_or(Uuid::nil());
    if !(1..=3).contains(&months) {
        return Err(Problem::new(Refusal::Unprocessable, "`months` must be 1, 2 or 3"));
    }
    let books = books(&app)?;
    let price = price(plan)?;
    let found = books.shadow(&ShadowDraft { price: &price, months, after, limit: limit + 1 }).await;
    let mut found = found.map_err(|error| {
        // The draft decides whether the usage has an amount.
        if matches!(error, BillingError::Rating(_) | BillingError::Overflow(_)) {
            return Problem::new(Refusal::Unprocessable, error.to_string());
        }
        refused(error)
    })?;
    let next = listing::cut(&mut found.users, limit, |of| of.user.0);
    let add = |of: fn(&ShadowBill) -> i64| found.users.iter().map(of).fold(0_i64, i64::saturating_add);
    let totals = ShadowAmounts::new(add(|of| of.now), add(|of| of.then), found.currency);
    let users = found
        .users
        .iter()
        .map(|of| ShadowUser { user_id: of.user.0, amounts: ShadowAmounts::new(of.now, of.then, found.currency) });
    let period = PeriodView::new(found.days.first_day, found.days.last_day);
    Ok(Json(ShadowView { period, users: users.collect(), totals, next }))
}

/// Reads the price of a draft by the rules of the configuration.
fn price(plan: Map<String, Value>) -> Result<PlanPrice, Problem> {
    if let Some(key) = plan.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let message = format!("`plan.{key}` is unknown; a draft has {}", KEYS.join(", "));
        return Err(Problem::new(Refusal::Unprocessable, message));
    }
    config::plan_price(&Value::Object(plan)).map_err(|error| {
        let first = error.problems.first().map_or_else(String::new, ToString::to_string);
        Problem::new(Refusal::Unprocessable, format!("the draft plan is invalid: {first}"))
    })
}
