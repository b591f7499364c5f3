//! Admission of a request under every limit that applies to its client: it takes from all limits or from none.
//!
//! The rates are checked first, then the budgets in the order of their ids, so that the limits that refuse most often
//! come first. Because all requests use this order, one of two requests that compete for the last units of several
//! budgets is admitted.

pub mod refused_limit;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use access::{Amount, Day, Mono, SubjectId, Timestamp};

use crate::budgets::budget::{BudgetId, BudgetScope, Charge, LimitPeriod, Measure};
use crate::budgets::counter::{BudgetCounter, CounterReservation, RefusalCause};
use crate::budgets::period::Period;
use crate::lease::CounterId;
pub use crate::lease::LeaseShortfall;
use crate::limiter::LimitRegistry;
use crate::limits::{self, Budget, Limits, OwnedRate, RATES_MAX, RateOwner, SubjectTerms, Terms};
use crate::rate::{RateExceeded, RateLevel};
use crate::reservation::{AdmissionInfo, CountedRate, CounterReservations, Reservation, ReservedCharge, give_back};
use crate::scope_counters::{Authority, BudgetKind, CounterRegistry, NewCounter};
use crate::stats::ReservationStats;

/// Maximum number of subjects without a user that have counters in one process. Their counters are removed when their
/// periods have ended for two days. One with a daily quota needs less than 1 KiB.
pub const SUBJECTS_MAX: usize = 1_000_000;

/// The rate buckets and budget counters of all scopes, shared by all workers of the process.
#[derive(Debug, Default)]
pub struct Meter {
    counters: CounterRegistry,
    authority: Authority,
    stats: ReservationStats,
    rules: LimitRegistry,
}

/// The arguments of one admission.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionRequest<'a> {
    /// The limits of the client.
    pub limits: &'a Arc<Limits>,
    /// The maximum that the request may use; `None` for a free request, which only has a rate limit.
    pub charge: Option<Charge>,
    /// The wall-clock time, which selects the periods.
    pub at: Timestamp,
    /// The monotonic time, for the rate limit and for leases.
    pub now: Mono,
    /// The place where the rate limits count the request.
    pub rate: RateSource,
}

/// The place where the rate limits of a plan and a key count a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RateSource {
    /// The buckets of this process, with the whole limits.
    #[default]
    Here,
    /// Nowhere: the request is counted already, and reserves more.
    Counted,
    /// The buckets of this process, with the share of one of these nodes.
    Nodes {
        /// The number of nodes.
        nodes: NonZeroU32,
        /// The rates that granted the request to this node: their buckets count it without refusing it.
        granted: GrantedLevels,
    },
}

/// The levels of the rates that granted a request to this node, after the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GrantedLevels {
    /// The level of the key's own rate.
    pub key: Option<RateLevel>,
    /// The level of the rate of the user's plan.
    pub user: Option<RateLevel>,
}

/// A limit refused the request; nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionRefusal {
    /// The rate limit refused the request.
    Rate(RateExceeded, RateOwner),
    /// A quota or budget refused the request.
    Budget(BudgetExceeded),
}

/// A budget does not contain the requested amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetExceeded {
    /// The id of the budget.
    pub budget: BudgetId,
    /// The period of the budget.
    pub period: Period,
    /// The limit of the budget.
    pub limit: Amount,
    /// The used and reserved amounts, as this process knows them.
    pub used: Amount,
    /// The amount that was requested.
    pub requested: Amount,
    /// Whether the limit refused the request, or a lease that may be extended.
    pub by: RefusalCause,
}

impl AdmissionRequest<'_> {
    /// Returns every budget that would refuse the request because too little of it is leased. The request waits for all
    /// of them together.
    #[must_use]
    pub fn shortfalls(&self) -> Vec<LeaseShortfall> {
        let charge = self.charge.unwrap_or_default();
        let shortfall = |(budget, counter): (&Budget, Arc<BudgetCounter>)| {
            let amount = charge.counted_by(budget.id);
            let id = CounterId { budget: budget.id, period: counter.period() };
            let is_short = budget.limit.is_some()
                && !amount.is_zero()
                && (counter.free() < amount || self.now >= counter.deadline());
            is_short.then_some(LeaseShortfall { id, counter, amount })
        };
        self.limits.counters(&charge, not_before_owner(self)).filter_map(shortfall).collect()
    }
}

impl BudgetExceeded {
    /// Returns the amount that is left.
    #[must_use]
    pub const fn left(&self) -> Amount {
        self.limit.saturating_sub(self.used)
    }

    /// Returns the time at which the budget resets.
    #[must_use]
    pub fn resets_at(&self) -> Timestamp {
        self.period.end()
    }
}

impl Meter {
    /// Returns a meter whose budgets contain only leased amounts. Usage is not counted against budgets without a limit,
    /// so that a limit that is added later begins with an unused lease.
    #[must_use]
    pub fn leased() -> Self {
        Self { authority: Authority::Leased, ..Self::default() }
    }

