//! Windows of quotas that are no UTC day, week or month: they open with the first use, are calendar periods of a time zone, or
//! begin with a subscription.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};

use super::minutes::{MINUTES_MAX, minutes, written_minutes};
use super::subscription_window::{
    AnniversaryLength, PERIOD, SubscriptionDates, SubscriptionPeriod, parse_since, written_since,
};
use crate::time::clock::{Minute, Timestamp};

const SECONDS_PER_MINUTE: i64 = 60;
const MINUTES_PER_DAY: u32 = 1_440;
const MINUTES_PER_WEEK: u32 = 10_080;
/// The text of a window that opens with the first use, after its length.
const FIRST_USE: &str = "first_use";
/// The text of a week that does not begin on Monday, before its first day.
const WEEK_FROM: &str = "week-from-";

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
        /// The first day of weeks; Monday of days and months.
        week_start: WeekStart,
    },
    /// Repeats from a minute on, in UTC.
    Anniversary {
        /// The length of each.
        length: AnniversaryLength,
        /// The first minute of one of them; 0 in a plan, until a user with a subscription is known.
        since: Minute,
    },
    /// The trial and the paid periods of a subscription; calendar months in a plan, until a user is known.
    Period(SubscriptionPeriod),
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

/// The first day of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WeekStart {
    /// As in ISO 8601.
    Monday,
    /// As in parts of the Middle East.
    Saturday,
    /// As in parts of America and Asia.
    Sunday,
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

impl WeekStart {
    /// All first days, in order.
    pub const ALL: [Self; 3] = [Self::Monday, Self::Saturday, Self::Sunday];

    /// The spelling in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }

    /// Returns the name of the day in a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monday => "Monday",
            Self::Saturday => "Saturday",
            Self::Sunday => "Sunday",
        }
    }

    /// Returns the days from the first day of the week to `date`, 0 to 6.
    fn days_until(self, date: Date) -> i8 {
        let first = match self {
            Self::Monday => 0,
            Self::Saturday => 5,
            Self::Sunday => 6,
        };
        (date.weekday().to_monday_zero_offset() - first).rem_euclid(7)
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
        u32::try_from(begin.timestamp().as_second() / SECONDS_PER_MINUTE).ok().map(Minute)
    }
}

impl BudgetWindow {
    /// A day from the first use on.
    pub const DAY: Self = Self::FirstUse { minutes: MINUTES_PER_DAY };
    /// Seven days from the first use on.
    pub const WEEK: Self = Self::FirstUse { minutes: MINUTES_PER_WEEK };
    /// The longest window that opens with the first use: 90 days.
    pub const MINUTES_MAX: u32 = MINUTES_MAX;

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
            Self::Calendar { unit, zone, week_start } => or_one_minute(calendar(unit, zone, week_start, at), minute),
            Self::Anniversary { length, since } => or_one_minute(length.containing(since, at), minute),
            Self::Period(period) => or_one_minute(period.containing(at), minute),
        }
    }

    /// Returns the window of a user with these dates, of the window of a plan.
    #[must_use]
    pub const fn for_subscriber(self, dates: SubscriptionDates) -> Self {
        match self {
            Self::FirstUse { .. } | Self::Calendar { .. } => self,
            Self::Anniversary { length, .. } => Self::Anniversary { length, since: dates.since },
            Self::Period(_) => Self::Period(dates.period),
        }
    }

    /// Returns the window as a plan has it, before a user is known.
    #[must_use]
    pub const fn of_plan(self) -> Self {
        self.for_subscriber(SubscriptionDates { since: Minute(0), period: SubscriptionPeriod::CALENDAR_MONTHS })
    }

    /// Returns whether the window depends on the subscription of the user.
    #[must_use]
    pub const fn is_of_subscription(self) -> bool {
        match self {
            Self::FirstUse { .. } | Self::Calendar { .. } => false,
            Self::Anniversary { .. } | Self::Period(_) => true,
        }
    }

    /// Returns the length in minutes; of a month, that of 30 days.
    #[must_use]
    pub const fn usual_minutes(self) -> u32 {
        match self {
            Self::FirstUse { minutes } => minutes,
            Self::Calendar { unit, .. } => unit.usual_minutes(),
            Self::Anniversary { length, .. } => length.usual_minutes(),
            Self::Period(period) => period.usual_minutes(),
        }
    }

    /// Returns whether the use of the window decides when it begins.
    #[must_use]
    pub const fn opens_with_use(self) -> bool {
        match self {
            Self::FirstUse { .. } => true,
            Self::Calendar { .. } | Self::Anniversary { .. } | Self::Period(_) => false,
        }
    }

    /// Parses the text that `to_string` returns: `5h/first_use`, `week/Asia/Jakarta`, `week/subscription`, `period`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with(PERIOD) {
            return SubscriptionPeriod::parse(text).map(Self::Period);
        }
        let (per, from) = text.split_once('/')?;
        if from == FIRST_USE {
            return minutes(per).and_then(Self::first_use);
        }
        if let Some(since) = parse_since(from) {
            return AnniversaryLength::parse(per).map(|length| Self::Anniversary { length, since });
        }
        let zone = Zone::parse(from)?;
        match per.strip_prefix(WEEK_FROM) {
            Some(day) => {
                let week_start = WeekStart::ALL.into_iter().find(|start| start.as_str() == day)?;
                Some(Self::calendar(CalendarUnit::Week, zone, week_start))
            }
            None => Some(Self::calendar(CalendarUnit::parse(per)?, zone, WeekStart::Monday)),
        }
    }

    /// Returns a calendar period; only weeks have a first day.
    #[must_use]
    pub const fn calendar(unit: CalendarUnit, zone: Zone, week_start: WeekStart) -> Self {
        match unit {
            CalendarUnit::Week => Self::Calendar { unit, zone, week_start },
            CalendarUnit::Day | CalendarUnit::Month => Self::Calendar { unit, zone, week_start: WeekStart::Monday },
        }
    }

    /// Returns a window that opens with the first use; `None` outside 1 minute to 90 days.
    #[must_use]
    pub fn first_use(minutes: u32) -> Option<Self> {
        (1..=Self::MINUTES_MAX).contains(&minutes).then_some(Self::FirstUse { minutes })
    }

    /// Returns the length as the configuration writes it: `5h`, `week`, `period`.
    #[must_use]
    pub fn per(self) -> String {
        match self {
            Self::FirstUse { minutes } => written_minutes(minutes),
            Self::Calendar { unit, .. } => unit.as_str().to_owned(),
            Self::Anniversary { length, .. } => length.per(),
            Self::Period(_) => PERIOD.to_owned(),
        }
    }
}

