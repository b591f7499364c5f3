//! The rate limits and the budgets of a key and its user, determined once per principal, and the budgets of a subject
//! without a user.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use access::limits::plan::LongPeriods;
use access::{Amount, Caller, Credits, KeyBounds, Mono, NanoUsd, Plan, QuotaName, SubjectId, Timestamp, Tokens};

use crate::budgets::budget::{BudgetId, BudgetScope, Charge, Measure};
use crate::budgets::counter::{BudgetCounter, CounterRest};
use crate::budgets::period::Period;
use crate::limiter::RequestTerms;
use crate::rate::{Bucket, Rate, RateExceeded, RateLevel};
use crate::scope_counters::{self, Authority, BudgetKind, CounterRegistry, ScopeCounters, Slot};
use crate::stats::StatsSlice;

/// Free requests have their own bucket, with a multiple of the plan's rate (Claude Code sends 14 token counts at once).
const FREE_RATE_FACTOR: NonZeroU32 = match NonZeroU32::new(10) {
    Some(factor) => factor,
    None => NonZeroU32::MIN,
};

/// The sources of a principal's limits.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The key and the user.
    pub caller: Caller,
    /// The limits of the user's plan.
    pub plan: &'a Plan,
    /// The limits of the key, which apply in addition to the plan's.
    pub bounds: &'a KeyBounds,
    /// Further budgets. Of two budgets with one id, the smaller limit applies. Budgets of other users and keys are
    /// ignored.
    pub budgets: &'a [(BudgetId, Amount)],
}

/// The sources of the limits of a subject without a user.
#[derive(Debug, Clone, Copy)]
pub struct SubjectTerms<'a> {
    /// The id of the subject.
    pub subject: SubjectId,
    /// The plan of the subject. Its rate limit is one of the configuration, not of the meter.
    pub plan: &'a Plan,
    /// The periods whose credits are counted even without a limit, because the subject may get another plan, which limits
    /// them.
    pub counts: LongPeriods,
}

/// A budget with its limit; `None` counts usage without limiting it.
type LimitedBudget = (BudgetId, Option<Amount>);

/// The limits of a principal or a subject with their counters, so that a request needs no map and no lock.
///
/// Call [`Meter::limits`](crate::Meter::limits) again after the terms have changed.
#[derive(Debug)]
pub struct Limits {
    /// `requests_per_minute` of the key and of the user's plan: at most one of each owner, the key's first.
    pub(crate) rates: Box<[OwnedRate]>,
    /// Without duplicates, ordered by id; those of windows that open with their first use are last, so that a request that
    /// another budget refuses opens none. At most one for each kind of scope, measure and UTC period, which is 36, and twice
    /// [`WINDOWS_MAX`](access::Budget::WINDOWS_MAX): those of the plan and those of the user.
    pub(crate) budgets: Box<[Budget]>,
    /// Whether a budget of the user or the subject has a window.
    pub(crate) has_windows: bool,
    pub(crate) authority: Authority,
    /// The statistics in which reservations are counted.
    pub(crate) stats: Arc<StatsSlice>,
}

/// A budget that applies to a principal.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) id: BudgetId,
    /// The name in the plan.
    pub(crate) name: Option<QuotaName>,
    /// `None` counts usage without limiting it.
    pub(crate) limit: Option<Amount>,
    scope_counters: Arc<ScopeCounters>,
    /// The counter of a window.
    window: Option<Arc<Slot>>,
}

/// The state of a budget that limits a client, as this process knows it. Leases of other nodes count as used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetLevel {
    /// The id of the budget.
    pub budget: BudgetId,
    /// The name in the plan.
    pub name: Option<QuotaName>,
    /// The current period of the budget.
    pub period: Period,
    /// The limit of the budget.
    pub limit: Amount,
    /// The amount that requests may still reserve.
    pub left: Amount,
    /// The amount that no settled request has used: `left` and the reserved amounts.
    pub unspent: Amount,
}

/// `requests_per_minute` of one owner.
#[derive(Debug)]
pub(crate) struct OwnedRate {
    pub(crate) owner: RateOwner,
    limit: NonZeroU32,
    /// The counters of the key or the user, which contain the buckets of the limit.
    scope_counters: Arc<ScopeCounters>,
}

