//! The counter of one budget in one period: the used amount, and the amount that this process may use.
//!
//! Taking, settling and releasing are loops over atomic words without locks. The lease client lowers the allowance
//! while requests take from the counter: a request checks the allowance again after taking, and the lease client reads
//! the used amount after lowering. All operations are sequentially consistent, so at least one of them sees the change
//! of the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use access::{Amount, Minute, Mono};

use crate::budgets::atomic_amount::AtomicAmount;
use crate::budgets::period::Period;

/// The budget counter of one period.
#[derive(Debug)]
pub struct BudgetCounter {
    period: Period,
    /// The reserved and spent amounts.
    used: AtomicAmount,
    /// The settled amount; at most `used`.
    spent: AtomicAmount,
    /// The amount of pre-logged batches; a part of `used`.
    prelogged: AtomicAmount,
    /// The maximum of `used` in this process: everything, or the leased amount.
    allowance: AtomicAmount,
    /// The monotonic time from which nothing can be taken.
    deadline: AtomicU64,
    /// The limit of the last request; the lease server receives it.
    limit: AtomicU64,
    /// The amount that the lease server had not granted to any node when it granted the allowance.
    ungranted: AtomicAmount,
    /// The first minute of the window that nodes have in common, if it is not the period of this counter; otherwise
    /// [`NOT_MOVED`].
    moved_to: AtomicU32,
}

/// The counter has the period that nodes have in common.
const NOT_MOVED: u32 = u32::MAX;

/// The amount that a request has reserved of one counter. It is released to or spent from the same counter, even if the
/// day or the limit has changed.
#[derive(Debug, Clone)]
pub(crate) struct CounterReservation {
    pub(crate) counter: Arc<BudgetCounter>,
    pub(crate) amount: Amount,
    /// Whether the amount is taken from the counter: usage is not metered against leased budgets without a limit.
    pub(crate) counts: bool,
}

/// The counter does not contain the requested amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shortfall {
    /// The amount that is used of the counter.
    pub(crate) used: Amount,
    /// The cause of the refusal.
    pub(crate) by: RefusalCause,
}

impl CounterReservation {
    /// Releases the whole amount.
    pub(crate) fn release(&self) {
        if self.counts {
            self.counter.release(self.amount);
        }
    }

    /// Spends `actual`; returns whether that is more than the reserved amount.
    pub(crate) fn settle(&self, actual: Amount) -> bool {
        self.counts && self.counter.settle(self.amount, actual)
    }
}

/// The remaining amount of a budget in one period, as this process knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CounterRest {
    /// The amount that requests may still reserve.
    pub(crate) left: Amount,
    /// The amount that no settled request has used.
    pub(crate) unspent: Amount,
}

/// The cause of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCause {
    /// The budget's limit: the budget is exhausted.
    Limit,
    /// The lease: the lease server may grant more.
    Lease,
}

impl BudgetCounter {
    /// Returns a counter that is limited by the budget's limit only, with `spent` as its used amount.
    #[must_use]
    pub(crate) const fn standalone(period: Period, spent: Amount) -> Self {
        Self {
            used: AtomicAmount::new(spent),
            spent: AtomicAmount::new(spent),
            ..Self::new(period, Amount::MAX, Mono(u64::MAX))
        }
    }

    /// Returns a counter from which nothing can be taken before a lease is granted.
    #[must_use]
    pub(crate) const fn leased(period: Period) -> Self {
        Self::new(period, Amount::ZERO, Mono(0))
    }

    const fn new(period: Period, allowance: Amount, deadline: Mono) -> Self {
        Self {
            period,
            used: AtomicAmount::new(Amount::ZERO),
            spent: AtomicAmount::new(Amount::ZERO),
            prelogged: AtomicAmount::new(Amount::ZERO),
            allowance: AtomicAmount::new(allowance),
            deadline: AtomicU64::new(deadline.0),
            limit: AtomicU64::new(0),
            ungranted: AtomicAmount::new(Amount::ZERO),
            moved_to: AtomicU32::new(NOT_MOVED),
        }
    }

    /// Returns the period of the counter.
    #[must_use]
    pub const fn period(&self) -> Period {
        self.period
    }

    /// Notes that the window of all nodes has begun at another time, before anything is taken. Another counter takes over.
    pub(crate) fn move_to(&self, begin: Minute) {
        self.moved_to.store(begin.0, Ordering::SeqCst);
    }

    /// Returns the period of the window of all nodes, if it is not that of this counter.
    pub(crate) fn moved_to(&self) -> Option<Period> {
        let begin = self.moved_to.load(Ordering::SeqCst);
        if begin == NOT_MOVED {
            return None;
        }
        Some(Period::begun(self.period.per(), Minute(begin).start(), Minute(0)))
    }

    /// Returns the reserved and spent amounts.
    #[must_use]
    pub fn used(&self) -> Amount {
        self.used.load()
    }

    /// Returns the spent amount.
    #[must_use]
    pub fn spent(&self) -> Amount {
        self.spent.load()
    }

    /// Returns the reserved and spent amounts without pre-logged batches.
    #[must_use]
    pub fn used_by_requests(&self) -> Amount {
        self.used().saturating_sub(self.prelogged())
    }

    /// Returns the amount of pre-logged batches.
    #[must_use]
    pub(crate) fn prelogged(&self) -> Amount {
        self.prelogged.load()
    }

