//! Time as the API writes it: RFC 3339, UTC.

use access::{Day, Timestamp};
use chrono::{DateTime, SecondsFormat};

/// `2026-11-20T08:03:52Z`; microseconds stand only where there are some.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    moment(at).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// `2026-11-20`.
pub(crate) fn date(day: Day) -> String {
    moment(day.start()).format("%Y-%m-%d").to_string()
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
}
