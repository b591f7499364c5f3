//! Reservations: the amounts that a request may use, from admission until they are settled.
//!
//! Dropping a [`Reservation`] releases it. When the first byte is sent to an upstream it becomes a
//! [`CommittedRequest`]: dropping that one counts the reserved amount as used. Both belong to the periods and leases
//! that they were taken from.

use std::sync::Arc;

use access::{Amount, Day, Timestamp};
use smallvec::SmallVec;

use crate::budgets::budget::{BudgetId, BudgetScope, Charge, LimitPeriod, Measure};
use crate::budgets::counter::{BudgetCounter, CounterReservation};
use crate::budgets::period::Period;
use crate::limits::{BucketKind, Limits, RATES_MAX};
use crate::rate::{Rate, RateLevel};

/// Number of budgets that need no allocation.
const INLINE: usize = 6;

pub(crate) type CounterReservations = SmallVec<[CounterReservation; INLINE]>;

/// The amounts that a request may use at most. Dropping it releases them.
#[derive(Debug)]
#[must_use = "dropping the reservation releases it"]
pub struct Reservation {
    /// Boxed, because a reservation moves with its request. `None` on a route without authentication.
    reserved_charge: Option<Box<ReservedCharge>>,
    info: AdmissionInfo,
}

/// The amounts of a request whose first byte was sent to an upstream.
#[derive(Debug)]
#[must_use = "a committed request must be settled"]
pub struct CommittedRequest {
    /// `None` on a route without authentication, and after settling.
    reserved_charge: Option<Box<ReservedCharge>>,
    day: Day,
    reserved: Charge,
}

#[derive(Debug)]
pub(crate) struct ReservedCharge {
    pub(crate) limits: Arc<Limits>,
    pub(crate) charge: Charge,
    /// The buckets that count the request, in the order of the rates of its limits.
    pub(crate) rates: [Option<CountedRate>; RATES_MAX],
    /// One per budget of the limits, in the same order.
    pub(crate) counter_reservations: CounterReservations,
}

/// A bucket that counts a request, with the rate at which it was counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountedRate {
    pub(crate) rate: Rate,
    pub(crate) bucket: BucketKind,
}

/// Limits that the response reports to the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdmissionInfo {
    /// The state of the rate limit with the fewest requests left, if there is one.
    pub rate: Option<RateLevel>,
}

/// The amount that is reserved of one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservedPart {
    /// The id of the budget.
    pub budget: BudgetId,
    /// The period in which it counts.
    pub period: Period,
    /// The amount that is reserved.
    pub amount: Amount,
}

/// Uncounts a request that was not sent.
pub(crate) fn give_back(limits: &Limits, counted: &[Option<CountedRate>; RATES_MAX]) {
    for (owned, counted) in limits.rates.iter().zip(counted) {
        if let Some(CountedRate { rate, bucket }) = *counted {
            owned.give_back(rate, bucket);
        }
    }
}

impl ReservedCharge {
    /// Releases all amounts, of which nothing was used, and uncounts the request in its rates.
    pub(crate) fn release(&self) {
        give_back(&self.limits, &self.rates);
        for reservation in &self.counter_reservations {
            reservation.release();
        }
    }

    fn settle(&self, actual: &Charge) {
        let mut overrun = Charge::default();
        for (budget, reservation) in self.limits.budgets.iter().zip(&self.counter_reservations) {
            let measure = budget.id.measure;
            let used = actual.counted_by(budget.id);
            if reservation.settle(used) && budget.limit.is_some() {
                overrun = overrun.with(measure, used.saturating_sub(reservation.amount));
            }
        }
        if overrun != Charge::default() {
            self.limits.stats.overrun(&overrun);
        }
    }

    /// Returns the windows of the user or the subject in which the request counts, each once.
    fn windows(&self) -> Vec<Period> {
        let mut windows = Vec::new();
        // A free request counts in none.
        if !self.limits.has_windows || self.charge == Charge::default() {
            return windows;
        }
        for (budget, reservation) in self.limits.budgets.iter().zip(&self.counter_reservations) {
            let period = reservation.counter.period();
            let is_window = budget.is_owners() && reservation.counts && period.per().window().is_some();
            if is_window && !windows.contains(&period) {
                windows.push(period);
            }
        }
        windows
    }

    fn parts(&self) -> impl Iterator<Item = ReservedPart> {
        self.limits.budgets.iter().zip(&self.counter_reservations).map(|(budget, reservation)| ReservedPart {
            budget: budget.id,
            period: reservation.counter.period(),
            amount: reservation.amount,
        })
    }
}

impl Reservation {
    pub(crate) fn new(reserved_charge: ReservedCharge, info: AdmissionInfo) -> Self {
        reserved_charge.limits.stats.reserve(&reserved_charge.charge);
        Self { reserved_charge: Some(Box::new(reserved_charge)), info }
    }

    /// Returns an empty reservation for a route without authentication.
    pub const fn open() -> Self {
        Self { reserved_charge: None, info: AdmissionInfo { rate: None } }
    }

    /// Returns the reserved amounts.
    #[must_use]
    pub fn charge(&self) -> Charge {
        self.reserved_charge.as_ref().map(|reserved| reserved.charge).unwrap_or_default()
    }

    /// Returns whether a budget limits a measure of the request.
    #[must_use]
    pub fn limits(&self, measure: Measure) -> bool {
        self.reserved_charge.as_ref().is_some_and(|reserved| reserved.limits.limits(measure))
    }

