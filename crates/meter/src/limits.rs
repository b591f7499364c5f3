//! What a caller is held to: its rate and its budgets, found once and kept with its principal.

use std::cmp::Ordering;
use std::num::NonZeroU32;
use std::sync::Arc;

use access::{KeyBounds, Plan, Timestamp};

use crate::budget::{BudgetId, Charge, Measure, Subject};
use crate::counter::BudgetCounter;
use crate::event::Caller;
use crate::rate::{Bucket, Rate};
use crate::stats::StatsSlice;
use crate::subject_counters::{Authority, CounterRegistry, SubjectCounters};

/// Calls that cost no quota have a bucket of their own, so many times the plan's rate (Claude Code sends 14 token
/// counts at once).
const FREE_RATE_FACTOR: NonZeroU32 = match NonZeroU32::new(10) {
    Some(factor) => factor,
    None => NonZeroU32::MIN,
};

/// Where a caller's limits stand written.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Who they are.
    pub caller: Caller,
    /// The limits of their plan.
    pub plan: &'a Plan,
    /// The limits of their key; the plan's hold as well.
    pub bounds: &'a KeyBounds,
    /// Budgets beside those of plan and key; of two with one id the smaller holds. Those of other users and keys are
    /// passed over.
    pub budgets: &'a [(BudgetId, u64)],
}

/// A caller's limits, each with the count that it limits: no map and no lock between a request and them.
///
/// Who keeps them must ask [`Meter::limits`](crate::Meter::limits) again when the terms have changed.
#[derive(Debug)]
pub struct Limits {
    pub(crate) rate: Option<(NonZeroU32, RateOwner)>,
    pub(crate) key: Arc<SubjectCounters>,
    /// In the order of their ids, each once: at most one for each kind of subject, measure and period, which is 24.
    pub(crate) budgets: Box<[Budget]>,
    pub(crate) authority: Authority,
    /// Where what becomes of its reservations is counted.
    pub(crate) stats: Arc<StatsSlice>,
}

/// A budget that holds a caller.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) id: BudgetId,
    /// `None` is counted, and limits nothing.
    pub(crate) limit: Option<u64>,
    pub(crate) subject_counters: Arc<SubjectCounters>,
}

/// Whose rate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateOwner {
    /// The user's plan's.
    Plan,
    /// The key's own.
    Key,
}

/// Which of a key's buckets.
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
        let Caller { user, key, .. } = terms.caller;
        // Both are counted whether or not they are limited: people are shown them.
        let mut budgets = vec![
            (BudgetId::credits_a_day(Subject::Key(key)), terms.bounds.credits_per_day),
            (BudgetId::credits_a_day(Subject::User(user)), terms.plan.credits_per_day),
        ];
        budgets.extend(terms.budgets.iter().map(|(id, limit)| (*id, Some(*limit))));
        // Where two have one id the smaller comes first; no limit is the largest.
        budgets.sort_by(|(id, limit), (other, than)| id.cmp(other).then(smaller(*limit, *than)));
        budgets.dedup_by_key(|(id, _)| *id);
        let mut plan = None;
        let budget = |(id, limit): (BudgetId, Option<u64>)| {
            let subject_counters = match id.subject {
                Subject::Key(no) => (no == key).then(|| registry.keys.get(no)),
                Subject::User(no) => (no == user).then(|| registry.users.get(no)),
                // A caller has one plan; whose the first budget is.
                Subject::Plan(id) => (*plan.get_or_insert(id) == id).then(|| registry.plans.get(id)),
                Subject::Global => Some(registry.global.clone()),
            };
            subject_counters.map(|subject_counters| Budget { id, limit, subject_counters })
        };
        let budgets = budgets.into_iter().filter_map(budget).collect();
        Self { rate: slower(terms), key: registry.keys.get(key), budgets, authority, stats }
    }

    /// The rate for a call, with the bucket that it is taken from.
    pub(crate) fn rate(&self, free: bool) -> Option<(Rate, BucketKind, RateOwner)> {
        let (limit, of) = self.rate?;
        Some(if free {
            (Rate::per_minute(limit.saturating_mul(FREE_RATE_FACTOR)), BucketKind::Free, of)
        } else {
            (Rate::per_minute(limit), BucketKind::Paid, of)
        })
    }

    pub(crate) fn bucket(&self, which: BucketKind) -> &Bucket {
        match which {
            BucketKind::Paid => &self.key.rate,
            BucketKind::Free => &self.key.free_rate,
        }
    }

    /// The current cells, in the order of the budgets.
    pub(crate) fn counters(&self, at: Timestamp) -> impl Iterator<Item = (&Budget, Arc<BudgetCounter>)> {
        self.budgets.iter().map(move |budget| {
            let BudgetId { measure, per, .. } = budget.id;
            (budget, budget.subject_counters.counter((measure, per), at.day(), self.authority))
        })
    }

    /// What the limits would still let one request use at `at`, each measure by its tightest budget; `u64::MAX` where
    /// nothing limits it. Another request may take it first, and what other nodes use is not in it.
    #[must_use]
    pub fn left(&self, at: Timestamp) -> Charge {
        let none = Charge { credits: u64::MAX, tokens: u64::MAX, money: u64::MAX };
        self.counters(at).fold(none, |left, (budget, counter)| {
            let Some(limit) = budget.limit else { return left };
            let measure = budget.id.measure;
            let of_budget = limit.saturating_sub(counter.used());
            left.with(measure, left.of(measure).min(of_budget))
        })
    }

    /// Whether any budget limits anything.
    #[must_use]
    pub fn limits_budgets(&self) -> bool {
        self.budgets.iter().any(|budget| budget.limit.is_some())
    }

    /// Whether a budget limits this measure.
    #[must_use]
    pub fn limits(&self, measure: Measure) -> bool {
        self.budgets.iter().any(|budget| budget.limit.is_some() && budget.id.measure == measure)
    }
}

fn smaller(limit: Option<u64>, than: Option<u64>) -> Ordering {
    (limit.is_none(), limit).cmp(&(than.is_none(), than))
}

/// The smaller rate of plan and key.
fn slower(terms: &Terms<'_>) -> Option<(NonZeroU32, RateOwner)> {
    match (terms.plan.requests_per_minute, terms.bounds.requests_per_minute) {
        (Some(plan), Some(key)) if plan <= key => Some((plan, RateOwner::Plan)),
        (_, Some(key)) => Some((key, RateOwner::Key)),
        (plan, None) => plan.map(|plan| (plan, RateOwner::Plan)),
    }
}
