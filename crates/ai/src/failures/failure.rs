//! What a provider's error says: whether another provider may serve the call, and when this one may be tried again.
//!
//! Codes and messages: the providers' documentation, read 2026-11-20.

mod context;
mod signals;

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::failures::account_words::AccountWords;
pub use context::ContextTokens;

/// Types and codes of errors of an account without money, or with a spend or usage limit that was reached.
const UNPAID: [&str; 8] = [
    "insufficient_quota",
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "project_spend_limit_exceeded",
];

/// Parts of messages of a 403 about a file, a cached content or an input of the request, not about the credential
/// (Gemini and OpenRouter, 2026-11-29).
const REFUSED_INPUTS: [&str; 4] = ["access the file", "cachedcontent", "input was flagged", "requires moderation"];

/// Beginnings of messages about a model that does not exist. Clients choose ids within messages.
const UNKNOWN_MODELS: [&str; 6] =
    ["model", "the model", "the provided model", "publisher model", "unable to access model", "no endpoints found for"];

/// What an error of a provider concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderErrorKind {
    /// The request, or the provider itself, as its status says.
    Status,
    /// The account has no money or quota left.
    Quota,
    /// The credential of the request.
    Credential,
    /// The model or another object that the request names, which the provider does not know.
    NotFound,
    /// The length of the call, which exceeds the model's context window.
    Context,
}

/// An error of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderError {
    /// The status of the response; for an event within a stream the status that such an error has otherwise.
    pub status: u16,
    /// What the error concerns.
    pub kind: ProviderErrorKind,
    /// Whether the error names the model. The provider then cannot serve other requests for it either.
    pub names_model: bool,
    /// Whether the call alone exceeds a rate limit, so that it never succeeds there as it is.
    pub is_too_large: bool,
    /// Whether each call with the same credential fails until the account is changed. A 403 may concern one call.
    pub is_lasting: bool,
    /// Whether the text of the error is about an account.
    pub account_words: AccountWords,
    /// The time after which the provider may be tried again, if the body contains it (Google's `RetryInfo`).
    pub retry_after: Option<Duration>,
    /// The tokens that an error about the length of the call names.
    pub context: ContextTokens,
}

#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    response: Option<ResponseBody>,
    #[serde(default)]
    code: Option<Value>,
    #[serde(default)]
    message: Option<Value>,
    /// The list of errors in Cloudflare's form.
    #[serde(default)]
    errors: Option<Value>,
    /// The message of servers that are written with FastAPI.
    #[serde(default)]
    detail: Option<Value>,
}

/// The response within the event `response.failed`.
#[derive(Debug, Default, Deserialize)]
struct ResponseBody {
    #[serde(default)]
    error: Option<Value>,
}

/// The words of an error, in lower case.
#[derive(Debug, Default)]
struct ErrorWords {
    kind: String,
    code: String,
    message: String,
    status: Option<u16>,
    retry_after: Option<Duration>,
    /// Whether Google reports that the API key is invalid or has expired, with status 400.
    is_key_invalid: bool,
    /// The code in Anthropic's `details`.
    detail: String,
    /// The tokens that llama.cpp reports in fields.
    tokens: ContextTokens,
}

impl ProviderError {
    /// Reads an error response.
    #[must_use]
    pub fn of_response(status: u16, body: &[u8]) -> Self {
        let error = Self::from_words(status, &ErrorWords::read(body), matches!(status, 400 | 413 | 422));
        Self { account_words: AccountWords::from_text(body), ..error }
    }

    /// Reads the JSON of an error that follows a successful head.
    #[must_use]
    pub fn of_event(json: &[u8]) -> Self {
        const STATUSES: [(&str, u16); 22] = [
            ("overloaded_error", 529),
            ("rate_limit_error", 429),
            ("rate_limit_exceeded", 429),
            ("insufficient_quota", 429),
            ("resource_exhausted", 429),
            ("authentication_error", 401),
            ("invalid_api_key", 401),
            ("permission_error", 403),
            ("billing_error", 402),
            ("not_found_error", 404),
            ("model_not_found", 404),
            ("timeout_error", 504),
            ("content_filter", 400),
            ("invalid_request_error", 400),
            // The words of google.rpc.Code.
            ("invalid_argument", 400),
            ("failed_precondition", 400),
            ("unauthenticated", 401),
            ("permission_denied", 403),
            ("not_found", 404),
            ("internal", 500),
            ("unavailable", 503),
            ("deadline_exceeded", 504),
        ];
        let words = ErrorWords::read(json);
        let named = STATUSES.iter().find(|(word, _)| words.kind == *word || words.code == *word);
        // Codes of `response.failed` about what the client has sent.
        let is_of_client = words.code.starts_with("invalid_")
            || words.code.starts_with("image_")
            || matches!(
                words.code.as_str(),
                "unsupported_image_media_type" | "empty_image_file" | "failed_to_download_image"
            );
        let named = named.map(|(_, status)| *status).or(is_of_client.then_some(400));
        let status = words.status.or(named).unwrap_or(500);
        // The head was successful: servers write any status, or none, into an event.
        let error =
            Self { account_words: AccountWords::from_text(json), ..Self::from_words(status, &words, status != 429) };
        if error.kind == ProviderErrorKind::Context { Self { status: 400, ..error } } else { error }
    }

