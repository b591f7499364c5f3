//! Errors of the `runtime` endpoint, as Messages has them.
//!
//! Names and statuses: botocore's model of `bedrock-runtime` (1.44), and the common errors of Amazon's services.

use serde::Serialize;
use serde_json::Value;

/// Maximum length of a message, in bytes.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// A part of the message about a model that does not exist, which has the status of an invalid request.
const UNKNOWN_MODEL: &str = "model identifier is invalid";

/// The status and the `type` in Messages of each exception, in lowercase.
#[rustfmt::skip]
const EXCEPTIONS: [(&str, u16, &str); 20] = [
    ("accessdeniedexception",           403, "permission_error"),
    ("expiredtokenexception",           401, "authentication_error"),
    ("incompletesignatureexception",    401, "authentication_error"),
    ("internalserverexception",         500, "api_error"),
    ("invalidclienttokenid",            401, "authentication_error"),
    ("invalidsignatureexception",       401, "authentication_error"),
    ("missingauthenticationtokenexception", 401, "authentication_error"),
    ("modelerrorexception",             500, "api_error"),
    ("modelnotreadyexception",          529, "overloaded_error"),
    ("modelstreamerrorexception",       500, "api_error"),
    ("modeltimeoutexception",           504, "timeout_error"),
    ("resourcenotfoundexception",       404, "not_found_error"),
    ("servicequotaexceededexception",   429, "rate_limit_error"),
    ("serviceunavailableexception",     529, "overloaded_error"),
    ("signaturedoesnotmatch",           401, "authentication_error"),
    ("throttlingexception",             429, "rate_limit_error"),
    ("toomanyrequestsexception",        429, "rate_limit_error"),
    ("unknownoperationexception",       404, "not_found_error"),
    ("unrecognizedclientexception",     401, "authentication_error"),
    ("validationexception",             400, "invalid_request_error"),
];

/// An error with the status and the body of Messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeError {
    /// The status, of those that Messages has.
    pub status: u16,
    /// The body, in one line.
    pub body: Vec<u8>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

impl RuntimeError {
    /// Reads an error response. `error_type` is its field `x-amzn-errortype`.
    #[must_use]
    pub fn of_response(status: u16, error_type: Option<&str>, body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        if value.get("error").is_some_and(Value::is_object) {
            // Another server at the base URL has the errors of Messages already.
            return Self { status, body: body.to_vec() };
        }
        let of_body = value.get("__type").and_then(Value::as_str);
        let message = message(&value).map_or_else(|| format!("Amazon Bedrock responded with {status}."), str::to_owned);
        Self::from_exception(error_type.or(of_body).unwrap_or_default(), status, &message)
    }

    /// Reads an exception within a stream. `error_message` is that of a frame without a payload.
    #[must_use]
    pub(super) fn of_exception(name: &str, error_message: &str, payload: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(payload).unwrap_or_default();
        let text = Some(error_message).filter(|text| !text.is_empty()).or_else(|| message(&value));
        Self::from_exception(name, 500, text.unwrap_or("Amazon Bedrock ended the stream with an error."))
    }

    /// Returns the error of an exception, which has this status unless its name is known.
    fn from_exception(exception: &str, status: u16, message: &str) -> Self {
        // `com.amazonaws.bedrock#ThrottlingException:http://…`
        let name = exception.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default().trim();
        let known = EXCEPTIONS.iter().find(|(known, ..)| name.eq_ignore_ascii_case(known));
        let (status, kind) = match known {
            Some((_, 400, _)) if message.contains(UNKNOWN_MODEL) => (404, "not_found_error"),
            Some((_, status, kind)) => (*status, *kind),
            None => (status, kind_of(status)),
        };
        let message = message.get(..message.floor_char_boundary(MESSAGE_BYTES_MAX)).unwrap_or_default();
        let body = ErrorBody { kind: "error", error: ErrorObject { kind, message } };
        // Serializing texts cannot fail.
        Self { status, body: serde_json::to_vec(&body).unwrap_or_default() }
    }
}

