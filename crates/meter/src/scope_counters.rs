//! The rate buckets and the current budget counters of each key, user, subject and plan, and of all users together.

use std::hash::Hash;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use access::{Amount, Day, KeyNo, PlanId, SubjectId, UserNo};
use arc_swap::ArcSwapOption;
use rustc_hash::FxHashMap;

use crate::budgets::budget::{BudgetId, BudgetScope, LimitPeriod, Measure, Period};
use crate::budgets::counter::BudgetCounter;
use crate::rate::Bucket;

type Slot = ArcSwapOption<BudgetCounter>;

/// The counters of one scope. A process may have a million of these, so the rarely used counters are allocated on
/// demand.
#[derive(Debug, Default)]
pub(crate) struct ScopeCounters {
    pub(crate) rate: Bucket,
    pub(crate) free_rate: Bucket,
    credits_of_day: Slot,
    others: OnceLock<Box<OtherCounters>>,
}

#[derive(Debug, Default)]
struct OtherCounters {
    credits_of_week: Slot,
    credits_of_month: Slot,
    tokens: [Slot; 3],
    money: [Slot; 3],
}

/// Whether budget counters need a lease.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Authority {
    /// This process alone meters the budgets; each limit is available in full.
    #[default]
    Standalone,
    /// Nodes share the budgets; only leased amounts are available.
    Leased,
}

/// The measure and the period of a budget, which select one counter of a scope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BudgetKind {
    pub(crate) measure: Measure,
    pub(crate) per: LimitPeriod,
}

/// The initial state of a counter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewCounter {
    pub(crate) authority: Authority,
    pub(crate) spent: Amount,
}

impl ScopeCounters {
    /// Returns the counter of the period that contains `day`, or of a later period if one has begun: periods never go
    /// back.
    pub(crate) fn counter(&self, kind: BudgetKind, day: Day, authority: Authority) -> Arc<BudgetCounter> {
        self.begin(kind, day, NewCounter { authority, spent: Amount::ZERO })
    }

    /// Like [`Self::counter`]; a new counter begins with `spent`.
    pub(crate) fn begin(&self, kind: BudgetKind, day: Day, new: NewCounter) -> Arc<BudgetCounter> {
        let BudgetKind { measure, per } = kind;
        let slot = self.slot(measure, per);
        let period = Period::containing(per, day);
        let current = |counter: &Option<Arc<BudgetCounter>>| {
            counter.as_ref().filter(|counter| counter.period() >= period).cloned()
        };
        loop {
            if let Some(counter) = current(&slot.load()) {
                return counter;
            }
            slot.rcu(|counter| {
                current(counter).unwrap_or_else(|| {
                    Arc::new(match new.authority {
                        Authority::Standalone => BudgetCounter::standalone(period, new.spent),
                        Authority::Leased => BudgetCounter::leased(period),
                    })
                })
            });
        }
    }

    /// Returns the newest counter of a budget, if one exists.
    pub(crate) fn newest(&self, measure: Measure, per: LimitPeriod) -> Option<Arc<BudgetCounter>> {
        match (measure, per) {
            (Measure::Credits, LimitPeriod::Day) => self.credits_of_day.load_full(),
            _ => self.others.get().and_then(|_| self.slot(measure, per).load_full()),
        }
    }

    /// Returns whether any counter is of a period that has not ended before `today`.
    fn has_counts_from(&self, today: Day) -> bool {
        let current = |slot: &Slot| slot.load().as_ref().is_some_and(|counter| counter.period().next().first() > today);
        let others = |others: &OtherCounters| {
            let OtherCounters { credits_of_week, credits_of_month, tokens, money } = others;
            [credits_of_week, credits_of_month].into_iter().chain(tokens).chain(money).any(current)
        };
        current(&self.credits_of_day) || self.others.get().is_some_and(|of| others(of))
    }

    fn slot(&self, measure: Measure, per: LimitPeriod) -> &Slot {
        let others = || self.others.get_or_init(Box::default);
        match (measure, per) {
            (Measure::Credits, LimitPeriod::Day) => &self.credits_of_day,
            (Measure::Credits, LimitPeriod::Week) => &others().credits_of_week,
            (Measure::Credits, LimitPeriod::Month) => &others().credits_of_month,
            (Measure::Tokens, _) => pick(&others().tokens, per),
            (Measure::Money, _) => pick(&others().money, per),
        }
    }
}

const fn pick([day, week, month]: &[Slot; 3], per: LimitPeriod) -> &Slot {
    match per {
        LimitPeriod::Day => day,
        LimitPeriod::Week => week,
        LimitPeriod::Month => month,
    }
}

