//! The budget in money that a brief compares the cost with.

use access::{Budget, BudgetScope, Day, LimitPeriod, Measure, UserId};
use config::snapshot::BudgetDimension;
use insights::DayScope;
use insights::brief::BudgetUse;
use insights::figures::money::NanoMoney;
use meter::Period;
use store::{EVERYBODY, UserRef};
use uuid::Uuid;

use crate::message::problem::Problem;
use crate::nouns::budgets::used;
use crate::process::state::State;

/// Returns the budget in money of the scope: of all users together, or of one user. Of several ones, it is that of the longest
/// period, and the one with the smallest remaining amount. It is `None` for labels, which have no budgets, and for days of
/// earlier periods, whose use is over.
///
/// # Errors
/// `unavailable`.
pub(super) async fn budget(state: &State, scope: &DayScope, day: Day) -> Result<Option<BudgetUse>, Problem> {
    let snapshot = state.live.load_full();
    let today = state.clock.now().day();
    let (scope, budgets) = match scope {
        DayScope::All {} => (BudgetScope::Global, of_all(state).await?),
        DayScope::User { user_id } => {
            let Some(user) = state.store.find_user(&UserRef::Id(UserId(*user_id))).await? else { return Ok(None) };
            let scope = BudgetScope::User(user.no);
            let mut budgets: Vec<Budget> = user.plan.quotas().collect();
            budgets.extend(stored(state, [EVERYBODY, *user_id, Uuid::nil(), EVERYBODY], scope).await?);
            (scope, budgets)
        }
        DayScope::Label { .. } => return Ok(None),
    };
    let dimension = if scope == BudgetScope::Global { BudgetDimension::Global } else { BudgetDimension::User };
    let configured = snapshot.traffic.budgets.limits.iter().filter(|limit| limit.dimension == dimension);
    let all = budgets.into_iter().chain(configured.map(|limit| limit.budget));
    let mut found: Vec<(LimitPeriod, i64, i64)> = Vec::new();
    // Days of a window that is no UTC period differ from the days of the figures.
    for budget in all.filter(|budget| budget.measure == Measure::Money && budget.per.window().is_none()) {
        if Period::containing(budget.per, day) == Period::containing(budget.per, today) {
            let used = used(state.budget_sources(&snapshot), budget.id_and_amount(scope).0, day).await?;
            found.push((budget.per, budget.amount.money().0, used.money().0));
        }
    }
    let tightest = found.into_iter().max_by_key(|(per, limit, used)| (*per, used.saturating_sub(*limit)));
    let money = |nano: i64| NanoMoney::from_nano_usd(access::NanoUsd(nano));
    Ok(tightest.map(|(per, limit, used)| BudgetUse { per: per.to_string(), limit: money(limit), used: money(used) }))
}

async fn of_all(state: &State) -> Result<Vec<Budget>, Problem> {
    stored(state, [EVERYBODY; 4], BudgetScope::Global).await
}

/// Returns the stored budgets of a scope.
async fn stored(state: &State, ids: [Uuid; 4], scope: BudgetScope) -> Result<Vec<Budget>, Problem> {
    let stored = state.store.budgets_of(ids).await?;
    Ok(stored.into_iter().filter(|of| of.scope == scope).map(|of| of.budget).collect())
}
