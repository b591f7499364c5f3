//! Windows that begin with a subscription: at its anniversaries, or with its paid periods.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};

use super::minutes::{minutes, written_minutes};
use crate::amounts::plan_price::BillingInterval;
use crate::time::clock::{Day, Minute, Timestamp};

const MINUTES_PER_DAY: u32 = 1_440;
const MINUTES_PER_WEEK: u32 = 10_080;
const SECONDS_PER_MINUTE: i64 = 60;
/// The text of a plan's window before it is that of a user.
const SUBSCRIPTION: &str = "subscription";
/// The text of the periods of a subscription.
pub(super) const PERIOD: &str = "period";
/// The form of the minute since which windows repeat.
const SINCE: &str = "%Y-%m-%dT%H:%MZ";

/// When a user's subscription began, and its periods. Of a user without a subscription, those of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionDates {
    /// The begin of the hour of the first payment; without one, of the subscription; without one, of the user.
    pub since: Minute,
    /// The periods that are paid.
    pub period: SubscriptionPeriod,
}

/// The length of windows that repeat from a minute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnniversaryLength {
    /// A number of minutes, from 1 to that of 90 days.
    Minutes(u32),
    /// A calendar month in UTC: to the same day and time of the next month, or to the last day of a shorter one.
    Month,
}

/// The periods of a subscription: whole UTC days. Each begins on the same day of a month, or on the last day of a shorter
/// month; a trial comes before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionPeriod {
    start: PeriodStart,
    trial: Option<Trial>,
}

/// The days on which periods begin. The days are from 1 to 31, and exist in the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum PeriodStart {
    Monthly { day: i8 },
    Yearly { month: i8, day: i8 },
}

/// The days of a trial, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Trial {
    first: Day,
    last: Day,
}

impl AnniversaryLength {
    /// A window of twenty-four hours.
    pub const DAY: Self = Self::Minutes(MINUTES_PER_DAY);
    /// A window of seven days.
    pub const WEEK: Self = Self::Minutes(MINUTES_PER_WEEK);

    /// Returns the length in minutes; of a month, that of 30 days.
    #[must_use]
    pub const fn usual_minutes(self) -> u32 {
        match self {
            Self::Minutes(minutes) => minutes,
            Self::Month => 30 * MINUTES_PER_DAY,
        }
    }

    /// Returns the length as the configuration writes it: `5h`, `day`, `week`, `month`.
    pub(super) fn per(self) -> String {
        match self {
            Self::Minutes(MINUTES_PER_DAY) => "day".to_owned(),
            Self::Minutes(MINUTES_PER_WEEK) => "week".to_owned(),
            Self::Minutes(minutes) => written_minutes(minutes),
            Self::Month => "month".to_owned(),
        }
    }

    /// Parses the text that [`per`](Self::per) returns.
    pub(super) fn parse(per: &str) -> Option<Self> {
        Some(match per {
            "day" => Self::Minutes(MINUTES_PER_DAY),
            "week" => Self::Minutes(MINUTES_PER_WEEK),
            "month" => Self::Month,
            _ => Self::Minutes(minutes(per)?),
        })
    }

    /// Returns the bounds of the window that contains `at`, of those that repeat from `since` on, in both directions.
    /// `None` beyond the calendar.
    pub(super) fn containing(self, since: Minute, at: Timestamp) -> Option<(Minute, Minute)> {
        let at = i64::from(Minute::containing(at).0);
        match self {
            Self::Minutes(length) => {
                let length = i64::from(length.max(1));
                let begin = at - (at - i64::from(since.0)).rem_euclid(length);
                Some((minute(begin.max(0))?, minute(begin + length)?))
            }
            Self::Month => {
                let [begin_of_all, local] = [i64::from(since.0), at].map(datetime);
                let begin_of_all = begin_of_all?;
                let months_of = |date: jiff::civil::DateTime| i64::from(date.year()) * 12 + i64::from(date.month());
                let months = months_of(local?) - months_of(begin_of_all);
                let nth = |months: i64| {
                    let begin = begin_of_all.checked_add(Span::new().try_months(months).ok()?).ok()?;
                    Some(begin.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second() / SECONDS_PER_MINUTE)
                };
                let begin = nth(months)?;
                let (begin, end) = if begin > at { (nth(months - 1)?, begin) } else { (begin, nth(months + 1)?) };
                Some((minute(begin.max(0))?, minute(end)?))
            }
        }
    }
}

