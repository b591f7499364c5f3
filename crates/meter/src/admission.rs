//! One admission over every limit that applies to a caller: all or nothing.
//!
//! [`Meter::admit`] answers a [`Reservation`], whose `Drop` gives everything back. When the first byte has gone to an
//! upstream it becomes [`Committed`], which is never uncounted; dropped unsettled, it counts as interrupted.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use access::{Credits, Day, KeyNo, Mono, Plan, Timestamp, UserNo};
use rustc_hash::FxHashMap;

use crate::event::Caller;
use crate::quota::{DayCount, Exceeded};
use crate::rate::{Bucket, Empty, Level, Rate};

/// Calls that cost no quota have a bucket of their own, so many times the plan's rate (Claude Code sends 14 token
/// counts at once).
const FREE_RATE_FACTOR: u32 = 10;

/// Every caller's buckets and counts, shared by all workers of the process.
#[derive(Debug, Default)]
pub struct Meter {
    users: Shards<UserNo, DayCount>,
    keys: Shards<KeyNo, KeyAccount>,
    tally: Arc<Tally>,
}

/// What is held for a key.
#[derive(Debug, Default)]
struct KeyAccount {
    rate: Bucket,
    free_rate: Bucket,
    day: DayCount,
}

/// How reservations ended, since the process began.
#[derive(Debug, Default)]
pub struct Tally {
    /// Given back before anything was sent.
    pub released: AtomicU64,
    /// Settled with what truly was used.
    pub settled: AtomicU64,
    /// Dropped after the first byte, unsettled.
    pub interrupted: AtomicU64,
}

/// What a request asks of the meter.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who asks.
    pub caller: Caller,
    /// The limits of their plan.
    pub plan: &'a Plan,
    /// What it costs of the quota; `None` is a free call.
    pub credits: Option<Credits>,
    /// The wall clock: which day's quota.
    pub at: Timestamp,
    /// The monotonic clock: which moment of the rate.
    pub now: Mono,
}

/// A limit said no; nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Requests per minute.
    Rate(Empty),
    /// Credits per day.
    Quota(Exceeded),
}

/// Where a caller stands after being let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// The rate limit, where there is one.
    pub rate: Option<Level>,
    /// What is used of the day's quota, this request included.
    pub used: u64,
}

/// What a request may use, taken in advance. Dropped, it gives everything back.
#[derive(Debug)]
#[must_use = "a reservation that is dropped is given back"]
pub struct Reservation {
    held: Option<Held>,
    standing: Standing,
}

#[derive(Debug)]
struct Held {
    user: Arc<DayCount>,
    key: Arc<KeyAccount>,
    rate: Option<(Rate, Bucketed)>,
    credits: Credits,
    user_day: Day,
    key_day: Day,
    tally: Arc<Tally>,
}

#[derive(Debug, Clone, Copy)]
enum Bucketed {
    Paid,
    Free,
}

/// What a request has used: its first byte went out.
#[derive(Debug)]
#[must_use = "what was sent must be settled"]
pub struct Committed {
    day: Day,
    credits: Credits,
    /// `None` on an open route, which no limit knows.
    tally: Option<Arc<Tally>>,
    settled: bool,
}

impl Meter {
    /// Takes one request of the rate and its credits of the day, or nothing.
    ///
    /// # Errors
    /// [`Refused`] names the limit, what is left of it, and when it resets.
    pub fn admit(&self, ask: &Ask<'_>) -> Result<Reservation, Refused> {
        let key = self.keys.get(ask.caller.key);
        let user = self.users.get(ask.caller.user);
        let rate = ask.plan.requests_per_minute.map(|limit| match ask.credits {
            Some(_) => (Rate::per_minute(limit), Bucketed::Paid),
            None => (Rate::per_minute(limit.saturating_mul(FREE)), Bucketed::Free),
        });
        let level = match rate {
            Some((rate, bucket)) => Some(key.bucket(bucket).take(rate, ask.now).map_err(Refused::Rate)?),
            None => None,
        };
        let credits = ask.credits.unwrap_or(Credits(0));
        let taken = match user.take(ask.at.day(), credits, ask.plan.credits_per_day) {
            Ok(taken) => taken,
            Err(exceeded) => {
                if let Some((rate, bucket)) = rate {
                    key.bucket(bucket).give_back(rate);
                }
                return Err(Refused::Quota(exceeded));
            }
        };
        // Without a limit of its own a key's count cannot refuse.
        let key_day = key.day.take(taken.day, credits, None).map_or(taken.day, |taken| taken.day);
        let tally = self.tally.clone();
        let held = Held { user, key, rate, credits, user_day: taken.day, key_day, tally };
        Ok(Reservation { held: Some(held), standing: Standing { rate: level, used: taken.used } })
    }

