//! Our own errors in the caller's language: whole bodies, the last event of a stream, headers.
//!
//! Shaped after what clients were seen to do (2026-11-20): the official SDKs and Claude Code read `message`, and stop
//! at `x-should-retry: false`; Codex does not, and stops at 429 with code `insufficient_quota`.

use access::Refusal;
use access::refusal::{Retry, Side};
use serde::Serialize;

use crate::format::Format;

/// What is to be told.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// Why the request is not served.
    pub refusal: Refusal,
    /// For the caller: what happened, what to do.
    pub message: &'a str,
    /// Ours, as in the `request-id` header.
    pub request_id: &'a str,
}

/// A whole body in `format`'s own shape; `None` is `{"error":{"code","message","status"}}`. JSON, in one line.
#[must_use]
pub fn body(format: Option<Format>, problem: &Problem<'_>) -> Vec<u8> {
    match format {
        None => json(&Plain::of(problem)),
        Some(Format::Chat | Format::Responses) => json(&OpenAiBody { error: OpenAiError::of(problem) }),
        Some(Format::Messages) => json(&AnthropicBody::of(problem)),
    }
}

/// Headers that go with [`body`], so that clients do not hammer.
#[must_use]
pub const fn headers(format: Option<Format>, refusal: Refusal) -> &'static [(&'static str, &'static str)] {
    match (format, refusal.retry()) {
        (Some(_), Retry::Never) => &[("x-should-retry", "false")],
        (None, _) | (_, Retry::Later) => &[],
    }
}

/// What a stream ends with when we cut it.
///
/// It opens with blank lines, for an event that the cut left open: one too long for [`crate::tap`] to hold.
#[must_use]
pub fn event(format: Format, problem: &Problem<'_>) -> Vec<u8> {
    match format {
        Format::Chat => stream(&[(None, json(&OpenAiBody { error: OpenAiError::of(problem) }))]),
        // OpenAI's SDKs raise at the first; Codex knows the second alone.
        Format::Responses => stream(&[
            (Some("error"), json(&ResponsesError { kind: "error", error: OpenAiError::of(problem) })),
            (Some("response.failed"), json(&ResponsesFailed::of(problem))),
        ]),
        Format::Messages => stream(&[(Some("error"), json(&AnthropicBody::of(problem)))]),
    }
}

#[derive(Serialize)]
struct Plain<'a> {
    error: PlainError<'a>,
}

#[derive(Serialize)]
struct PlainError<'a> {
    code: &'static str,
    message: &'a str,
    status: u16,
}

#[derive(Serialize)]
struct OpenAiBody<'a> {
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'static str>,
    code: &'static str,
}

#[derive(Serialize)]
struct ResponsesError<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct ResponsesFailed<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    response: FailedResponse<'a>,
}

#[derive(Serialize)]
struct FailedResponse<'a> {
    id: &'a str,
    object: &'static str,
    status: &'static str,
    error: FailedError<'a>,
    output: [(); 0],
}

#[derive(Serialize)]
struct FailedError<'a> {
    code: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct AnthropicBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: AnthropicError<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
    code: &'static str,
}

impl<'a> Plain<'a> {
    fn of(problem: &Problem<'a>) -> Self {
        let (code, status) = (problem.refusal.code(), problem.refusal.status());
        Self { error: PlainError { code, message: problem.message, status } }
    }
}

impl<'a> OpenAiError<'a> {
    fn of(problem: &Problem<'a>) -> Self {
        let refusal = problem.refusal;
        let param = matches!(refusal, Refusal::ModelNotFound | Refusal::FormatMismatch).then_some("model");
        Self { message: problem.message, kind: openai_type(refusal), param, code: openai_code(refusal) }
    }
}

impl<'a> ResponsesFailed<'a> {
    fn of(problem: &Problem<'a>) -> Self {
        let error = FailedError { code: openai_code(problem.refusal), message: problem.message };
        let response =
            FailedResponse { id: problem.request_id, object: "response", status: "failed", error, output: [] };
        Self { kind: "response.failed", response }
    }
}

impl<'a> AnthropicBody<'a> {
    fn of(problem: &Problem<'a>) -> Self {
        let refusal = problem.refusal;
        let error = AnthropicError { kind: anthropic_type(refusal), message: problem.message, code: refusal.code() };
        Self { kind: "error", error, request_id: problem.request_id }
    }
}

/// OpenAI's word where its clients look for one, else ours.
fn openai_code(refusal: Refusal) -> &'static str {
    match (refusal.status(), refusal) {
        (401, _) => "invalid_api_key",
        (_, Refusal::QuotaExceeded) => "insufficient_quota",
        (_, Refusal::RateLimited) => "rate_limit_exceeded",
        // `model_not_found` is the same word in both.
        _ => refusal.code(),
    }
}

fn openai_type(refusal: Refusal) -> &'static str {
    match (refusal.side(), refusal) {
        (_, Refusal::QuotaExceeded) => "insufficient_quota",
        (_, Refusal::RateLimited) => "requests",
        (Side::Caller, _) => "invalid_request_error",
        (Side::Us | Side::Upstream, _) => "server_error",
    }
}

/// Anthropic's types follow the status; it has none for most of ours, and no code at all, so ours stands in `code`.
fn anthropic_type(refusal: Refusal) -> &'static str {
    match (refusal.status(), refusal.side()) {
        (401, _) => "authentication_error",
        (403, _) => "permission_error",
        (404, _) => "not_found_error",
        (413, _) => "request_too_large",
        (429, _) => "rate_limit_error",
        (503, _) => "overloaded_error",
        (504, _) => "timeout_error",
        (_, Side::Caller) => "invalid_request_error",
        (_, Side::Us | Side::Upstream) => "api_error",
    }
}

fn stream(events: &[(Option<&str>, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"\n\n".to_vec();
    for (name, data) in events {
        if let Some(name) = name {
            out.extend_from_slice(format!("event: {name}\n").as_bytes());
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(data);
        out.extend_from_slice(b"\n\n");
    }
    out
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Strings and numbers always serialise.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
