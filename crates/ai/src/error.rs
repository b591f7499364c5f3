//! Tollgate's errors in the client's format: whole bodies, the last event of a stream, headers.
//!
//! The shapes follow the observed behaviour of clients (2026-11-20): the official SDKs and Claude Code read `message`,
//! and stop at `x-should-retry: false`. Codex ignores that header, and stops at 429 with code `insufficient_quota`.
//! Google's SDKs never retry.

use std::borrow::Cow;

use access::Refusal;
use access::refusal::{Retry, Side};
use serde::Serialize;
use serde_json::{Value, json};

use crate::format::{Dialect, Format};
use crate::streams::partial::Partial;

/// The contents of an error response.
#[derive(Debug, Clone, Copy)]
pub struct FormatProblem<'a> {
    /// The reason why the request is not served.
    pub refusal: Refusal,
    /// The HTTP status of the response: the refusal's own, unless the configuration chooses another.
    pub status: u16,
    /// The field of the request that caused the error, if any.
    pub param: Option<&'a str>,
    /// The message for the client: the cause, and advice.
    pub message: &'a str,
    /// Tollgate's request id, as in the `request-id` header.
    pub request_id: &'a str,
    /// The reporting system: `domain` of Google's `ErrorInfo`, the brand's name for machines.
    pub domain: &'a str,
}

/// The gateway that reports a problem, and the request that it concerns.
#[derive(Debug, Clone, Copy)]
pub struct Reporter<'a> {
    /// The reporting system; see [`FormatProblem::domain`].
    pub domain: &'a str,
    /// Tollgate's request id; see [`FormatProblem::request_id`].
    pub request_id: &'a str,
}

impl<'a> FormatProblem<'a> {
    /// Creates a problem with the refusal's own status and without a field of the request.
    #[must_use]
    pub const fn new(refusal: Refusal, message: &'a str, reporter: Reporter<'a>) -> Self {
        let Reporter { domain, request_id } = reporter;
        Self { refusal, status: refusal.status(), param: None, message, request_id, domain }
    }
}

/// Returns a whole body in the shape of `dialect`; for `None` it is `{"error":{"code","message","status"}}`. JSON, in
/// one line.
#[must_use]
pub fn body(dialect: Option<Dialect>, problem: &FormatProblem<'_>) -> Vec<u8> {
    match dialect {
        None => json(&Plain::from_problem(problem)),
        Some(Dialect::OpenAi) => json(&OpenAiBody { error: OpenAiError::from_problem(problem) }),
        Some(Dialect::Anthropic) => json(&AnthropicBody::from_problem(problem)),
        Some(Dialect::Google) => json(&GoogleBody::from_problem(problem)),
    }
}

/// Returns the body for Codex (0.171) of a quota that is used up, which resets at this Unix time: Codex ends after one request.
/// With `plan_type` it would advertise plans of OpenAI.
#[must_use]
pub fn codex_usage_limit(message: &str, resets_at: Option<u64>) -> Vec<u8> {
    json(
        &json!({"error": {"type": "usage_limit_reached", "code": "insufficient_quota", "message": message, "resets_at": resets_at}}),
    )
}

/// Returns headers to send with [`body`], so that clients do not retry at once.
#[must_use]
pub const fn headers(dialect: Option<Dialect>, refusal: Refusal) -> &'static [(&'static str, &'static str)] {
    match (dialect, refusal.retry()) {
        (Some(_), Retry::Never) => &[("x-should-retry", "false")],
        (None, _) | (_, Retry::Later) => &[],
    }
}

/// Returns the error body for Amazon Bedrock's paths: its clients read `message` at the top level.
#[must_use]
pub fn bedrock_body(problem: &FormatProblem<'_>) -> Vec<u8> {
    json(&json!({"message": problem.message, "code": problem.refusal.code(), "request_id": problem.request_id}))
}

/// Returns the last events of a stream that Tollgate aborts.
///
/// They begin with blank lines, which end an incomplete event that was too long for [`crate::tap`] to hold. Google's
/// older SDKs fail on blank lines, so Google's event has them only if an event is `open`.
pub(crate) fn event(format: Format, open: bool, problem: &FormatProblem<'_>, partial: &Partial<'_>) -> Vec<u8> {
    match format {
        Format::Chat | Format::Completions | Format::Embeddings | Format::Moderations => {
            stream(true, &[(None, json(&OpenAiBody { error: OpenAiError::from_problem(problem) }))])
        }
        Format::Images | Format::Speech | Format::Transcription => stream(
            true,
            &[(Some("error"), json(&ErrorEvent { kind: "error", error: OpenAiError::from_problem(problem) }))],
        ),
        // OpenAI's SDKs raise an error at the first event; Codex reads only the second.
        Format::Responses => {
            let Partial { sequence, .. } = *partial;
            let failed = json(&failed(problem, &partial.after(1)));
            stream(
                true,
                &[(Some("error"), json(&responses_error(problem, sequence))), (Some("response.failed"), failed)],
            )
        }
        Format::Messages => stream(true, &[(Some("error"), json(&AnthropicBody::from_problem(problem)))]),
        Format::GenerateContent | Format::EmbedContent => {
            let body = json(&GoogleBody::from_problem(problem));
            let mut last = stream(open, &[(None, body.clone())]);
            // Google's Node SDK recognizes only a bare error, as Google sends it (1.52, 2026-11-20): it takes the event
            // for a regular end. All other clients read it as a line without a field.
            last.extend_from_slice(&body);
            last
        }
    }
}

