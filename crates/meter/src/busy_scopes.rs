//! The keys, the users and the subjects that have used the largest part of their limit. Operators see them; no decision
//! depends on them.
//!
//! Requests note nothing for this: a search reads the counters of all keys, users or subjects, and belongs on a thread that
//! may block. It copies a sixteenth of the entries at a time under a lock, for which only new ones wait.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;

use access::{Amount, BudgetScope, Day, LimitPeriod, Measure, Mono, SubjectId};

use crate::admission::Meter;
use crate::limits::RateOwner;
use crate::scope_counters::{BudgetKind, CounterRegistry, ScopeCounters};

/// The time for which an empty bucket of `requests_per_minute` refills, in nanoseconds.
const MINUTE_NANOS: u64 = 60_000_000_000;
/// The part of a limit from which a key or a subject is busy, in thousandths.
const BUSY_THOUSANDTHS: u64 = 250;

/// A key or a user that has used a part of `requests_per_minute`, whatever that limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusyRate {
    /// The key or the user.
    pub owner: BudgetScope,
    /// The used part of the limit, in thousandths.
    pub fullness: u64,
}

/// A subject that has used a part of its daily quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusyQuota {
    /// The id of the subject.
    pub subject: SubjectId,
    /// The quota at the subject's last request.
    pub limit: Amount,
    /// The used and reserved credits, without pre-logged batches. Of a leased quota, those of this node.
    pub used: Amount,
}

impl BusyQuota {
    /// Returns the used part of the quota, in thousandths.
    #[must_use]
    pub fn fullness(&self) -> u64 {
        let part = u128::from(self.used.0) * 1_000 / u128::from(self.limit.0.max(1));
        u64::try_from(part).unwrap_or(u64::MAX)
    }
}

impl Meter {
    /// Returns the keys that have used at least a quarter of their own `requests_per_minute` in this process, or the users of
    /// that of their plan: at most `max`, the busiest first, and the number of all of them.
    #[must_use]
    pub fn busiest_rates(&self, owner: RateOwner, max: usize, now: Mono) -> (Vec<BusyRate>, usize) {
        let mut busiest = Busiest::new(max);
        let mut offer = |scope: BudgetScope, counters: &ScopeCounters| {
            // The limit is also the burst, so the time until the bucket is full is the used part of a minute.
            let ahead = counters.rate.word().load(Ordering::Relaxed).saturating_sub(now.0);
            busiest.offer(ahead.min(MINUTE_NANOS) / (MINUTE_NANOS / 1_000), scope);
        };
        let CounterRegistry { keys, users, .. } = self.counters();
        match owner {
            RateOwner::Key => keys.for_each(|key, counters| offer(BudgetScope::Key(key), counters)),
            RateOwner::User => users.for_each(|user, counters| offer(BudgetScope::User(user), counters)),
        }
        let (found, all) = busiest.finish();
        (found.into_iter().map(|(fullness, owner)| BusyRate { owner, fullness }).collect(), all)
    }

    /// Returns the subjects that have used at least a quarter of their quota of `day`, at most `max`, the busiest first, and
    /// the number of all such subjects.
    #[must_use]
    pub fn busiest_quotas(&self, max: usize, day: Day) -> (Vec<BusyQuota>, usize) {
        let mut busiest = Busiest::new(max);
        self.counters().subjects.for_each(|subject, counters| {
            if let Some(quota) = quota(subject, counters, day) {
                busiest.offer(quota.fullness(), (subject.0, quota.limit, quota.used));
            }
        });
        let (found, all) = busiest.finish();
        let quota = |(_, (subject, limit, used))| BusyQuota { subject: SubjectId(subject), limit, used };
        (found.into_iter().map(quota).collect(), all)
    }
}

/// Returns the state of a subject's quota of `day`; `None` if it has none, or a quota of zero.
fn quota(subject: SubjectId, counters: &ScopeCounters, day: Day) -> Option<BusyQuota> {
    let counter = counters.newest(BudgetKind { measure: Measure::Credits, per: LimitPeriod::Day })?;
    let limit = counter.limit();
    (counter.period().first() == day && !limit.is_zero()).then(|| BusyQuota {
        subject,
        limit,
        used: counter.used_by_requests(),
    })
}

/// The values with the largest fullness, in bounded memory.
struct Busiest<T> {
    max: usize,
    found: BinaryHeap<Reverse<(u64, T)>>,
    all: usize,
}

impl<T: Ord> Busiest<T> {
    fn new(max: usize) -> Self {
        Self { max, found: BinaryHeap::new(), all: 0 }
    }

    fn offer(&mut self, fullness: u64, value: T) {
        if fullness < BUSY_THOUSANDTHS {
            return;
        }
        self.all += 1;
        self.found.push(Reverse((fullness, value)));
        if self.found.len() > self.max {
            self.found.pop();
        }
    }

    /// Returns the values, the fullest first, and the number of all that were busy.
    fn finish(self) -> (Vec<(u64, T)>, usize) {
        let found = self.found.into_sorted_vec().into_iter().map(|Reverse(found)| found).collect();
        (found, self.all)
    }
}

#[cfg(test)]
mod tests;
