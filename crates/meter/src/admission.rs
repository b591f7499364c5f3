//! One admission over every limit that applies to a caller: all or nothing.
//!
//! The rate comes first, then the budgets in the order of their ids: the likeliest to refuse come first, and as everybody
//! takes in one order, of two that race for the last of several budgets one gets all.

use std::sync::Arc;

use access::{Day, Mono, Timestamp};

use crate::account::{Accounts, Authority};
use crate::budget::{BudgetId, Charge, Measure, Per, Period, Subject};
use crate::cell::{By, Cell, Hold};
use crate::lease::CellId;
use crate::limits::{Budget, LimitOf, Limits, Terms};
use crate::rate::Empty;
use crate::reservation::{Held, Holds, Reservation, Standing};
use crate::tally::Tally;

/// Every subject's buckets and budgets, shared by all workers of the process.
#[derive(Debug, Default)]
pub struct Meter {
    accounts: Accounts,
    authority: Authority,
    tally: Tally,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What its caller is held to.
    pub limits: &'a Arc<Limits>,
    /// The most that it can use; `None` is a free call, which has a rate alone.
    pub charge: Option<Charge>,
    /// The wall clock: which periods.
    pub at: Timestamp,
    /// The monotonic clock: which moment of the rate, and of leases.
    pub now: Mono,
}

/// A limit said no; nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Requests per minute.
    Rate(Empty, LimitOf),
    /// A quota or budget.
    Budget(Exceeded),
}

/// A budget does not hold what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Which budget.
    pub budget: BudgetId,
    /// In which period.
    pub period: Period,
    /// How much it holds.
    pub limit: u64,
    /// What is used of it here, reservations included.
    pub used: u64,
    /// What was asked for.
    pub asked: u64,
    /// Whether the limit itself refused, or a lease of which more may be had.
    pub by: By,
}

/// A budget of which less is lent here than a request needs.
#[derive(Debug, Clone)]
pub struct Lack {
    /// Which budget, in which period.
    pub id: CellId,
    /// Its cell.
    pub cell: Arc<Cell>,
    /// What the request needs.
    pub amount: u64,
}

impl Ask<'_> {
    /// Every budget that would refuse this request for want of a lease: it waits for all of them at once.
    #[must_use]
    pub fn lacks(&self) -> Vec<Lack> {
        let charge = self.charge.unwrap_or_default();
        let lack = |(budget, cell): (&Budget, Arc<Cell>)| {
            let (amount, id) = (charge.of(budget.id.measure), CellId { budget: budget.id, period: cell.period() });
            let lacks = budget.most.is_some() && amount > 0 && (cell.free() < amount || self.now >= cell.deadline());
            lacks.then_some(Lack { id, cell, amount })
        };
        self.limits.cells(not_before_user(self)).filter_map(lack).collect()
    }
}

impl Exceeded {
    /// What is left of it.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// When it is whole again.
    #[must_use]
    pub fn resets_at(&self) -> Timestamp {
        self.period.end()
    }
}

impl Meter {
    /// A meter whose budgets hold what leases grant: nothing, before the first. What no limit holds is not counted, so that
    /// a limit that comes later begins with a lease of which nothing is used.
    #[must_use]
    pub fn leased() -> Self {
        Self { authority: Authority::Lent, ..Self::default() }
    }

    /// Whether it counts this node's part alone.
    #[must_use]
    pub fn is_leased(&self) -> bool {
        self.authority == Authority::Lent
    }

    /// What a caller of these terms is held to: to be asked once for a principal, not for a request.
    #[must_use]
    pub fn limits(&self, terms: &Terms<'_>) -> Arc<Limits> {
        Arc::new(Limits::new(terms, &self.accounts, (self.authority, self.tally.slice())))
    }