/// Returns the event in place of one with which the provider reports an error: an error, or with `is_response` a failed
/// response of the Responses API. `partial` is the stream up to and with the replaced event.
pub(crate) fn replaced(
    format: Format,
    is_response: bool,
    problem: &FormatProblem<'_>,
    partial: &Partial<'_>,
) -> Vec<u8> {
    let before = partial.before_last();
    let (name, json) = match format {
        Format::Responses if is_response => (Some("response.failed"), json(&failed(problem, &before))),
        Format::Responses => (Some("error"), json(&responses_error(problem, before.sequence))),
        Format::Messages => (Some("error"), json(&AnthropicBody::from_problem(problem))),
        Format::Images | Format::Speech | Format::Transcription => {
            (Some("error"), json(&ErrorEvent { kind: "error", error: OpenAiError::from_problem(problem) }))
        }
        Format::Chat | Format::Completions | Format::Embeddings | Format::Moderations => {
            (None, json(&OpenAiBody { error: OpenAiError::from_problem(problem) }))
        }
        Format::GenerateContent | Format::EmbedContent => (None, json(&GoogleBody::from_problem(problem))),
    };
    stream(false, &[(name, json)])
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
    message: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: &'static str,
}

#[derive(Serialize)]
struct ErrorEvent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: OpenAiError<'a>,
}

/// Tells Anthropic's SDKs (2.10, read 2026-11-29) to send the whole conversation in each call: a thread is state that only
/// Anthropic has.
#[derive(Serialize)]
struct UnsupportedThread {
    error_code: &'static str,
    unsupported: [&'static str; 1],
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
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<UnsupportedThread>,
}

/// `google.rpc.Status`, with one of Google's own detail types.
#[derive(Serialize)]
struct GoogleBody<'a> {
    error: GoogleError<'a>,
}

#[derive(Serialize)]
struct GoogleError<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
    details: Vec<ErrorDetail<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ErrorDetail<'a> {
    Info(ErrorInfo<'a>),
    Quota(QuotaFailure<'a>),
}

/// `google.rpc.QuotaFailure`. gemini-cli repeats a 429, unless the id of its quota contains `PerDay`.
#[derive(Serialize)]
struct QuotaFailure<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    violations: [Violation<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Violation<'a> {
    subject: &'a str,
    description: &'a str,
    quota_id: &'static str,
}

#[derive(Serialize)]
struct ErrorInfo<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    reason: &'static str,
    domain: &'a str,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    request_id: &'a str,
}

impl<'a> Plain<'a> {
    fn from_problem(problem: &FormatProblem<'a>) -> Self {
        let code = problem.refusal.code();
        Self { error: PlainError { code, message: problem.message, status: problem.status } }
    }
}

impl<'a> OpenAiError<'a> {
    fn from_problem(problem: &FormatProblem<'a>) -> Self {
        let refusal = problem.refusal;
        let param = matches!(refusal, Refusal::ModelNotFound | Refusal::FormatMismatch).then_some("model");
        let param = problem.param.or(param);
        Self { message: openai_message(problem), kind: openai_type(refusal), param, code: openai_code(refusal, param) }
    }
}

/// OpenAI's event has its fields at the top level. The SDK for Python raises only at an `error` object (3.51, read
/// 2026-11-21), and the AI SDK reads either form (3.0.141), so the event carries both.
fn responses_error(problem: &FormatProblem<'_>, sequence: u64) -> Value {
    let error = OpenAiError::from_problem(problem);
    json!({
        "type": "error", "code": error.code, "message": error.message, "param": error.param,
        "sequence_number": sequence, "error": error
    })
}

fn failed(problem: &FormatProblem<'_>, partial: &Partial<'_>) -> Value {
    // The schema has a closed list of codes here; the previous event has Tollgate's code.
    let error = json!({"code": "server_error", "message": problem.message});
    let response = partial.named(problem.request_id).response("failed", &error, &Value::Null);
    json!({"type": "response.failed", "response": response, "sequence_number": partial.sequence})
}

