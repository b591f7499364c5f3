//! The keys of `circuit_breaker`.

use std::time::Duration;

use settings::field::{default, optional};
use settings::form::{DurationForm, FormRefusal, TextForm, Whole};
use settings::input::Input;
use settings::section;

use crate::snapshot::upstream::{COUNT, PERCENT};

/// A share that may be nothing.
pub(super) const SHARE: TextForm<u32> = TextForm {
    parse: |text| {
        let percent = text.strip_suffix('%').and_then(|number| number.parse().ok());
        let percent = percent.filter(|percent| (0..=100).contains(percent));
        percent.ok_or_else(|| FormRefusal::Bad("a whole percentage from 0% to 100%".to_owned()))
    },
    cell: "`0%` to `100%`",
    pattern: "^0*([0-9]|[1-9][0-9]|100)%$",
    ..PERCENT
};

section! {
    /// The rules of one circuit breaker.
    CircuitBreakerInput {
        /// Consecutive failures that open the breaker.
        failure_threshold: Input<u32> = default(COUNT, || 5);
        /// The share of failures with this effect.
        error_rate: Option<Input<u32>> = optional(PERCENT, "off");
        /// Minimum of results in `window`.
        min_requests: Input<u32> = default(Whole::<u32>::new(1, 1_000_000), || 20);
        /// The time of `error_rate` and `min_requests`.
        window: Input<Duration> =
            default(DurationForm::new(Duration::from_secs(1), Duration::from_secs(600)), || Duration::from_secs(10));
        /// Time without requests; then a few are tried.
        timeout: Input<Duration> =
            default(DurationForm::new(Duration::from_millis(100), Duration::from_secs(3_600)), || Duration::from_secs(30));
        /// Maximum of requests tried at once.
        half_open_requests: Input<u32> = default(COUNT, || 3);
        /// Successes after which the breaker closes.
        success_threshold: Input<u32> = default(COUNT, || 2);
    }
}
