//! Lengths of windows in minutes, and their texts: `90m`, `5h`, `7d`.

const MINUTES_PER_HOUR: u32 = 60;
const MINUTES_PER_DAY: u32 = 1_440;
/// The greatest length: 90 days.
pub(super) const MINUTES_MAX: u32 = 90 * MINUTES_PER_DAY;

/// Writes a number of minutes in the largest unit: `90m`, `5h`, `7d`.
pub(super) fn written_minutes(minutes: u32) -> String {
    if minutes.is_multiple_of(MINUTES_PER_DAY) {
        format!("{}d", minutes / MINUTES_PER_DAY)
    } else if minutes.is_multiple_of(MINUTES_PER_HOUR) {
        format!("{}h", minutes / MINUTES_PER_HOUR)
    } else {
        format!("{minutes}m")
    }
}

/// Parses a number of minutes, hours or days, from one minute to 90 days.
pub(super) fn minutes(text: &str) -> Option<u32> {
    let unit = match text.as_bytes().last()? {
        b'm' => 1,
        b'h' => MINUTES_PER_HOUR,
        b'd' => MINUTES_PER_DAY,
        _ => return None,
    };
    let digits = text.get(..text.len() - 1)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u32 = digits.parse().ok()?;
    count.checked_mul(unit).filter(|minutes| (1..=MINUTES_MAX).contains(minutes))
}
