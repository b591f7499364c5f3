//! Budgets as callers come with them: those that hold everywhere, and what was spent of each before the meter counted it.

use std::fmt;
use std::sync::Arc;

use access::{BudgetId, Principal};
use meter::budget::Period;
use meter::{Caller, Meter};
use tokio::sync::Mutex;

use crate::error::StoreError;
use crate::store::Store;

/// The budgets that a caller is held to beside those of the store, with how much each holds.
type Everywhere = dyn Fn(Caller) -> Vec<(BudgetId, u64)> + Send + Sync;

/// What callers are held to.
pub struct Counting {
    /// `None` where nothing is counted here, or only what leases grant.
    meter: Option<Arc<Meter>>,
    everywhere: Box<Everywhere>,
    /// Held while one is summed, so that nothing is counted twice.
    one_at_a_time: Mutex<()>,
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
    /// Callers are held to what `everywhere` says too; `meter` counts what they use, where it decides alone.
    pub fn new(
        meter: Option<Arc<Meter>>,
        everywhere: impl Fn(Caller) -> Vec<(BudgetId, u64)> + Send + Sync + 'static,
    ) -> Self {
        Self { meter, everywhere: Box::new(everywhere), one_at_a_time: Mutex::new(()) }
    }

    /// `principal` with all of its budgets, each counted from the begin of its period on.
    ///
    /// What is in the spool when a budget is met first, or under way then, is not in it.
    pub(crate) async fn hold(&self, store: &Store, principal: Principal) -> Result<Principal, StoreError> {
        let everywhere = (self.everywhere)(Caller::from(&principal));
        let budgets: Arc<[_]> = principal.budgets.iter().copied().chain(everywhere).collect();
        if let Some(meter) = &self.meter {
            for (budget, _) in budgets.iter() {
                self.count(store, meter, *budget).await?;
            }
        }
        Ok(Principal { budgets, ..principal })
    }

    async fn count(&self, store: &Store, meter: &Meter, budget: BudgetId) -> Result<(), StoreError> {
        // What has a cell was counted since then.
        if meter.cell(budget).is_some() {
            return Ok(());
        }
        let _held = self.one_at_a_time.lock().await;
        if meter.cell(budget).is_none() {
            let today = store.clock().now().day();
            let spent = store.charge_of(budget.subject, Period::of(budget.per, today)).await?;
            meter.restore(budget, today, spent.of(budget.measure));
        }
        Ok(())
    }
}
