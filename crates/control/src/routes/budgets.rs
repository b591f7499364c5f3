//! `GET /api/budgets`, `PUT` and `DELETE /api/budgets/{dimension}/{id}/{measure}/{per}`.

use std::convert::Infallible;
use std::sync::Arc;

use access::amounts::usd;
use access::{Amount, KeyId, LimitPeriod, Measure, Refusal, Tokens, UserId};
use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use config::snapshot::BudgetDimension;
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use store::{BudgetError, BudgetHolder, EVERYBODY, StoredPlan};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input;
use crate::message::listing::{self, PageQuery};
use crate::message::problem::{NO_KEY, Problem};
use crate::nouns::budgets::{BudgetView, GLOBAL};
use crate::nouns::reach;
use crate::nouns::usage_scope;
use crate::process::state::App;
use crate::sign_in::caller::{Admin, Caller};

/// A page of all budgets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Budgets {
    items: Vec<BudgetView>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

/// The amount of a budget: exactly one field, which must be the measure in the path.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewBudget, example = json!({"credits": 50000}))]
#[serde(deny_unknown_fields)]
struct SetBudgetRequest {
    /// The maximum cost, with at most 9 decimal places: `20 USD`.
    money: Option<String>,
    /// The maximum number of quota credits.
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    credits: Option<u64>,
    /// The maximum number of tokens, summed over all token classes.
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    tokens: Option<u64>,
}

impl SetBudgetRequest {
    fn read(self, measure: Measure) -> Result<Amount, Problem> {
        let refused = |why: String| Problem::new(Refusal::Unprocessable, why);
        match (measure, self.money, self.credits, self.tokens) {
            (Measure::Money, Some(money), None, None) => usd::parse_money(&money)
                .map(Amount::of_money)
                .map_err(|expected| refused(format!("the money of a budget must be {expected}"))),
            (Measure::Credits, None, Some(credits), None) => Ok(Measure::Credits.limit_of(credits)),
            (Measure::Tokens, None, None, Some(tokens)) => Ok(Amount::of_tokens(Tokens(tokens))),
            _ => Err(refused(format!("this budget takes exactly one field, `{}`", measure.as_str()))),
        }
    }
}

/// The budget that a path names: scope, id, measure and period.
#[derive(Debug)]
pub(super) struct BudgetPath {
    dimension: BudgetDimension,
    id: String,
    measure: Measure,
    per: LimitPeriod,
}

/// The parsed path; `None` if it cannot name a budget.
#[derive(Debug)]
pub(super) struct Target(Option<BudgetPath>);

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let path: Result<Path<(String, String, String, String)>, _> = Path::from_request_parts(parts, app).await;
        let named = path.ok().and_then(|Path((dimension, id, measure, per))| {
            Some(BudgetPath {
                dimension: BudgetDimension::ALL.into_iter().find(|known| known.as_str() == dimension)?,
                id,
                measure: Measure::parse(&measure)?,
                // The window of one user follows from the user's subscription.
                per: LimitPeriod::parse(&per).filter(|per| *per == per.of_plan())?,
            })
        });
        Ok(Self(named))
    }
}

/// An existing budget scope, and the id under which the store keeps its budgets.
type BudgetScopeRow = (BudgetHolder, Uuid);

impl BudgetPath {
    /// Returns the scope of the budget. A plan is named by its id or its name.
    ///
    /// # Errors
    /// `not_found`, `unavailable`.
    async fn holder(&self, app: &App) -> Result<BudgetScopeRow, Problem> {
        let id = self.id.parse::<Uuid>().ok();
        match (self.dimension, id) {
            (BudgetDimension::Key, Some(id)) => Ok((BudgetHolder::Key(KeyId(id)), id)),
            (BudgetDimension::User, Some(id)) => Ok((BudgetHolder::User(UserId(id)), id)),
            (BudgetDimension::Plan, _) => {
                let plans = app.store.stored_plans().await?;
                let is_it = |stored: &&StoredPlan| Some(stored.id.0) == id || stored.plan.name == self.id;
                let found = plans.iter().find(is_it).ok_or_else(|| missing("this plan does not exist"))?;
                Ok((BudgetHolder::Plan(found.plan.name.clone()), found.id.0))
            }
            (BudgetDimension::Global, _) if self.id == GLOBAL => Ok((BudgetHolder::Global, EVERYBODY)),
            (BudgetDimension::Key | BudgetDimension::User | BudgetDimension::Global, _) => Err(invalid_name()),
        }
    }
}

/// Refuses a key with the scope `admin` for the budgets of users with the role `admin` and of their keys.
///
/// # Errors
/// `forbidden`; `not_found` for a user or a key that does not exist.
async fn require_below(app: &App, caller: &Caller, holder: &BudgetHolder) -> Result<(), Problem> {
    if caller.admin_key().is_none() {
        return Ok(());
    }
    let user = match holder {
        BudgetHolder::User(user) => *user,
        BudgetHolder::Key(key) => {
            let found = app.store.find_key(*key).await?;
            found.ok_or_else(|| missing(NO_KEY))?.user
        }
        BudgetHolder::Plan(_) | BudgetHolder::Global => return Ok(()),
    };
    reach::require_below(caller, reach::find_user(app, user).await?.role)
}

fn missing(message: &'static str) -> Problem {
    Problem::new(Refusal::NotFound, message)
}

fn invalid_name() -> Problem {
    missing(
        "a budget is DIMENSION/ID/MEASURE/PER: key, user, plan or global; an id, `-` for global; money, credits or tokens; day, week or month, or for a user a window such as 5h%2Ffirst_use",
    )
}

