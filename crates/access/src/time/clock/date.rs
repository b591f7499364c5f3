//! Dates as text: `2026-11-20`, in the proleptic Gregorian calendar.
//!
//! For the calculation, years begin in March, so that a leap day is the last day of a year (Hinnant, "chrono-Compatible
//! Low-Level Date Algorithms", `days_from_civil` and `civil_from_days`).

use std::fmt;

use super::Day;

const DAYS_BEFORE_1970: u64 = 719_468;
const DAYS_OF_400_YEARS: u64 = 146_097;

/// A date of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CivilDate {
    /// The year, from 1970.
    pub year: u64,
    /// The month, from 1 to 12.
    pub month: u64,
    /// The day of the month, from 1 to 31.
    pub day: u64,
}

impl CivilDate {
    /// Returns the day of this date; `None` if it does not exist or is before 1970.
    #[must_use]
    pub fn to_day(self) -> Option<Day> {
        if !(1..=12).contains(&self.month) || !(1..=31).contains(&self.day) {
            return None;
        }
        let day = Day::from_date(self.year, self.month, self.day)?;
        (day.civil() == self).then_some(day)
    }

    /// Returns the last day of a month, from 28 to 31.
    #[must_use]
    pub const fn days_of_month(year: u64, month: u64) -> u64 {
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

impl Day {
    /// Parses `2026-11-20`: ten characters, an existing day, not before 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let year = parts.next()?;
        let month = parts.next()?;
        let day = parts.next()?;
        let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
        if parts.next().is_some() || !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
            return None;
        }
        let read = Self::from_date(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
        // A day that does not exist, such as November 31st, was converted to a different day.
        (read.to_string() == text).then_some(read)
    }

    fn from_date(year: u64, month: u64, day: u64) -> Option<Self> {
        let year = if month <= 2 { year.checked_sub(1)? } else { year };
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
        let of_era = (year % 400) * 365 + (year % 400) / 4 - (year % 400) / 100 + of_year;
        let days = (year / 400 * DAYS_OF_400_YEARS + of_era).checked_sub(DAYS_BEFORE_1970)?;
        u32::try_from(days).ok().map(Self)
    }

    /// Returns the date of the calendar.
    #[must_use]
    pub fn civil(self) -> CivilDate {
        let days = u64::from(self.0) + DAYS_BEFORE_1970;
        let era = days / DAYS_OF_400_YEARS;
        let of_era = days % DAYS_OF_400_YEARS;
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        CivilDate { year: era * 400 + year + next, month, day }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CivilDate { year, month, day } = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_it_is_read() {
        for (day, text) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (19_783, "2024-03-01"),
            (20_454, "2026-01-01"),
            (20_777, "2026-11-20"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!((Day(day).to_string().as_str(), Day::parse(text)), (text, Some(Day(day))));
        }
        for day in (0..150_000).map(Day) {
            assert_eq!(Day::parse(&day.to_string()), Some(day));
            assert_eq!(day.civil().to_day(), Some(day));
        }
        for (year, month, day) in [(2026, 2, 29), (2026, 13, 1), (2026, 4, 31), (1969, 12, 31), (2026, 1, 0)] {
            assert_eq!(CivilDate { year, month, day }.to_day(), None);
        }
        assert_eq!([2024, 2026, 2100, 2000].map(|year| CivilDate::days_of_month(year, 2)), [29, 28, 28, 29]);
    }

    #[test]
    fn text_that_is_not_a_day_is_not_parsed() {
        for text in [
            "",
            "2026-11-31",
            "2026-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-11-00",
            "26-11-20",
            "2026-1-20",
            "2026-11-20 ",
            "2026/11/20",
            "2026-11-20-1",
            "1969-12-31",
            "0000-01-01",
            "+026-11-20",
            "2026-11-٢٠",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
