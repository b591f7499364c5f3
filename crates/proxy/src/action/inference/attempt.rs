//! One attempt to have an LLM call served by a target, and what its failure says.

use std::time::Duration;

use access::{Refusal, Timestamp};
use ai::ResponseFacts;
use ai::failures::failure::{ProviderError, seconds};
use chrono::DateTime;
use config::snapshot::FallbackCause;
use http1::KnownName;

use super::beginning::{ResponseBeginning, begin};
use super::early::read_error;
use super::shared_account::{ReadError, reword};
use super::target_call::TargetCall;
use crate::account::RequestAccount;
use crate::forward::{UpstreamResponse, retry_after};
use crate::refusal::problem::Problem;
use crate::upstream::attempt_result::AttemptResult;
use crate::upstream::response_head::UpstreamHead;
use crate::upstream::targets::attempts::TargetFailure;
use crate::upstream::targets::cooldown::CooldownCause;

/// An attempt that has failed.
pub(super) struct FailedAttempt {
    pub(super) failure: TargetFailure,
    /// What the client gets if no other attempt succeeds.
    pub(super) error: AttemptError,
    /// The facts of a response that was not sent to the client.
    pub(super) seen: Option<ResponseFacts>,
}

/// The response to a call that no target serves.
pub(super) enum AttemptError {
    /// The response of a provider.
    Response(Box<UpstreamResponse>),
    /// An error of the gateway.
    Problem(Box<Problem>),
}

impl AttemptError {
    /// Whether the target's format cannot express the call.
    pub(super) fn is_of_format(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.refusal == Refusal::FormatMismatch)
    }
}

/// How an attempt ends.
pub(super) enum AttemptEnd {
    /// The target serves the call with this response.
    Served(Box<UpstreamResponse>),
    /// The last attempt has this response, whose beginning was not read.
    Relayed(Box<UpstreamResponse>),
    Failed(Box<FailedAttempt>),
    /// The call itself cannot be served: its client has left, or a limit refuses it.
    Refused(Problem),
}

/// Sends a call to its target, and waits for the first content if another target may follow.
pub(super) async fn attempt(
    call: &mut TargetCall<'_>,
    account: &mut RequestAccount,
    may_continue: bool,
    first_content: Option<Duration>,
) -> AttemptEnd {
    let mut answered = match call.forward(account).await {
        Ok(answered) => answered,
        Err(problem) => return of_problem(problem),
    };
    let status = answered.head.head.status();
    let now = account.request.read_clock();
    if status >= 400 {
        let body = read_error(&mut answered, now).await;
        let error = ProviderError::of_response(status, &body);
        let read = ReadError { error, body: &body };
        return AttemptEnd::Failed(Box::new(reworded(call, &read, account, answered, None)));
    }
    if !may_continue {
        return AttemptEnd::Relayed(Box::new(answered));
    }
    match begin(call, &mut answered, now, first_content).await {
        ResponseBeginning::Content => AttemptEnd::Served(Box::new(answered)),
        ResponseBeginning::Held => AttemptEnd::Relayed(Box::new(answered)),
        ResponseBeginning::Failed(error) => {
            // An error costs the usage that precedes it, which is usually nothing.
            if let Some(attempt) = &mut account.attempt {
                attempt.had_no_effect = true;
            }
            let seen = facts(call, &answered);
            let read = ReadError { error, body: &[] };
            AttemptEnd::Failed(Box::new(reworded(call, &read, account, answered, seen)))
        }
        ResponseBeginning::Broken => AttemptEnd::Failed(Box::new(FailedAttempt {
            failure: TargetFailure::of_response(FallbackCause::Reset),
            seen: facts(call, &answered),
            error: problem(Refusal::UpstreamReset, "the provider's response ended before its first content"),
        })),
        ResponseBeginning::Late => AttemptEnd::Failed(Box::new(FailedAttempt {
            failure: TargetFailure::of_response(FallbackCause::Timeout),
            seen: facts(call, &answered),
            error: problem(Refusal::UpstreamTimeout, "the provider's first content did not arrive in time"),
        })),
    }
}