    /// Returns whether the meter counts only the part of this node.
    #[must_use]
    pub fn is_leased(&self) -> bool {
        self.authority == Authority::Leased
    }

    /// Returns the limits of a key and its user. Call it once per principal, not per request.
    #[must_use]
    pub fn limits(&self, terms: &Terms<'_>) -> Arc<Limits> {
        Arc::new(Limits::new(terms, &self.counters, self.authority, self.stats.slice()))
    }

    /// Returns the limits of a subject without a user; `None` if it is new and there are [`SUBJECTS_MAX`] others. Call it
    /// once per subject, not per request.
    #[must_use]
    pub fn limits_of_subject(&self, terms: &SubjectTerms<'_>) -> Option<Arc<Limits>> {
        let limits = || Limits::of_subject(terms, &self.counters, self.authority, self.stats.slice());
        self.has_room_for(terms.subject).then(|| Arc::new(limits()))
    }

    /// Returns whether the subject has counters, or may get them.
    #[must_use]
    pub fn has_room_for(&self, subject: SubjectId) -> bool {
        self.counters.subjects.find(subject).is_some() || self.counters.subjects.len() < SUBJECTS_MAX
    }

    /// Returns whether each budget of the subject has a counter of the period that contains `day`, or of a later one.
    #[must_use]
    pub fn has_begun(&self, terms: &SubjectTerms<'_>, day: Day) -> bool {
        // A window that opens with the first use opens here, once its counter exists.
        let is_current = |id: BudgetId| {
            self.counter(id).is_some_and(|counter| {
                id.per.window().is_some_and(access::BudgetWindow::opens_with_use)
                    || counter.period().end() > day.start()
            })
        };
        terms.budget_ids().into_iter().all(is_current)
    }

    /// Returns the counters of all scopes.
    pub(crate) const fn counters(&self) -> &CounterRegistry {
        &self.counters
    }

    /// Returns the counters of the rate limits of the configuration.
    #[must_use]
    pub const fn rules(&self) -> &LimitRegistry {
        &self.rules
    }

    /// Takes one request from every rate limit and the charge from every budget, or nothing.
    ///
    /// # Errors
    /// [`AdmissionRefusal`] contains the limit, the amount that is left, and the reset time.
    pub fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Reservation, AdmissionRefusal> {
        let CountedRates { counted, level } = take_rates(request)?;
        match take(request, counted) {
            Ok(reserved_charge) => Ok(Reservation::new(reserved_charge, AdmissionInfo { rate: level })),
            Err(exceeded) => Err(AdmissionRefusal::Budget(exceeded)),
        }
    }

    /// Returns the newest counter of a budget, if one was used since the process began.
    #[must_use]
    pub fn counter(&self, budget: BudgetId) -> Option<Arc<BudgetCounter>> {
        self.counters.find(budget.scope)?.newest(BudgetKind { measure: budget.measure, per: budget.per })
    }

    /// Returns the state of `requests_per_minute` of a key or a user in this process, without counting a request. `limit` is
    /// that of the key, or of the user's plan; free requests have a multiple of it.
    #[must_use]
    pub fn rate_level(&self, owner: BudgetScope, limit: NonZeroU32, is_free: bool, now: Mono) -> RateLevel {
        let (rate, bucket) = limits::rate_of(limit, is_free);
        let counters = self.counters.find(owner);
        let word = counters.map_or(0, |counters| limits::bucket_of(&counters, bucket).word().load(Ordering::Relaxed));
        rate.level(word, now)
    }

    /// Returns the used and reserved amounts of a budget in the period that contains `day`, without pre-logged batches.
    #[must_use]
    pub fn used(&self, budget: BudgetId, day: Day) -> Amount {
        let period = Period::containing(budget.per, day);
        self.counter(budget)
            .filter(|counter| counter.period() == period)
            .map_or(Amount::ZERO, |counter| counter.used_by_requests())
    }

    /// Creates the counter of a budget with `spent` in the period that contains `day`. A counter of this or a later
    /// period is kept.
    pub fn begin(&self, budget: BudgetId, day: Day, spent: Amount) {
        self.begin_period(budget, Period::containing(budget.per, day), spent);
    }

    /// Creates the counter of a budget with `spent` in a period. A counter of this or a later period is kept.
    pub fn begin_period(&self, budget: BudgetId, period: Period, spent: Amount) {
        let new = NewCounter { authority: self.authority, spent };
        self.counters.get(budget.scope).begin(budget.measure, period, new);
    }

    /// Returns the statistics of reservations.
    #[must_use]
    pub const fn stats(&self) -> &ReservationStats {
        &self.stats
    }

    /// Removes scopes whose periods ended before `today`. Call it from time to time on a thread that is not a worker.
    pub fn sweep(&self, today: Day) {
        self.counters.sweep(today);
    }
}

