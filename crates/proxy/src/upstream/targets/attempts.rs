//! One attempt at a target, and whether the target serves its call. The last attempt of a call is relayed as it arrives: its
//! beginning is read beside that.

use std::sync::Arc;
use std::time::Duration;

use access::RequestId;
use ai::failures::failure::{ProviderError, ProviderErrorKind};
use ai::streams::opening::{OPENING_BYTES_MAX, Opening, OpeningState};
use ai::{Format, ResponseFraming};
use config::snapshot::{CooldownRules, FallbackCause, Model};
use meter::Outcome;
use tokio::time::Instant;

use crate::upstream::targets::cooldown::CooldownCause;
use crate::upstream::targets::{FailedCall, TargetState};

/// The status with which Anthropic says that it is overloaded.
const OVERLOADED: u16 = 529;

/// What a failed attempt says about its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetFailure {
    pub(crate) cause: FallbackCause,
    pub(crate) status: Option<u16>,
    /// The cause for which further calls leave the target out; `None` without one.
    pub(crate) cooldown: Option<CooldownCause>,
    /// Whether each further attempt of the same call at the target would fail too.
    pub(crate) is_of_call: bool,
}

impl TargetFailure {
    /// The failure of a response that broke, ended or was late before its first content.
    pub(crate) const fn of_response(cause: FallbackCause) -> Self {
        Self { cause, status: None, cooldown: Some(CooldownCause::Failure), is_of_call: false }
    }

    /// Returns the failure that an error of a provider reports; `wait` is the time after which it may be tried again.
    pub(crate) fn of_error(error: &ProviderError, wait: impl FnOnce() -> Option<Duration>) -> Self {
        let status = error.status;
        let cause = match error.kind {
            ProviderErrorKind::Status => FallbackCause::Status(status),
            ProviderErrorKind::Quota => FallbackCause::Quota,
            ProviderErrorKind::Credential => FallbackCause::Credential,
            ProviderErrorKind::NotFound => FallbackCause::NotFound,
            ProviderErrorKind::Context => FallbackCause::Context,
        };
        let cooldown = match (cause, status) {
            (FallbackCause::Quota, _) => Some(CooldownCause::Exhausted),
            // It takes smaller calls.
            (_, 429) if error.is_too_large => None,
            (FallbackCause::Credential, _) | (_, 429 | OVERLOADED) => Some(CooldownCause::Refused(wait())),
            // An unknown file or cached content is a matter of the request.
            (FallbackCause::NotFound, _) => error.names_model.then_some(CooldownCause::Failure),
            (FallbackCause::Context, _) => None,
            (_, 503) => Some(wait().map_or(CooldownCause::Failure, |asked| CooldownCause::Refused(Some(asked)))),
            (_, 408 | 500..=599) => Some(CooldownCause::Failure),
            _ => None,
        };
        Self { cause, status: Some(status), cooldown, is_of_call: error.is_too_large }
    }
}

/// An attempt at a target, which began at `begun`.
#[derive(Debug)]
pub(crate) struct TargetAttempt {
    pub(crate) entry: Arc<Model>,
    /// The number of the target in the entry.
    pub(crate) number: usize,
    pub(crate) state: Arc<TargetState>,
    pub(crate) rules: CooldownRules,
    /// Whether the credential is the user's own.
    pub(crate) is_own: bool,
    pub(crate) request_id: RequestId,
    pub(crate) begun: Instant,
    /// The end of the trial, if the target was left out before.
    pub(crate) trial: Option<Instant>,
}

impl TargetAttempt {
    /// Notes that the target serves the call: its first content has arrived at `now`.
    pub(crate) fn succeeded(&self, now: Instant) {
        self.state.succeeded(self.begun, self.is_own);
        let content = now.saturating_duration_since(self.begun).as_micros();
        self.state.observe_us(u64::try_from(content).unwrap_or(u64::MAX), now);
        self.state.count(None);
    }

    /// Notes that the attempt has failed. A failure of the user's own account is not the target's: it is not counted, and leaves
    /// the target out for nobody.
    pub(crate) fn failed(&self, failure: TargetFailure, now: Instant) {
        let Some(target) = self.entry.targets.get(self.number) else { return };
        let TargetFailure { cause, status, cooldown, .. } = failure;
        let is_of_user = |cooldown: CooldownCause| {
            self.is_own && (cooldown != CooldownCause::Failure || cause == FallbackCause::NotFound)
        };
        let is_of_user = cooldown.is_some_and(is_of_user);
        if !is_of_user {
            self.state.count(Some(cause));
        }
        let provider = &target.provider.name;
        let model = &target.model;
        let word = cause.word();
        let request_id = self.request_id;
        tracing::info!(%request_id, %provider, %model, cause = word, status, "an attempt at a target of a model has failed");
        // A name that the client has chosen says nothing about the other models of the entry.
        let is_of_name = target.model.ends_with('*') && matches!(status, Some(403 | 404));
        let cooldown = match cooldown {
            Some(cooldown) if !is_of_name && !is_of_user => cooldown,
            Some(_) | None => {
                // Nothing is known of the target, so the next call tries it.
                self.trial.iter().for_each(|end| self.state.return_trial(*end, self.is_own));
                return;
            }
        };
        let failed = FailedCall { rules: &self.rules, cause: cooldown, begun: self.begun, is_own: self.is_own };
        if let Some(time) = self.state.failed(&failed, now) {
            let seconds = time.as_secs();
            tracing::warn!(%provider, %model, seconds, cause = word, "a target of a model is left out for a time");
        }
    }
}

