//! One admission over every limit that applies to a caller: all or nothing.
//!
//! The rate comes first, then the budgets in the order of their ids: the likeliest to refuse come first, and as everybody
//! takes in one order, of two that race for the last of several budgets one gets all.

use std::sync::Arc;

use access::{Day, Mono, Timestamp};

use crate::budget::{BudgetId, Charge, Measure, Per, Period, Subject};
use crate::counter::{BudgetCounter, CounterReservation, RefusalCause};
use crate::lease::CounterId;
use crate::limits::{Budget, Limits, RateOwner, Terms};
use crate::rate::RateExceeded;
use crate::reservation::{AdmissionInfo, CounterReservations, Reservation, ReservedCharge};
use crate::stats::ReservationStats;
use crate::subject_counters::{Authority, CounterRegistry};

/// Every subject's buckets and budgets, shared by all workers of the process.
#[derive(Debug, Default)]
pub struct Meter {
    counters: CounterRegistry,
    authority: Authority,
    stats: ReservationStats,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionRequest<'a> {
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
pub enum AdmissionRefusal {
    /// Requests per minute.
    Rate(RateExceeded, RateOwner),
    /// A quota or budget.
    Budget(BudgetExceeded),
}

/// A budget does not hold what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetExceeded {
    /// Which budget.
    pub budget: BudgetId,
    /// In which period.
    pub period: Period,
    /// How much it holds.
    pub limit: u64,
    /// What is used of it here, reservations included.
    pub used: u64,
    /// What was asked for.
    pub requested: u64,
    /// Whether the limit itself refused, or a lease of which more may be had.
    pub by: RefusalCause,
}

/// A budget of which less is lent here than a request needs.
#[derive(Debug, Clone)]
pub struct LeaseShortfall {
    /// Which budget, in which period.
    pub id: CounterId,
    /// Its cell.
    pub counter: Arc<BudgetCounter>,
    /// What the request needs.
    pub amount: u64,
}

impl AdmissionRequest<'_> {
    /// Every budget that would refuse this request for want of a lease: it waits for all of them at once.
    #[must_use]
    pub fn shortfalls(&self) -> Vec<LeaseShortfall> {
        let charge = self.charge.unwrap_or_default();
        let shortfall = |(budget, counter): (&Budget, Arc<BudgetCounter>)| {
            let (amount, id) =
                (charge.of(budget.id.measure), CounterId { budget: budget.id, period: counter.period() });
            let is_short =
                budget.limit.is_some() && amount > 0 && (counter.free() < amount || self.now >= counter.deadline());
            is_short.then_some(LeaseShortfall { id, counter, amount })
        };
        self.limits.counters(not_before_user(self)).filter_map(shortfall).collect()
    }
}

impl BudgetExceeded {
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
        Self { authority: Authority::Leased, ..Self::default() }
    }

    /// Whether it counts this node's part alone.
    #[must_use]
    pub fn is_leased(&self) -> bool {
        self.authority == Authority::Leased
    }

    /// What a caller of these terms is held to: to be asked once for a principal, not for a request.
    #[must_use]
    pub fn limits(&self, terms: &Terms<'_>) -> Arc<Limits> {
        Arc::new(Limits::new(terms, &self.counters, self.authority, self.stats.slice()))
    }

    /// Takes one request of the rate and its charge of every budget, or nothing.
    ///
    /// # Errors
    /// [`AdmissionRefusal`] names the limit, what is left of it, and when it resets.
    pub fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Reservation, AdmissionRefusal> {
        let limits = request.limits;
        let rate = limits.rate(request.charge.is_none());
        let level = match rate {
            Some((rate, bucket, of)) => {
                Some(limits.bucket(bucket).take(rate, request.now).map_err(|empty| AdmissionRefusal::Rate(empty, of))?)
            }
            None => None,
        };
        let rate = rate.map(|(rate, bucket, _)| (rate, bucket));
        match take(request) {
            Ok(reserved_charge) => Ok(Reservation::new(reserved_charge, rate, AdmissionInfo { rate: level })),
            Err(exceeded) => {
                if let Some((rate, bucket)) = rate {
                    limits.bucket(bucket).give_back(rate);
                }
                Err(AdmissionRefusal::Budget(exceeded))
            }
        }
    }

    /// The newest cell of a budget, where anything was counted in it since the process began.
    #[must_use]
    pub fn counter(&self, budget: BudgetId) -> Option<Arc<BudgetCounter>> {
        let subject = match budget.subject {
            Subject::Key(no) => self.counters.keys.find(no)?,
            Subject::User(no) => self.counters.users.find(no)?,
            Subject::Plan(id) => self.counters.plans.find(id)?,
            Subject::Global => self.counters.global.clone(),
        };
        subject.newest(budget.measure, budget.per)
    }

    /// What is used of a budget in the period of `day`, with what is reserved for requests that came.
    #[must_use]
    pub fn used(&self, budget: BudgetId, day: Day) -> u64 {
        let period = Period::of(budget.per, day);
        self.counter(budget)
            .filter(|counter| counter.period() == period)
            .map_or(0, |counter| counter.used_by_requests())
    }

    /// Begins to count a budget of which `spent` was spent in the period of `day` before; one that is counted since that period
    /// or a later one goes on.
    pub fn begin(&self, budget: BudgetId, day: Day, spent: u64) {
        let subject = match budget.subject {
            Subject::Key(no) => self.counters.keys.get(no),
            Subject::User(no) => self.counters.users.get(no),
            Subject::Plan(id) => self.counters.plans.get(id),
            Subject::Global => self.counters.global.clone(),
        };
        subject.begin((budget.measure, budget.per), day, (self.authority, spent));
    }

    /// How many reservations were taken, how they ended, and of how much.
    #[must_use]
    pub const fn stats(&self) -> &ReservationStats {
        &self.stats
    }

    /// Forgets who has nothing that counts for `today` or later; to be called now and then, off the workers.
    pub fn sweep(&self, today: Day) {
        self.counters.sweep(today);
    }
}

/// Takes the charge of all budgets, or of none.
fn take(request: &AdmissionRequest<'_>) -> Result<ReservedCharge, BudgetExceeded> {
    let charge = request.charge.unwrap_or_default();
    let mut reserved_charge =
        ReservedCharge { limits: request.limits.clone(), charge, counter_reservations: CounterReservations::new() };
    for (budget, counter) in request.limits.counters(not_before_user(request)) {
        let counts = budget.limit.is_some() || request.limits.authority == Authority::Standalone;
        let amount = if counts { charge.of(budget.id.measure) } else { 0 };
        if counts && let Err(shortfall) = counter.take(amount, budget.limit, request.now) {
            reserved_charge.release();
            return Err(BudgetExceeded {
                budget: budget.id,
                period: counter.period(),
                limit: budget.limit.unwrap_or(u64::MAX),
                used: shortfall.used,
                requested: amount,
                by: shortfall.by,
            });
        }
        reserved_charge.counter_reservations.push(CounterReservation { counter, amount, counts });
    }
    Ok(reserved_charge)
}

/// The wall clock, but not before the day that another worker's clock has begun for this user: at midnight a key and its
/// user count on one day.
fn not_before_user(request: &AdmissionRequest<'_>) -> Timestamp {
    let of_user = request.limits.budgets.iter().find(|budget| matches!(budget.id.subject, Subject::User(_)));
    let newest = of_user.and_then(|budget| budget.subject_counters.newest(Measure::Credits, Per::Day));
    newest.map_or(request.at, |counter| request.at.max(counter.period().first().start()))
}

#[cfg(test)]
mod tests;
