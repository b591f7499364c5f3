//! Budgets that apply to a principal, including those of the configuration, and the amounts that were charged to a
//! principal or a subject before the meter created a counter.

use std::fmt;
use std::sync::Arc;

use access::exchange::subject_budgets::BeginError;
use access::{Amount, BudgetId, BudgetScope, Day, LimitPeriod, Minute, Principal, SubjectId, Timestamp};
use meter::{Caller, Charge, Meter, Period};
use store::nodes::backlog::{Backlog, BacklogReader};
use store::{BacklogError, Node, Store};

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
    pub(crate) async fn hold(&self, store: &Store, principal: Principal) -> Result<Principal, BacklogError> {
        let everywhere = (self.everywhere)(Caller::from(&principal));
        let budgets: Arc<[_]> = principal.budgets.iter().copied().chain(everywhere).collect();
        if let Some((meter, node)) = &self.meter {
            // A user whose counter is on a later day than the clock uses that day in all budgets.
            let of_user = meter.counter(BudgetId::credits_a_day(BudgetScope::User(principal.user_no)));
            let today = store.clock().now().day();
            let today = of_user.map_or(today, |cell| cell.period().first().max(today));
            let new = new(meter, budgets.iter().map(|(budget, _)| *budget), today);
            if !new.is_empty() {
                count(store, meter, node.backlog(), &new, today).await?;
            }
        }
        Ok(Principal { budgets, ..principal })
    }

    /// Begins the counters of a subject's budgets that do not exist. The first requests with the subject wait for it, so
    /// the counters contain all of its usage; of a budget that a reload adds, all usage that is stored or in the backlog.
    pub(crate) async fn begin(&self, store: &Store, budgets: &[BudgetId]) -> Result<(), BeginError> {
        let Some((meter, node)) = &self.meter else { return Ok(()) };
        let Some(BudgetScope::Subject(subject)) = budgets.first().map(|budget| budget.scope) else { return Ok(()) };
        let of_subject = meter.counter(BudgetId::credits_a_day(BudgetScope::Subject(subject)));
        let mut today = store.clock().now().day();
        match &of_subject {
            Some(counter) => today = counter.period().first().max(today),
            None if !meter.has_room_for(subject) => return Err(BeginError::Full),
            None => {}
        }
        let new = new(meter, budgets.iter().copied(), today);
        if new.is_empty() {
            return Ok(());
        }
        let begun = async {
            // The clock may have been ahead before the start: a subject with usage of tomorrow is not metered for today.
            if of_subject.is_none() && is_used(store, node.backlog(), subject, today.next()).await? {
                today = today.next();
            }
            count(store, meter, node.backlog(), &new, today).await
        };
        begun.await.map_err(|error: BacklogError| {
            tracing::debug!(%error, "the budgets of a subject cannot begin");
            BeginError::Unavailable
        })
    }
}

/// Returns the budgets without a counter of `today`. A counter of this period, or of a later one after a clock jumped,
/// was created earlier and has counted since; so has that of a window that opens with the first use, even if it has ended.
fn new(meter: &Meter, budgets: impl Iterator<Item = BudgetId>, today: Day) -> Vec<BudgetId> {
    let is_new = |budget: &BudgetId| match meter.counter(*budget) {
        None => true,
        Some(_) if budget.per.window().is_some_and(access::BudgetWindow::opens_with_use) => false,
        Some(cell) => cell.period().end() <= today.start(),
    };
    budgets.filter(is_new).collect()
}

/// Returns whether a subject has usage of `day`.
async fn is_used(store: &Store, backlog: &Backlog, subject: SubjectId, day: Day) -> Result<bool, BacklogError> {
    let scope = BudgetScope::Subject(subject);
    let period = Period::containing(LimitPeriod::Day, day);
    let waiting = backlog.waiting().await?;
    let charge = store.charge_of(scope, period).await?.and(&waiting.charge_of(scope, period));
    Ok(charge != Charge::default())
}

/// Reads the charge of each scope and period once, for all measures together.
async fn count(
    store: &Store,
    meter: &Meter,
    backlog: &Backlog,
    budgets: &[BudgetId],
    today: Day,
) -> Result<(), BacklogError> {
    let waiting = backlog.waiting().await?;
    let mut known: Vec<((BudgetScope, Period), Charge)> = Vec::new();
    let now = store.clock().now().max(today.start());
    for budget in budgets {
        let of = (budget.scope, period_of(store, &waiting, *budget, now).await?);
        let charge = match known.iter().find(|(known, _)| *known == of) {
            Some((_, charge)) => *charge,
            None => {
                let charge = store.charge_of(of.0, of.1).await?.and(&waiting.charge_of(of.0, of.1));
                known.push((of, charge));
                charge
            }
        };
        meter.begin_period(*budget, of.1, charge.counted_by(*budget));
    }
    Ok(())
}

/// Returns the current period of a budget; of a window that opens with the first use and is not open, one that has ended.
async fn period_of(
    store: &Store,
    waiting: &BacklogReader<'_>,
    budget: BudgetId,
    now: Timestamp,
) -> Result<Period, BacklogError> {
    if !budget.per.window().is_some_and(access::BudgetWindow::opens_with_use) {
        return Ok(Period::containing(budget.per, now));
    }
    let minute = Minute::containing(now);
    let stored = store.open_window(budget.scope, budget.per, minute).await?;
    let open = stored.max(waiting.open_window(budget.scope, budget.per, minute));
    Ok(open.unwrap_or_else(|| Period::ended(budget.per)))
}

#[cfg(test)]
mod tests;
