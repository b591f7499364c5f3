//! The windows in which a request counts, as a text in the store.

use std::fmt::Write as _;

use access::{LimitPeriod, Minute};
use meter::Period;

/// Returns the text of windows: shape, first minute and end of each, as in `5h/first_use@29721345-29721645`. `None` without any.
pub(crate) fn stored(windows: &[Period]) -> Option<String> {
    let mut text = String::new();
    for window in windows {
        let gap = if text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{gap}{}@{}-{}", window.per(), window.begin().0, window.end_minute().0);
    }
    (!text.is_empty()).then_some(text)
}

/// Reads a text that [`stored`] returned. Windows of another form, such as those of a newer version, are left out.
pub(crate) fn of_stored(text: &str) -> impl Iterator<Item = Period> {
    text.split(' ').filter_map(|window| {
        let (per, bounds) = window.rsplit_once('@')?;
        let (begin, end) = bounds.split_once('-')?;
        Some(Period::between(LimitPeriod::parse(per)?, Minute(begin.parse().ok()?), Minute(end.parse().ok()?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_windows_are_read_again() {
        let windows = ["5h/first_use", "week/Asia/Jakarta", "period/30/2026-11-16..2026-11-29"]
            .map(|per| Period::between(LimitPeriod::parse(per).unwrap(), Minute(7), Minute(307)));
        let text = stored(&windows).unwrap();
        assert!(text.starts_with("5h/first_use@7-307 week/Asia/Jakarta@7-307 "), "{text}");
        assert_eq!(of_stored(&text).collect::<Vec<_>>(), windows);
        assert_eq!(stored(&[]), None);
        assert_eq!(of_stored("year/first_use@1-2 5h/first_use@1 5h/first_use").count(), 0);
    }
}