impl fmt::Display for BudgetWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstUse { .. } => write!(f, "{}/{FIRST_USE}", self.per()),
            Self::Calendar { zone, week_start: WeekStart::Monday, .. } => write!(f, "{}/{}", self.per(), zone.name()),
            Self::Calendar { zone, week_start, .. } => write!(f, "{WEEK_FROM}{}/{}", week_start.as_str(), zone.name()),
            Self::Anniversary { since, .. } => write!(f, "{}/{}", self.per(), written_since(*since)),
            Self::Period(period) => period.fmt(f),
        }
    }
}

/// Returns the bounds of a window; beyond the calendar, those of one minute.
fn or_one_minute(bounds: Option<(Minute, Minute)>, minute: Minute) -> (Minute, Minute) {
    bounds.unwrap_or((minute, Minute(minute.0.saturating_add(1))))
}

/// Returns the bounds of a calendar period; `None` beyond the calendar.
fn calendar(unit: CalendarUnit, zone: Zone, week_start: WeekStart, at: Timestamp) -> Option<(Minute, Minute)> {
    let today = zone.local(at)?.date();
    let first = match unit {
        CalendarUnit::Day => today,
        CalendarUnit::Week => today.checked_sub(Span::new().days(week_start.days_until(today))).ok()?,
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
        let sunday = "week-from-sunday/Asia/Jakarta";
        assert_eq!(bounds(sunday, "2026-11-29T16:59:59Z"), ["2026-11-28T17:00:00Z", "2026-12-05T17:00:00Z"]);
        let saturday = "week-from-saturday/UTC";
        assert_eq!(bounds(saturday, "2026-12-04T23:59:59Z"), ["2026-11-28T00:00:00Z", "2026-12-05T00:00:00Z"]);
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
        for text in [
            "1m/first_use",
            "5h/first_use",
            "7d/first_use",
            "90d/first_use",
            "day/Asia/Jakarta",
            "month/UTC",
            "week-from-sunday/Asia/Jakarta",
        ] {
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
            "week-from-noon/UTC",
            "day-from-sunday/UTC",
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
            week_start in prop::sample::select(&WeekStart::ALL[..]),
            zone in prop::sample::select(vec!["Asia/Jakarta", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        ) {
            let window = BudgetWindow::calendar(CalendarUnit::ALL[unit], Zone::parse(zone).unwrap(), week_start);
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
