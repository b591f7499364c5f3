//! Windows of quotas that are no UTC day, week or month: they open with the first use, or are calendar periods of a time zone.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};

use crate::time::clock::{Minute, Timestamp};

const MINUTES_PER_HOUR: u32 = 60;
const MINUTES_PER_DAY: u32 = 1_440;
const MINUTES_PER_WEEK: u32 = 10_080;
/// The text of a window that opens with the first use, after its length.
const FIRST_USE: &str = "first_use";

/// The shape of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetWindow {
    /// Opens with the first admitted request after the last one ended, at the beginning of its minute.
    FirstUse {
        /// The length in minutes, from 1 to [`BudgetWindow::MINUTES_MAX`].
        minutes: u32,
    },
    /// A day, week or month of a time zone, from its midnight on.
    Calendar {
        /// The calendar period that repeats.
        unit: CalendarUnit,
        /// The time zone of its midnight.
        zone: Zone,
    },
}

/// A calendar period of a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CalendarUnit {
    /// A day, which has 23 or 25 hours where the clocks change.
    Day,
    /// Seven days from Monday on.
    Week,
    /// A month from its first day on.
    Month,
}

/// A time zone of the IANA database that this release contains, such as `Asia/Jakarta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone(&'static str);

impl CalendarUnit {
    /// All periods, in order.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The spelling in the configuration, the store and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Returns the length in minutes; of a month, that of 30 days.
    #[must_use]
    pub const fn usual_minutes(self) -> u32 {
        match self {
            Self::Day => MINUTES_PER_DAY,
            Self::Week => MINUTES_PER_WEEK,
            Self::Month => 30 * MINUTES_PER_DAY,
        }
    }

    /// Parses the text that [`as_str`](Self::as_str) returns.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

impl Zone {
    /// The zone of Coordinated Universal Time.
    pub const UTC: Self = Self("UTC");

    /// Parses the name of a time zone, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        /// The names that were parsed; bounded by the database.
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let zone = TimeZone::get(name).ok()?;
        let name = zone.iana_name()?;
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Some(Self(known));
        }
        let known: &'static str = Box::leak(Box::from(name));
        names.insert(known);
        Some(Self(known))
    }

    /// Returns the name in the database of zones.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// Returns whether the zone has the time of UTC.
    #[must_use]
    pub fn is_utc(self) -> bool {
        matches!(self.0, "UTC" | "Etc/UTC" | "Etc/UCT" | "Etc/Zulu" | "UCT" | "Zulu" | "Etc/Universal" | "Universal")
    }

    /// Returns the local time; `None` after the year 9999.
    fn local(self, at: Timestamp) -> Option<Zoned> {
        let at = jiff::Timestamp::from_microsecond(i64::try_from(at.0).ok()?).ok()?;
        Some(at.to_zoned(TimeZone::get(self.0).ok()?))
    }

    /// Returns the minute in which a local day begins.
    fn midnight(self, date: Date) -> Option<Minute> {
        let begin = date.to_zoned(TimeZone::get(self.0).ok()?).ok()?;
        u32::try_from(begin.timestamp().as_second() / i64::from(MINUTES_PER_HOUR)).ok().map(Minute)
    }
}

impl BudgetWindow {
    /// A day from the first use on.
    pub const DAY: Self = Self::FirstUse { minutes: MINUTES_PER_DAY };
    /// Seven days from the first use on.
    pub const WEEK: Self = Self::FirstUse { minutes: MINUTES_PER_WEEK };
    /// The longest window that opens with the first use: 90 days.
    pub const MINUTES_MAX: u32 = 90 * MINUTES_PER_DAY;

    /// Returns the first minute of the window that contains `at`, and the first minute after it. `ended` is the end of the
    /// window before, within which no other begins.
    #[must_use]
    pub fn containing(self, at: Timestamp, ended: Minute) -> (Minute, Minute) {
        let minute = Minute::containing(at);
        match self {
            Self::FirstUse { minutes } => {
                let begin = minute.max(ended);
                (begin, Minute(begin.0.saturating_add(minutes)))
            }
            // Beyond the calendar, a window is one minute.
            Self::Calendar { unit, zone } => {
                calendar(unit, zone, at).unwrap_or((minute, Minute(minute.0.saturating_add(1))))
            }
        }
    }

