//! Durations in whole seconds, as header fields have them.

use std::time::Duration;

/// Returns whole seconds, rounded up.
pub(crate) fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Returns the seconds with their noun.
pub(crate) fn in_words(seconds: u64) -> String {
    if seconds == 1 { "1 second".to_owned() } else { format!("{seconds} seconds") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_has_no_plural() {
        assert_eq!([0, 1, 2].map(in_words), ["0 seconds", "1 second", "2 seconds"]);
    }

    #[test]
    fn waiting_times_are_whole_seconds_rounded_up() {
        for (milliseconds, seconds) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(seconds_up(Duration::from_millis(milliseconds)), seconds);
        }
    }
}