impl SubscriptionPeriod {
    /// Calendar months in UTC: the periods of a plan before they are those of a user.
    pub const CALENDAR_MONTHS: Self = Self { start: PeriodStart::Monthly { day: 1 }, trial: None };

    /// Returns the periods of a subscription: `anchor_day` is the day of the month on which they begin, from 1 to 31, and
    /// `period_first` the first day of any of them.
    #[must_use]
    pub fn new(interval: BillingInterval, anchor_day: u8, period_first: Day) -> Self {
        let day = i8::try_from(anchor_day).map_or(31, |day| day.clamp(1, 31));
        let start = match interval {
            BillingInterval::Month => PeriodStart::Monthly { day },
            BillingInterval::Year => {
                let month = date(period_first).map_or(1, Date::month);
                PeriodStart::Yearly { month, day }
            }
        };
        Self { start, trial: None }
    }

    /// Returns the months of a user without a subscription; `day` is that of the user's creation.
    #[must_use]
    pub fn monthly_since(day: Day) -> Self {
        let day = date(day).map_or(1, Date::day);
        Self { start: PeriodStart::Monthly { day }, trial: None }
    }

    /// Returns the same periods after a trial from `first` to `last`, both inclusive.
    #[must_use]
    pub const fn after_trial(self, first: Day, last: Day) -> Self {
        Self { trial: Some(Trial { first, last }), ..self }
    }

    /// Returns the length in minutes; of a month, that of 30 days.
    #[must_use]
    pub const fn usual_minutes(self) -> u32 {
        match self.start {
            PeriodStart::Monthly { .. } => 30 * MINUTES_PER_DAY,
            PeriodStart::Yearly { .. } => 365 * MINUTES_PER_DAY,
        }
    }

    /// Returns the bounds of the trial or period that contains `at`; `None` beyond the calendar.
    pub(super) fn containing(self, at: Timestamp) -> Option<(Minute, Minute)> {
        let day = at.day();
        let midnight = |day: Day| Some(Minute(day.0.checked_mul(MINUTES_PER_DAY)?));
        let trial = self.trial.filter(|trial| trial.first <= day);
        if let Some(Trial { first, last }) = trial.filter(|trial| day <= trial.last) {
            return Some((midnight(first)?, midnight(last.next())?));
        }
        let (begin, end) = self.start.containing(date(day)?)?;
        let [begin, end] = [begin, end].map(day_of);
        let begin = begin?.max(trial.map_or(Day(0), |trial| trial.last.next()));
        Some((midnight(begin)?, midnight(end?)?))
    }

    /// Parses the text that `to_string` returns.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Some(rest) = text.strip_prefix(PERIOD)?.strip_prefix('/') else {
            return (text == PERIOD).then_some(Self::CALENDAR_MONTHS);
        };
        let (start, trial) = match rest.split_once('/') {
            Some((start, trial)) => {
                let (first, last) = trial.split_once("..")?;
                let [first, last] = [Day::parse(first)?, Day::parse(last)?];
                (start, Some(Trial { first, last }).filter(|trial| trial.first <= trial.last))
            }
            None => (rest, None),
        };
        let day = |text: &str| text.parse().ok().filter(|day: &i8| (1..=31).contains(day));
        let start = match start.split_once('-') {
            Some((month, on)) => {
                let month = month.parse().ok().filter(|month: &i8| (1..=12).contains(month))?;
                PeriodStart::Yearly { month, day: day(on)? }
            }
            None => PeriodStart::Monthly { day: day(start)? },
        };
        Some(Self { start, trial })
    }
}

impl fmt::Display for SubscriptionPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PERIOD)?;
        match self.start {
            PeriodStart::Monthly { day: 1 } if self.trial.is_none() => {}
            PeriodStart::Monthly { day } => write!(f, "/{day}")?,
            PeriodStart::Yearly { month, day } => write!(f, "/{month:02}-{day:02}")?,
        }
        match self.trial {
            Some(Trial { first, last }) => write!(f, "/{first}..{last}"),
            None => Ok(()),
        }
    }
}