    /// Returns the length in minutes; of a month, that of 30 days.
    #[must_use]
    pub const fn usual_minutes(self) -> u32 {
        match self {
            Self::FirstUse { minutes } => minutes,
            Self::Calendar { unit, .. } => unit.usual_minutes(),
        }
    }

    /// Returns whether the use of the window decides when it begins.
    #[must_use]
    pub const fn opens_with_use(self) -> bool {
        match self {
            Self::FirstUse { .. } => true,
            Self::Calendar { .. } => false,
        }
    }

    /// Parses the text that `to_string` returns: `5h/first_use`, `week/Asia/Jakarta`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (per, from) = text.split_once('/')?;
        if from != FIRST_USE {
            return Some(Self::Calendar { unit: CalendarUnit::parse(per)?, zone: Zone::parse(from)? });
        }
        let unit = match per.as_bytes().last()? {
            b'm' => 1,
            b'h' => MINUTES_PER_HOUR,
            b'd' => MINUTES_PER_DAY,
            _ => return None,
        };
        let digits = per.get(..per.len() - 1)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let count: u32 = digits.parse().ok()?;
        Self::first_use(count.checked_mul(unit)?)
    }

    /// Returns a window that opens with the first use; `None` outside 1 minute to 90 days.
    #[must_use]
    pub fn first_use(minutes: u32) -> Option<Self> {
        (1..=Self::MINUTES_MAX).contains(&minutes).then_some(Self::FirstUse { minutes })
    }

    /// Returns the length as the configuration writes it: `5h`, `week`.
    #[must_use]
    pub fn per(self) -> String {
        match self {
            Self::FirstUse { minutes } if minutes.is_multiple_of(MINUTES_PER_DAY) => {
                format!("{}d", minutes / MINUTES_PER_DAY)
            }
            Self::FirstUse { minutes } if minutes.is_multiple_of(MINUTES_PER_HOUR) => {
                format!("{}h", minutes / MINUTES_PER_HOUR)
            }
            Self::FirstUse { minutes } => format!("{minutes}m"),
            Self::Calendar { unit, .. } => unit.as_str().to_owned(),
        }
    }
}

impl fmt::Display for BudgetWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstUse { .. } => write!(f, "{}/{FIRST_USE}", self.per()),
            Self::Calendar { zone, .. } => write!(f, "{}/{}", self.per(), zone.name()),
        }
    }
}