/// Maximum number of rates that apply to one request: one of each owner.
pub(crate) const RATES_MAX: usize = 2;

/// The owner of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateOwner {
    /// The user, whose plan limits all of their keys together.
    User,
    /// The key of the request.
    Key,
}

/// The buckets of a key or a user.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BucketKind {
    Paid,
    Free,
}

impl Limits {
    pub(crate) fn new(
        terms: &Terms<'_>,
        registry: &CounterRegistry,
        authority: Authority,
        stats: Arc<StatsSlice>,
    ) -> Self {
        let Caller { user, key, plan: of_plan } = terms.caller;
        // The quotas of key and user are counted even without a limit, because the API shows them.
        let mut budgets = vec![
            (BudgetId::credits_a_day(BudgetScope::Key(key)), terms.bounds.credits_per_day.map(Amount::of_credits)),
            (BudgetId::credits_a_day(BudgetScope::User(user)), terms.plan.credits_per_day.map(Amount::of_credits)),
        ];
        budgets.extend(terms.budgets.iter().map(|(id, limit)| (*id, Some(*limit))));
        let scopes = [BudgetScope::Key(key), BudgetScope::User(user), BudgetScope::Plan(of_plan), BudgetScope::Global];
        budgets.extend(scopes.into_iter().flat_map(|scope| without_limit(scope, registry, authority)));
        let mut plan = None;
        budgets.retain(|(id, _)| match id.scope {
            BudgetScope::Key(no) => no == key,
            BudgetScope::User(no) => no == user,
            // A user has one plan: the first one.
            BudgetScope::Plan(id) => *plan.get_or_insert(id) == id,
            BudgetScope::Global => true,
            BudgetScope::Subject(_) => false,
        });
        let rate = |owner, limit: Option<NonZeroU32>, scope| {
            limit.map(|limit| OwnedRate { owner, limit, scope_counters: registry.get(scope) })
        };
        let of_key = rate(RateOwner::Key, terms.bounds.requests_per_minute, BudgetScope::Key(key));
        let of_user = rate(RateOwner::User, terms.plan.requests_per_minute, BudgetScope::User(user));
        let rates = of_key.into_iter().chain(of_user).collect();
        let budgets = with_counters(budgets, terms.plan, registry);
        let has_windows = has_windows(&budgets);
        Self { rates, budgets, has_windows, authority, stats }
    }

    pub(crate) fn of_subject(
        terms: &SubjectTerms<'_>,
        registry: &CounterRegistry,
        authority: Authority,
        stats: Arc<StatsSlice>,
    ) -> Self {
        let counted = without_limit(BudgetScope::Subject(terms.subject), registry, authority);
        let budgets = with_counters(terms.budgets().chain(counted).collect(), terms.plan, registry);
        let has_windows = has_windows(&budgets);
        Self { rates: Box::default(), budgets, has_windows, authority, stats }
    }

    /// Returns the rate limits of a request with their owners.
    pub fn rate_terms(&self, free: bool) -> impl Iterator<Item = (RequestTerms, RateOwner)> {
        self.rates.iter().map(move |owned| (RequestTerms::TokenBucket(rate_of(owned.limit, free).0), owned.owner))
    }

    /// Returns the current counters in the order of the budgets. A request that charges nothing opens no window.
    pub(crate) fn counters(
        &self,
        charge: &Charge,
        at: Timestamp,
    ) -> impl Iterator<Item = (&Budget, Arc<BudgetCounter>)> {
        let is_free = *charge == Charge::default();
        self.budgets.iter().map(move |budget| (budget, budget.counter(is_free, at, self.authority)))
    }

    /// Returns the amount that one request could use at `at`: for each measure the smallest rest of its budgets,
    /// the maximum of its type without a limit. The money of pooled budgets is separate, because calls with the user's own
    /// credential do not use it. Other requests may use it first, and the usage of other nodes is not included.
    #[must_use]
    pub fn left(&self, at: Timestamp) -> Charge {
        let none = Charge { credits: Credits::MAX, tokens: Tokens::MAX, ..Charge::money(NanoUsd::MAX) };
        self.budgets.iter().fold(none, |left, budget| {
            let Some(limit) = budget.limit else { return left };
            let used = budget.current(at).map_or(Amount::ZERO, |counter| counter.used());
            let of_budget = left.counted_by(budget.id).min(limit.saturating_sub(used));
            match budget.id.measure {
                Measure::Money if budget.id.scope.is_pooled() => Charge { pooled_money: of_budget.money(), ..left },
                Measure::Money => Charge { money: of_budget.money(), ..left },
                measure @ (Measure::Credits | Measure::Tokens) => left.with(measure, of_budget),
            }
        })
    }