/// The counters of all scopes, shared by all workers of the process.
#[derive(Debug, Default)]
pub(crate) struct CounterRegistry {
    pub(crate) keys: Shards<KeyNo>,
    pub(crate) users: Shards<UserNo>,
    pub(crate) subjects: Shards<SubjectId>,
    pub(crate) plans: Shards<PlanId>,
    pub(crate) global: Arc<ScopeCounters>,
}

impl CounterRegistry {
    /// Returns the counters of a scope, if they exist.
    pub(crate) fn find(&self, scope: BudgetScope) -> Option<Arc<ScopeCounters>> {
        match scope {
            BudgetScope::Key(no) => self.keys.find(no),
            BudgetScope::User(no) => self.users.find(no),
            BudgetScope::Subject(id) => self.subjects.find(id),
            BudgetScope::Plan(id) => self.plans.find(id),
            BudgetScope::Global => Some(self.global.clone()),
        }
    }

    /// Returns the counters of a scope; missing ones are created.
    pub(crate) fn get(&self, scope: BudgetScope) -> Arc<ScopeCounters> {
        match scope {
            BudgetScope::Key(no) => self.keys.get(no),
            BudgetScope::User(no) => self.users.get(no),
            BudgetScope::Subject(id) => self.subjects.get(id),
            BudgetScope::Plan(id) => self.plans.get(id),
            BudgetScope::Global => self.global.clone(),
        }
    }

    /// Returns the budgets of a scope that have a counter of any period.
    pub(crate) fn counted(&self, scope: BudgetScope) -> Vec<BudgetId> {
        let Some(counters) = self.find(scope) else { return Vec::new() };
        let kinds = Measure::ALL.into_iter().flat_map(|measure| LimitPeriod::ALL.map(|per| (measure, per)));
        kinds
            .filter(|(measure, per)| counters.newest(*measure, *per).is_some())
            .map(|(measure, per)| BudgetId { scope, measure, per })
            .collect()
    }

    /// Removes scopes whose periods ended before `today` and that no request references.
    pub(crate) fn sweep(&self, today: Day) {
        self.keys.sweep(today);
        self.users.sweep(today);
        self.subjects.sweep(today);
        self.plans.sweep(today);
    }
}

const SHARDS: usize = 16;

#[derive(Debug)]
pub(crate) struct Shards<K>([RwLock<FxHashMap<K, Arc<ScopeCounters>>>; SHARDS]);

impl<K> Default for Shards<K> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::default()))
    }
}

pub(crate) trait ShardKey: Copy + Eq + Hash {
    fn number(self) -> u64;
}

impl ShardKey for UserNo {
    fn number(self) -> u64 {
        self.0.unsigned_abs()
    }
}

impl ShardKey for KeyNo {
    fn number(self) -> u64 {
        self.0.unsigned_abs()
    }
}

impl ShardKey for SubjectId {
    fn number(self) -> u64 {
        self.0.as_u64_pair().1
    }
}

impl ShardKey for PlanId {
    fn number(self) -> u64 {
        self.0.as_u64_pair().1
    }
}

impl<K: ShardKey> Shards<K> {
    fn shard(&self, key: K) -> &RwLock<FxHashMap<K, Arc<ScopeCounters>>> {
        let [first, ..] = &self.0;
        let index = usize::try_from(key.number() % SHARDS as u64).unwrap_or(0);
        self.0.get(index).unwrap_or(first)
    }

    pub(crate) fn find(&self, key: K) -> Option<Arc<ScopeCounters>> {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    pub(crate) fn get(&self, key: K) -> Arc<ScopeCounters> {
        if let Some(scope) = self.find(key) {
            return scope;
        }
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }

    /// Calls `see` with each scope. A shard is locked only while its entries are copied.
    pub(crate) fn for_each(&self, mut see: impl FnMut(K, &ScopeCounters)) {
        for shard in &self.0 {
            let scopes: Vec<(K, Arc<ScopeCounters>)> = {
                let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
                shard.iter().map(|(key, counters)| (*key, counters.clone())).collect()
            };
            scopes.iter().for_each(|(key, counters)| see(*key, counters));
        }
    }

    /// Returns the number of scopes.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Two sets of counters for one scope would admit its limit twice, so a referenced one is kept.
    fn sweep(&self, today: Day) {
        for shard in &self.0 {
            let mut map = shard.write().unwrap_or_else(PoisonError::into_inner);
            map.retain(|_, scope| Arc::strong_count(scope) > 1 || scope.has_counts_from(today));
        }
    }
}
