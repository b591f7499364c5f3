//! The current period and the used amount of a budget.

use access::{Amount, BudgetId, BudgetWindow, Day, Minute};
use meter::Period;
use store::DatabaseError;

use super::BudgetSources;

/// The current period of a budget, and the amount that is used in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BudgetState {
    pub(crate) period: Period,
    pub(crate) used: Amount,
}

/// The used amount of a budget, as [`state`] returns it.
pub(crate) async fn used(sources: BudgetSources<'_>, budget: BudgetId, day: Day) -> Result<Amount, DatabaseError> {
    Ok(state(sources, budget, day).await?.used)
}

/// The state of a budget on `day`, or now for a window. The live meter reports the used amount if it counts the whole budget;
/// otherwise the store does. If nodes share the budget, the higher of both figures is used. A window that opens with the first
/// use and is not open begins now.
pub(crate) async fn state(
    sources: BudgetSources<'_>,
    budget: BudgetId,
    day: Day,
) -> Result<BudgetState, DatabaseError> {
    let now = sources.store.clock().now();
    let at = if budget.per.window().is_some() { now.max(day.start()) } else { day.start() };
    let counter = sources.meter.and_then(|meter| meter.counter(budget)).filter(|counter| counter.period().end() > at);
    let opens = budget.per.window().is_some_and(BudgetWindow::opens_with_use);
    let open = match &counter {
        Some(counter) if opens => Some(counter.period()),
        None if opens => sources.store.open_window(budget.scope, budget.per, Minute::containing(at)).await?,
        Some(_) | None => None,
    };
    let period = open.unwrap_or_else(|| Period::containing(budget.per, at));
    let live = sources.meter.zip(counter.filter(|counter| counter.period() == period));
    let live = live.map(|(meter, counter)| (counter.used_by_requests(), meter.is_leased()));
    if let Some((used, false)) = live {
        return Ok(BudgetState { period, used });
    }
    let recorded = sources.store.charge_of(budget.scope, period).await?.amount_of(budget.measure);
    Ok(BudgetState { period, used: recorded.max(live.map_or(Amount::ZERO, |(used, _)| used)) })
}
