//! Durations in whole seconds, as header fields have them.

use std::time::Duration;

/// Returns whole seconds, rounded up.
pub(crate) fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