    /// Returns the state of each budget that limits the client, without those that several users share: their amounts would
    /// reveal the usage of others. Budgets that this node has no lease of are omitted.
    /// No counter begins: only admissions know the time that selects the period.
    pub fn levels(&self, at: Timestamp) -> impl Iterator<Item = BudgetLevel> {
        let own = self.budgets.iter().filter(|budget| !budget.id.scope.is_pooled());
        own.filter_map(move |budget| {
            let id = budget.id;
            let limit = budget.limit?;
            let (period, rest) = match budget.current(at) {
                Some(counter) => (counter.period(), counter.rest(limit)?),
                None if self.authority == Authority::Leased => return None,
                None => (Period::containing(id.per, at), CounterRest { left: limit, unspent: limit }),
            };
            Some(BudgetLevel { budget: id, name: budget.name, period, limit, left: rest.left, unspent: rest.unspent })
        })
    }

    /// Returns the name of a budget in the plan.
    #[must_use]
    pub fn name_of(&self, id: BudgetId) -> Option<QuotaName> {
        self.budgets.iter().find(|budget| budget.id == id)?.name
    }

    /// Returns whether any budget has a limit.
    #[must_use]
    pub fn limits_budgets(&self) -> bool {
        self.budgets.iter().any(|budget| budget.limit.is_some())
    }

    /// Returns whether a budget with this measure has a limit.
    #[must_use]
    pub fn limits(&self, measure: Measure) -> bool {
        self.budgets.iter().any(|budget| budget.limit.is_some() && budget.id.measure == measure)
    }

    /// Returns whether a budget limits the money of a call; pooled budgets do not count one with the user's own credential.
    #[must_use]
    pub fn limits_money(&self, own_credential: bool) -> bool {
        let counts = |id: BudgetId| id.measure == Measure::Money && !(own_credential && id.scope.is_pooled());
        self.budgets.iter().any(|budget| budget.limit.is_some() && counts(budget.id))
    }
}

impl Budget {
    const fn kind(&self) -> BudgetKind {
        BudgetKind { measure: self.id.measure, per: self.id.per }
    }

    /// Returns the counter of the period that contains `at`; of a window that a free request must not open, one that counts
    /// nothing.
    pub(crate) fn counter(&self, is_free: bool, at: Timestamp, authority: Authority) -> Arc<BudgetCounter> {
        let Some(slot) = &self.window else { return self.scope_counters.counter(self.kind(), at, authority) };
        if is_free && self.opens_with_use() {
            let ended = || Arc::new(BudgetCounter::standalone(Period::ended(self.id.per), Amount::ZERO));
            return self.current(at).unwrap_or_else(ended);
        }
        scope_counters::current(slot, self.id.per, at, authority)
    }

    /// Returns the newest counter, if one exists.
    pub(crate) fn newest(&self) -> Option<Arc<BudgetCounter>> {
        match &self.window {
            Some(slot) => slot.load_full(),
            None => self.scope_counters.newest(self.kind()),
        }
    }

    /// Returns the counter of the period that contains `at`, or of a later one, if one exists.
    pub(crate) fn current(&self, at: Timestamp) -> Option<Arc<BudgetCounter>> {
        self.newest().filter(|counter| counter.period().end() > at)
    }

    fn opens_with_use(&self) -> bool {
        self.id.per.window().is_some_and(access::BudgetWindow::opens_with_use)
    }

    /// Returns whether the budget belongs to a user or a subject without a user.
    pub(crate) const fn is_owners(&self) -> bool {
        matches!(self.id.scope, BudgetScope::User(_) | BudgetScope::Subject(_))
    }
}

