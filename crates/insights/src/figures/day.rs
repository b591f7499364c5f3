//! Days and times as texts: `2026-11-21` and RFC 3339, UTC.

use access::{Day, Timestamp};
use chrono::{DateTime, Datelike, Days, NaiveDate, SecondsFormat, Utc};

/// The last day that has a text: 9999-12-31.
const DAY_MAX: u32 = 2_932_896;

/// Formats a day as `2026-11-21`.
#[must_use]
pub fn date(day: Day) -> String {
    naive(day).format("%Y-%m-%d").to_string()
}

/// Parses a day in the form `2026-11-21`; returns `None` for every other text and for days before 1970.
#[must_use]
pub fn parse(text: &str) -> Option<Day> {
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = is_date.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())??;
    u32::try_from(date.signed_duration_since(epoch()).num_days()).ok().filter(|day| *day <= DAY_MAX).map(Day)
}

/// Formats a time as `2026-11-20T08:03:52Z`, with microseconds if they are not zero.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let moment = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_micros);
    moment.unwrap_or(DateTime::<Utc>::MAX_UTC).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Returns the day that is earlier by `days`; `None` before 1970.
#[must_use]
pub fn earlier(day: Day, days: u32) -> Option<Day> {
    day.0.checked_sub(days).map(Day)
}

/// Returns the English plural of the weekday, such as `Saturdays`.
#[must_use]
pub fn weekdays(day: Day) -> &'static str {
    match naive(day).weekday() {
        chrono::Weekday::Mon => "Mondays",
        chrono::Weekday::Tue => "Tuesdays",
        chrono::Weekday::Wed => "Wednesdays",
        chrono::Weekday::Thu => "Thursdays",
        chrono::Weekday::Fri => "Fridays",
        chrono::Weekday::Sat => "Saturdays",
        chrono::Weekday::Sun => "Sundays",
    }
}

/// Returns the first and the last day of the day's month.
#[must_use]
pub fn month(day: Day) -> (Day, Day) {
    let date = naive(day);
    let first = day.0.saturating_sub(date.day0());
    let days = date.with_day(1).and_then(|first| first.checked_add_months(chrono::Months::new(1)));
    let next = days.and_then(|next| u32::try_from(next.signed_duration_since(epoch()).num_days()).ok());
    (Day(first), Day(next.map_or(day.0, |next| next.saturating_sub(1))))
}

/// Returns the first day, 1970-01-01.
fn epoch() -> NaiveDate {
    DateTime::<Utc>::UNIX_EPOCH.date_naive()
}

fn naive(day: Day) -> NaiveDate {
    epoch().checked_add_days(Days::new(u64::from(day.0.min(DAY_MAX)))).unwrap_or(epoch())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_reads_back() {
        for (day, text) in [(0, "1970-01-01"), (20_778, "2026-11-21"), (DAY_MAX, "9999-12-31")] {
            assert_eq!(date(Day(day)), text);
            assert_eq!(parse(text), Some(Day(day)));
        }
        for text in ["", "2026-11-31", "2026-1-1", "1969-12-31", "+026-11-21", "2026-11-21 ", "２026-11-2", "today"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_month_has_its_first_and_last_day() {
        for (day, first, last) in [
            ("2026-11-21", "2026-11-01", "2026-11-30"),
            ("2024-02-29", "2024-02-01", "2024-02-29"),
            ("2026-12-31", "2026-12-01", "2026-12-31"),
        ] {
            let (begin, end) = month(parse(day).unwrap());
            assert_eq!((date(begin).as_str(), date(end).as_str()), (first, last), "{day}");
        }
        assert_eq!(weekdays(parse("2026-11-21").unwrap()), "Saturdays");
    }
}
