//! Credits that are taken in advance for requests like one that was let in: what a process that dies may leave written ahead is
//! never more than its budgets hold.

use std::sync::Arc;

use access::Mono;
use smallvec::SmallVec;

use crate::budget::Measure;
use crate::counter::BudgetCounter;
use crate::reservation::Reservation;

/// So many budgets of credits are held without an allocation.
const INLINE: usize = 3;
/// Of what is lent here and free, at most this part: requests that come need it too.
const LEASED_DIVISOR: u64 = 4;
/// Of what a budget has left, all that is spare is at most this part: it is refused to others.
const LEFT_DIVISOR: u64 = 32;

/// Credits beside a reservation's own, of every budget that limits it. Dropped, they go back.
#[derive(Debug, Default)]
#[must_use = "what is dropped is given back"]
pub struct PreloggedCredits {
    /// With the limit of each.
    counters: SmallVec<[(Arc<BudgetCounter>, u64); INLINE]>,
    credits: u64,
}

impl Reservation {
    /// Takes credits for as many as `requests` more of its kind; for fewer, so that it is at most a `part`th of what any of its
    /// budgets has left, with all others a 32nd, and a quarter of what is lent of it and free; or none, where others take them
    /// first. What other nodes use is not known here.
    pub fn prelog(&self, requests: u64, divisor: u64, now: Mono) -> PreloggedCredits {
        let mut prelogged = PreloggedCredits { counters: self.limited(Measure::Credits).collect(), credits: 0 };
        let may_take = |(counter, limit): &(Arc<BudgetCounter>, u64)| {
            let left = limit.saturating_sub(counter.used_by_requests());
            let of_all = (left / LEFT_DIVISOR).saturating_sub(counter.prelogged());
            left.checked_div(divisor).unwrap_or(0).min(of_all).min(counter.free() / LEASED_DIVISOR)
        };
        let Some(credits) = prelogged.counters.iter().map(may_take).min() else { return prelogged };
        let cost = self.charge().credits;
        let requests = credits.checked_div(cost).unwrap_or(0).min(requests);
        prelogged.take_more(requests.saturating_mul(cost), now);
        prelogged
    }
}

impl PreloggedCredits {
    /// How many there are.
    #[must_use]
    pub const fn credits(&self) -> u64 {
        self.credits
    }

    /// Whether others will be refused for want of it: of one of its budgets less is free than is spare.
    #[must_use]
    pub fn is_needed_by_others(&self) -> bool {
        let is_needed_by_others = |(counter, limit): &(Arc<BudgetCounter>, u64)| {
            let free = counter.free().min(limit.saturating_sub(counter.used()));
            free < counter.prelogged()
        };
        self.credits > 0 && self.counters.iter().any(is_needed_by_others)
    }

    /// All of it; what is left takes of the same budgets.
    pub fn split(&mut self) -> Self {
        Self { counters: self.counters.clone(), credits: std::mem::take(&mut self.credits) }
    }

    /// Takes more of all its budgets, or of none; says whether it did.
    pub fn take_more(&mut self, credits: u64, now: Mono) -> bool {
        for (nth, (counter, limit)) in self.counters.iter().enumerate() {
            if counter.take_prelogged(credits, *limit, now).is_err() {
                self.counters.iter().take(nth).for_each(|(counter, _)| counter.release_prelogged(credits));
                return false;
            }
        }
        self.credits += credits;
        true
    }

    /// Never gives them back: somebody else counts them.
    pub fn forget(mut self) {
        self.credits = 0;
    }

    /// Gives some back: a request that has reserved them itself is written ahead with these.
    pub fn release(&mut self, credits: u64) {
        let credits = credits.min(self.credits);
        self.credits -= credits;
        self.counters.iter().for_each(|(counter, _)| counter.release_prelogged(credits));
    }
}

impl Drop for PreloggedCredits {
    fn drop(&mut self) {
        self.release(self.credits);
    }
}

#[cfg(test)]
mod tests;