impl<'a> AnthropicBody<'a> {
    fn from_problem(problem: &FormatProblem<'a>) -> Self {
        let refusal = problem.refusal;
        let is_of_thread = refusal == Refusal::FormatMismatch && problem.param == Some("thread");
        let details = is_of_thread
            .then_some(UnsupportedThread { error_code: "thread_unsupported_request", unsupported: ["thread"] });
        // Claude Code shows the message of this type alone (2.1.332).
        let is_quota = matches!(refusal, Refusal::QuotaExceeded | Refusal::BudgetExceeded) && problem.status == 429;
        let kind = if is_quota { "billing_error" } else { anthropic_type(problem.status, refusal.side()) };
        let error = AnthropicError { kind, message: problem.message, code: refusal.code(), details };
        Self { kind: "error", error, request_id: problem.request_id }
    }
}

impl<'a> GoogleBody<'a> {
    fn from_problem(problem: &FormatProblem<'a>) -> Self {
        let refusal = problem.refusal;
        let metadata = Metadata { request_id: problem.request_id };
        let kind = "type.googleapis.com/google.rpc.ErrorInfo";
        let info = ErrorInfo { kind, reason: refusal.code(), domain: problem.domain, metadata };
        let mut details = vec![ErrorDetail::Info(info)];
        if matches!(refusal, Refusal::QuotaExceeded | Refusal::BudgetExceeded) {
            let quota_id = if refusal == Refusal::QuotaExceeded { "CreditsPerDay" } else { "BudgetPerDay" };
            let violation = Violation { subject: problem.domain, description: problem.message, quota_id };
            let kind = "type.googleapis.com/google.rpc.QuotaFailure";
            details.push(ErrorDetail::Quota(QuotaFailure { kind, violations: [violation] }));
        }
        let code = problem.status;
        let status = google_status(problem.status);
        Self { error: GoogleError { code, message: problem.message, status, details } }
    }
}

/// LiteLLM, and therefore aider, recognize a rejected key by OpenAI's wording. Without it they report a bad request
/// (LiteLLM 1.106.2, measured 2026-11-21).
fn openai_message<'a>(problem: &FormatProblem<'a>) -> Cow<'a, str> {
    match (problem.refusal.status(), problem.refusal) {
        (401, Refusal::Unauthorized) | (..=400 | 402.., _) => Cow::Borrowed(problem.message),
        (401, _) => Cow::Owned(format!("Incorrect API key provided: {}", problem.message)),
    }
}

/// Returns OpenAI's code if its clients check for one, else Tollgate's.
fn openai_code(refusal: Refusal, param: Option<&str>) -> &'static str {
    match (refusal.status(), refusal) {
        (401, _) => "invalid_api_key",
        (_, Refusal::QuotaExceeded | Refusal::BudgetExceeded) => "insufficient_quota",
        (_, Refusal::RateLimited) => "rate_limit_exceeded",
        (_, Refusal::NotFound) if param == Some("previous_response_id") => "previous_response_not_found",
        // `model_not_found` is the code of both.
        _ => refusal.code(),
    }
}

fn openai_type(refusal: Refusal) -> &'static str {
    match (refusal.side(), refusal) {
        (_, Refusal::QuotaExceeded | Refusal::BudgetExceeded) => "insufficient_quota",
        (_, Refusal::RateLimited) => "requests",
        (Side::Client, _) => "invalid_request_error",
        (Side::Gateway | Side::Upstream, _) => "server_error",
    }
}

/// Anthropic's types follow the status. It has no type for most refusals and no code at all, so `code` carries
/// Tollgate's.
pub(crate) const fn anthropic_type(status: u16, side: Side) -> &'static str {
    match (status, side) {
        (401, _) => "authentication_error",
        (402, _) => "billing_error",
        (403, _) => "permission_error",
        (404, _) => "not_found_error",
        (413, _) => "request_too_large",
        (429, _) => "rate_limit_error",
        (503 | 529, _) => "overloaded_error",
        (504, _) => "timeout_error",
        (_, Side::Client) => "invalid_request_error",
        (_, Side::Gateway | Side::Upstream) => "api_error",
    }
}

/// Returns the canonical code of Google's APIs for this status (`google.rpc.Code`).
pub(crate) const fn google_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        // `google.rpc.Code` has no 402. Google itself reports missing billing with this code.
        402 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        408 | 504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

fn stream(blank: bool, events: &[(Option<&str>, Vec<u8>)]) -> Vec<u8> {
    let mut out = if blank { b"\n\n".to_vec() } else { Vec::new() };
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
    // Serializing strings and numbers cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
