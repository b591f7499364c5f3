//! One budget in one period: what is used of it, and what may be used here.
//!
//! Taking, settling and giving back are loops over atomic words; nobody waits for anybody. Whoever lowers the allowance
//! (a lease's holder) does so against takers at work: each looks again after it has taken, and the lowering one looks at
//! what is used after it has lowered. All of that is sequentially consistent, so one of the two sees the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use access::Mono;

use crate::budget::Period;

/// What is used of a budget in a period.
#[derive(Debug)]
pub struct BudgetCounter {
    period: Period,
    /// Reserved and spent.
    used: AtomicU64,
    /// Settled; never more than `used`.
    spent: AtomicU64,
    /// Taken for requests that may come; a part of `used`.
    prelogged: AtomicU64,
    /// What may be used here: everything, or what a lease has granted.
    allowance: AtomicU64,
    /// From this moment of the monotonic clock on nothing is taken.
    deadline: AtomicU64,
    /// By which limit somebody last took or was refused: what its lender is told.
    limit: AtomicU64,
}

/// A part of a cell, taken in advance. It is pinned: it goes back to the cell that it came from, or is spent there,
/// whatever day or limit it is by then.
#[derive(Debug, Clone)]
pub(crate) struct CounterReservation {
    pub(crate) counter: Arc<BudgetCounter>,
    pub(crate) amount: u64,
    /// Whether it is taken from the cell: a cell that is lent does not count what nothing limits.
    pub(crate) counts: bool,
}

/// A cell does not hold what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shortfall {
    /// What is used of it here.
    pub(crate) used: u64,
    /// What said no.
    pub(crate) by: RefusalCause,
}

impl CounterReservation {
    /// All of it goes back.
    pub(crate) fn release(&self) {
        if self.counts {
            self.counter.release(self.amount);
        }
    }

    /// Spends `actual` of it; answers whether that was more.
    pub(crate) fn settle(&self, actual: u64) -> bool {
        self.counts && self.counter.settle(self.amount, actual)
    }
}

/// What said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCause {
    /// The limit itself: the budget is used up.
    Limit,
    /// The lease: more may be had of who lends.
    Lease,
}

impl BudgetCounter {
    /// A cell of which everything may be used here: the limit alone decides. `spent` of it was spent before.
    #[must_use]
    pub(crate) const fn standalone(period: Period, spent: u64) -> Self {
        Self { used: AtomicU64::new(spent), spent: AtomicU64::new(spent), ..Self::new(period, u64::MAX) }
    }

    /// A cell of which nothing may be used before a lease grants it.
    #[must_use]
    pub(crate) const fn leased(period: Period) -> Self {
        Self::new(period, 0)
    }

    const fn new(period: Period, allowance: u64) -> Self {
        Self {
            period,
            used: AtomicU64::new(0),
            spent: AtomicU64::new(0),
            prelogged: AtomicU64::new(0),
            allowance: AtomicU64::new(allowance),
            deadline: AtomicU64::new(allowance),
            limit: AtomicU64::new(0),
        }
    }

    /// The period.
    #[must_use]
    pub const fn period(&self) -> Period {
        self.period
    }