impl PeriodStart {
    /// Returns the first day of the period that contains `date`, and of the next one.
    fn containing(self, date: Date) -> Option<(Date, Date)> {
        let (first_month, day, span) = match self {
            Self::Monthly { day } => (date.first_of_month(), day, 1.month()),
            Self::Yearly { month, day } => (Date::new(date.year(), month, 1).ok()?, day, 1.year()),
        };
        let begin = |month: Date| Date::new(month.year(), month.month(), day.min(month.days_in_month())).ok();
        let here = begin(first_month)?;
        if here <= date {
            Some((here, begin(first_month.checked_add(span).ok()?)?))
        } else {
            Some((begin(first_month.checked_sub(span).ok()?)?, here))
        }
    }
}

/// Writes the begin of windows: `subscription` in a plan, a minute of UTC of a user.
pub(super) fn written_since(since: Minute) -> String {
    let at = jiff::Timestamp::from_second(i64::from(since.0) * SECONDS_PER_MINUTE);
    match at {
        Ok(at) if since.0 > 0 => at.strftime(SINCE).to_string(),
        Ok(_) | Err(_) => SUBSCRIPTION.to_owned(),
    }
}

/// Parses the text that [`written_since`] returns.
pub(super) fn parse_since(text: &str) -> Option<Minute> {
    if text == SUBSCRIPTION {
        return Some(Minute(0));
    }
    let at = jiff::civil::DateTime::strptime(SINCE, text).ok()?;
    minute(at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second() / SECONDS_PER_MINUTE).filter(|since| since.0 > 0)
}

fn minute(minutes: i64) -> Option<Minute> {
    u32::try_from(minutes).ok().map(Minute)
}

/// Returns a minute as a date and time of UTC.
fn datetime(minutes: i64) -> Option<jiff::civil::DateTime> {
    let at = jiff::Timestamp::from_second(minutes.checked_mul(SECONDS_PER_MINUTE)?).ok()?;
    Some(TimeZone::UTC.to_datetime(at))
}

fn date(day: Day) -> Option<Date> {
    Some(datetime(i64::from(day.0.checked_mul(MINUTES_PER_DAY)?))?.date())
}