impl OwnedRate {
    /// Returns the rate of a request, and the bucket that counts it.
    pub(crate) fn of_request(&self, free: bool) -> (Rate, BucketKind) {
        rate_of(self.limit, free)
    }

    /// Counts a request in a bucket.
    pub(crate) fn take(&self, rate: Rate, which: BucketKind, now: Mono) -> Result<RateLevel, RateExceeded> {
        bucket_of(&self.scope_counters, which).take(rate, now)
    }

    /// Undoes one `take` of a request.
    pub(crate) fn give_back(&self, rate: Rate, which: BucketKind) {
        bucket_of(&self.scope_counters, which).give_back(rate);
    }
}

impl<'a> SubjectTerms<'a> {
    /// Returns the budgets of the subject. The quota is counted even without a limit: its day is that of the request.
    fn budgets(&self) -> impl Iterator<Item = LimitedBudget> + use<'a> {
        let scope = BudgetScope::Subject(self.subject);
        let quota = (BudgetId::credits_a_day(scope), self.plan.credits_per_day.map(Amount::of_credits));
        let of_plan = move |budget: &access::Budget| {
            let (id, limit) = budget.id_and_amount(scope);
            (id, Some(limit))
        };
        let counted = self.counts.periods().map(move |per| (BudgetId { scope, measure: Measure::Credits, per }, None));
        std::iter::once(quota).chain(counted).chain(self.plan.budgets.iter().map(of_plan))
    }

    /// Returns the ids of the budgets whose counters the subject needs, in order.
    #[must_use]
    pub fn budget_ids(&self) -> Vec<BudgetId> {
        let ids: BTreeSet<BudgetId> = self.budgets().map(|(id, _)| id).collect();
        ids.into_iter().collect()
    }
}

/// Returns the budgets of a scope that have a counter. The counter of a budget that was removed counts further usage,
/// so that it contains all usage of its period if the budget returns. Leased budgets without a limit are not counted.
fn without_limit(scope: BudgetScope, registry: &CounterRegistry, authority: Authority) -> Vec<LimitedBudget> {
    match authority {
        Authority::Standalone => registry.counted(scope).into_iter().map(|id| (id, None)).collect(),
        Authority::Leased => Vec::new(),
    }
}

/// Returns each budget once, with its counters, in the order of [`Limits::budgets`].
fn with_counters(mut budgets: Vec<LimitedBudget>, plan: &Plan, registry: &CounterRegistry) -> Box<[Budget]> {
    // Of two budgets with one id, the smaller limit comes first; no limit is the largest.
    budgets.sort_by(|(id, limit), (other, than)| id.cmp(other).then(smaller(*limit, *than)));
    budgets.dedup_by_key(|(id, _)| *id);
    let budget = |(id, limit): LimitedBudget| {
        let scope_counters = registry.get(id.scope);
        let window = id.per.window().map(|window| scope_counters.window_slot(id.measure, window));
        let is_of_plan = matches!(id.scope, BudgetScope::User(_) | BudgetScope::Subject(_));
        let name = if is_of_plan { plan.quota_name(id.measure, id.per) } else { None };
        Budget { id, name, limit, scope_counters, window }
    };
    let mut budgets: Box<[Budget]> = budgets.into_iter().map(budget).collect();
    budgets.sort_by_key(Budget::opens_with_use);
    budgets
}

fn has_windows(budgets: &[Budget]) -> bool {
    budgets.iter().any(|budget| budget.window.is_some() && budget.is_owners())
}

/// Returns the rate of a request and its bucket, under a limit of `requests_per_minute`.
pub(crate) fn rate_of(limit: NonZeroU32, free: bool) -> (Rate, BucketKind) {
    if free {
        (Rate::per_minute(limit.saturating_mul(FREE_RATE_FACTOR)), BucketKind::Free)
    } else {
        (Rate::per_minute(limit), BucketKind::Paid)
    }
}

pub(crate) fn bucket_of(counters: &ScopeCounters, which: BucketKind) -> &Bucket {
    match which {
        BucketKind::Paid => &counters.rate,
        BucketKind::Free => &counters.free_rate,
    }
}

fn smaller(limit: Option<Amount>, than: Option<Amount>) -> Ordering {
    (limit.is_none(), limit).cmp(&(than.is_none(), than))
}
