//! Budgets that apply to a principal, including those of the configuration, and the amounts charged before the meter
//! created a counter.

use std::fmt;
use std::sync::Arc;

use access::{Amount, BudgetId, BudgetScope, Day, Principal};
use meter::budget::Period;
use meter::{Caller, Charge, Meter};
use store::backlog::Backlog;
use store::{Node, Store, StoreError};

/// Returns the budgets that apply to a caller in addition to the stored ones, each with its amount.
type ConfiguredBudgets = dyn Fn(Caller) -> Vec<(BudgetId, Amount)> + Send + Sync;

/// The budgets that apply to principals.
pub struct Counting {
    /// The meter that counts, and the node whose backlog is not in the store yet; `None` if this process counts nothing
    /// or counts only what leases grant.
    meter: Option<(Arc<Meter>, Node)>,
    everywhere: Box<ConfiguredBudgets>,
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counting").field("meter", &self.meter.is_some()).finish_non_exhaustive()
    }
}

impl Default for Counting {
    /// No budgets apply beyond the stored ones, and this process counts nothing.
    fn default() -> Self {
        Self::new(None, |_| Vec::new())
    }
}

impl Counting {
    /// Adds the budgets that `everywhere` returns for each caller. The meter counts usage if this node decides alone.
    pub fn new(
        meter: Option<(Arc<Meter>, Node)>,
        everywhere: impl Fn(Caller) -> Vec<(BudgetId, Amount)> + Send + Sync + 'static,
    ) -> Self {
        Self { meter, everywhere: Box::new(everywhere) }
    }

    /// Returns `principal` with all of its budgets; each budget counts from the beginning of its period.
    ///
    /// Usage that was spooled since startup, or is in flight when a budget is new, is not included.
    pub(crate) async fn hold(&self, store: &Store, principal: Principal) -> Result<Principal, StoreError> {
        let everywhere = (self.everywhere)(Caller::from(&principal));
        let budgets: Arc<[_]> = principal.budgets.iter().copied().chain(everywhere).collect();
        if let Some((meter, node)) = &self.meter {
            // A user whose counter is on a later day than the clock uses that day in all budgets.
            let of_user = meter.counter(BudgetId::credits_a_day(BudgetScope::User(principal.user_no)));
            let today = store.clock().now().day();
            let today = of_user.map_or(today, |cell| cell.period().first().max(today));
            // A counter of this period, or of a later one after a clock jumped, was created earlier and has counted
            // since.
            let begins = |budget: &BudgetId| Period::of(budget.per, today).first();
            let is_new =
                |budget: &BudgetId| meter.counter(*budget).is_none_or(|cell| cell.period().first() < begins(budget));
            let new: Vec<BudgetId> = budgets.iter().map(|(budget, _)| *budget).filter(is_new).collect();
            if !new.is_empty() {
                count(store, meter, node.backlog(), &new, today).await?;
            }
        }
        Ok(Principal { budgets, ..principal })
    }
}

/// Reads the charge of each scope and period once, for all measures together.
async fn count(
    store: &Store,
    meter: &Meter,
    backlog: &Backlog,
    budgets: &[BudgetId],
    today: Day,
) -> Result<(), StoreError> {
    let waiting = backlog.waiting().await?;
    let mut known: Vec<((BudgetScope, Period), Charge)> = Vec::new();
    for budget in budgets {
        let of = (budget.scope, Period::of(budget.per, today));
        let charge = match known.iter().find(|(known, _)| *known == of) {
            Some((_, charge)) => *charge,
            None => {
                let charge = store.charge_of(of.0, of.1).await?.and(&waiting.charge_of(of.0, of.1));
                known.push((of, charge));
                charge
            }
        };
        meter.begin(*budget, today, charge.of(budget.measure));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
