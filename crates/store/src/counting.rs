//! Budgets as callers come with them: those that hold everywhere, and what was spent of each before the meter counted it.

use std::fmt;
use std::sync::Arc;

use crate::error::StoreError;
use crate::ingest::Backlog;
use crate::node::Node;
use crate::store::Store;
use access::{BudgetId, Day, Principal, Subject};
use meter::budget::Period;
use meter::{Caller, Charge, Meter};

/// The budgets that a caller is held to beside those of the store, with how much each holds.
type Everywhere = dyn Fn(Caller) -> Vec<(BudgetId, u64)> + Send + Sync;

/// What callers are held to.
pub struct Counting {
    /// Who counts, and what the store does not know of yet; `None` where nothing is counted here, or only what leases grant.
    meter: Option<(Arc<Meter>, Node)>,
    everywhere: Box<Everywhere>,
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counting").field("meter", &self.meter.is_some()).finish_non_exhaustive()
    }
}

impl Default for Counting {
    /// Nothing holds everywhere, and nothing is counted here.
    fn default() -> Self {
        Self::new(None, |_| Vec::new())
    }
}

impl Counting {
    /// Callers are held to what `everywhere` says too; the meter counts what they use, where it decides alone.
    pub fn new(
        meter: Option<(Arc<Meter>, Node)>,
        everywhere: impl Fn(Caller) -> Vec<(BudgetId, u64)> + Send + Sync + 'static,
    ) -> Self {
        Self { meter, everywhere: Box::new(everywhere) }
    }

    /// `principal` with all of its budgets, each counted from the begin of its period on.
    ///
    /// What came into the spool since the start, or is under way, when a budget is new, is not in it.
    pub(crate) async fn hold(&self, store: &Store, principal: Principal) -> Result<Principal, StoreError> {
        let everywhere = (self.everywhere)(Caller::from(&principal));
        let budgets: Arc<[_]> = principal.budgets.iter().copied().chain(everywhere).collect();
        if let Some((meter, node)) = &self.meter {
            // Who is counted on a later day than the clock's is so in all budgets.
            let of_user = meter.counter(BudgetId::credits_a_day(Subject::User(principal.user_no)));
            let today = store.clock().now().day();
            let today = of_user.map_or(today, |cell| cell.period().first().max(today));
            // What has a cell of the period, or of a later one by a clock that jumped, was counted since then.
            let begins = |budget: &BudgetId| Period::of(budget.per, today).first();
            let is_new =
                |budget: &BudgetId| meter.counter(*budget).is_none_or(|cell| cell.period().first() < begins(budget));
            let new: Vec<BudgetId> = budgets.iter().map(|(budget, _)| *budget).filter(is_new).collect();
            if !new.is_empty() {
                count(store, (meter, node.backlog()), (&new, today)).await?;
            }
        }
        Ok(Principal { budgets, ..principal })
    }
}

/// Each subject's period is asked for once, whatever is counted in it.
async fn count(
    store: &Store,
    (meter, backlog): (&Meter, &Backlog),
    (budgets, today): (&[BudgetId], Day),
) -> Result<(), StoreError> {
    let waiting = backlog.waiting().await?;
    let mut known: Vec<((Subject, Period), Charge)> = Vec::new();
    for budget in budgets {
        let of = (budget.subject, Period::of(budget.per, today));
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
