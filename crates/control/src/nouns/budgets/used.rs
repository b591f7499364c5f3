//! The used amount of a budget.

use access::{Amount, BudgetId, Day};
use meter::budgets::budget::Period;
use store::DatabaseError;

use super::BudgetSources;

/// The used amount of a budget. The live meter reports it if it counts the whole budget; otherwise the store does. If
/// nodes share the budget, the higher of both figures is used.
pub(crate) async fn used(sources: BudgetSources<'_>, budget: BudgetId, day: Day) -> Result<Amount, DatabaseError> {
    let period = Period::containing(budget.per, day);
    let live = sources.meter.and_then(|meter| {
        let budget_counter = meter.counter(budget).filter(|budget_counter| budget_counter.period() == period)?;
        Some((budget_counter.used_by_requests(), meter.is_leased()))
    });
    if let Some((used, false)) = live {
        return Ok(used);
    }
    let recorded = sources.store.charge_of(budget.scope, period).await?;
    Ok(recorded.amount_of(budget.measure).max(live.map_or(Amount::ZERO, |(used, _)| used)))
}