    /// What is reserved and spent.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::SeqCst)
    }

    /// What is spent.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.spent.load(Ordering::SeqCst)
    }

    /// What is reserved for requests that came, and spent.
    #[must_use]
    pub fn used_by_requests(&self) -> u64 {
        self.used().saturating_sub(self.prelogged())
    }

    /// What is taken for requests that may come.
    #[must_use]
    pub(crate) fn prelogged(&self) -> u64 {
        self.prelogged.load(Ordering::SeqCst)
    }

    /// What may be used here.
    #[must_use]
    pub fn allowance(&self) -> u64 {
        self.allowance.load(Ordering::SeqCst)
    }

    /// What could be taken here at once, were there no limit.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.allowance().saturating_sub(self.used())
    }

    /// The limit by which somebody last took of it or was refused; 0 before.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// From which moment on nothing is taken.
    #[must_use]
    pub fn deadline(&self) -> Mono {
        Mono(self.deadline.load(Ordering::SeqCst))
    }

    /// Takes `amount`, if `limit` and lease still hold it all; `None` is no limit, and is counted only. Nothing is always
    /// held.
    ///
    /// # Errors
    /// [`Shortfall`] says what does not hold it; nothing is taken then.
    pub(crate) fn take(&self, amount: u64, limit: Option<u64>, now: Mono) -> Result<u64, Shortfall> {
        if let Some(limit) = limit
            && limit != self.limit()
        {
            self.limit.store(limit, Ordering::Relaxed);
        }
        self.take_within(amount, limit, now)
    }

    fn take_within(&self, amount: u64, limit: Option<u64>, now: Mono) -> Result<u64, Shortfall> {
        let mut used = self.used();
        loop {
            let Some(next) = used.checked_add(amount) else { return Err(Shortfall { used, by: RefusalCause::Limit }) };
            if let Some(limit) = limit
                && amount > 0
            {
                if next > limit {
                    return Err(Shortfall { used, by: RefusalCause::Limit });
                }
                if next > self.allowance() || now >= self.deadline() {
                    return Err(Shortfall { used, by: RefusalCause::Lease });
                }
            }
            match self.used.compare_exchange_weak(used, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) if limit.is_none() || amount == 0 || next <= self.allowance() => return Ok(next),
                // Lowered meanwhile: perhaps by one who has not seen this.
                Ok(_) => used = self.used.fetch_sub(amount, Ordering::SeqCst).saturating_sub(amount),
                Err(now) => used = now,
            }
        }
    }

    /// [`BudgetCounter::take`] for requests that may come.
    pub(crate) fn take_prelogged(&self, amount: u64, limit: u64, now: Mono) -> Result<(), Shortfall> {
        // The limit may have changed since, and the lender is told the latest.
        self.take_within(amount, Some(limit), now)?;
        self.prelogged.fetch_add(amount, Ordering::SeqCst);
        Ok(())
    }

    /// Gives back what was taken for requests that may come.
    pub(crate) fn release_prelogged(&self, amount: u64) {
        self.prelogged.fetch_sub(amount, Ordering::SeqCst);
        self.release(amount);
    }

    /// Gives back what was taken and not used.
    pub(crate) fn release(&self, amount: u64) {
        self.used.fetch_sub(amount, Ordering::SeqCst);
    }

    /// Spends `actual` of what was taken, `reserved`; the rest goes back. What is more than was taken is counted too: it is
    /// true. Answers whether it was more.
    pub(crate) fn settle(&self, reserved: u64, actual: u64) -> bool {
        match reserved.checked_sub(actual) {
            Some(back) => {
                self.used.fetch_sub(back, Ordering::SeqCst);
            }
            None => add(&self.used, actual - reserved),
        }
        // After `used`, of which it is a part.
        add(&self.spent, actual);
        actual > reserved
    }

    /// Restricts this cell to `to`, or to what is used by now, where that is more; answers which.
    pub(crate) fn restrict(&self, to: u64) -> u64 {
        let mut ceiling = to.max(self.used());
        loop {
            self.allowance.store(ceiling, Ordering::SeqCst);
            let used = self.used();
            if used <= ceiling {
                return ceiling;
            }
            ceiling = used;
        }
    }

    /// Allows `granted` until `deadline`.
    pub(crate) fn allow(&self, granted: u64, deadline: Mono) {
        self.allowance.store(granted, Ordering::SeqCst);
        self.deadline.store(deadline.0, Ordering::SeqCst);
    }

    /// Allows nothing any more.
    pub(crate) fn close(&self) {
        self.deadline.store(0, Ordering::SeqCst);
        self.restrict(0);
    }
}

/// A count that is full stays full: what wrapped would be free again.
fn add(to: &AtomicU64, amount: u64) {
    // The closure never answers `None`, so the update cannot fail.
    let _ = to.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |before| Some(before.saturating_add(amount)));
}

#[cfg(test)]
mod tests;
