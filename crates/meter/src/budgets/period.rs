//! The periods of budgets: UTC days, weeks and months, and windows.

use access::{Day, LimitPeriod, Minute, Timestamp};
use serde::{Deserialize, Serialize};

const MINUTES_PER_DAY: u32 = 1_440;

/// A period of a budget, in whole minutes. Requests count in the period that contains their admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Period {
    begin: Minute,
    end: Minute,
    per: LimitPeriod,
}

impl Period {
    /// Returns the period that contains `at`. A window that opens with the first use begins at `at`.
    #[must_use]
    pub fn containing(per: LimitPeriod, at: impl Into<Timestamp>) -> Self {
        Self::begun(per, at.into(), Minute(0))
    }

    /// Returns the period that contains `at`; a window that opens with the first use begins at `at`, but not before `ended`,
    /// the end of the last one.
    #[must_use]
    pub fn begun(per: LimitPeriod, at: Timestamp, ended: Minute) -> Self {
        let day = at.day();
        let first = match per {
            LimitPeriod::Day => day,
            LimitPeriod::Week => Day(day.0.saturating_sub(day_of_week(day))),
            LimitPeriod::Month => Day(day.0.saturating_sub(day_of_month(day) - 1)),
            LimitPeriod::Window(window) => {
                let (begin, end) = window.containing(at, ended);
                return Self { begin, end, per };
            }
        };
        let next = match per {
            // The week of 1970-01-01 began before the first day.
            LimitPeriod::Week => Day(first.0.saturating_add(7 - day_of_week(first))),
            // 31 days after the first of a month is one of the first four days of the next month.
            LimitPeriod::Month => {
                let later = Day(first.0.saturating_add(31));
                Day(later.0.saturating_sub(day_of_month(later) - 1))
            }
            LimitPeriod::Day | LimitPeriod::Window(_) => first.next(),
        };
        Self { begin: midnight(first), end: midnight(next), per }
    }

    /// Returns a period of `per` with these bounds, as a record or the store has them.
    #[must_use]
    pub const fn between(per: LimitPeriod, begin: Minute, end: Minute) -> Self {
        Self { begin, end, per }
    }

    /// Returns a period that has ended, after which the next one begins with the first use.
    #[must_use]
    pub const fn ended(per: LimitPeriod) -> Self {
        Self { begin: Minute(0), end: Minute(0), per }
    }

    /// Returns the first UTC day of the period.
    #[must_use]
    pub const fn first(self) -> Day {
        Day(self.begin.0 / MINUTES_PER_DAY)
    }

    /// Returns the first minute of the period.
    #[must_use]
    pub const fn begin(self) -> Minute {
        self.begin
    }

    /// Returns the first minute after the period.
    #[must_use]
    pub const fn end_minute(self) -> Minute {
        self.end
    }

    /// Returns the kind of the period.
    #[must_use]
    pub const fn per(self) -> LimitPeriod {
        self.per
    }

    /// Returns the time at which the period ends and the budget resets.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        self.end.start()
    }

    /// Returns the next period.
    #[must_use]
    pub fn next(self) -> Self {
        Self::begun(self.per, self.end(), self.end)
    }
}

fn midnight(day: Day) -> Minute {
    Minute(day.0.saturating_mul(MINUTES_PER_DAY))
}

/// Returns 0 for a Monday to 6 for a Sunday. 1970-01-01 was a Thursday.
const fn day_of_week(day: Day) -> u32 {
    (day.0 % 7 + 3) % 7
}

/// Returns 1 to 31. The algorithm uses the proleptic Gregorian calendar with years that begin in March, so that a leap
/// day is the last day (Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn day_of_month(day: Day) -> u32 {
    const DAYS_BEFORE_1970: u64 = 719_468;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let of_era = (u64::from(day.0) + DAYS_BEFORE_1970) % DAYS_OF_400_YEARS;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    u32::try_from(of_year - (153 * month + 2) / 5 + 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_on_their_first_calendar_day() {
        // Days since 1970-01-01 of 2024-02-29, 2024-03-01, 2025-12-31, 2100-02-28 (no leap year), 2000-02-29.
        for (day, first, next) in [
            (19_782, 19_754, 19_783),
            (19_783, 19_783, 19_814),
            (20_453, 20_423, 20_454),
            (47_540, 47_513, 47_541),
            (11_016, 10_988, 11_017),
            (0, 0, 31),
        ] {
            let month = Period::containing(LimitPeriod::Month, Day(day));
            assert_eq!((month.first(), month.next().first()), (Day(first), Day(next)), "day {day}");
        }
    }

    #[test]
    fn every_day_of_400_years_is_in_exactly_one_month() {
        let mut month = Period::containing(LimitPeriod::Month, Day(0));
        for day in 0..146_097 {
            let of = Period::containing(LimitPeriod::Month, Day(day));
            if of != month {
                assert_eq!((of, of.first()), (month.next(), Day(day)));
                assert!((28..=31).contains(&(day - month.first().0)));
                month = of;
            }
        }
    }

    #[test]
    fn every_day_of_400_years_is_in_exactly_one_week_that_begins_on_a_monday() {
        let mut week = Period::containing(LimitPeriod::Week, Day(0));
        assert_eq!((week.first(), week.next().first()), (Day(0), Day(4)), "1970-01-05 was a Monday");
        for day in 0..146_097 {
            let of = Period::containing(LimitPeriod::Week, Day(day));
            if of != week {
                assert_eq!((of, of.first()), (week.next(), Day(day)));
                week = of;
            }
            assert!(day - week.first().0 < 7);
        }
        // 2026-11-30 is a Monday.
        assert_eq!(Period::containing(LimitPeriod::Week, Day(20_787)).first(), Day(20_787));
        assert_eq!(Period::containing(LimitPeriod::Week, Day(20_786)).end(), Day(20_787).start());
    }

    #[test]
    fn period_ends_at_midnight() {
        assert_eq!(Period::containing(LimitPeriod::Day, Day(20_000)).end(), Day(20_001).start());
        assert_eq!(Period::containing(LimitPeriod::Month, Day(19_782)).end(), Day(19_783).start());
        assert_eq!(Period::containing(LimitPeriod::Month, Day(2_982_615)).next().per(), LimitPeriod::Month);
    }

    #[test]
    fn the_next_window_begins_when_the_last_one_ends() {
        let per = LimitPeriod::parse("5h/first_use").unwrap();
        let window = Period::containing(per, Timestamp(90_000_000));
        assert_eq!((window.begin(), window.end_minute(), window.next().begin()), (Minute(1), Minute(301), Minute(301)));
        let begun = Period::begun(per, Timestamp(60_000_000), Minute(7));
        assert_eq!(begun, Period::between(per, Minute(7), Minute(307)));
        assert_eq!(Period::begun(per, Timestamp(0), Period::ended(per).end_minute()).begin(), Minute(0));
    }
}
