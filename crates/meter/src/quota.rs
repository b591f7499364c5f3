//! Daily quotas: the day and what was used of it in one atomic word.

use std::sync::atomic::{AtomicU64, Ordering};

use access::{Credits, Day};

const USED_BITS: u32 = 40;
const USED_MAX: u64 = (1 << USED_BITS) - 1;

/// Credits used on a day, reservations included. Days never go back: what comes late counts on the newest day.
#[derive(Debug, Default)]
pub struct DayCount(AtomicU64);

/// The quota does not hold what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// The day asked about.
    pub day: Day,
    /// The quota.
    pub limit: u64,
    /// What is used of it.
    pub used: u64,
}

/// What a [`DayCount`] says after credits were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The day on which they count; they are given back to it alone.
    pub day: Day,
    /// What is used of it now.
    pub used: u64,
}

const fn pack(day: Day, used: u64) -> u64 {
    ((day.0 as u64) << USED_BITS) | used
}

fn unpack(word: u64) -> (Day, u64) {
    (Day(u32::try_from(word >> USED_BITS).unwrap_or(u32::MAX)), word & USED_MAX)
}

impl DayCount {
    /// Takes `credits` on `day`, if the quota still holds them all; `None` is no quota.
    ///
    /// # Errors
    /// [`Exceeded`] when it does not; nothing is taken then.
    pub fn take(&self, day: Day, credits: Credits, limit: Option<u64>) -> Result<Taken, Exceeded> {
        self.take_many(day, u64::from(credits.0), limit)
    }

    /// Counts what was used before.
    pub fn add(&self, day: Day, credits: u64) {
        // Without a limit it cannot refuse.
        let _ = self.take_many(day, credits, None);
    }

    fn take_many(&self, day: Day, credits: u64, limit: Option<u64>) -> Result<Taken, Exceeded> {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (day, used) = current(word, day);
            let next = used.saturating_add(credits).min(USED_MAX);
            if let Some(limit) = limit
                && next > limit
                && credits > 0
            {
                return Err(Exceeded { day, limit, used });
            }
            match self.0.compare_exchange_weak(word, pack(day, next), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(Taken { day, used: next }),
                Err(now) => word = now,
            }
        }
    }

    /// Gives back what was taken on `day` and not used; after that day there is nothing to give back to.
    pub fn give_back(&self, day: Day, credits: Credits) {
        let back = |word: u64| {
            let (of, used) = unpack(word);
            (of == day).then(|| pack(day, used.saturating_sub(u64::from(credits.0))))
        };
        // An error says that the day is over.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }

    /// What is used of `day`.
    #[must_use]
    pub fn used(&self, day: Day) -> u64 {
        let (of, used) = unpack(self.0.load(Ordering::Relaxed));
        if of == day { used } else { 0 }
    }

    /// The newest day that anything was taken on.
    #[must_use]
    pub fn day(&self) -> Day {
        unpack(self.0.load(Ordering::Relaxed)).0
    }
}

/// The day that counts and what is used of it, when `asked` is asked about.
fn current(word: u64, asked: Day) -> (Day, u64) {
    let (day, used) = unpack(word);
    if asked > day { (asked, 0) } else { (day, used) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Day = Day(20_000);

    #[test]
    fn the_quota_holds_exactly_its_credits() {
        let count = DayCount::default();
        for used in 1..=100 {
            assert_eq!(count.take(TODAY, Credits(1), Some(100)), Ok(Taken { day: TODAY, used }));
        }
        assert_eq!(count.take(TODAY, Credits(1), Some(100)), Err(Exceeded { day: TODAY, limit: 100, used: 100 }));
        assert!(count.take(TODAY, Credits(0), Some(100)).is_ok());
        count.give_back(TODAY, Credits(1));
        assert!(count.take(TODAY, Credits(2), Some(100)).is_err());
        assert!(count.take(TODAY, Credits(1), Some(100)).is_ok());
    }

    #[test]
    fn a_new_day_begins_at_zero_and_never_goes_back() {
        let count = DayCount::default();
        count.take(TODAY, Credits(100), Some(100)).unwrap();
        assert_eq!(count.take(TODAY.next(), Credits(3), Some(100)), Ok(Taken { day: TODAY.next(), used: 3 }));
        count.give_back(TODAY, Credits(100));
        assert_eq!(count.used(TODAY.next()), 3);
        assert_eq!(count.take(TODAY, Credits(1), Some(100)), Ok(Taken { day: TODAY.next(), used: 4 }));
    }

    #[test]
    fn threads_never_take_more_than_the_quota() {
        let count = DayCount::default();
        let taken: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1_000).map(|_| u32::from(count.take(TODAY, Credits(1), Some(1_000)).is_ok())).sum::<u32>()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((taken, count.used(TODAY)), (1_000, 1_000));
    }
}