/// The beginning of a response that is relayed as it arrives. A client that leaves before the first content decides nothing.
pub(crate) struct WatchedBeginning {
    attempt: TargetAttempt,
    framing: ResponseFraming,
    opening: Opening,
    bytes: usize,
}

impl WatchedBeginning {
    pub(crate) const fn new(attempt: TargetAttempt, format: Format, framing: ResponseFraming) -> Self {
        Self { attempt, framing, opening: Opening::new(format, framing), bytes: 0 }
    }

    /// Reads more bytes of the response. Returns `Opening` until its beginning has ended, `Failed` for an error of the provider,
    /// and `Ended` for a stream without content.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> OpeningState {
        self.bytes = self.bytes.saturating_add(bytes.len());
        match self.opening.push(bytes) {
            OpeningState::Opening if self.bytes <= OPENING_BYTES_MAX => OpeningState::Opening,
            OpeningState::Opening | OpeningState::Content => {
                self.attempt.succeeded(Instant::now());
                OpeningState::Content
            }
            OpeningState::Failed => {
                self.report_error();
                OpeningState::Failed
            }
            OpeningState::Ended => {
                self.attempt.failed(TargetFailure::of_response(FallbackCause::Reset), Instant::now());
                OpeningState::Ended
            }
        }
    }

    /// The response has ended regularly, in its beginning. Only a body that is no stream is content then. Returns whether
    /// the body is an error of the provider.
    pub(crate) fn end(mut self) -> bool {
        if self.framing != ResponseFraming::Json || self.bytes == 0 {
            self.attempt.failed(TargetFailure::of_response(FallbackCause::Reset), Instant::now());
            return false;
        }
        let is_error = self.opening.end() == OpeningState::Failed;
        if is_error {
            self.report_error();
        } else {
            self.attempt.succeeded(Instant::now());
        }
        is_error
    }

    /// The response was aborted in its beginning.
    pub(crate) fn abort(&self, outcome: Outcome) {
        let cause = match outcome {
            Outcome::UpstreamCut => FallbackCause::Reset,
            Outcome::TimedOut => FallbackCause::Timeout,
            Outcome::Completed | Outcome::CallerGone | Outcome::Drained | Outcome::Interrupted | Outcome::BudgetCut => {
                return;
            }
        };
        self.attempt.failed(TargetFailure::of_response(cause), Instant::now());
    }

    fn report_error(&self) {
        let error = ProviderError::of_event(self.opening.error());
        self.attempt.failed(TargetFailure::of_error(&error, || error.retry_after), Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_about_the_input_of_a_request_leave_no_target_out() {
        let refused = Some(CooldownCause::Refused(None));
        for (status, message, cooldown) in [
            (403, "Permission denied", refused),
            (403, "You do not have permission to access the File abc or it may not exist.", None),
            (403, "CachedContent not found (or permission denied)", None),
            (403, "m requires moderation on OpenAI. Your input was flagged.", None),
            (404, "The model `m` does not exist", Some(CooldownCause::Failure)),
            (404, "models/m is not found for API version v1beta", Some(CooldownCause::Failure)),
            (404, "model: m", Some(CooldownCause::Failure)),
            (404, "", Some(CooldownCause::Failure)),
            (404, "No such File object: file-model", None),
            (404, "No such File object: a model b", None),
            (404, "Requested entity was not found.", None),
            (429, "Rate limit reached for m", refused),
            (429, "Request too large for m", None),
        ] {
            let body = format!(r#"{{"error":{{"message":"{message}"}}}}"#);
            let error = ProviderError::of_response(status, body.as_bytes());
            assert_eq!(TargetFailure::of_error(&error, || None).cooldown, cooldown, "{status} {message}");
        }
        let error = ProviderError::of_response(404, br#"{"error":{"code":"model_not_found"}}"#);
        assert_eq!(TargetFailure::of_error(&error, || None).cooldown, Some(CooldownCause::Failure));
    }
}
