//! Credits of pre-logged batches. They are taken before requests use them, so that the batches that a dead process
//! leaves in the spool never exceed the budgets.

use std::sync::Arc;

use access::{Amount, Credits, Mono};
use smallvec::SmallVec;

use crate::budgets::budget::Measure;
use crate::budgets::counter::BudgetCounter;
use crate::reservation::Reservation;

/// Number of credit budgets that need no allocation.
const INLINE: usize = 3;
/// At most a quarter of the free leased amount is pre-logged, because other requests need the rest.
const LEASED_DIVISOR: u64 = 4;
/// All pre-logged credits together are at most a 32nd of the amount that is left of a budget, because other requests
/// cannot use them.
const LEFT_DIVISOR: u64 = 32;

/// Credits that are taken from every credit budget of a reservation, in addition to its own. Dropping them releases
/// them.
#[derive(Debug, Default)]
#[must_use = "dropping the credits releases them"]
pub struct PreloggedCredits {
    /// The counters with their limits.
    counters: SmallVec<[(Arc<BudgetCounter>, Amount); INLINE]>,
    credits: Credits,
}

impl Reservation {
    /// Takes credits for up to `requests` further requests of the same cost. The amount is limited to a `divisor`th of
    /// what any of the budgets has left, together with all other pre-logged credits to a 32nd of it, and to a quarter
    /// of the free leased amount. Nothing is taken if other requests take the credits first. The usage of other nodes
    /// is not known here.
    pub fn prelog(&self, requests: u64, divisor: u64, now: Mono) -> PreloggedCredits {
        let mut prelogged =
            PreloggedCredits { counters: self.limited(Measure::Credits).collect(), credits: Credits::ZERO };
        let may_take = |(counter, limit): &(Arc<BudgetCounter>, Amount)| {
            let left = limit.saturating_sub(counter.used_by_requests());
            let of_all = left.part(LEFT_DIVISOR).saturating_sub(counter.prelogged());
            left.part(divisor).min(of_all).min(counter.free().part(LEASED_DIVISOR))
        };
        let Some(may_take) = prelogged.counters.iter().map(may_take).min() else { return prelogged };
        let cost = self.charge().credits;
        let requests = may_take.credits().requests_of(cost).min(requests);
        prelogged.take_more(cost.saturating_mul(requests), now);
        prelogged
    }
}

impl PreloggedCredits {
    /// Returns the number of credits.
    #[must_use]
    pub const fn credits(&self) -> Credits {
        self.credits
    }

    /// Returns whether other requests need the credits: less is free in one of the budgets than is pre-logged. The limit
    /// of the last request may be smaller, because a subject may have several plans.
    #[must_use]
    pub fn is_needed_by_others(&self) -> bool {
        let is_needed_by_others = |(counter, limit): &(Arc<BudgetCounter>, Amount)| {
            let limit = counter.limit().min(*limit);
            let free = counter.free().min(limit.saturating_sub(counter.used()));
            free < counter.prelogged()
        };
        !self.credits.is_zero() && self.counters.iter().any(is_needed_by_others)
    }

    /// Moves all credits to a new value; `self` can take further credits from the same budgets.
    pub fn split(&mut self) -> Self {
        Self { counters: self.counters.clone(), credits: std::mem::take(&mut self.credits) }
    }

    /// Takes further credits from all budgets, or from none; returns whether they were taken.
    pub fn take_more(&mut self, credits: Credits, now: Mono) -> bool {
        let amount = Amount::of_credits(credits);
        for (nth, (counter, limit)) in self.counters.iter().enumerate() {
            if counter.take_prelogged(amount, *limit, now).is_err() {
                self.counters.iter().take(nth).for_each(|(counter, _)| counter.release_prelogged(amount));
                return false;
            }
        }
        self.credits = self.credits.saturating_add(credits);
        true
    }

    /// Drops the credits without releasing them, because another record counts them.
    pub fn forget(mut self) {
        self.credits = Credits::ZERO;
    }

    /// Releases a part of the credits, which a request of the batch has reserved itself.
    pub fn release(&mut self, credits: Credits) {
        let credits = credits.min(self.credits);
        self.credits = self.credits.saturating_sub(credits);
        self.counters.iter().for_each(|(counter, _)| counter.release_prelogged(Amount::of_credits(credits)));
    }
}

impl Drop for PreloggedCredits {
    fn drop(&mut self) {
        self.release(self.credits);
    }
}

#[cfg(test)]
mod tests;
