//! What a request may use, taken in advance, and what it did use.
//!
//! A [`Reservation`] that is dropped gives everything back. When the first byte has gone to an upstream it becomes
//! [`CommittedRequest`], which is never uncounted: dropped unsettled, what was reserved counts as used. Both are pinned to the
//! periods and leases that they were taken from.

use std::sync::Arc;

use access::{Day, Timestamp};
use smallvec::SmallVec;

use crate::budget::{BudgetId, Charge, Measure, Per, Period, Subject};
use crate::counter::{BudgetCounter, CounterReservation};
use crate::limits::{BucketKind, Limits};
use crate::rate::{Rate, RateLevel};

/// So many budgets are held without an allocation.
const INLINE: usize = 6;

pub(crate) type CounterReservations = SmallVec<[CounterReservation; INLINE]>;

/// What a request may use, taken in advance. Dropped, it gives everything back.
#[derive(Debug)]
#[must_use = "a reservation that is dropped is given back"]
pub struct Reservation {
    reserved_charge: Option<ReservedCharge>,
    rate: Option<(Rate, BucketKind)>,
    info: AdmissionInfo,
}

/// What a request has used: its first byte went out.
#[derive(Debug)]
#[must_use = "what was sent must be settled"]
pub struct CommittedRequest {
    /// `None` on an open route, which no limit knows, and after it is settled.
    reserved_charge: Option<ReservedCharge>,
    day: Day,
    reserved: Charge,
}

#[derive(Debug)]
pub(crate) struct ReservedCharge {
    pub(crate) limits: Arc<Limits>,
    pub(crate) charge: Charge,
    /// One for each budget of the limits, in their order.
    pub(crate) counter_reservations: CounterReservations,
}

/// Where a caller stands after being let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdmissionInfo {
    /// The rate limit, where there is one.
    pub rate: Option<RateLevel>,
}

/// What is held of one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservedPart {
    /// Which budget.
    pub budget: BudgetId,
    /// In which period it counts.
    pub period: Period,
    /// How much.
    pub amount: u64,
}

impl ReservedCharge {
    /// Everything goes back; nothing of it was used.
    pub(crate) fn release(&self) {
        for reservation in &self.counter_reservations {
            reservation.release();
        }
    }

    fn settle(&self, actual: &Charge) {
        let mut overrun = Charge::default();
        for (budget, reservation) in self.limits.budgets.iter().zip(&self.counter_reservations) {
            let measure = budget.id.measure;
            let used = actual.of(measure);
            if reservation.settle(used) && budget.limit.is_some() {
                overrun = overrun.with(measure, used.saturating_sub(reservation.amount));
            }
        }
        if overrun != Charge::default() {
            self.limits.stats.overrun(&overrun);
        }
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
    pub(crate) fn new(reserved_charge: ReservedCharge, rate: Option<(Rate, BucketKind)>, info: AdmissionInfo) -> Self {
        reserved_charge.limits.stats.reserve(&reserved_charge.charge);
        Self { reserved_charge: Some(reserved_charge), rate, info }
    }

    /// A reservation on an open route: nothing is held.
    pub const fn open() -> Self {
        Self { reserved_charge: None, rate: None, info: AdmissionInfo { rate: None } }
    }

    pub(crate) fn charge(&self) -> Charge {
        self.reserved_charge.as_ref().map(|reserved| reserved.charge).unwrap_or_default()
    }

    /// The cells of what limits it in a measure, each with the limit.
    pub(crate) fn limited(&self, measure: Measure) -> impl Iterator<Item = (Arc<BudgetCounter>, u64)> {
        let parts = self
            .reserved_charge
            .iter()
            .flat_map(|reserved| reserved.limits.budgets.iter().zip(&reserved.counter_reservations));
        parts
            .filter(move |(budget, _)| budget.id.measure == measure)
            .filter_map(|(budget, reservation)| Some((reservation.counter.clone(), budget.limit?)))
    }

    /// Where the caller stands.
    #[must_use]
    pub const fn info(&self) -> AdmissionInfo {
        self.info
    }

    /// What is held of each budget.
    pub fn parts(&self) -> impl Iterator<Item = ReservedPart> {
        self.reserved_charge.iter().flat_map(ReservedCharge::parts)
    }

    /// The day on which it counts, which is that of its user's credits; `at` names that of an open route.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Day {
        let of_user =
            |part: &ReservedPart| part.period.per() == Per::Day && matches!(part.budget.subject, Subject::User(_));
        self.parts().find(of_user).map_or_else(|| at.day(), |part| part.period.first())
    }

    /// Never gives anything back: somebody else counts it.
    pub fn forget(mut self) {
        self.reserved_charge = None;
    }

    /// The first byte went to an upstream: from here on the request counts. `at` is as in [`Reservation::day`].
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
            if let Some((rate, bucket)) = self.rate {
                reserved_charge.limits.bucket(bucket).give_back(rate);
            }
            reserved_charge.limits.stats.release(&reserved_charge.charge);
        }
    }
}

impl CommittedRequest {
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
    pub fn parts(&self) -> impl Iterator<Item = ReservedPart> {
        self.reserved_charge.iter().flat_map(ReservedCharge::parts)
    }

    /// Whether a limit holds what it uses beside its credits.
    #[must_use]
    pub fn limits_use(&self) -> bool {
        let budgets = self.reserved_charge.iter().flat_map(|reserved| &reserved.limits.budgets);
        budgets.filter(|budget| budget.limit.is_some()).any(|budget| budget.id.measure != Measure::Credits)
    }

    /// Whether a request that has used `seen` by now has used up what it reserved of anything that limits it.
    #[must_use]
    pub fn exceeds(&self, seen: &Charge) -> bool {
        let budgets = self
            .reserved_charge
            .iter()
            .flat_map(|reserved| reserved.limits.budgets.iter().zip(&reserved.counter_reservations));
        budgets
            .filter(|(budget, _)| budget.limit.is_some())
            .any(|(budget, reservation)| seen.of(budget.id.measure) > reservation.amount)
    }

    /// Notes how much of what it is about to be settled with nobody said, but was reserved for it.
    pub fn note_estimated(&self, estimated: &Charge) {
        if let Some(reserved_charge) = &self.reserved_charge
            && *estimated != Charge::default()
        {
            reserved_charge.limits.stats.count_estimated(estimated);
        }
    }

    /// It has used what was reserved, and that is recorded.
    pub fn settle_as_reserved(self) {
        let reserved = self.reserved;
        self.settle(&reserved);
    }

    /// It has used `actual`, all of which is recorded. The rest goes back; what is more is counted as well.
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
