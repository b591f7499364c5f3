//! Durations, sizes and counts in the configuration.

use std::time::Duration;

use super::configuration::loaded;

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] =
    &["0", "250", "ms", "s", "m", "h", "d", "B", "KiB", "MiB", "GiB", "TiB", "366", " ", "-", ".", "_"];

/// The text as a duration, a size and a count: each is the value that arithmetic gives, or refused.
pub fn quantity(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // The target `configuration` tests substitution.
    if text.starts_with("file:") || text.contains("${") {
        return;
    }
    // JSON strings are valid YAML, except for characters that YAML does not allow.
    if text
        .chars()
        .any(|char| char.is_control() || matches!(char, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}'..))
    {
        return;
    }
    let quoted = serde_json::to_string(text).unwrap();
    let year_ms = 366 * 86_400_000;
    let duration = amount(text, &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)])
        .filter(|ms| *ms <= year_ms);
    let read =
        loaded(format!("drain: {{delay: {quoted}}}").as_bytes()).map(|loaded| loaded.snapshot.process.drain.delay);
    assert_eq!(read.ok(), duration.map(Duration::from_millis), "{text:?} as a duration");

    let units = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
    let size = amount(text, &units).filter(|bytes| (1..=1 << 60).contains(bytes));
    let read = loaded(format!("sizes: {{body: {quoted}}}").as_bytes())
        .map(|loaded| loaded.snapshot.traffic.sizes.body_bytes_max);
    assert_eq!(read.ok(), size, "{text:?} as a size");

    let count = amount(text, &[("", 1)]).and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
    let read = loaded(format!("connections: {{max: {quoted}}}").as_bytes())
        .map(|loaded| loaded.snapshot.process.connections.max);
    assert_eq!(read.ok(), count, "{text:?} as a count");
}

/// The product of the digits and the unit, computed in 128 bits.
fn amount(text: &str, units: &[(&str, u128)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let number = number.trim_start_matches('0');
    if digits == 0 || number.len() > 20 {
        return None;
    }
    u64::try_from(format!("0{number}").parse::<u128>().ok()? * factor).ok()
}
