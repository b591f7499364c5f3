//! Times in the API: RFC 3339, UTC.

use access::{Day, Refusal, Timestamp};
use chrono::{DateTime, Datelike, SecondsFormat};

use crate::message::problem::Problem;

/// Formats a time as `2026-11-20T08:03:52Z`, with microseconds if they are not zero.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    moment(at).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Formats a day as `2026-11-20`.
pub(crate) fn date(day: Day) -> String {
    moment(day.start()).format("%Y-%m-%d").to_string()
}

/// Parses RFC 3339 with any offset. Returns `None` for other texts and for times before 1970.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let micros = DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros();
    u64::try_from(micros).ok().map(Timestamp)
}

/// Parses the time in the query parameter `name`.
///
/// # Errors
/// `bad_request` for a text that is not a time.
pub(crate) fn parse_query(name: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let message = || format!("`{name}` must be a time such as 2026-11-20T08:03:52Z");
    parse(text).map(Some).ok_or_else(|| Problem::new(Refusal::BadRequest, message()))
}

/// Returns the first day of a day's month.
pub(crate) fn first_of_month(day: Day) -> Day {
    Day(day.0.saturating_sub(moment(day.start()).day0()))
}

fn moment(at: Timestamp) -> DateTime<chrono::Utc> {
    // Times after the year 262,142 are replaced by the last time that can be formatted.
    i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_micros).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_utc_and_as_exact_as_they_are() {
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(Timestamp(1_763_625_832_000_000)), "2025-11-20T08:03:52Z");
        assert_eq!(rfc3339(Timestamp(1_763_625_832_000_120)), "2025-11-20T08:03:52.000120Z");
        assert_eq!(date(Day(20_412)), "2025-11-20");
    }

    #[test]
    fn a_month_begins_with_its_first_day() {
        for (day, first) in [(20_412, 20_393), (20_393, 20_393), (0, 0), (30, 0), (31, 31), (20_787, 20_758)] {
            assert_eq!(first_of_month(Day(day)), Day(first), "{day}");
        }
    }

    #[test]
    fn a_moment_reads_back() {
        for at in [0, 1_763_625_832_000_000, 1_763_625_832_000_120].map(Timestamp) {
            assert_eq!(parse(&rfc3339(at)), Some(at));
        }
        assert_eq!(parse("2025-11-20T15:03:52+07:00"), Some(Timestamp(1_763_625_832_000_000)));
        for text in ["", "2025-11-20", "2025-11-20T08:03:52", "1969-12-31T23:59:59Z", "2025-11-31T00:00:00Z", "now\0"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