    /// Returns the amount that this process may use.
    #[must_use]
    pub fn allowance(&self) -> Amount {
        self.allowance.load()
    }

    /// Returns the amount that can be taken before the allowance is used up.
    #[must_use]
    pub fn free(&self) -> Amount {
        self.allowance().saturating_sub(self.used())
    }

    /// Returns the remaining part of `limit`, without the leases of other nodes; `None` before the first lease.
    pub(crate) fn rest(&self, limit: Amount) -> Option<CounterRest> {
        // The used amount is read first: amounts that are settled meanwhile only increase the rest.
        let used = self.used_by_requests();
        let spent = self.spent();
        let allowance = self.allowance();
        if allowance == Amount::MAX {
            return Some(CounterRest { left: limit.saturating_sub(used), unspent: limit.saturating_sub(spent) });
        }
        let held = self.ungranted.load().saturating_add(allowance);
        let rest = |taken| held.saturating_sub(taken).min(limit);
        (self.deadline() != Mono(0)).then(|| CounterRest { left: rest(used), unspent: rest(spent) })
    }

    /// Returns the limit of the last request; 0 before the first.
    #[must_use]
    pub fn limit(&self) -> Amount {
        Amount(self.limit.load(Ordering::Relaxed))
    }

    /// Returns the time from which nothing can be taken.
    #[must_use]
    pub fn deadline(&self) -> Mono {
        Mono(self.deadline.load(Ordering::SeqCst))
    }

    /// Takes `amount` if both the limit and the lease allow it. With `limit` `None` the amount is only counted. An
    /// amount of zero is always taken.
    ///
    /// # Errors
    /// [`Shortfall`] contains the cause; nothing is taken in that case.
    pub(crate) fn take(&self, amount: Amount, limit: Option<Amount>, now: Mono) -> Result<Amount, Shortfall> {
        if let Some(limit) = limit
            && limit != self.limit()
        {
            self.limit.store(limit.0, Ordering::Relaxed);
        }
        self.take_within(amount, limit, now)
    }

    fn take_within(&self, amount: Amount, limit: Option<Amount>, now: Mono) -> Result<Amount, Shortfall> {
        let mut used = self.used();
        loop {
            let Some(next) = used.checked_add(amount) else { return Err(Shortfall { used, by: RefusalCause::Limit }) };
            if let Some(limit) = limit
                && !amount.is_zero()
            {
                if next > limit {
                    return Err(Shortfall { used, by: RefusalCause::Limit });
                }
                if next > self.allowance() || now >= self.deadline() {
                    return Err(Shortfall { used, by: RefusalCause::Lease });
                }
            }
            match self.used.replace(used, next) {
                Ok(()) if limit.is_none() || amount.is_zero() || next <= self.allowance() => return Ok(next),
                // The allowance was lowered after the check, and the lease client may not have seen this amount.
                Ok(()) => used = self.used.subtract(amount),
                Err(now) => used = now,
            }
        }
    }

    /// Like [`BudgetCounter::take`], for a pre-logged batch.
    pub(crate) fn take_prelogged(&self, amount: Amount, limit: Amount, now: Mono) -> Result<(), Shortfall> {
        // The stored limit is not changed: it may be newer than this one, and the lease server needs the newest.
        self.take_within(amount, Some(limit), now)?;
        self.prelogged.add(amount);
        Ok(())
    }

    /// Releases an amount of a pre-logged batch.
    pub(crate) fn release_prelogged(&self, amount: Amount) {
        self.prelogged.subtract(amount);
        self.release(amount);
    }

    /// Releases an amount that was taken and not used.
    pub(crate) fn release(&self, amount: Amount) {
        self.used.subtract(amount);
    }

    /// Spends `actual` of the taken amount `reserved` and releases the rest. If `actual` is larger, it is counted in
    /// full. Returns whether it is larger.
    pub(crate) fn settle(&self, reserved: Amount, actual: Amount) -> bool {
        match reserved.checked_sub(actual) {
            Some(back) => {
                self.used.subtract(back);
            }
            None => self.used.add(actual.saturating_sub(reserved)),
        }
        // `spent` is changed after `used`, because it is a part of it.
        self.spent.add(actual);
        actual > reserved
    }

    /// Lowers the allowance to `to`, or to the used amount if that is larger; returns the new allowance.
    pub(crate) fn restrict(&self, to: Amount) -> Amount {
        let mut ceiling = to.max(self.used());
        loop {
            self.allowance.store(ceiling);
            let used = self.used();
            if used > ceiling {
                ceiling = used;
            } else {
                return ceiling;
            }
        }
    }

    /// Notes the amount that no node has, by the reply with the grant.
    pub(crate) fn note_ungranted(&self, ungranted: Amount) {
        self.ungranted.store(ungranted);
    }

    /// Allows `granted` until `deadline`.
    pub(crate) fn allow(&self, granted: Amount, deadline: Mono) {
        self.allowance.store(granted);
        self.deadline.store(deadline.0, Ordering::SeqCst);
    }

    /// Ends the counter: nothing can be taken from it any more.
    pub(crate) fn close(&self) {
        self.deadline.store(0, Ordering::SeqCst);
        self.restrict(Amount::ZERO);
    }
}

#[cfg(test)]
mod tests;
