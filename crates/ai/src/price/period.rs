//! The days on which a price applies.

use access::Day;

/// The days on which a price applies, in UTC. Both ends are inclusive; `None` means no end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PricePeriod {
    /// The first day, if any.
    pub from: Option<Day>,
    /// The last day, if any.
    pub until: Option<Day>,
}

impl PricePeriod {
    /// A period without any end.
    pub const ALWAYS: Self = Self { from: None, until: None };

    /// Whether `day` is in the period.
    #[must_use]
    pub fn contains(self, day: Day) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until)
    }

    /// Whether the two periods share a day.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let begins = |one: Self, other: Self| one.from.zip(other.until).is_none_or(|(from, until)| from <= until);
        begins(self, other) && begins(other, self)
    }

    /// Whether the first day is not after the last one.
    #[must_use]
    pub fn is_ordered(self) -> bool {
        self.overlaps(self)
    }

    /// Returns the part of a price's version that names the days: empty without ends, else `@2026-11-22..2027-03-31`.
    #[must_use]
    pub fn suffix(self) -> String {
        if self == Self::ALWAYS {
            return String::new();
        }
        let written = |day: Option<Day>| day.map(|day| day.to_string()).unwrap_or_default();
        format!("@{}..{}", written(self.from), written(self.until))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn period(from: &str, until: &str) -> PricePeriod {
        let day = |text: &str| (!text.is_empty()).then(|| Day::parse(text).unwrap());
        PricePeriod { from: day(from), until: day(until) }
    }

    #[test]
    fn both_ends_are_within_the_period_to_the_second() {
        for (from, until) in [("2026-11-21", "2026-12-31"), ("2028-02-29", "2028-02-29"), ("2027-03-01", "2028-02-28")]
        {
            let period = period(from, until);
            let first = period.from.unwrap().start();
            let after = period.until.unwrap().next().start();
            let second = Duration::from_secs(1);
            for (at, expected) in
                [(first.before(second), false), (first, true), (after.before(second), true), (after, false)]
            {
                assert_eq!(period.contains(at.day()), expected, "{from}..{until} at {at:?}");
            }
        }
    }

    #[test]
    fn a_missing_end_is_no_end() {
        let first = Day(0);
        let last = Day(u32::MAX);
        assert!(PricePeriod::ALWAYS.contains(first) && PricePeriod::ALWAYS.contains(last));
        let until = period("", "2026-12-31");
        assert!(until.contains(first) && !until.contains(last));
        let from = period("2027-01-01", "");
        assert!(!from.contains(first) && from.contains(last));
    }

    #[test]
    fn periods_overlap_where_they_share_a_day() {
        for (a, b, expected) in [
            (("", "2026-12-31"), ("2027-01-01", ""), false),
            (("", "2027-01-01"), ("2027-01-01", ""), true),
            (("", ""), ("2027-01-01", "2027-01-02"), true),
            (("2027-01-05", "2027-01-09"), ("2027-01-01", "2027-01-04"), false),
            (("2027-01-04", "2027-01-09"), ("2027-01-01", "2027-01-04"), true),
        ] {
            let a = period(a.0, a.1);
            let b = period(b.0, b.1);
            assert_eq!((a.overlaps(b), b.overlaps(a)), (expected, expected), "{a:?} {b:?}");
        }
        assert!(period("2027-01-01", "2027-01-01").is_ordered() && !period("2027-01-02", "2027-01-01").is_ordered());
    }

    #[test]
    fn a_version_names_the_days() {
        for (from, until, suffix) in [
            ("", "", ""),
            ("", "2026-12-31", "@..2026-12-31"),
            ("2027-01-01", "", "@2027-01-01.."),
            ("2026-11-22", "2027-03-31", "@2026-11-22..2027-03-31"),
        ] {
            assert_eq!(period(from, until).suffix(), suffix);
        }
    }
}
