//! What a request may use, taken in advance, and what it did use.
//!
//! A [`Reservation`] that is dropped gives everything back. When the first byte has gone to an upstream it becomes
//! [`Committed`], which is never uncounted: dropped unsettled, what was reserved counts as used. Both are pinned to the
//! periods and leases that they were taken from.

use std::sync::Arc;

use access::{Day, Timestamp};
use smallvec::SmallVec;

use crate::budget::{BudgetId, Charge, Measure, Per, Period, Subject};
use crate::cell::{Cell, Hold};
use crate::limits::{Bucketed, Limits};
use crate::rate::{Level, Rate};

/// So many budgets are held without an allocation.
const INLINE: usize = 6;

pub(crate) type Holds = SmallVec<[Hold; INLINE]>;

/// What a request may use, taken in advance. Dropped, it gives everything back.
#[derive(Debug)]
#[must_use = "a reservation that is dropped is given back"]
pub struct Reservation {
    held: Option<Held>,
    rate: Option<(Rate, Bucketed)>,
    standing: Standing,
}

/// What a request has used: its first byte went out.
#[derive(Debug)]
#[must_use = "what was sent must be settled"]
pub struct Committed {
    /// `None` on an open route, which no limit knows, and after it is settled.
    held: Option<Held>,
    day: Day,
    reserved: Charge,
}

#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) limits: Arc<Limits>,
    pub(crate) charge: Charge,
    /// One for each budget of the limits, in their order.
    pub(crate) holds: Holds,
}

/// Where a caller stands after being let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// The rate limit, where there is one.
    pub rate: Option<Level>,
}

/// What is held of one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which budget.
    pub budget: BudgetId,
    /// In which period it counts.
    pub period: Period,
    /// How much.
    pub amount: u64,
}

impl Held {
    /// Everything goes back; nothing of it was used.
    pub(crate) fn release(&self) {
        for hold in &self.holds {
            hold.release();
        }
    }

    fn settle(&self, actual: &Charge) {
        let mut overrun = Charge::default();
        for (budget, hold) in self.limits.budgets.iter().zip(&self.holds) {
            let measure = budget.id.measure;
            let used = actual.of(measure);
            if hold.settle(used) && budget.most.is_some() {
                overrun = overrun.with(measure, used.saturating_sub(hold.amount));
            }
        }
        if overrun != Charge::default() {
            self.limits.tally.overrun(&overrun);
        }
    }

    fn parts(&self) -> impl Iterator<Item = Part> {
        self.limits.budgets.iter().zip(&self.holds).map(|(budget, hold)| Part {
            budget: budget.id,
            period: hold.cell.period(),
            amount: hold.amount,
        })
    }
}

impl Reservation {
    pub(crate) fn new(held: Held, rate: Option<(Rate, Bucketed)>, standing: Standing) -> Self {
        held.limits.tally.reserve(&held.charge);
        Self { held: Some(held), rate, standing }
    }

    /// A reservation on an open route: nothing is held.
    pub const fn open() -> Self {
        Self { held: None, rate: None, standing: Standing { rate: None } }
    }

    pub(crate) fn charge(&self) -> Charge {
        self.held.as_ref().map(|held| held.charge).unwrap_or_default()
    }

    /// The cells of what limits it in a measure, each with the limit.
    pub(crate) fn limited(&self, measure: Measure) -> impl Iterator<Item = (Arc<Cell>, u64)> {
        let parts = self.held.iter().flat_map(|held| held.limits.budgets.iter().zip(&held.holds));
        parts
            .filter(move |(budget, _)| budget.id.measure == measure)
            .filter_map(|(budget, hold)| Some((hold.cell.clone(), budget.most?)))
    }

    /// Where the caller stands.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// What is held of each budget.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        self.held.iter().flat_map(Held::parts)
    }

    /// The day on which it counts, which is that of its user's credits; `at` names that of an open route.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Day {
        let of_user = |part: &Part| part.period.per() == Per::Day && matches!(part.budget.subject, Subject::User(_));
        self.parts().find(of_user).map_or_else(|| at.day(), |part| part.period.first())
    }

    /// Never gives anything back: somebody else counts it.
    pub fn leave(mut self) {
        self.held = None;
    }

    /// The first byte went to an upstream: from here on the request counts. `at` is as in [`Reservation::day`].
    pub fn commit(mut self, at: Timestamp) -> Committed {
        let day = self.day(at);
        let held = self.held.take();
        Committed { day, reserved: held.as_ref().map(|held| held.charge).unwrap_or_default(), held }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            held.release();
            if let Some((rate, bucket)) = self.rate {
                held.limits.bucket(bucket).give_back(rate);
            }
            held.limits.tally.release(&held.charge);
        }
    }
}

impl Committed {
    /// The day on which it counts.
    #[must_use]
    pub const fn day(&self) -> Day {
        self.day
    }

    /// What was taken in advance.
    #[must_use]
    pub const fn reserved(&self) -> Charge {
        self.reserved
    }

    /// What is held of each budget: what a crash leaves counted.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        self.held.iter().flat_map(Held::parts)
    }

    /// Whether a limit holds what it uses beside its credits.
    #[must_use]
    pub fn limits_use(&self) -> bool {
        let budgets = self.held.iter().flat_map(|held| &held.limits.budgets);
        budgets.filter(|budget| budget.most.is_some()).any(|budget| budget.id.measure != Measure::Credits)
    }

    /// Whether a request that has used `seen` by now has used up what it reserved of anything that limits it.
    #[must_use]
    pub fn exceeds(&self, seen: &Charge) -> bool {
        let budgets = self.held.iter().flat_map(|held| held.limits.budgets.iter().zip(&held.holds));
        budgets
            .filter(|(budget, _)| budget.most.is_some())
            .any(|(budget, hold)| seen.of(budget.id.measure) > hold.amount)
    }

    /// Notes how much of what it is about to be settled with nobody said, but was reserved for it.
    pub fn note_unsaid(&self, unsaid: &Charge) {
        if let Some(held) = &self.held
            && *unsaid != Charge::default()
        {
            held.limits.tally.bound(unsaid);
        }
    }

    /// It has used what was reserved, and that is recorded.
    pub fn settle_as_reserved(self) {
        let reserved = self.reserved;
        self.settle(&reserved);
    }

    /// It has used `actual`, all of which is recorded. The rest goes back; what is more is counted as well.
    pub fn settle(mut self, actual: &Charge) {
        if let Some(held) = self.held.take() {
            held.settle(actual);
            held.limits.tally.settle(&held.charge, actual);
        }
    }
}

impl Drop for Committed {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            held.settle(&self.reserved);
            held.limits.tally.drop_unsettled(&held.charge);
        }
    }
}
