//! The keys of `upstreams[].retry` and `routes[].timeouts`.

use std::time::Duration;

use settings::field::{ValueList, default, list, optional};
use settings::form::{Boolean, DurationForm, Scalar, SizeForm, TextForm, Whole, WordOr, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;

use super::breaker::SHARE;
use super::{KIB, MIB};
use crate::snapshot::RetryCause;

const BACKOFF: DurationForm = DurationForm::new(Duration::ZERO, Duration::from_secs(60));
/// The time of a whole request, or none.
pub(super) const TOTAL: WordOr<DurationForm> = WordOr::new("none", DurationForm::POSITIVE);
/// A kind of failure, or a status.
const CAUSE: TextForm<RetryCause> = TextForm {
    parse: |text| {
        let status = || text.parse().ok().filter(|status| (400..=599).contains(status)).map(RetryCause::Status);
        let word = RetryCause::WORDS.iter().find(|(word, _)| *word == text).map(|(_, cause)| *cause);
        word.or_else(status).ok_or_else(|| bad("connect, reset, timeout, 5xx, or a status from 400 to 599"))
    },
    shown: |cause| match cause {
        RetryCause::Status(status) => Value::Number((*status).into()),
        RetryCause::Connect | RetryCause::Reset | RetryCause::Timeout | RetryCause::ServerErrors => {
            Value::text(RetryCause::WORDS.iter().find(|(_, of)| of == cause).map_or("", |(word, _)| word))
        }
    },
    cell: "`connect`, `reset`, `timeout`, `5xx`, status",
    pattern: "^(connect|reset|timeout|5xx|[45][0-9][0-9])$",
    scalar: Scalar::Number,
};

section! {
    RetryInput {
        /// Maximum of retries of a request. Retries of attempts without effect do not count.
        attempts: Input<u32> = default(Whole::<u32>::new(0, 10), || 2);
        /// Whether methods such as POST are retried after a part was sent.
        r#unsafe: Input<bool> = default(Boolean, || false);
        /// The first pause; it doubles, and is random.
        backoff: Input<Duration> = default(BACKOFF, || Duration::from_millis(25));
        /// The longest pause; a longer `Retry-After` ends the attempts.
        max_backoff: Input<Duration> = default(BACKOFF, || Duration::from_secs(1));
        /// The failures that are retried. 503 includes gRPC status 14.
        on: ValueList<RetryCause> = list(CAUSE, 64, "`connect`, `reset`, `502`, `503`, `504`").or(causes);
        /// Maximum share of retries in the requests in flight; three are always allowed.
        budget: Input<u32> = default(SHARE, || 20);
        /// Maximum body kept for a retry.
        body: Input<u64> = default(SizeForm::new(1, MIB), || 64 * KIB);
    }
}

/// Returns the causes of an absent list.
fn causes() -> Vec<RetryCause> {
    let statuses = [502, 503, 504].map(RetryCause::Status);
    [RetryCause::Connect, RetryCause::Reset].into_iter().chain(statuses).collect()
}

section! {
    RouteTimeoutsInput {
        /// Maximum time to connect, TLS included.
        connect: Option<Input<Duration>> = optional(DurationForm::POSITIVE, "as [`timeouts`](#timeouts)");
        /// Maximum time until the response's head.
        first_byte: Option<Input<Duration>> = optional(DurationForm::POSITIVE, "as [`timeouts`](#timeouts)");
        /// Maximum time without a byte.
        idle: Option<Input<Duration>> = optional(DurationForm::POSITIVE, "as [`timeouts`](#timeouts)");
        /// Maximum time with all attempts, also of event streams, gRPC and tunnels.
        total: Option<Input<Option<Duration>>> = optional(TOTAL, "as [`timeouts`](#timeouts)");
    }
}