/// The rate limits in which a request counts.
#[derive(Default)]
struct CountedRates {
    /// The buckets that count the request, in the order of the rates of its limits.
    counted: [Option<CountedRate>; RATES_MAX],
    /// The level of the rate with the fewest requests left.
    level: Option<RateLevel>,
}

/// Counts the request in its rate limits, or in none.
fn take_rates(request: &AdmissionRequest<'_>) -> Result<CountedRates, AdmissionRefusal> {
    let mut rates = CountedRates::default();
    if request.rate == RateSource::Counted {
        return Ok(rates);
    }
    for (owned, slot) in request.limits.rates.iter().zip(0..RATES_MAX) {
        match take_rate(request, owned) {
            Ok((counted, level)) => {
                if let Some(place) = rates.counted.get_mut(slot) {
                    *place = counted;
                }
                let least = rates.level.is_none_or(|least| level.remaining < least.remaining);
                rates.level = if least { Some(level) } else { rates.level };
            }
            Err(exceeded) => {
                give_back(request.limits, &rates.counted);
                return Err(AdmissionRefusal::Rate(exceeded, owned.owner));
            }
        }
    }
    Ok(rates)
}

/// Counts the request in one rate limit. Returns no count if the bucket is empty and the request was granted elsewhere.
fn take_rate(
    request: &AdmissionRequest<'_>,
    owned: &OwnedRate,
) -> Result<(Option<CountedRate>, RateLevel), RateExceeded> {
    let (whole, bucket) = owned.of_request(request.charge.is_none());
    let (rate, granted) = match request.rate {
        RateSource::Here | RateSource::Counted => (whole, None),
        RateSource::Nodes { nodes, granted: GrantedLevels { key, user } } => {
            (whole.share(nodes), if owned.owner == RateOwner::Key { key } else { user })
        }
    };
    match (owned.take(rate, bucket, request.now), granted) {
        (Ok(level), granted) => Ok((Some(CountedRate { rate, bucket }), granted.unwrap_or(level))),
        (Err(_), Some(level)) => Ok((None, level)),
        (Err(exceeded), None) => Err(exceeded),
    }
}

/// Takes the charge from all budgets, or from none; then the request is uncounted in its rates too.
fn take(
    request: &AdmissionRequest<'_>,
    rates: [Option<CountedRate>; RATES_MAX],
) -> Result<ReservedCharge, BudgetExceeded> {
    let charge = request.charge.unwrap_or_default();
    let limits = request.limits.clone();
    let counter_reservations = CounterReservations::new();
    let mut reserved_charge = ReservedCharge { limits, charge, rates, counter_reservations };
    for (budget, counter) in request.limits.counters(&charge, not_before_owner(request)) {
        let counts = budget.limit.is_some() || request.limits.authority == Authority::Standalone;
        let amount = if counts { charge.counted_by(budget.id) } else { Amount::ZERO };
        if counts && let Err(shortfall) = counter.take(amount, budget.limit, request.now) {
            reserved_charge.release();
            let exceeded = BudgetExceeded {
                budget: budget.id,
                period: counter.period(),
                limit: budget.limit.unwrap_or(Amount::MAX),
                used: shortfall.used,
                requested: amount,
                by: shortfall.by,
            };
            return Err(last_to_reset(request, &charge, exceeded));
        }
        reserved_charge.counter_reservations.push(CounterReservation { counter, amount, counts });
    }
    Ok(reserved_charge)
}

/// Returns the budget that refuses the request for the longest time, so that a client that waits for its reset is admitted.
fn last_to_reset(request: &AdmissionRequest<'_>, charge: &Charge, exceeded: BudgetExceeded) -> BudgetExceeded {
    let mut last = exceeded;
    if exceeded.by == RefusalCause::Lease {
        return last;
    }
    let at = not_before_owner(request);
    for budget in &request.limits.budgets {
        let Some(limit) = budget.limit else { continue };
        let Some(counter) = budget.current(at) else { continue };
        let requested = charge.counted_by(budget.id);
        let used = counter.used();
        let is_short = !requested.is_zero() && limit.saturating_sub(used) < requested;
        if is_short && counter.period().end() > last.period.end() {
            let period = counter.period();
            last = BudgetExceeded { budget: budget.id, period, limit, used, requested, by: RefusalCause::Limit };
        }
    }
    last
}

/// Returns the wall-clock time, but not before the newest day of the counters of the user or the subject: around
/// midnight, a key and its user count on the same day, although the clocks of workers differ.
fn not_before_owner(request: &AdmissionRequest<'_>) -> Timestamp {
    // The quota of the owner is counted even without a limit.
    let is_quota = |budget: &&Budget| {
        budget.is_owners() && budget.id.measure == Measure::Credits && budget.id.per == LimitPeriod::Day
    };
    let newest = request.limits.budgets.iter().find(is_quota).and_then(Budget::newest);
    newest.map_or(request.at, |counter| request.at.max(counter.period().first().start()))
}

#[cfg(test)]
mod own_credential_tests;
#[cfg(test)]
mod rate_tests;
#[cfg(test)]
mod subject_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod window_tests;
