//! The time of a log line, in the form of `tracing_subscriber`: RFC 3339 in UTC with microseconds.
//!
//! Written digit by digit: the formatter of the library takes a third of the instructions of a line.

use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_A_DAY: u64 = 86_400;

/// Appends the current time.
pub(super) fn push_now(line: &mut String) {
    #[expect(clippy::disallowed_methods, reason = "a line has the time at which it is logged, in tests too")]
    let now = SystemTime::now();
    // A clock before 1970 is wrong.
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    push(line, since.as_secs(), since.subsec_micros());
}

/// Appends a time after 1970 and before the year 10000.
fn push(line: &mut String, seconds: u64, micros: u32) {
    let days = seconds / SECONDS_A_DAY;
    let second = seconds % SECONDS_A_DAY;
    let (year, month, day) = date(days);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (end, number) in [
        (4, year),
        (7, month),
        (10, day),
        (13, second / 3600),
        (16, second / 60 % 60),
        (19, second % 60),
        (26, u64::from(micros)),
    ] {
        let mut left = number;
        for digit in text.iter_mut().take(end).rev().take_while(|octet| octet.is_ascii_digit()) {
            *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
        }
    }
    line.push_str(std::str::from_utf8(&text).unwrap_or_default());
}

/// Year, month and day of a number of days since 1970. Years begin in March, so that a leap day is the last one.
const fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_A_CYCLE: u64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let cycle = days / DAYS_A_CYCLE;
    let of_cycle = days % DAYS_A_CYCLE;
    let year = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / (DAYS_A_CYCLE - 1)) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * cycle + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_form_of_rfc_3339() {
        for (seconds, micros, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000001Z"),
            (951_868_800, 20, "2000-03-01T00:00:00.000020Z"),
            (1_795_176_000, 123_456, "2026-11-20T12:00:00.123456Z"),
            (4_107_542_399, 0, "2100-02-28T23:59:59.000000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
            (253_402_300_799, 999_999, "9999-12-31T23:59:59.999999Z"),
        ] {
            let mut line = String::new();
            push(&mut line, seconds, micros);
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn dates_of_four_centuries_follow_each_other() {
        let mut before = date(0);
        for days in 1..150_000 {
            let (year, month, day) = date(days);
            let is_next = match (before.0 == year, before.1 == month) {
                (true, true) => day == before.2 + 1,
                (true, false) => month == before.1 + 1 && day == 1 && before.2 >= 28,
                (false, _) => (year, month, day) == (before.0 + 1, 1, 1) && (before.1, before.2) == (12, 31),
            };
            assert!(is_next, "{before:?} {year}-{month}-{day}");
            before = (year, month, day);
        }
    }
}
