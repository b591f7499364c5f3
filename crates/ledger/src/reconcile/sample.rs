//! The part of the totals that an audit compares: all, or a random sample of the days of users.

use access::Day;

use super::Days;

/// The days of users are divided into this many parts, of which a sample contains some.
pub(super) const PARTS: u32 = 10_000;

/// Condition for the rows of a sample: `$6` is its offset, `$7` to `$8` its parts. Both factors have no divisor in common with
/// [`PARTS`], so consecutive days and users are in different parts.
pub(super) const IS_SAMPLED: &str = "(day * 7919 + coalesce(user_no, 0) * 104729 + $6) % 10000 >= $7
        AND (day * 7919 + coalesce(user_no, 0) * 104729 + $6) % 10000 < $8";
const DAY_FACTOR: u64 = 7_919;

/// The days of users whose totals an audit compares. The totals of a user on a day are in it with the chance [`Sample::chance`],
/// and those of a day over all users with the same chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Number of parts that are compared.
    parts: u32,
    /// The random number that selects the parts.
    offset: u32,
}

impl Sample {
    /// The sample that contains all totals.
    pub const ALL: Self = Self { parts: PARTS, offset: 0 };

    /// Returns a sample of this many ten-thousandths, at least one, by a random number.
    #[must_use]
    pub fn new(ten_thousandths: u32, random: u32) -> Self {
        Self { parts: ten_thousandths.clamp(1, PARTS), offset: random % PARTS }
    }

    /// Returns the chance that a given wrong total is found, in percent.
    #[must_use]
    pub fn chance(self) -> f64 {
        f64::from(self.parts) / 100.0
    }

    /// Whether it contains the totals of a day over all users.
    fn has_day(self, day: Day) -> bool {
        (u64::from(day.0) * DAY_FACTOR + u64::from(self.offset)) % u64::from(PARTS) < u64::from(self.parts)
    }

    /// Returns the days whose totals over all users it contains.
    pub(super) fn ranges(self, days: Days) -> Vec<Days> {
        if self.parts == PARTS {
            return vec![days];
        }
        let sampled = (days.first.0..=days.last.0).map(Day).filter(|day| self.has_day(*day));
        sampled.map(|day| Days { first: day, last: day }).collect()
    }

    /// Returns the offset, and the parts of each of `workers` equal shares.
    pub(super) fn shares(self, workers: u32) -> Vec<[i64; 3]> {
        let bound = |nth: u32| i64::from(self.parts) * i64::from(nth) / i64::from(workers.max(1));
        (0..workers.max(1)).map(|nth| [i64::from(self.offset), bound(nth), bound(nth + 1)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_in_a_sample_with_its_chance() {
        for (ten_thousandths, chance) in [(1, 0.01), (100, 1.0), (2_500, 25.0), (10_000, 100.0), (0, 0.01)] {
            let sampled = (0..PARTS).filter(|random| Sample::new(ten_thousandths, *random).has_day(Day(20_000)));
            let sample = Sample::new(ten_thousandths, 7);
            assert_eq!((sampled.count() as f64 / 100.0, sample.chance()), (chance, chance));
        }
        assert!((0..1_000).all(|day| Sample::ALL.has_day(Day(day))));
    }

    #[test]
    fn shares_are_disjoint_and_complete() {
        assert_eq!(Sample::new(5, 3).shares(2), [[3, 0, 2], [3, 2, 5]]);
        assert_eq!(Sample::ALL.shares(1), [[0, 0, 10_000]]);
    }
}