    /// Counts what was used before this process began.
    pub fn restore(&self, caller: Caller, day: Day, credits: u64) {
        self.users.get(caller.user).add(day, credits);
        self.keys.get(caller.key).day.add(day, credits);
    }

    /// Credits that a user has used of `day`, reservations included.
    #[must_use]
    pub fn used(&self, user: UserNo, day: Day) -> u64 {
        self.users.find(user).map_or(0, |count| count.used(day))
    }

    /// Credits that a key has used of `day`, reservations included.
    #[must_use]
    pub fn used_by_key(&self, key: KeyNo, day: Day) -> u64 {
        self.keys.find(key).map_or(0, |account| account.day.used(day))
    }

    /// How reservations ended.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Forgets who was not seen since before `today`; to be called now and then, off the workers.
    pub fn sweep(&self, today: Day) {
        self.users.retain(|count| count.day() >= today);
        self.keys.retain(|account| account.day.day() >= today);
    }
}

const FREE: std::num::NonZeroU32 = match std::num::NonZeroU32::new(FREE_RATE_FACTOR) {
    Some(factor) => factor,
    None => std::num::NonZeroU32::MIN,
};

impl KeyAccount {
    const fn bucket(&self, which: Bucketed) -> &Bucket {
        match which {
            Bucketed::Paid => &self.rate,
            Bucketed::Free => &self.free_rate,
        }
    }
}

impl Reservation {
    /// A reservation on an open route: nothing is held.
    pub const fn open() -> Self {
        Self { held: None, standing: Standing { rate: None, used: 0 } }
    }

    /// Where the caller stands.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// The first byte went to an upstream: from here on the request counts. `at` names the day of an open route.
    pub fn commit(mut self, at: Timestamp) -> Committed {
        match self.held.take() {
            Some(held) => {
                Committed { day: held.user_day, credits: held.credits, tally: Some(held.tally), settled: false }
            }
            None => Committed { day: at.day(), credits: Credits(0), tally: None, settled: false },
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            held.user.give_back(held.user_day, held.credits);
            held.key.day.give_back(held.key_day, held.credits);
            if let Some((rate, bucket)) = held.rate {
                held.key.bucket(bucket).give_back(rate);
            }
            held.tally.released.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Committed {
    /// The day on which it counts.
    #[must_use]
    pub const fn day(&self) -> Day {
        self.day
    }

    /// What it costs of that day's quota.
    #[must_use]
    pub const fn credits(&self) -> Credits {
        self.credits
    }

    /// Its event is recorded.
    pub fn settle(mut self) {
        self.settled = true;
        if let Some(tally) = &self.tally {
            tally.settled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Committed {
    fn drop(&mut self) {
        if let Some(tally) = self.tally.as_ref().filter(|_| !self.settled) {
            tally.interrupted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

const SHARDS: usize = 16;

#[derive(Debug)]
struct Shards<K, V>([RwLock<FxHashMap<K, Arc<V>>>; SHARDS]);

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::default()))
    }
}

trait Number: Copy + Eq + Hash {
    fn number(self) -> i64;
}

impl Number for UserNo {
    fn number(self) -> i64 {
        self.0
    }
}

impl Number for KeyNo {
    fn number(self) -> i64 {
        self.0
    }
}

impl<K: Number, V: Default> Shards<K, V> {
    fn shard(&self, key: K) -> &RwLock<FxHashMap<K, Arc<V>>> {
        let [first, ..] = &self.0;
        let index = usize::try_from(key.number().unsigned_abs()).unwrap_or(0) % SHARDS;
        self.0.get(index).unwrap_or(first)
    }

    fn find(&self, key: K) -> Option<Arc<V>> {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn get(&self, key: K) -> Arc<V> {
        if let Some(value) = self.find(key) {
            return value;
        }
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }

    /// Drops what `keep` refuses and nobody holds.
    fn retain(&self, keep: impl Fn(&V) -> bool) {
        for shard in &self.0 {
            let mut map = shard.write().unwrap_or_else(PoisonError::into_inner);
            map.retain(|_, value| Arc::strong_count(value) > 1 || keep(value));
        }
    }
}

#[cfg(test)]
mod tests;