/// Returns the day of a date; the first day for an earlier one.
fn day_of(date: Date) -> Option<Day> {
    let seconds = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second().max(0);
    u32::try_from(seconds / (i64::from(MINUTES_PER_DAY) * SECONDS_PER_MINUTE)).ok().map(Day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::window::BudgetWindow;
    use super::*;

    fn time(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp(u64::try_from(at.as_microsecond()).unwrap())
    }

    fn bounds(window: &str, time: &str) -> [String; 2] {
        let (begin, end) = BudgetWindow::parse(window).unwrap().containing(self::time(time), Minute(0));
        [begin, end].map(written_since)
    }

    #[test]
    fn windows_repeat_from_the_hour_of_the_payment_on() {
        let week = |at| bounds("week/2026-11-30T14:00Z", at);
        assert_eq!(week("2026-11-30T14:00:00Z"), ["2026-11-30T14:00Z", "2026-12-07T14:00Z"]);
        assert_eq!(week("2026-12-07T13:59:59Z"), ["2026-11-30T14:00Z", "2026-12-07T14:00Z"]);
        assert_eq!(week("2026-12-07T14:00:00Z"), ["2026-12-07T14:00Z", "2026-12-14T14:00Z"]);
        assert_eq!(bounds("5h/2026-11-30T14:00Z", "2026-12-01T00:30:00Z"), ["2026-12-01T00:00Z", "2026-12-01T05:00Z"]);
        // A clock before the subscription.
        assert_eq!(week("2026-11-30T13:00:00Z"), ["2026-11-23T14:00Z", "2026-11-30T14:00Z"]);
    }

    #[test]
    fn a_month_of_the_31st_ends_on_the_last_day_of_a_shorter_one_and_returns() {
        let month = |at| bounds("month/2026-01-31T10:00Z", at);
        assert_eq!(month("2026-02-15T00:00:00Z"), ["2026-01-31T10:00Z", "2026-02-28T10:00Z"]);
        assert_eq!(month("2026-02-28T09:59:00Z"), ["2026-01-31T10:00Z", "2026-02-28T10:00Z"]);
        assert_eq!(month("2026-03-01T00:00:00Z"), ["2026-02-28T10:00Z", "2026-03-31T10:00Z"]);
    }

    #[test]
    fn a_paid_period_is_one_window_and_a_trial_is_its_own() {
        let paid = SubscriptionPeriod::new(BillingInterval::Month, 30, Day::parse("2026-11-30").unwrap());
        assert_eq!(paid.to_string(), "period/30");
        assert_eq!(bounds("period/30", "2026-11-30T00:00:00Z"), ["2026-11-30T00:00Z", "2026-12-30T00:00Z"]);
        assert_eq!(bounds("period/30", "2026-12-29T23:59:59Z"), ["2026-11-30T00:00Z", "2026-12-30T00:00Z"]);
        assert_eq!(bounds("period/30", "2027-02-28T00:00:00Z"), ["2027-02-28T00:00Z", "2027-03-30T00:00Z"]);
        let [first, last] = ["2026-11-16", "2026-11-29"].map(|day| Day::parse(day).unwrap());
        let after_trial = paid.after_trial(first, last).to_string();
        assert_eq!(after_trial, "period/30/2026-11-16..2026-11-29");
        assert_eq!(bounds(&after_trial, "2026-11-20T12:00:00Z"), ["2026-11-16T00:00Z", "2026-11-30T00:00Z"]);
        assert_eq!(bounds(&after_trial, "2026-11-30T00:00:00Z"), ["2026-11-30T00:00Z", "2026-12-30T00:00Z"]);
        // A trial that ends within a period of the calendar leaves the rest of it.
        assert_eq!(
            bounds("period/1/2026-11-16..2026-11-20", "2026-11-25T00:00:00Z"),
            ["2026-11-21T00:00Z", "2026-12-01T00:00Z"]
        );
    }

    #[test]
    fn a_year_from_a_leap_day_begins_on_the_last_day_of_february() {
        let year = SubscriptionPeriod::new(BillingInterval::Year, 29, Day::parse("2024-02-29").unwrap());
        assert_eq!(year.to_string(), "period/02-29");
        assert_eq!(bounds("period/02-29", "2026-01-01T00:00:00Z"), ["2025-02-28T00:00Z", "2026-02-28T00:00Z"]);
        assert_eq!(bounds("period/02-29", "2028-02-29T00:00:00Z"), ["2028-02-29T00:00Z", "2029-02-28T00:00Z"]);
    }

    #[test]
    fn windows_of_subscriptions_are_read_as_they_are_written() {
        for text in [
            "5h/subscription",
            "week/subscription",
            "month/2026-11-30T14:00Z",
            "period",
            "period/31",
            "period/02-29",
            "period/1/2026-11-10..2026-11-16",
        ] {
            assert_eq!(BudgetWindow::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(BudgetWindow::parse("7d/subscription").unwrap().to_string(), "week/subscription");
        assert_eq!(BudgetWindow::parse("period/1"), BudgetWindow::parse("period"));
        for text in [
            "period/",
            "period/0",
            "period/32",
            "period/13-01",
            "period/1/",
            "period/1/2026-11-10",
            "periods",
            "week/1970-01-01T00:00Z",
            "week/2026-11-30",
            "91d/subscription",
        ] {
            assert_eq!(BudgetWindow::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn each_time_is_in_exactly_one_window_of_a_subscription(
            seconds in 0_u64..4_000_000_000,
            window in prop::sample::select(vec![
                "5h/2026-11-30T14:00Z", "week/2026-11-30T14:00Z", "month/2024-01-31T23:00Z", "period/31", "period/02-29",
                "period/30/2026-11-16..2026-11-29", "month/subscription",
            ]),
        ) {
            let window = BudgetWindow::parse(window).unwrap();
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
