//! Parses durations and sizes as people write them into integers.

use std::time::Duration;

/// Longest duration: a longer one is a typing error.
pub const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Largest size: 1 EiB.
pub const SIZE_MAX: u64 = 1 << 60;

/// The units of durations, in milliseconds.
pub const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// The units of sizes, in bytes.
pub const SIZE_UNITS: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// A description of valid durations.
pub const DURATION: &str = "a duration: 250ms, 5s, 1m, 2h or 1d";
/// A description of valid sizes.
pub const SIZE: &str = "a size: 512B, 64KiB, 10MiB or 1GiB";
/// Parses `250ms`, `5s`, `1m`, `2h`, `1d`; at most 366 days.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let duration = amount(text, &DURATION_UNITS).map(Duration::from_millis);
    duration.filter(|duration| *duration <= DURATION_MAX)
}

/// Writes a duration in the form of [`duration`], in the largest unit that represents it exactly.
pub fn written_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match DURATION_UNITS.iter().rev().find(|(_, unit)| ms > 0 && ms.is_multiple_of(u128::from(*unit))) {
        Some((name, unit)) => format!("{}{name}", ms / u128::from(*unit)),
        None => "0s".to_owned(),
    }
}

/// Writes a size in the form of [`size`], in the largest unit that represents it exactly.
pub fn written_size(bytes: u64) -> String {
    match SIZE_UNITS.iter().rev().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => "0B".to_owned(),
    }
}

/// Parses `512B`, `64KiB`, `10MiB`, `1GiB`, `1TiB` into bytes.
pub fn size(text: &str) -> Option<u64> {
    amount(text, &SIZE_UNITS).filter(|bytes| *bytes <= SIZE_MAX)
}

/// Parses decimal digits and nothing else.
pub fn digits(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Parses a whole number that one of the units follows.
fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, name) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let (_, unit) = units.iter().find(|(unit, _)| *unit == name)?;
    digits(number)?.checked_mul(*unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit() {
        for (text, ms) in
            [("250ms", 250), ("5s", 5_000), ("1m", 60_000), ("2h", 7_200_000), ("1d", 86_400_000), ("0s", 0)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
            assert_eq!(written_duration(Duration::from_millis(ms)), text);
        }
        for text in
            ["", "5", "s", "-1s", "1.5s", "5 s", "5S", "1w", "1m30s", "99999999999999999999s", "367d", "5s ", "٣s"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_two() {
        for (text, bytes) in
            [("512B", 512), ("64KiB", 65_536), ("10MiB", 10_485_760), ("1GiB", 1 << 30), ("1TiB", 1 << 40)]
        {
            assert_eq!(size(text), Some(bytes), "{text}");
            assert_eq!(written_size(bytes), text);
        }
        for text in ["", "64", "64KB", "64kib", "1.5MiB", "-1B", "9999999999TiB", "KiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
