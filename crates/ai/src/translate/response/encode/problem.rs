//! A provider's errors in the words of each format.

use access::refusal::Side;

use crate::error::anthropic_type;
use crate::failures::failure::ProviderErrorKind;
use crate::translate::event::ProviderFailure;
use crate::translate::object_writer::ObjectWriter;

/// The words with which Claude Code recognizes that it must shorten the conversation.
const TOO_LONG: &str = "prompt is too long";
/// The words with which Claude Code recognizes that it must ask for less output.
const TOO_LONG_WITH_OUTPUT: &str = "exceed context limit";

/// The code with which clients of OpenAI's formats recognize that.
const TOO_LONG_CODE: &str = "context_length_exceeded";

/// Whether an error about the length of a call has the words of Anthropic.
pub(super) fn has_words_of_anthropic(failure: &ProviderFailure) -> bool {
    failure.status == 400 && (failure.message.contains(TOO_LONG) || failure.message.contains(TOO_LONG_WITH_OUTPUT))
}

/// Whether an error about the length of a call has the code of OpenAI.
pub(super) fn has_code_of_openai(failure: &ProviderFailure) -> bool {
    failure.code.as_deref() == Some(TOO_LONG_CODE)
}

/// Returns the error object of OpenAI's formats.
pub(super) fn of_openai(failure: &ProviderFailure) -> String {
    let own = failure.code.as_deref();
    let (kind, code) = match (failure.kind, failure.status) {
        (ProviderErrorKind::Context, _) => ("invalid_request_error", Some(TOO_LONG_CODE)),
        (ProviderErrorKind::Quota, _) => ("insufficient_quota", Some("insufficient_quota")),
        (ProviderErrorKind::Credential, _) => ("invalid_request_error", own.or(Some("invalid_api_key"))),
        (ProviderErrorKind::NotFound, _) => ("invalid_request_error", own.or(Some("model_not_found"))),
        (ProviderErrorKind::Status, 429) => ("requests", own.or(Some("rate_limit_exceeded"))),
        (ProviderErrorKind::Status, 400..=499) => ("invalid_request_error", own),
        (ProviderErrorKind::Status, _) => ("server_error", own),
    };
    let error = ObjectWriter::new().with("message", &failure.message).with("type", kind);
    error.with_raw("param", "null").with("code", &code).end()
}

/// Returns the code within a failed response of the Responses API. Codex repeats the call only after some of them.
pub(super) fn code_of_response(failure: &ProviderFailure) -> &'static str {
    match (failure.kind, failure.status) {
        (ProviderErrorKind::Context, _) => TOO_LONG_CODE,
        (ProviderErrorKind::Quota, _) => "insufficient_quota",
        (_, 429) => "rate_limit_exceeded",
        (_, 503 | 529) => "server_is_overloaded",
        (_, 400..=499) => "invalid_prompt",
        _ => "server_error",
    }
}

/// Returns the whole error body of Messages, which is also the data of its error event.
pub(super) fn of_anthropic(failure: &ProviderFailure, request_id: &str) -> String {
    let side = if failure.status < 500 { Side::Client } else { Side::Upstream };
    let is_own = failure.message.contains(TOO_LONG) || failure.message.contains(TOO_LONG_WITH_OUTPUT);
    let message = match (failure.kind, failure.context.of_anthropic()) {
        (ProviderErrorKind::Context, Some(sentence)) if !is_own => sentence,
        (ProviderErrorKind::Context, None) if !is_own => format!("{TOO_LONG}: {}", failure.message),
        _ => failure.message.clone(),
    };
    let error = ObjectWriter::of_type(anthropic_type(failure.status, side)).with("message", &message);
    let error = match &failure.code {
        Some(code) => error.with("code", code),
        None => error,
    };
    ObjectWriter::of_type("error").with_raw("error", &error.end()).with("request_id", request_id).end()
}