/// Returns the message of an error of Amazon's services, some of which write its name with a capital.
fn message(value: &Value) -> Option<&str> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("message").or_else(|| text("Message")).or_else(|| text("originalMessage"))
}

/// Returns the `type` in Messages of errors with this status.
const fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failures::failure::{ProviderError, ProviderErrorKind};

    #[test]
    fn errors_have_the_class_that_other_providers_report_for_them() {
        use ProviderErrorKind::{Context, Credential, NotFound, Status};
        let id = "The provided model identifier is invalid.";
        for (status, name, message, expected) in [
            (429, "ThrottlingException", "Too many requests, please wait before trying again.", (429, Status)),
            (400, "ServiceQuotaExceededException", "quota", (429, Status)),
            (429, "ModelNotReadyException", "not ready", (529, Status)),
            (503, "ServiceUnavailableException", "busy", (529, Status)),
            (408, "ModelTimeoutException", "slow", (504, Status)),
            (424, "ModelErrorException", "failed", (500, Status)),
            (500, "InternalServerException", "failed", (500, Status)),
            (403, "AccessDeniedException", "You don't have access to the model", (403, Credential)),
            (403, "UnrecognizedClientException", "The security token is invalid.", (401, Credential)),
            (403, "com.amazon.coral.service#InvalidSignatureException:http://x/", "no", (401, Credential)),
            (404, "ResourceNotFoundException", "Could not resolve the model", (404, NotFound)),
            (400, "ValidationException:http://internal.amazon.com/coral/", id, (404, NotFound)),
            (400, "ValidationException", "Input is too long for requested model.", (400, Context)),
            (400, "ValidationException", "max_tokens: Field required", (400, Status)),
            (403, "", "Authentication failed", (403, Credential)),
            (418, "LaterException", "?", (418, Status)),
        ] {
            let body = serde_json::json!({ "message": message }).to_string();
            let RuntimeError { status: mapped, body } = RuntimeError::of_response(status, Some(name), body.as_bytes());
            let error = ProviderError::of_response(mapped, &body);
            assert_eq!((mapped, error.kind), expected, "{status} {name}");
            // The name of the error has the same class within a stream.
            let known = EXCEPTIONS.iter().any(|(known, ..)| name.eq_ignore_ascii_case(known));
            assert!(!known || ProviderError::of_event(&body).status == mapped, "{status} {name}");
        }
        assert!(
            ProviderError::of_response(404, &RuntimeError::from_exception("ValidationException", 400, id).body)
                .names_model
        );
    }

    #[test]
    fn messages_are_read_from_each_form_of_body() {
        for (body, message) in [
            (r#"{"message":"a \"b\""}"#, r#"a \"b\""#),
            (r#"{"Message":"User: arn:x is not authorized"}"#, "User: arn:x is not authorized"),
            (r#"{"message":"","originalMessage":"deep"}"#, "deep"),
            ("<html>", "Amazon Bedrock responded with 500."),
            ("", "Amazon Bedrock responded with 500."),
        ] {
            let error = RuntimeError::of_response(500, None, body.as_bytes());
            let expected = format!(r#"{{"type":"error","error":{{"type":"api_error","message":"{message}"}}}}"#);
            assert_eq!(String::from_utf8(error.body).unwrap(), expected);
        }
        let typed = br#"{"__type":"x#ThrottlingException","message":"m"}"#;
        assert_eq!(RuntimeError::of_response(400, None, typed).status, 429);
        let own = br#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
        assert_eq!(RuntimeError::of_response(503, None, own), RuntimeError { status: 503, body: own.to_vec() });
        let long = RuntimeError::of_exception("x", &"\u{20ac}".repeat(5_000), b"").body;
        assert!((4_000..4_300).contains(&long.len()), "{}", long.len());
    }
}