/// Returns the bounds of a calendar period; `None` beyond the calendar.
fn calendar(unit: CalendarUnit, zone: Zone, at: Timestamp) -> Option<(Minute, Minute)> {
    let today = zone.local(at)?.date();
    let first = match unit {
        CalendarUnit::Day => today,
        CalendarUnit::Week => {
            today.checked_sub(Span::new().days(i64::from(today.weekday().to_monday_zero_offset()))).ok()?
        }
        CalendarUnit::Month => today.first_of_month(),
    };
    let length = match unit {
        CalendarUnit::Day => Span::new().days(1),
        CalendarUnit::Week => Span::new().weeks(1),
        CalendarUnit::Month => Span::new().months(1),
    };
    Some((zone.midnight(first)?, zone.midnight(first.checked_add(length).ok()?)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp(u64::try_from(at.as_microsecond()).unwrap())
    }

    fn bounds(window: &str, time: &str) -> [String; 2] {
        let (begin, end) = BudgetWindow::parse(window).unwrap().containing(self::time(time), Minute(0));
        [begin, end].map(|minute| jiff::Timestamp::from_second(i64::from(minute.0) * 60).unwrap().to_string())
    }

    #[test]
    fn days_weeks_and_months_begin_at_local_midnight() {
        let jakarta = |unit, time| bounds(&format!("{unit}/Asia/Jakarta"), time);
        assert_eq!(jakarta("day", "2026-12-01T16:59:59Z"), ["2026-11-30T17:00:00Z", "2026-12-01T17:00:00Z"]);
        assert_eq!(jakarta("day", "2026-12-01T17:00:00Z"), ["2026-12-01T17:00:00Z", "2026-12-02T17:00:00Z"]);
        // 2026-11-30 is a Monday.
        assert_eq!(jakarta("week", "2026-11-29T17:00:00Z"), ["2026-11-29T17:00:00Z", "2026-12-06T17:00:00Z"]);
        assert_eq!(jakarta("week", "2026-11-29T16:59:59Z"), ["2026-11-22T17:00:00Z", "2026-11-29T17:00:00Z"]);
        assert_eq!(jakarta("month", "2026-11-30T17:00:00Z"), ["2026-11-30T17:00:00Z", "2026-12-31T17:00:00Z"]);
    }

    #[test]
    fn a_day_on_which_the_clocks_change_is_one_day_of_23_or_25_hours() {
        assert_eq!(
            bounds("day/Europe/Berlin", "2026-03-29T12:00:00Z"),
            ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]
        );
        assert_eq!(
            bounds("day/Europe/Berlin", "2026-10-25T12:00:00Z"),
            ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]
        );
        // The clocks of Beirut change at midnight: the day begins at one o'clock.
        assert_eq!(bounds("day/Asia/Beirut", "2026-03-29T12:00:00Z"), ["2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"]);
        // An offset of 5 hours and 45 minutes.
        assert_eq!(bounds("day/Asia/Kathmandu", "2026-12-01T18:15:00Z")[0], "2026-12-01T18:15:00Z");
    }

    #[test]
    fn a_window_of_first_use_begins_in_the_minute_of_the_use_and_not_before_the_last_one_ended() {
        let window = BudgetWindow::parse("5h/first_use").unwrap();
        let minute = |text: &str| Minute::containing(time(text));
        let used = time("2026-12-01T10:14:59Z");
        assert_eq!(
            window.containing(used, Minute(0)),
            (minute("2026-12-01T10:14:00Z"), minute("2026-12-01T15:14:00Z"))
        );
        let ended = minute("2026-12-01T10:15:00Z");
        assert_eq!(window.containing(used, ended), (ended, minute("2026-12-01T15:15:00Z")));
    }

    #[test]
    fn windows_are_read_as_they_are_written() {
        for text in ["1m/first_use", "5h/first_use", "7d/first_use", "90d/first_use", "day/Asia/Jakarta", "month/UTC"] {
            assert_eq!(BudgetWindow::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(BudgetWindow::parse("300m/first_use").unwrap().to_string(), "5h/first_use");
        assert_eq!(BudgetWindow::parse("week/asia/jakarta").unwrap().to_string(), "week/Asia/Jakarta");
        for text in [
            "",
            "5h",
            "0m/first_use",
            "91d/first_use",
            "day/first_use",
            "5h/Asia/Jakarta",
            "day/Asia/Nowhere",
            "h/first_use",
            "-1h/first_use",
            "+1h/first_use",
            "99999999d/first_use",
            "é/first_use",
        ] {
            assert_eq!(BudgetWindow::parse(text), None, "{text}");
        }
        assert!(Zone::parse("UTC").unwrap().is_utc() && !Zone::parse("Asia/Jakarta").unwrap().is_utc());
    }

    proptest! {
        #[test]
        fn each_time_is_in_exactly_one_window_of_a_calendar(
            seconds in 0_u64..4_000_000_000,
            unit in 0_usize..3,
            zone in prop::sample::select(vec!["Asia/Jakarta", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        ) {
            let window = BudgetWindow::Calendar { unit: CalendarUnit::ALL[unit], zone: Zone::parse(zone).unwrap() };
            let time = Timestamp(seconds * 1_000_000);
            let (begin, end) = window.containing(time, Minute(0));
            prop_assert!(begin <= Minute::containing(time) && Minute::containing(time) < end);
            for inside in [begin.start(), Timestamp(end.start().0 - 1)] {
                prop_assert_eq!(window.containing(inside, Minute(0)), (begin, end));
            }
            prop_assert_eq!(window.containing(end.start(), Minute(0)).0, end);
        }
    }
}