    /// `may_be_context` is whether an error with this status may be about the length of the call.
    fn from_words(status: u16, words: &ErrorWords, may_be_context: bool) -> Self {
        let has = |part: &str| words.message.contains(part);
        let is = |word: &str| words.kind == word || words.code == word;
        let is_unpaid = UNPAID.iter().any(|code| is(code))
            || words.detail == "enforced_spend_limit_reached"
            || (matches!(status, 400 | 403) && (has("api usage limits") || has("credit balance is too low")));
        let is_too_long = may_be_context && signals::is_context(&words.kind, &words.code, &words.message);
        let names_model = is("model_not_found")
            || is("deploymentnotfound")
            // The path is unknown: errors about objects of a request have a message.
            || words.message.is_empty()
            || UNKNOWN_MODELS.iter().any(|begin| words.message.starts_with(begin));
        let kind = match status {
            _ if is_unpaid => ProviderErrorKind::Quota,
            402 => ProviderErrorKind::Quota,
            403 if REFUSED_INPUTS.iter().any(|part| has(part)) => ProviderErrorKind::Status,
            401 | 403 => ProviderErrorKind::Credential,
            404 => ProviderErrorKind::NotFound,
            400 if words.is_key_invalid => ProviderErrorKind::Credential,
            400 if is("model_not_found") => ProviderErrorKind::NotFound,
            _ if is_too_long => ProviderErrorKind::Context,
            _ => ProviderErrorKind::Status,
        };
        // OpenAI, also at Azure: "Request too large for gpt-… on tokens per min (TPM): Limit 30000, Requested 45000".
        let is_too_large = status == 429 && has("request too large");
        // OpenRouter refuses calls that may cost more than the rest of the credits; others of the account succeed.
        let is_of_call = has("can only afford") || has("fewer max_tokens");
        let is_lasting = match kind {
            ProviderErrorKind::Credential => status != 403,
            ProviderErrorKind::Quota => !is_of_call,
            ProviderErrorKind::Status | ProviderErrorKind::NotFound | ProviderErrorKind::Context => false,
        };
        let context = match kind {
            ProviderErrorKind::Context if words.tokens.limit.is_some() => words.tokens,
            ProviderErrorKind::Context => ContextTokens::read(&words.message),
            ProviderErrorKind::Status
            | ProviderErrorKind::Quota
            | ProviderErrorKind::Credential
            | ProviderErrorKind::NotFound => ContextTokens::default(),
        };
        let account_words = AccountWords::None;
        let retry_after = words.retry_after;
        Self { status, kind, names_model, is_too_large, is_lasting, account_words, retry_after, context }
    }
}

impl ErrorWords {
    fn read(body: &[u8]) -> Self {
        let list = serde_json::from_slice::<Vec<ErrorBody>>(body).ok().and_then(|list| list.into_iter().next());
        let body = list.or_else(|| serde_json::from_slice(body).ok()).unwrap_or_default();
        let ErrorBody { error, response, code, message, errors, detail } = body;
        let error = error.filter(|error| !error.is_null()).or_else(|| response.and_then(|response| response.error));
        let error = error.or_else(|| errors.and_then(|errors| errors.get(0).cloned()));
        let detail = detail.map(|detail| detail.get(0).and_then(|first| first.get("msg")).cloned().unwrap_or(detail));
        let of = |key: &str| error.as_ref().and_then(|error| error.get(key));
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let message = match &error {
            Some(Value::String(text)) => text.to_ascii_lowercase(),
            Some(error) => text(error.get("message")),
            None => text(message.as_ref().or(detail.as_ref())),
        };
        let count = |key: &str| of(key).and_then(Value::as_u64);
        let input = count("n_prompt_tokens");
        let limit = count("n_ctx");
        let status = of("code").or(code.as_ref()).and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        let details = || of("details").and_then(Value::as_array).into_iter().flatten();
        let delays = details().filter_map(|detail| detail.get("retryDelay").and_then(Value::as_str));
        let mut reasons = details().filter_map(|detail| detail.get("reason").and_then(Value::as_str));
        Self {
            kind: text(of("type").or(of("status"))),
            code: text(of("code").or(code.as_ref())),
            message,
            status: status.filter(|status| (400..=599).contains(status)),
            retry_after: delays.filter_map(seconds).max(),
            is_key_invalid: reasons.any(|reason| reason == "API_KEY_INVALID"),
            detail: text(of("details").and_then(|details| details.get("error_code"))),
            tokens: ContextTokens { input, output: None, limit: limit.filter(|limit| input > Some(*limit)) },
        }
    }
}

