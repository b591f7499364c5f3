//! Time as the API writes it: RFC 3339, UTC.

use access::{Day, Refusal, Timestamp};
use chrono::{DateTime, Datelike, SecondsFormat};

use crate::problem::Problem;

/// `2026-11-20T08:03:52Z`; microseconds stand only where there are some.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    moment(at).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// `2026-11-20`.
pub(crate) fn date(day: Day) -> String {
    moment(day.start()).format("%Y-%m-%d").to_string()
}

/// Reads RFC 3339, with whatever offset; `None` before 1970 too.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let micros = DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros();
    u64::try_from(micros).ok().map(Timestamp)
}

/// A moment that a query names as `name`.
///
/// # Errors
/// `bad_request` for what is none.
pub(crate) fn asked(name: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let message = || format!("`{name}` is a moment as in 2026-11-20T08:03:52Z");
    parse(text).map(Some).ok_or_else(|| Problem::new(Refusal::BadRequest, message()))
}

/// The first day of a day's month.
pub(crate) fn first_of_month(day: Day) -> Day {
    Day(day.0.saturating_sub(moment(day.start()).day0()))
}

fn moment(at: Timestamp) -> DateTime<chrono::Utc> {
    // Past the year 262,142 the last moment that can be written stands for the rest.
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