fn problem(refusal: Refusal, message: &'static str) -> AttemptError {
    AttemptError::Problem(Box::new(Problem::new(refusal, message)))
}

/// Returns the facts of the beginning of a response.
fn facts(call: &TargetCall<'_>, answered: &UpstreamResponse) -> Option<ResponseFacts> {
    let mut tap = call.tap(call.framing(answered));
    for piece in answered.content.body.early_pieces() {
        tap.push(piece.clone());
    }
    Some(tap.abandon())
}

/// Returns the failure of an attempt without a response.
fn of_problem(problem: Problem) -> AttemptEnd {
    if problem.refusal == Refusal::Forbidden {
        // The user's own service account gets no access token: as if the provider had refused a credential.
        let cause = FallbackCause::Credential;
        let cooldown = Some(CooldownCause::Refused(None));
        let failure = TargetFailure { cause, status: None, cooldown, is_of_call: false };
        let error = AttemptError::Problem(Box::new(problem));
        return AttemptEnd::Failed(Box::new(FailedAttempt { failure, error, seen: None }));
    }
    // A circuit breaker keeps its own time, and a full pool says nothing about the provider.
    let is_unsent = matches!(problem.refusal, Refusal::NoHealthyUpstream | Refusal::Overloaded);
    let cause = match AttemptResult::of_refusal(problem.refusal) {
        AttemptResult::ConnectFailed => FallbackCause::Connect,
        AttemptResult::Aborted if is_unsent => FallbackCause::Connect,
        AttemptResult::Reset => FallbackCause::Reset,
        AttemptResult::TimedOut => FallbackCause::Timeout,
        AttemptResult::Status(_) | AttemptResult::GrpcUnavailable | AttemptResult::Aborted => {
            return AttemptEnd::Refused(problem);
        }
    };
    let cooldown = (!is_unsent).then_some(CooldownCause::Failure);
    let error = AttemptError::Problem(Box::new(problem));
    let failure = TargetFailure { cause, status: None, cooldown, is_of_call: false };
    AttemptEnd::Failed(Box::new(FailedAttempt { failure, error, seen: None }))
}

/// Returns the failure that a response reports, in the words for the client.
fn reworded(
    call: &TargetCall<'_>,
    read: &ReadError<'_>,
    account: &RequestAccount,
    mut answered: UpstreamResponse,
    seen: Option<ResponseFacts>,
) -> FailedAttempt {
    let refused = reword(call, account, &mut answered, read).err();
    let mut failed = failed(read.error, account, answered, seen);
    if let Some(problem) = refused {
        failed.error = AttemptError::Problem(Box::new(problem));
    }
    failed
}

/// Returns the failure that a response reports.
fn failed(
    error: ProviderError,
    account: &RequestAccount,
    answered: UpstreamResponse,
    seen: Option<ResponseFacts>,
) -> FailedAttempt {
    let now = account.request.worker().shared.clock.now();
    let failure = TargetFailure::of_error(&error, || {
        reset_after(&answered.head.head, now).into_iter().chain(error.retry_after).max()
    });
    FailedAttempt { failure, error: AttemptError::Response(Box::new(answered)), seen }
}

