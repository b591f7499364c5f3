//! Credits that are taken in advance for requests like one that was let in: what a process that dies may leave written ahead is
//! never more than its budgets hold.

use std::sync::Arc;

use access::Mono;
use smallvec::SmallVec;

use crate::budget::Measure;
use crate::cell::Cell;
use crate::reservation::Reservation;

/// So many budgets of credits are held without an allocation.
const INLINE: usize = 3;
/// Of what is lent here and free, at most this part: requests that come need it too.
const PART_OF_LENT: u64 = 4;
/// Of what a budget has left, all that is spare is at most this part: it is refused to others.
const PART_OF_LEFT: u64 = 32;

/// Credits beside a reservation's own, of every budget that limits it. Dropped, they go back.
#[derive(Debug, Default)]
#[must_use = "what is dropped is given back"]
pub struct Spare {
    /// With the limit of each.
    cells: SmallVec<[(Arc<Cell>, u64); INLINE]>,
    credits: u64,
}

impl Reservation {
    /// Takes credits for as many as `requests` more of its kind; for fewer, so that it is at most a `part`th of what any of its
    /// budgets has left, with all others a 32nd, and a quarter of what is lent of it and free; or none, where others take them
    /// first. What other nodes use is not known here.
    pub fn spare(&self, requests: u64, part: u64, now: Mono) -> Spare {
        let mut spare = Spare { cells: self.limited(Measure::Credits).collect(), credits: 0 };
        let may_take = |(cell, most): &(Arc<Cell>, u64)| {
            let left = most.saturating_sub(cell.asked_for());
            let of_all = (left / PART_OF_LEFT).saturating_sub(cell.spare());
            left.checked_div(part).unwrap_or(0).min(of_all).min(cell.free() / PART_OF_LENT)
        };
        let Some(credits) = spare.cells.iter().map(may_take).min() else { return spare };
        let cost = self.charge().credits;
        let requests = credits.checked_div(cost).unwrap_or(0).min(requests);
        spare.take(requests.saturating_mul(cost), now);
        spare
    }
}

impl Spare {
    /// How many there are.
    #[must_use]
    pub const fn credits(&self) -> u64 {
        self.credits
    }

    /// Whether others will be refused for want of it: of one of its budgets less is free than is spare.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        let is_wanted = |(cell, most): &(Arc<Cell>, u64)| {
            let free = cell.free().min(most.saturating_sub(cell.used()));
            free < cell.spare()
        };
        self.credits > 0 && self.cells.iter().any(is_wanted)
    }

    /// All of it; what is left takes of the same budgets.
    pub fn split(&mut self) -> Self {
        Self { cells: self.cells.clone(), credits: std::mem::take(&mut self.credits) }
    }

    /// Takes more of all its budgets, or of none; says whether it did.
    pub fn take(&mut self, credits: u64, now: Mono) -> bool {
        for (nth, (cell, most)) in self.cells.iter().enumerate() {
            if cell.take_spare(credits, *most, now).is_err() {
                self.cells.iter().take(nth).for_each(|(cell, _)| cell.release_spare(credits));
                return false;
            }
        }
        self.credits += credits;
        true
    }

    /// Never gives them back: somebody else counts them.
    pub fn leave(mut self) {
        self.credits = 0;
    }

    /// Gives some back: a request that has reserved them itself is written ahead with these.
    pub fn give_back(&mut self, credits: u64) {
        let credits = credits.min(self.credits);
        self.credits -= credits;
        self.cells.iter().for_each(|(cell, _)| cell.release_spare(credits));
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.give_back(self.credits);
    }
}

#[cfg(test)]
mod tests;
