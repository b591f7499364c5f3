//! The overview of several users, or of one key.

use access::{Day, Role, UserId};
use ledger::{RankedRoute, RankedUser, ScopeOverview, TopLists, UsageOf};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Latency, OverviewPlanView, OverviewResponse};
use crate::message::figures::{ResultCounts, UsageFigures, ms};
use crate::message::moment::first_of_month;
use crate::message::problem::Problem;
use crate::nouns::budgets::{self, BudgetKey, BudgetQuery, BudgetView};
use crate::nouns::quota::SpentCredits;
use crate::nouns::usage_scope::{self, Scope};
use crate::process::state::State;
use crate::routes::usage::requests::RequestItem;
use crate::sign_in::Account;

/// This month's users in three orders, at most ten each.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewUsers)]
pub(super) struct TopUsers {
    /// The highest cost first.
    most_spent: Vec<TopUser>,
    /// The most requests first, including refused ones.
    most_requests: Vec<TopUser>,
    /// The most failed requests first.
    most_errors: Vec<TopUser>,
}

/// A user with the usage of this month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewUser)]
struct TopUser {
    #[schema(value_type = Uuid)]
    id: UserId,
    /// The display name of the user.
    name: String,
    /// The name of the plan that the user has now.
    plan: String,
    #[serde(flatten)]
    used: UsageFigures,
    #[serde(flatten)]
    results: ResultCounts,
}

/// This month's routes in three orders, at most ten each.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewRoutes)]
pub(super) struct TopRoutes {
    /// The highest cost first.
    most_spent: Vec<TopRoute>,
    /// The most requests first, including refused ones.
    most_requests: Vec<TopRoute>,
    /// The most failed requests first.
    most_errors: Vec<TopRoute>,
}

/// A route with the usage of this month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewRoute)]
struct TopRoute {
    /// The name of the route.
    name: String,
    #[serde(flatten)]
    used: UsageFigures,
    #[serde(flatten)]
    results: ResultCounts,
    /// The mean duration of requests that are stored one by one; null without such requests.
    mean_ms: Option<f64>,
}

impl From<RankedUser> for TopUser {
    fn from(user: RankedUser) -> Self {
        let used = UsageFigures::from(&user.total);
        Self { id: user.id, name: user.name, plan: user.plan, used, results: user.results.into() }
    }
}

impl From<RankedRoute> for TopRoute {
    fn from(route: RankedRoute) -> Self {
        let used = UsageFigures::from(&route.total);
        Self { name: route.name, used, results: route.results.into(), mean_ms: route.mean_us.map(ms) }
    }
}

impl From<TopLists<RankedUser>> for TopUsers {
    fn from(TopLists { most_spent, most_requests, most_errors }: TopLists<RankedUser>) -> Self {
        let views = |users: Vec<RankedUser>| users.into_iter().map(TopUser::from).collect();
        Self { most_spent: views(most_spent), most_requests: views(most_requests), most_errors: views(most_errors) }
    }
}

impl From<TopLists<RankedRoute>> for TopRoutes {
    fn from(TopLists { most_spent, most_requests, most_errors }: TopLists<RankedRoute>) -> Self {
        let views = |routes: Vec<RankedRoute>| routes.into_iter().map(TopRoute::from).collect();
        Self { most_spent: views(most_spent), most_requests: views(most_requests), most_errors: views(most_errors) }
    }
}

/// Returns the overview of several users, or of one key of a user.
pub(super) async fn overview(app: &State, scope: Scope) -> Result<OverviewResponse, Problem> {
    let today = app.clock.now().day();
    let ScopeOverview { overview, users, routes } =
        app.ledger.scope_overview(scope.of, scope.key_no(), [first_of_month(today), today]).await?;
    let owner = match &scope.user {
        Some(owner) => {
            let user = app.store.find_user(&store::UserRef::Id(owner.user)).await?;
            Some(user.ok_or_else(usage_scope::no_such_user)?)
        }
        None => None,
    };
    let quota = match &owner {
        Some(user) => Some(SpentCredits::load(app, user.no, today).await?.of_user(&user.plan)),
        None => None,
    };
    let budgets = budgets(app, &scope, today).await?;
    let mut response = OverviewResponse::from_overview(overview, today, RequestItem::with_user);
    if response.latency.requests == 0 && scope.of == UsageOf::All && scope.key_no().is_none() {
        response.latency = Latency::of_process(&app.metrics);
    }
    Ok(OverviewResponse {
        plan: owner.as_ref().map(|user| OverviewPlanView::from(&user.plan)),
        users: owner.is_none().then(|| users.into()),
        routes: owner.is_none().then(|| routes.into()),
        user: owner.as_ref().map(Account::from),
        quota,
        budgets,
        ..response
    })
}

/// Returns the budgets that apply to all requests of the scope.
async fn budgets(app: &State, scope: &Scope, today: Day) -> Result<Vec<BudgetView>, Problem> {
    let snapshot = app.live.load_full();
    let sources = app.budget_sources(&snapshot);
    let plan = if let UsageOf::Plan(plan) = scope.of { Some(plan) } else { None };
    let Some(user) = &scope.user else {
        return Ok(budgets::shared(sources, plan, today).await?);
    };
    let key = scope.key.as_ref().map(BudgetKey::from);
    // Only admins ask for a scope of others.
    let query = BudgetQuery { role: Role::Admin, scope: user, key };
    Ok(budgets::holding(sources, query, today).await?)
}
