//! The rate buckets and the current budget counters of each key, user, subject and plan, and of all users together.

use std::hash::Hash;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use access::{Amount, BudgetWindow, CalendarUnit, Day, KeyNo, Minute, PlanId, SubjectId, Timestamp, UserNo};
use arc_swap::ArcSwapOption;
use rustc_hash::FxHashMap;

use crate::budgets::budget::{BudgetId, BudgetScope, LimitPeriod, Measure};
use crate::budgets::counter::BudgetCounter;
use crate::budgets::period::Period;
use crate::rate::Bucket;

/// The newest counter of a budget.
pub(crate) type Slot = ArcSwapOption<BudgetCounter>;

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
    windows: RwLock<Vec<WindowSlot>>,
}

/// The counter of a budget of a window.
#[derive(Debug)]
struct WindowSlot {
    measure: Measure,
    window: BudgetWindow,
    slot: Arc<Slot>,
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
    /// Returns the counter of the period that contains `at`, or of a later period if one has begun: periods never go back.
    pub(crate) fn counter(&self, kind: BudgetKind, at: Timestamp, authority: Authority) -> Arc<BudgetCounter> {
        self.with_slot(kind, |slot| current(slot, kind.per, at, authority))
    }

    /// Sets the counter of a budget to a new one of `period`; a counter of this or a later period is kept.
    pub(crate) fn begin(&self, measure: Measure, period: Period, new: NewCounter) {
        self.with_slot(BudgetKind { measure, per: period.per() }, |slot| {
            slot.rcu(|counter| match counter {
                Some(counter) if counter.period() >= period => Some(counter.clone()),
                Some(_) | None => Some(Arc::new(new.counter(period))),
            });
        });
    }

    /// Returns the newest counter of a budget, if one exists.
    pub(crate) fn newest(&self, kind: BudgetKind) -> Option<Arc<BudgetCounter>> {
        if kind.measure == Measure::Credits && kind.per == LimitPeriod::Day {
            return self.credits_of_day.load_full();
        }
        let others = self.others.get()?;
        match kind.per {
            LimitPeriod::Window(window) => others.find(kind.measure, window)?.load_full(),
            LimitPeriod::Day | LimitPeriod::Week | LimitPeriod::Month => self.with_slot(kind, Slot::load_full),
        }
    }

    /// Returns whether any counter is of a period that has not ended before `today`.
    fn has_counts_from(&self, today: Day) -> bool {
        let current = |slot: &Slot| slot.load().as_ref().is_some_and(|counter| counter.period().end() > today.start());
        let others = |others: &OtherCounters| {
            let OtherCounters { credits_of_week, credits_of_month, tokens, money, windows } = others;
            let windows = windows.read().unwrap_or_else(PoisonError::into_inner);
            [credits_of_week, credits_of_month].into_iter().chain(tokens).chain(money).any(current)
                || windows.iter().any(|window| current(&window.slot))
        };
        current(&self.credits_of_day) || self.others.get().is_some_and(|of| others(of))
    }

    /// Returns the slot of a window, which limits keep so that a request needs no search.
    pub(crate) fn window_slot(&self, measure: Measure, window: BudgetWindow) -> Arc<Slot> {
        let others = self.others.get_or_init(Box::default);
        others.find(measure, window).unwrap_or_else(|| others.add(measure, window))
    }

    fn with_slot<T>(&self, BudgetKind { measure, per }: BudgetKind, see: impl FnOnce(&Slot) -> T) -> T {
        match per {
            LimitPeriod::Day => see(self.utc_slot(measure, CalendarUnit::Day)),
            LimitPeriod::Week => see(self.utc_slot(measure, CalendarUnit::Week)),
            LimitPeriod::Month => see(self.utc_slot(measure, CalendarUnit::Month)),
            LimitPeriod::Window(window) => see(&self.window_slot(measure, window)),
        }
    }

    fn utc_slot(&self, measure: Measure, unit: CalendarUnit) -> &Slot {
        let others = || self.others.get_or_init(Box::default);
        match (measure, unit) {
            (Measure::Credits, CalendarUnit::Day) => &self.credits_of_day,
            (Measure::Credits, CalendarUnit::Week) => &others().credits_of_week,
            (Measure::Credits, CalendarUnit::Month) => &others().credits_of_month,
            (Measure::Tokens, _) => pick(&others().tokens, unit),
            (Measure::Money, _) => pick(&others().money, unit),
        }
    }
}

impl OtherCounters {
    fn find(&self, measure: Measure, window: BudgetWindow) -> Option<Arc<Slot>> {
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        windows.iter().find(|known| known.measure == measure && known.window == window).map(|known| known.slot.clone())
    }

    /// Adds the slot of a window, unless another thread has. All slots go with their scope, so their number is that of the
    /// windows that the plans of an active user had.
    fn add(&self, measure: Measure, window: BudgetWindow) -> Arc<Slot> {
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = windows.iter().find(|known| known.measure == measure && known.window == window) {
            return known.slot.clone();
        }
        let slot = Arc::new(Slot::empty());
        windows.push(WindowSlot { measure, window, slot: slot.clone() });
        slot
    }
}

impl NewCounter {
    const fn counter(self, period: Period) -> BudgetCounter {
        match self.authority {
            Authority::Standalone => BudgetCounter::standalone(period, self.spent),
            Authority::Leased => BudgetCounter::leased(period),
        }
    }
}

/// Returns the counter of the period that contains `at`, or of a later period if one has begun. Without one, the next period
/// begins; the lease server may have begun another one.
pub(crate) fn current(slot: &Slot, per: LimitPeriod, at: Timestamp, authority: Authority) -> Arc<BudgetCounter> {
    let is_current = |counter: &&Arc<BudgetCounter>| counter.period().end() > at && counter.moved_to().is_none();
    loop {
        if let Some(counter) = slot.load().as_ref().filter(is_current) {
            return counter.clone();
        }
        slot.rcu(|counter| {
            if let Some(counter) = counter.as_ref().filter(is_current) {
                return Some(counter.clone());
            }
            let ended = counter.as_ref().map_or(Minute(0), |counter| counter.period().end_minute());
            let moved = counter.as_ref().and_then(|counter| counter.moved_to());
            let period = moved.filter(|period| period.end() > at).unwrap_or_else(|| Period::begun(per, at, ended));
            Some(Arc::new(NewCounter { authority, spent: Amount::ZERO }.counter(period)))
        });
    }
}

const fn pick([day, week, month]: &[Slot; 3], unit: CalendarUnit) -> &Slot {
    match unit {
        CalendarUnit::Day => day,
        CalendarUnit::Week => week,
        CalendarUnit::Month => month,
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

    /// Returns the budgets of a scope that have a counter of any UTC period. A window that a plan no longer has ends.
    pub(crate) fn counted(&self, scope: BudgetScope) -> Vec<BudgetId> {
        let Some(counters) = self.find(scope) else { return Vec::new() };
        let kinds =
            Measure::ALL.into_iter().flat_map(|measure| LimitPeriod::UTC.map(|per| BudgetKind { measure, per }));
        kinds
            .filter(|kind| counters.newest(*kind).is_some())
            .map(|BudgetKind { measure, per }| BudgetId { scope, measure, per })
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
