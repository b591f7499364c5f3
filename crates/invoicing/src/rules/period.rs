//! Periods of a subscription: whole UTC days, from an anchor day that is kept.

use access::{BillingInterval, CivilDate, Day};

use super::iso_day;

/// Whole UTC days from the first to the last one, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct BillingPeriod {
    /// The first day of the period.
    #[serde(with = "iso_day")]
    pub first_day: Day,
    /// The last day of the period, which is not before the first one.
    #[serde(with = "iso_day")]
    pub last_day: Day,
}

impl BillingPeriod {
    /// Returns the period that begins on `first_day`. The next one begins on the anchor day, or on the last day of a
    /// shorter month.
    #[must_use]
    pub fn starting(first_day: Day, anchor_day: u8, interval: BillingInterval) -> Self {
        let CivilDate { year, month, .. } = first_day.civil();
        let months = year * 12 + (month - 1) + u64::from(interval.months());
        let year = months / 12;
        let month = months % 12 + 1;
        let day = u64::from(anchor_day.max(1)).min(CivilDate::days_of_month(year, month));
        let next = CivilDate { year, month, day }.to_day().unwrap_or(Day(u32::MAX));
        Self { first_day, last_day: Day(next.0.saturating_sub(1).max(first_day.0)) }
    }

    /// Returns the anchor day of a subscription that begins on `day`.
    #[must_use]
    pub fn anchor_of(day: Day) -> u8 {
        u8::try_from(day.civil().day).unwrap_or(1)
    }

    /// Returns the period that follows this one.
    #[must_use]
    pub fn following(self, anchor_day: u8, interval: BillingInterval) -> Self {
        Self::starting(self.last_day.next(), anchor_day, interval)
    }

    /// Number of days, at least 1.
    #[must_use]
    pub const fn days(self) -> u32 {
        self.last_day.0.saturating_sub(self.first_day.0).saturating_add(1)
    }

    /// Whether the period contains `day`.
    #[must_use]
    pub fn contains(self, day: Day) -> bool {
        self.first_day <= day && day <= self.last_day
    }

    /// Returns the days from `day` to the end of the period; `None` if `day` is outside of it.
    #[must_use]
    pub fn from_day(self, day: Day) -> Option<Self> {
        self.contains(day).then_some(Self { first_day: day, last_day: self.last_day })
    }

    /// Returns the days of the period before `day`; `None` if `day` is its first day or outside of it.
    #[must_use]
    pub fn before_day(self, day: Day) -> Option<Self> {
        let is_inside = self.contains(day) && day > self.first_day;
        is_inside.then_some(Self { first_day: self.first_day, last_day: Day(day.0.saturating_sub(1)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    /// Returns the first days of the periods that follow.
    fn first_days(first: &str, anchor: u8, interval: BillingInterval, count: usize) -> Vec<String> {
        let mut period = BillingPeriod::starting(day(first), anchor, interval);
        let mut days = Vec::new();
        for _ in 0..count {
            days.push(period.first_day.to_string());
            period = period.following(anchor, interval);
        }
        days
    }

    #[test]
    fn a_subscription_of_the_31st_is_billed_each_month_and_returns_to_the_31st() {
        let expected = ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30"];
        assert_eq!(first_days("2026-01-31", 31, BillingInterval::Month, 6), expected);
        let expected = ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"];
        assert_eq!(first_days("2024-02-29", 29, BillingInterval::Year, 5), expected);
        let expected = ["2026-11-30", "2026-12-30", "2027-01-30", "2027-02-28", "2027-03-30"];
        assert_eq!(first_days("2026-11-30", 30, BillingInterval::Month, 5), expected);
    }

    #[test]
    fn a_period_is_split_by_a_day() {
        let december = BillingPeriod::starting(day("2026-12-01"), 1, BillingInterval::Month);
        assert_eq!((december.days(), december.last_day), (31, day("2026-12-31")));
        let rest = december.from_day(day("2026-12-11")).unwrap();
        assert_eq!((rest.days(), december.before_day(day("2026-12-11")).unwrap().days()), (21, 10));
        assert_eq!(december.before_day(day("2026-12-01")), None);
        assert_eq!(december.from_day(day("2027-01-01")), None);
    }

    proptest! {
        #[test]
        fn no_day_is_billed_in_two_periods(first in 0_u32..60_000, years in any::<bool>()) {
            let interval = if years { BillingInterval::Year } else { BillingInterval::Month };
            let anchor = BillingPeriod::anchor_of(Day(first));
            let mut period = BillingPeriod::starting(Day(first), anchor, interval);
            prop_assert_eq!(period.first_day, Day(first));
            for _ in 0..40 {
                let next = period.following(anchor, interval);
                prop_assert_eq!(next.first_day, period.last_day.next());
                let longest = if years { 366 } else { 31 };
                prop_assert!((28..=longest).contains(&period.days()), "{:?}", period);
                period = next;
            }
        }
    }
}