    /// Returns the counters of the budgets that limit a measure, with their limits.
    pub(crate) fn limited(&self, measure: Measure) -> impl Iterator<Item = (Arc<BudgetCounter>, Amount)> {
        let parts = self
            .reserved_charge
            .iter()
            .flat_map(|reserved| reserved.limits.budgets.iter().zip(&reserved.counter_reservations));
        parts
            .filter(move |(budget, _)| budget.id.measure == measure)
            .filter_map(|(budget, reservation)| Some((reservation.counter.clone(), budget.limit?)))
    }

    /// Returns the limits that the response reports.
    #[must_use]
    pub const fn info(&self) -> AdmissionInfo {
        self.info
    }

    /// Returns the amount that is reserved of each budget.
    pub fn parts(&self) -> impl Iterator<Item = ReservedPart> {
        self.reserved_charge.iter().flat_map(|reserved| reserved.parts())
    }

    /// Returns the day on which the request counts: the day of the credits of its user or subject, or of `at` on a route
    /// without authentication.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Day {
        let is_of_owner = |part: &ReservedPart| {
            part.period.per() == LimitPeriod::Day
                && matches!(part.budget.scope, BudgetScope::User(_) | BudgetScope::Subject(_))
        };
        self.parts().find(is_of_owner).map_or_else(|| at.day(), |part| part.period.first())
    }

    /// Returns whether the request counts in a window of its user or subject.
    #[must_use]
    pub fn has_windows(&self) -> bool {
        self.reserved_charge.as_ref().is_some_and(|reserved| reserved.limits.has_windows)
    }

    /// Returns the windows of the user or the subject in which the request counts, each once.
    #[must_use]
    pub fn windows(&self) -> Vec<Period> {
        self.reserved_charge.as_ref().map(|reserved| reserved.windows()).unwrap_or_default()
    }

    /// Drops the reservation without releasing it, because another record counts it.
    pub fn forget(mut self) {
        self.reserved_charge = None;
    }

    /// Commits the request: its first byte was sent to an upstream, and it counts from now on. For `at`, see
    /// [`Reservation::day`].
    pub fn commit(mut self, at: Timestamp) -> CommittedRequest {
        let day = self.day(at);
        let reserved_charge = self.reserved_charge.take();
        CommittedRequest {
            day,
            reserved: reserved_charge.as_ref().map(|reserved| reserved.charge).unwrap_or_default(),
            reserved_charge,
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(reserved_charge) = self.reserved_charge.take() {
            reserved_charge.release();
            reserved_charge.limits.stats.release(&reserved_charge.charge);
        }
    }
}

impl CommittedRequest {
    /// Returns the day on which the request counts.
    #[must_use]
    pub const fn day(&self) -> Day {
        self.day
    }

    /// Returns the reserved amounts.
    #[must_use]
    pub const fn reserved(&self) -> Charge {
        self.reserved
    }

    /// Returns the amount that is reserved of each budget, which counts after a crash.
    pub fn parts(&self) -> impl Iterator<Item = ReservedPart> {
        self.reserved_charge.iter().flat_map(|reserved| reserved.parts())
    }

    /// Returns whether the request counts in a window of its user or subject.
    #[must_use]
    pub fn has_windows(&self) -> bool {
        self.reserved_charge.as_ref().is_some_and(|reserved| reserved.limits.has_windows)
    }

    /// Returns the windows of the user or the subject in which the request counts, each once.
    #[must_use]
    pub fn windows(&self) -> Vec<Period> {
        self.reserved_charge.as_ref().map(|reserved| reserved.windows()).unwrap_or_default()
    }

    /// Returns whether a budget of tokens or money limits the request, or one of credits if its credits depend on its use.
    #[must_use]
    pub fn limits_use(&self, has_credits_by_use: bool) -> bool {
        let budgets = self.reserved_charge.iter().flat_map(|reserved| &reserved.limits.budgets);
        budgets
            .filter(|budget| budget.limit.is_some())
            .any(|budget| has_credits_by_use || budget.id.measure != Measure::Credits)
    }

    /// Returns whether `seen`, the usage so far, exceeds the reserved amount of any measure that a budget limits.
    #[must_use]
    pub fn exceeds(&self, seen: &Charge) -> bool {
        let budgets = self
            .reserved_charge
            .iter()
            .flat_map(|reserved| reserved.limits.budgets.iter().zip(&reserved.counter_reservations));
        budgets
            .filter(|(budget, _)| budget.limit.is_some())
            .any(|(budget, reservation)| seen.counted_by(budget.id) > reservation.amount)
    }

    /// Counts the part of the following settlement that was reserved and not reported.
    pub fn note_estimated(&self, estimated: &Charge) {
        if let Some(reserved_charge) = &self.reserved_charge
            && *estimated != Charge::default()
        {
            reserved_charge.limits.stats.count_estimated(estimated);
        }
    }

    /// Settles the request with its reserved amounts, which are recorded.
    pub fn settle_as_reserved(self) {
        let reserved = self.reserved;
        self.settle(&reserved);
    }

    /// Settles the request with `actual`, which is recorded. The rest is released; a larger amount is counted in full.
    pub fn settle(mut self, actual: &Charge) {
        if let Some(reserved_charge) = self.reserved_charge.take() {
            reserved_charge.settle(actual);
            reserved_charge.limits.stats.settle(&reserved_charge.charge, actual);
        }
    }
}

impl Drop for CommittedRequest {
    fn drop(&mut self) {
        if let Some(reserved_charge) = self.reserved_charge.take() {
            reserved_charge.settle(&self.reserved);
            reserved_charge.limits.stats.drop_unsettled(&reserved_charge.charge);
        }
    }
}
