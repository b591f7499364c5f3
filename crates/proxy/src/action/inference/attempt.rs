//! One attempt to have an LLM call served by a target, and what its failure says.

use std::time::Duration;

use access::{Refusal, Timestamp};
use ai::ResponseFacts;
use ai::failure::{ProviderError, ProviderErrorKind, seconds};
use chrono::DateTime;
use config::snapshot::FallbackCause;
use http1::KnownName;

use super::beginning::{Beginning, begin, read_error};
use super::target_call::TargetCall;
use crate::account::RequestAccount;
use crate::forward::{UpstreamResponse, retry_after};
use crate::refusal::problem::Problem;
use crate::upstream::attempt_result::AttemptResult;
use crate::upstream::response_head::UpstreamHead;
use crate::upstream::targets::cooldown::CooldownCause;

/// The status with which Anthropic says that it is overloaded.
const OVERLOADED: u16 = 529;

/// An attempt that has failed.
pub(super) struct FailedAttempt {
    pub(super) cause: FallbackCause,
    pub(super) status: Option<u16>,
    /// What the failure says about further calls of the target; `None` if nothing.
    pub(super) cooldown: Option<CooldownCause>,
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

/// How an attempt ends.
pub(super) enum AttemptEnd {
    /// The target serves the call with this response.
    Served(Box<UpstreamResponse>),
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
        return AttemptEnd::Failed(Box::new(failed(error, account, answered, None)));
    }
    if !may_continue {
        return AttemptEnd::Served(Box::new(answered));
    }
    match begin(call, &mut answered, now, first_content).await {
        Beginning::Content => AttemptEnd::Served(Box::new(answered)),
        Beginning::Failed(error) => {
            // An error costs the usage that precedes it, which is usually nothing.
            if let Some(attempt) = &mut account.attempt {
                attempt.had_no_effect = true;
            }
            let seen = facts(call, &answered);
            AttemptEnd::Failed(Box::new(failed(error, account, answered, seen)))
        }
        Beginning::Broken => AttemptEnd::Failed(Box::new(FailedAttempt {
            cause: FallbackCause::Reset,
            status: None,
            cooldown: Some(CooldownCause::Failure),
            seen: facts(call, &answered),
            error: problem(Refusal::UpstreamReset, "the provider's response ended before its first content"),
        })),
        Beginning::Late => AttemptEnd::Failed(Box::new(FailedAttempt {
            cause: FallbackCause::Timeout,
            status: None,
            cooldown: Some(CooldownCause::Failure),
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
    // A circuit breaker keeps its own time.
    let is_of_breaker = problem.refusal == Refusal::NoHealthyUpstream;
    let cause = match AttemptResult::of_refusal(problem.refusal) {
        AttemptResult::ConnectFailed => FallbackCause::Connect,
        AttemptResult::Aborted if is_of_breaker => FallbackCause::Connect,
        AttemptResult::Reset => FallbackCause::Reset,
        AttemptResult::TimedOut => FallbackCause::Timeout,
        AttemptResult::Status(_) | AttemptResult::GrpcUnavailable | AttemptResult::Aborted => {
            return AttemptEnd::Refused(problem);
        }
    };
    let cooldown = (!is_of_breaker).then_some(CooldownCause::Failure);
    let error = AttemptError::Problem(Box::new(problem));
    AttemptEnd::Failed(Box::new(FailedAttempt { cause, status: None, cooldown, error, seen: None }))
}

/// Returns the failure that a response reports.
fn failed(
    error: ProviderError,
    account: &RequestAccount,
    answered: UpstreamResponse,
    seen: Option<ResponseFacts>,
) -> FailedAttempt {
    let ProviderError { status, kind, retry_after: asked } = error;
    let now = account.request.worker().shared.clock.now();
    let cause = match kind {
        ProviderErrorKind::Status => FallbackCause::Status(status),
        ProviderErrorKind::Quota => FallbackCause::Quota,
        ProviderErrorKind::Credential => FallbackCause::Credential,
        ProviderErrorKind::NotFound => FallbackCause::NotFound,
        ProviderErrorKind::Context => FallbackCause::Context,
    };
    let wait = || reset_after(&answered.head.head, now).into_iter().chain(asked).max();
    let cooldown = match (cause, status) {
        (FallbackCause::Quota, _) => Some(CooldownCause::Exhausted),
        (FallbackCause::Credential, _) | (_, 429 | OVERLOADED) => Some(CooldownCause::Refused(wait())),
        (FallbackCause::Context, _) => None,
        (_, 503) => Some(wait().map_or(CooldownCause::Failure, |asked| CooldownCause::Refused(Some(asked)))),
        (FallbackCause::NotFound, _) | (_, 408 | 500..=599) => Some(CooldownCause::Failure),
        _ => None,
    };
    FailedAttempt { cause, status: Some(status), cooldown, error: AttemptError::Response(Box::new(answered)), seen }
}

/// Returns the time after which a provider takes calls again, as its headers report it: `Retry-After`, otherwise the resets of
/// the limits of which nothing is left.
fn reset_after(head: &UpstreamHead, now: Timestamp) -> Option<Duration> {
    /// The counters of OpenAI and of Anthropic (2026-11-20).
    const OPENAI: [&str; 2] = ["requests", "tokens"];
    const ANTHROPIC: [&str; 4] = ["requests", "tokens", "input-tokens", "output-tokens"];
    if head.text(KnownName::RetryAfter).is_some() {
        return retry_after(head, now);
    }
    let text = |name: String| {
        let value = head.fields().named(name.as_bytes()).next()?;
        std::str::from_utf8(value).ok().map(str::to_owned)
    };
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
