//! What is held for a subject: its buckets, and the current cell of each of its budgets.

use std::hash::Hash;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use access::{Day, KeyNo, PlanId, UserNo};
use arc_swap::ArcSwapOption;
use rustc_hash::FxHashMap;

use crate::budget::{Measure, Per, Period};
use crate::counter::BudgetCounter;
use crate::rate::Bucket;

type Slot = ArcSwapOption<BudgetCounter>;

/// A subject's counts. A million of them are alive at once, so what few have is allocated for those few.
#[derive(Debug, Default)]
pub(crate) struct SubjectCounters {
    pub(crate) rate: Bucket,
    pub(crate) free_rate: Bucket,
    credits_of_day: Slot,
    others: OnceLock<Box<OtherCounters>>,
}

#[derive(Debug, Default)]
struct OtherCounters {
    credits_of_month: Slot,
    tokens: [Slot; 2],
    money: [Slot; 2],
}

/// Whether cells wait for a lease.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Authority {
    /// This process decides alone: all of every limit may be used here.
    #[default]
    Standalone,
    /// Nodes share the limits: what may be used here is lent.
    Leased,
}

impl SubjectCounters {
    /// The cell of a budget for the period that `day` lies in, or for a later one, where that has begun: periods never go
    /// back.
    pub(crate) fn counter(&self, of: (Measure, Per), day: Day, authority: Authority) -> Arc<BudgetCounter> {
        self.begin(of, day, (authority, 0))
    }

    /// The same; where it is a new one, `spent` was spent of it before.
    pub(crate) fn begin(&self, (measure, per): (Measure, Per), day: Day, new: (Authority, u64)) -> Arc<BudgetCounter> {
        let (slot, period) = (self.slot(measure, per), Period::of(per, day));
        let current = |counter: &Option<Arc<BudgetCounter>>| {
            counter.as_ref().filter(|counter| counter.period() >= period).cloned()
        };
        loop {
            if let Some(counter) = current(&slot.load()) {
                return counter;
            }
            slot.rcu(|counter| {
                current(counter).unwrap_or_else(|| {
                    let (authority, spent) = new;
                    Arc::new(match authority {
                        Authority::Standalone => BudgetCounter::standalone(period, spent),
                        Authority::Leased => BudgetCounter::leased(period),
                    })
                })
            });
        }
    }

    /// The newest cell of a budget, where it has one.
    pub(crate) fn newest(&self, measure: Measure, per: Per) -> Option<Arc<BudgetCounter>> {
        match (measure, per) {
            (Measure::Credits, Per::Day) => self.credits_of_day.load_full(),
            _ => self.others.get().and_then(|_| self.slot(measure, per).load_full()),
        }
    }

    /// Whether any of its budgets counts for `today` or later.
    fn has_counts_from(&self, today: Day) -> bool {
        let current = |slot: &Slot| slot.load().as_ref().is_some_and(|counter| counter.period().next().first() > today);
        let others = |others: &OtherCounters| {
            let OtherCounters { credits_of_month, tokens, money } = others;
            std::iter::once(credits_of_month).chain(tokens).chain(money).any(current)
        };
        current(&self.credits_of_day) || self.others.get().is_some_and(|of| others(of))
    }

    fn slot(&self, measure: Measure, per: Per) -> &Slot {
        let others = || self.others.get_or_init(Box::default);
        match (measure, per) {
            (Measure::Credits, Per::Day) => &self.credits_of_day,
            (Measure::Credits, Per::Month) => &others().credits_of_month,
            (Measure::Tokens, _) => pick(&others().tokens, per),
            (Measure::Money, _) => pick(&others().money, per),
        }
    }
}

const fn pick([day, month]: &[Slot; 2], per: Per) -> &Slot {
    match per {
        Per::Day => day,
        Per::Month => month,
    }
}

/// Every subject's account, shared by all workers of the process.
#[derive(Debug, Default)]
pub(crate) struct CounterRegistry {
    pub(crate) keys: Shards<KeyNo>,
    pub(crate) users: Shards<UserNo>,
    pub(crate) plans: Shards<PlanId>,
    pub(crate) global: Arc<SubjectCounters>,
}

impl CounterRegistry {
    /// Forgets who has nothing that counts for `today` or later, and whom nobody holds.
    pub(crate) fn sweep(&self, today: Day) {
        self.keys.sweep(today);
        self.users.sweep(today);
        self.plans.sweep(today);
    }
}

const SHARDS: usize = 16;

#[derive(Debug)]
pub(crate) struct Shards<K>([RwLock<FxHashMap<K, Arc<SubjectCounters>>>; SHARDS]);

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

impl ShardKey for PlanId {
    fn number(self) -> u64 {
        self.0.as_u64_pair().1
    }
}

impl<K: ShardKey> Shards<K> {
    fn shard(&self, key: K) -> &RwLock<FxHashMap<K, Arc<SubjectCounters>>> {
        let [first, ..] = &self.0;
        let index = usize::try_from(key.number() % SHARDS as u64).unwrap_or(0);
        self.0.get(index).unwrap_or(first)
    }

    pub(crate) fn find(&self, key: K) -> Option<Arc<SubjectCounters>> {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    pub(crate) fn get(&self, key: K) -> Arc<SubjectCounters> {
        if let Some(subject) = self.find(key) {
            return subject;
        }
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }

    /// Two accounts of one subject would each let the whole limit pass: whom anybody holds, stays.
    fn sweep(&self, today: Day) {
        for shard in &self.0 {
            let mut map = shard.write().unwrap_or_else(PoisonError::into_inner);
            map.retain(|_, subject| Arc::strong_count(subject) > 1 || subject.has_counts_from(today));
        }
    }
}