    /// Takes one request of the rate and its charge of every budget, or nothing.
    ///
    /// # Errors
    /// [`Refused`] names the limit, what is left of it, and when it resets.
    pub fn admit(&self, ask: &Ask<'_>) -> Result<Reservation, Refused> {
        let limits = ask.limits;
        let rate = limits.rate(ask.charge.is_none());
        let level = match rate {
            Some((rate, bucket, of)) => {
                Some(limits.bucket(bucket).take(rate, ask.now).map_err(|empty| Refused::Rate(empty, of))?)
            }
            None => None,
        };
        let rate = rate.map(|(rate, bucket, _)| (rate, bucket));
        match take(ask) {
            Ok(held) => Ok(Reservation::new(held, rate, Standing { rate: level })),
            Err(exceeded) => {
                if let Some((rate, bucket)) = rate {
                    limits.bucket(bucket).give_back(rate);
                }
                Err(Refused::Budget(exceeded))
            }
        }
    }

    /// The newest cell of a budget, where anything was counted in it since the process began.
    #[must_use]
    pub fn cell(&self, budget: BudgetId) -> Option<Arc<Cell>> {
        let account = match budget.subject {
            Subject::Key(no) => self.accounts.keys.find(no)?,
            Subject::User(no) => self.accounts.users.find(no)?,
            Subject::Plan(id) => self.accounts.plans.find(id)?,
            Subject::Global => self.accounts.everybody.clone(),
        };
        account.newest(budget.measure, budget.per)
    }

    /// What is used of a budget in the period of `day`, with what is reserved for requests that came.
    #[must_use]
    pub fn used(&self, budget: BudgetId, day: Day) -> u64 {
        let period = Period::of(budget.per, day);
        self.cell(budget).filter(|cell| cell.period() == period).map_or(0, |cell| cell.asked_for())
    }

    /// Begins to count a budget of which `spent` was spent in the period of `day` before; one that is counted since that period
    /// or a later one goes on.
    pub fn begin(&self, budget: BudgetId, day: Day, spent: u64) {
        let account = match budget.subject {
            Subject::Key(no) => self.accounts.keys.get(no),
            Subject::User(no) => self.accounts.users.get(no),
            Subject::Plan(id) => self.accounts.plans.get(id),
            Subject::Global => self.accounts.everybody.clone(),
        };
        account.begin((budget.measure, budget.per), day, (self.authority, spent));
    }

    /// How many reservations were taken, how they ended, and of how much.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Forgets who has nothing that counts for `today` or later; to be called now and then, off the workers.
    pub fn sweep(&self, today: Day) {
        self.accounts.sweep(today);
    }
}

/// Takes the charge of all budgets, or of none.
fn take(ask: &Ask<'_>) -> Result<Held, Exceeded> {
    let charge = ask.charge.unwrap_or_default();
    let mut held = Held { limits: ask.limits.clone(), charge, holds: Holds::new() };
    for (budget, cell) in ask.limits.cells(not_before_user(ask)) {
        let counts = budget.most.is_some() || ask.limits.authority == Authority::Alone;
        let amount = if counts { charge.of(budget.id.measure) } else { 0 };
        if counts && let Err(short) = cell.take(amount, budget.most, ask.now) {
            held.release();
            return Err(Exceeded {
                budget: budget.id,
                period: cell.period(),
                limit: budget.most.unwrap_or(u64::MAX),
                used: short.used,
                asked: amount,
                by: short.by,
            });
        }
        held.holds.push(Hold { cell, amount, counts });
    }
    Ok(held)
}

/// The wall clock, but not before the day that another worker's clock has begun for this user: at midnight a key and its
/// user count on one day.
fn not_before_user(ask: &Ask<'_>) -> Timestamp {
    let of_user = ask.limits.budgets.iter().find(|budget| matches!(budget.id.subject, Subject::User(_)));
    let newest = of_user.and_then(|budget| budget.account.newest(Measure::Credits, Per::Day));
    newest.map_or(ask.at, |cell| ask.at.max(cell.period().first().start()))
}

#[cfg(test)]
mod tests;