/// Returns the duration of a text such as `12s`, `1.5s` or `6m0s`, as Google and OpenAI write them.
#[must_use]
pub fn seconds(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').filter(|end| *end > 0)?;
        let (number, unit) = rest.split_at_checked(digits)?;
        let (word, factor) = UNITS.iter().find(|(word, _)| unit.starts_with(word))?;
        total += number.parse::<f64>().ok()? * factor;
        rest = unit.get(word.len()..)?;
    }
    (!text.trim().is_empty()).then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, kind: ProviderErrorKind) {
        assert_eq!(ProviderError::of_response(status, body.as_bytes()).kind, kind, "{status} {body}");
    }

    #[test]
    fn errors_are_known_by_their_status_code_and_message() {
        use ProviderErrorKind::{Context, Credential, NotFound, Quota, Status};
        check(429, r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#, Quota);
        let spent = r#"{"error":{"type":"insufficient_quota","code":"project_spend_limit_exceeded"}}"#;
        check(429, spent, Quota);
        check(429, r#"{"error":{"type":"requests","code":"organization_spend_limit_exceeded"}}"#, Quota);
        check(429, r#"{"error":{"type":"requests","code":"rate_limit_exceeded"}}"#, Status);
        let limits = "You have reached your specified API usage limits. You will regain access on 2026-12-01.";
        check(
            400,
            &format!(r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"{limits}"}}}}"#),
            Quota,
        );
        check(400, r#"{"error":{"message":"Your credit balance is too low to access the API"}}"#, Quota);
        let spent = |details: &str| {
            format!(
                r#"{{"type":"error","error":{{"type":"rate_limit_error","message":"monthly spend","details":{details}}}}}"#
            )
        };
        check(429, &spent(r#"{"error_code":"enforced_spend_limit_reached"}"#), Quota);
        for details in [r#"{"error_code":"other"}"#, r#"[{"error_code":"enforced_spend_limit_reached"}]"#, "null"] {
            check(429, &spent(details), Status);
        }
        check(402, "{}", Quota);
        check(401, "", Credential);
        check(403, "<html>", Credential);
        for message in [
            "You do not have permission to access the File abc or it may not exist.",
            "CachedContent not found (or permission denied)",
            "m requires moderation on OpenAI. Your input was flagged.",
        ] {
            check(403, &format!(r#"{{"error":{{"code":403,"message":"{message}"}}}}"#), Status);
        }
        check(403, r#"{"error":{"code":403,"message":"Permission denied","status":"PERMISSION_DENIED"}}"#, Credential);
        check(404, r#"{"error":{"code":"model_not_found"}}"#, NotFound);
        check(404, r#"{"error":{"message":"No such File object: file-1"}}"#, NotFound);
        check(400, r#"{"error":{"code":"context_length_exceeded"}}"#, Context);
        check(400, r#"{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#, Context);
        let limit = "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 tokens and your request has 900 input tokens";
        check(400, &format!(r#"{{"error":{{"message":"{limit}","type":"BadRequestError","code":400}}}}"#), Context);
        check(
            400,
            r#"{"error":{"message":"max_tokens is too large: 32000. This model supports at most 16384 completion tokens"}}"#,
            Status,
        );
        check(400, r#"{"error":{"code":"content_filter","message":"filtered"}}"#, Status);
        check(500, r#"{"error":"context window"}"#, Status);
        check(529, r#"{"error":{"type":"overloaded_error"}}"#, Status);
    }

    #[test]
    fn a_call_that_is_too_long_is_known_at_each_place_of_a_message() {
        use ProviderErrorKind::Context;
        let cloudflare = "The estimated number of input and maximum output tokens (44000) exceeded this model context window limit (32768).";
        for (status, body) in [
            (400, r#"{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 8 but the request contains 9 tokens."}"#.to_owned()),
            (413, format!(r#"{{"success":false,"errors":[{{"code":5021,"message":"{cloudflare}"}}]}}"#)),
            (422, r#"{"error":"Input validation error: `inputs` must have less than 1024 tokens. Given: 1100","error_type":"validation"}"#.to_owned()),
            (400, r#"{"error":null,"detail":"prompt is too long"}"#.to_owned()),
            (422, r#"{"detail":[{"loc":["body"],"msg":"Input is too long"}]}"#.to_owned()),
            (400, r#"{"object":"error","message":"maximum context length is 8","code":400}"#.to_owned()),
            (400, r#"{"error":{"code":"1261","message":"any"}}"#.to_owned()),
        ] {
            check(status, &body, Context);
        }
        let llama = r#"{"error":{"code":400,"message":"exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}"#;
        let tokens = ProviderError::of_response(400, llama.as_bytes()).context;
        assert_eq!(tokens, ContextTokens { input: Some(5_000), output: None, limit: Some(4_096) });
        for event in [
            r#"{"error":{"message":"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough."}}"#,
            r#"{"error":"context length exceeded"}"#,
            r#"{"type":"error","code":500,"message":"the request exceeds the available context size"}"#,
            r#"{"type":"response.failed","response":{"error":{"code":"context_length_exceeded","message":"m"}}}"#,
        ] {
            let error = ProviderError::of_event(event.as_bytes());
            assert_eq!((error.kind, error.status), (Context, 400), "{event}");
        }
    }

    #[test]
    fn google_refuses_an_api_key_with_a_reason_in_the_details() {
        use ProviderErrorKind::{Credential, Status};
        let body = |message: &str, reason: &str| {
            let details = format!(
                r#"[{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"{reason}","domain":"googleapis.com"}},
                    {{"@type":"type.googleapis.com/google.rpc.LocalizedMessage","message":"{message}"}}]"#
            );
            format!(
                r#"{{"error":{{"code":400,"message":"{message}","status":"INVALID_ARGUMENT","details":{details}}}}}"#
            )
        };
        let invalid = body("API key not valid. Please pass a valid API key.", "API_KEY_INVALID");
        check(400, &invalid, Credential);
        check(400, &format!("[{invalid}]"), Credential);
        check(400, &body("API key expired. Please renew the API key.", "API_KEY_INVALID"), Credential);
        assert_eq!(ProviderError::of_event(invalid.as_bytes()).kind, Credential);
        check(400, &body("API key not valid.", "FIELD_INVALID"), Status);
        check(400, r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"API key not valid."}}"#, Status);
        check(400, r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","details":"API_KEY_INVALID"}}"#, Status);
    }

    #[test]
    fn errors_within_streams_have_the_status_of_such_responses() {
        for (json, status) in [
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, 529),
            (r#"{"type":"error","code":"rate_limit_exceeded","message":"slow"}"#, 429),
            (r#"{"type":"response.failed","response":{"error":{"code":"server_error"}}}"#, 500),
            (r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#, 503),
            (r#"{"error":{"status":"UNAVAILABLE","message":"?"}}"#, 503),
            (r#"{"error":{"message":"?"}}"#, 500),
            (r#"{"error":{"code":"content_filter"}}"#, 400),
        ] {
            assert_eq!(ProviderError::of_event(json.as_bytes()).status, status, "{json}");
        }
    }

    #[test]
    fn a_call_that_exceeds_a_rate_limit_alone_is_told_from_one_that_comes_too_early() {
        for (status, message, is_too_large) in [
            (
                429,
                "Request too large for gpt-5 in organization org-1 on tokens per min (TPM): Limit 3, Requested 4.",
                true,
            ),
            (
                429,
                "Rate limit reached for gpt-5 in organization org-1 on tokens per min (TPM): Limit 3, Used 3.",
                false,
            ),
            (413, "Request too large", false),
        ] {
            let body = format!(r#"{{"error":{{"type":"tokens","code":"rate_limit_exceeded","message":"{message}"}}}}"#);
            let error = ProviderError::of_response(status, body.as_bytes());
            assert_eq!(
                (error.kind, error.is_too_large),
                (ProviderErrorKind::Status, is_too_large),
                "{status} {message}"
            );
        }
    }

    #[test]
    fn delays_are_read_from_bodies_and_fields() {
        let body = r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}]"#;
        assert_eq!(ProviderError::of_response(429, body.as_bytes()).retry_after, Some(Duration::from_millis(34_400)));
        for (text, expected) in [
            ("1s", Some(1_000)),
            ("6m0s", Some(360_000)),
            ("20ms", Some(20)),
            ("1h2m3s", Some(3_723_000)),
            ("", None),
            ("soon", None),
            ("5", None),
            ("-1s", None),
            ("99999999999999999999999s", None),
        ] {
            assert_eq!(seconds(text).map(|duration| duration.as_millis()), expected, "{text}");
        }
    }
}