/// Maximum of a time in milliseconds.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the time after which a provider takes calls again, as its headers report it: `retry-after-ms` or `Retry-After`, otherwise the resets of
/// the limits of which nothing is left.
fn reset_after(head: &UpstreamHead, now: Timestamp) -> Option<Duration> {
    /// The counters of OpenAI and of Anthropic (2026-11-20).
    const OPENAI: [&str; 2] = ["requests", "tokens"];
    const ANTHROPIC: [&str; 4] = ["requests", "tokens", "input-tokens", "output-tokens"];
    let text = |name: String| {
        let value = head.fields().named(name.as_bytes()).next()?;
        std::str::from_utf8(value).ok().map(str::to_owned)
    };
    // OpenAI and Azure write both; this one is exact.
    if let Some(milliseconds) = text("retry-after-ms".to_owned()).and_then(|text| text.trim().parse().ok()) {
        return Some(Duration::from_millis(milliseconds).min(RETRY_AFTER_MAX));
    }
    if head.text(KnownName::RetryAfter).is_some() {
        return retry_after(head, now);
    }
    let is_used_up = |name: String| text(name).is_some_and(|left| left == "0");
    let openai = OPENAI.iter().filter(|of| is_used_up(format!("x-ratelimit-remaining-{of}")));
    let openai = openai.filter_map(|of| seconds(&text(format!("x-ratelimit-reset-{of}"))?));
    let anthropic = ANTHROPIC.iter().filter(|of| is_used_up(format!("anthropic-ratelimit-{of}-remaining")));
    let anthropic = anthropic.filter_map(|of| until(&text(format!("anthropic-ratelimit-{of}-reset"))?, now));
    openai.chain(anthropic).max()
}

/// Returns the time until a date in the form of RFC 3339.
fn until(text: &str, now: Timestamp) -> Option<Duration> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.timestamp();
    let now = i64::try_from(now.unix_seconds()).ok()?;
    Some(Duration::from_secs(u64::try_from(at - now).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::*;

    /// The time 2026-11-20T12:00:00Z, in microseconds.
    const NOW: Timestamp = Timestamp(1_795_176_000_000_000);

    #[test]
    fn headers_of_providers_say_when_they_take_calls_again() {
        const REMAINING: &str = "x-ratelimit-remaining-requests";
        const RESET: &str = "x-ratelimit-reset-requests";
        const INPUT: &str = "anthropic-ratelimit-input-tokens-remaining";
        const INPUT_RESET: &str = "anthropic-ratelimit-input-tokens-reset";
        const OUTPUT: &str = "anthropic-ratelimit-output-tokens-remaining";
        const OUTPUT_RESET: &str = "anthropic-ratelimit-output-tokens-reset";
        type Fields = &'static [(&'static str, &'static str)];
        let table: [(Fields, Option<u64>); 15] = [
            (&[], None),
            (&[("retry-after-ms", "2000")], Some(2_000)),
            (&[("retry-after-ms", "250"), ("retry-after", "1")], Some(250)),
            (&[("retry-after-ms", "soon"), ("retry-after", "7")], Some(7_000)),
            (&[("retry-after", "7"), (REMAINING, "0"), (RESET, "90s")], Some(7_000)),
            (&[("retry-after", "soon"), (REMAINING, "0"), (RESET, "90s")], None),
            (&[(REMAINING, "0"), (RESET, "6m0s")], Some(360_000)),
            (&[(REMAINING, "0"), (RESET, "120ms")], Some(120)),
            (&[(REMAINING, "1"), (RESET, "6m0s")], None),
            (&[(REMAINING, "0")], None),
            (
                &[
                    (REMAINING, "0"),
                    (RESET, "1s"),
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "20s"),
                ],
                Some(20_000),
            ),
            (&[(INPUT, "0"), (INPUT_RESET, "2026-11-20T12:00:30Z")], Some(30_000)),
            (&[(INPUT, "0"), (INPUT_RESET, "2026-11-20T11:00:00Z")], Some(0)),
            (&[(INPUT, "0"), (INPUT_RESET, "tomorrow")], None),
            (
                &[
                    (INPUT, "5"),
                    (INPUT_RESET, "2026-11-20T13:00:00Z"),
                    (OUTPUT, "0"),
                    (OUTPUT_RESET, "2026-11-20T14:00:10+02:00"),
                ],
                Some(10_000),
            ),
        ];
        for (fields, expected) in table {
            let fields =
                fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let headers: HeaderMap = fields.collect();
            let head = UpstreamHead::of_http2(StatusCode::TOO_MANY_REQUESTS, &headers).unwrap();
            assert_eq!(reset_after(&head, NOW), expected.map(Duration::from_millis), "{headers:?}");
        }
    }
}