/// Maps the store's error for a scope that does not exist.
fn refused(error: BudgetError) -> Problem {
    match error {
        BudgetError::NoUser(_) => usage_scope::no_such_user(),
        BudgetError::NoPlan(_) => missing("this plan does not exist"),
        BudgetError::NoKey(_)
        | BudgetError::BudgetTooLarge
        | BudgetError::WindowOfMany
        | BudgetError::TooManyWindows
        | BudgetError::TooManyBudgets
        | BudgetError::Database(_) => error.into(),
    }
}

/// Lists the budgets of keys, users, plans and all users together.
///
/// The budgets of the configuration come first, then the other budgets, oldest first. Budgets in a plan's own list
/// apply to each of its users and are shown with the plan.
#[utoipa::path(get, path = "/api/budgets", tag = "admin", params(PageQuery), security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = Budgets, example = json!({
        "items": [{"dimension": "user", "id": "0199aa00-0000-7000-8000-000000000000", "name": "ada@example.com",
            "per": "month", "money": "20 USD", "used": {"amount_nano": 1_250_000_000, "currency": "USD"},
            "remaining": {"amount_nano": 18_750_000_000_i64, "currency": "USD"}, "resets_at": "2026-12-01T00:00:00Z",
            "source": "api"}],
        "next": null
    }))))]
pub(super) async fn list(State(app): State<Arc<App>>, _: Admin, request: Request) -> Result<Json<Budgets>, Problem> {
    let PageQuery { limit, cursor } = input::query(request.uri())?;
    let limit = listing::limit(limit)?;
    let after = listing::after(cursor.as_deref())?.unwrap_or(EVERYBODY);
    let day = app.clock.now().day();
    let snapshot = app.live.load_full();
    // Budgets of the configuration have no ids. They are numbered from 1, before every id of the store.
    let numbered = (1..).map(Uuid::from_u128).zip(&snapshot.traffic.budgets.limits).filter(|(id, _)| *id > after);
    let mut items = Vec::new();
    for (id, configured) in numbered {
        items.push((id, BudgetView::configured(&app, configured, day).await?));
    }
    let stored = app.store.budgets_after(after, limit.saturating_add(1)).await?;
    for stored in stored {
        items.push((stored.id, BudgetView::stored(&app, stored, day).await?));
    }
    let next = listing::cut(&mut items, limit, |(id, _)| *id);
    Ok(Json(Budgets { items: items.into_iter().map(|(_, view)| view).collect(), next }))
}

/// Creates a budget, or replaces its amount.
///
/// It applies on every server within a second. Usage of the current period counts, including the usage before this
/// request.
#[utoipa::path(put, path = "/api/budgets/{dimension}/{id}/{measure}/{per}", tag = "admin", request_body = SetBudgetRequest,
    security(("token" = []), ("cookie" = [])),
    params(("dimension" = String, Path, description = "`key`, `user`, `plan` or `global`"),
        ("id" = String, Path, description = "The id of the key, the user or the plan, the plan's name, `-` for global"),
        ("measure" = String, Path, description = "`money`, `credits` or `tokens`"),
        ("per" = String, Path, description = "`day`, `week` or `month` in UTC; for a user also a window, encoded: `5h%2Ffirst_use`, `week%2FAsia%2FJakarta`, `week%2Fsubscription`, `period`")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 200, body = BudgetView, example = json!({
        "dimension": "global", "id": "-", "name": null, "per": "day", "credits": 50000, "used": 1200, "remaining": 48800,
        "resets_at": "2026-11-21T00:00:00Z", "source": "api"
    }))))]
pub(super) async fn set(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Target(named): Target,
    request: Request,
) -> Result<Json<BudgetView>, Problem> {
    let body: SetBudgetRequest = input::required(request, app.limits.body).await?;
    let named = named.ok_or_else(invalid_name)?;
    let amount = body.read(named.measure)?;
    let (holder, scope) = named.holder(&app).await?;
    require_below(&app, &caller, &holder).await?;
    let by = caller.actor();
    app.store.set_budget(&by, &holder, named.measure, named.per, Some(amount)).await.map_err(refused)?;
    let there = app.store.budgets_of([scope; 4]).await?;
    let set = there.into_iter().find(|stored| (stored.budget.measure, stored.budget.per) == (named.measure, named.per));
    // Another admin may have removed the budget at this moment.
    let set = set.ok_or_else(|| missing("this budget does not exist"))?;
    Ok(Json(BudgetView::stored(&app, set, app.clock.now().day()).await?))
}

/// Removes a budget that was set over the API or by a command.
///
/// Budgets of the configuration remain.
#[utoipa::path(delete, path = "/api/budgets/{dimension}/{id}/{measure}/{per}", tag = "admin",
    security(("token" = []), ("cookie" = [])),
    params(("dimension" = String, Path, description = "`key`, `user`, `plan` or `global`"),
        ("id" = String, Path, description = "The id of the key, the user or the plan, the plan's name, `-` for global"),
        ("measure" = String, Path, description = "`money`, `credits` or `tokens`"),
        ("per" = String, Path, description = "`day`, `week` or `month` in UTC; for a user also a window, encoded: `5h%2Ffirst_use`, `week%2FAsia%2FJakarta`, `week%2Fsubscription`, `period`")),
    extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 204, description = "The budget was removed")))]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Target(named): Target,
) -> Result<StatusCode, Problem> {
    let named = named.ok_or_else(invalid_name)?;
    let (holder, _) = named.holder(&app).await?;
    require_below(&app, &caller, &holder).await?;
    let by = caller.actor();
    let removed = app.store.set_budget(&by, &holder, named.measure, named.per, None).await.map_err(refused)?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(missing("this budget does not exist")) }
}
