//! Errors of providers, as far as the translation needs to understand them.

use access::Refusal;
use serde_json::Value;

use crate::failures::account_error::{HiddenError, ProviderAccount};
use crate::failures::failure::{ContextTokens, ProviderError, ProviderErrorKind};
use crate::translate::event::ProviderFailure;

/// Longest message that is given to the client, in bytes.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;
/// Longest error page without JSON that is given to the client, in bytes; it is then the message.
const PAGE_BYTES_MAX: usize = 512;

/// Reads an error response.
pub(super) fn of_body(status: u16, body: &[u8]) -> ProviderFailure {
    let error = ProviderError::of_response(status, body);
    let (message, code) = words(body);
    let message = message.or_else(|| page(body)).unwrap_or_else(|| format!("The provider responded with {status}."));
    of_provider(error, code, message)
}

/// Reads the JSON of an error that follows a successful head.
pub(super) fn of_event(json: &[u8]) -> ProviderFailure {
    let error = ProviderError::of_event(json);
    let (message, code) = words(json);
    let message = message.unwrap_or_else(|| "The provider reported an error without a message.".to_owned());
    of_provider(error, code, message)
}

fn of_provider(error: ProviderError, code: Option<String>, message: String) -> ProviderFailure {
    let ProviderError { status, kind, context, .. } = error;
    let error = Some(Box::new(error));
    ProviderFailure { status, kind, code, refusal: None, is_unfinished: false, message, context, error }
}

/// Returns the failure of a response that ends before it is complete.
pub(super) fn cut() -> ProviderFailure {
    of_gateway(Refusal::UpstreamReset, "The provider's response ended early: it is incomplete.")
}

/// Returns the failure of a response that ends without text, reasoning or a call.
pub(super) fn empty() -> ProviderFailure {
    of_gateway(Refusal::UpstreamProtocol, "The provider ended its response without any content.")
}

/// Returns the failure of a response with media for which the client's format has no field.
pub(super) fn without_field(media_type: &str) -> ProviderFailure {
    let media_type = media_type.get(..media_type.floor_char_boundary(100)).unwrap_or_default();
    let message = format!(
        "The response contains data of the type {media_type} (`inlineData`), for which the format of this call has no field: call \
         the model in Google's format."
    );
    of_gateway(Refusal::UpstreamProtocol, &message)
}

/// Returns the failure of a response that is not in its format.
pub(super) fn unreadable(reason: &str) -> ProviderFailure {
    of_gateway(Refusal::UpstreamProtocol, &format!("The provider's response cannot be translated: {reason}."))
}

/// Returns the failure of a response that ends for a reason which is an error of the provider.
pub(super) fn unfinished(reason: &str) -> ProviderFailure {
    let reason = shortened(reason);
    let message = format!("The provider ended its response with the reason `{reason}`.");
    // The provider reports it: its response is one.
    ProviderFailure { refusal: None, is_unfinished: true, ..of_gateway(Refusal::UpstreamProtocol, &message) }
}

/// Hides an error about the operator's account from the client, as [`HiddenError::from_error`] decides. Returns the
/// status of the error if the gateway reports another in its place.
pub(super) fn hide(failure: &mut ProviderFailure, account: ProviderAccount) -> Option<u16> {
    let error = if failure.refusal.is_none() { failure.error.clone()? } else { return None };
    let hidden = HiddenError::from_error(&error, account, false)?;
    if matches!(hidden.refusal(), Refusal::UpstreamProtocol) {
        *failure = of_gateway(hidden.refusal(), hidden.message());
        return Some(error.status);
    }
    hidden.message().clone_into(&mut failure.message);
    None
}

/// Returns a failure that Tollgate reports.
pub(super) fn of_gateway(refusal: Refusal, message: &str) -> ProviderFailure {
    ProviderFailure {
        status: refusal.status(),
        kind: ProviderErrorKind::Status,
        code: Some(refusal.code().to_owned()),
        refusal: Some(refusal),
        is_unfinished: false,
        message: message.to_owned(),
        context: ContextTokens::default(),
        error: None,
    }
}

/// Returns the message and the code of an error, at any of the places where providers write them.
fn words(json: &[u8]) -> (Option<String>, Option<String>) {
    let value: Value = serde_json::from_slice(json).unwrap_or_default();
    let value = value.get(0).unwrap_or(&value);
    let is_error = |error: &&Value| error.is_object() || error.as_str().is_some_and(|text| !text.is_empty());
    let within = |key: &str| value.get(key).filter(is_error);
    let listed = || value.get("errors").and_then(|errors| errors.get(0)).filter(is_error);
    let error = within("error").or_else(|| within("response")?.get("error")).or_else(listed).unwrap_or(value);
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    let detail = || error.get("detail").and_then(|detail| detail.get(0)?.get("msg")?.as_str());
    let message = error.as_str().or_else(|| text("message")).or_else(|| text("detail")).or_else(detail);
    let message = message.filter(|message| !message.is_empty()).map(|message| shortened(message).to_owned());
    let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
    let mut reasons = details.filter_map(|detail| detail.get("reason").and_then(Value::as_str));
    let code = text("code").or_else(|| reasons.find(|reason| is_of_tollgate(reason)));
    let code = code.filter(|code| !code.is_empty() && code.len() <= 100);
    (message, code.map(ToOwned::to_owned))
}

/// Whether the reason within details of Google's form is Tollgate's code. Google's own reasons have upper case (AIP-193).
fn is_of_tollgate(reason: &str) -> bool {
    reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Returns a short page of plain text.
fn page(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let is_text = !text.is_empty() && text.len() <= PAGE_BYTES_MAX && !text.starts_with(['<', '{', '[', '"']);
    (is_text && !text.contains(|letter: char| letter.is_control() && !letter.is_whitespace())).then(|| text.to_owned())
}

fn shortened(message: &str) -> &str {
    message.get(..message.floor_char_boundary(MESSAGE_BYTES_MAX)).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, message: &str, code: Option<&str>) {
        let failure = of_body(500, body.as_bytes());
        assert_eq!((failure.message.as_str(), failure.code.as_deref()), (message, code), "{body}");
    }

    #[test]
    fn messages_are_read_from_each_form_of_error() {
        check(
            r#"{"error":{"message":"Slow \"down\"","code":"rate_limit_exceeded"}}"#,
            "Slow \"down\"",
            Some("rate_limit_exceeded"),
        );
        check(r#"{"type":"error","error":{"type":"api_error","message":"m"},"request_id":"r"}"#, "m", None);
        check(r#"{"error":"model is loading"}"#, "model is loading", None);
        check(r#"[{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]"#, "m", None);
        for (reason, code) in [("API_KEY_INVALID", None), ("upstream_timeout", Some("upstream_timeout"))] {
            check(
                &format!(r#"{{"error":{{"code":400,"message":"m","details":[{{}},{{"reason":"{reason}"}}]}}}}"#),
                "m",
                code,
            );
        }
        check(r#"{"object":"error","message":"m","code":null}"#, "m", None);
        check(r#"{"detail":"Not Found"}"#, "Not Found", None);
        check(r#"{"detail":[{"loc":["body"],"msg":"too long"}]}"#, "too long", None);
        check(r#"{"success":false,"errors":[{"code":5021,"message":"m"}]}"#, "m", None);
        check(
            r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#,
            "m",
            Some("server_error"),
        );
        check("upstream connect error\n", "upstream connect error", None);
        for body in ["<html>502</html>", "", "{}", "{\"error\":", "\u{1}", &"x".repeat(513)] {
            check(body, "The provider responded with 500.", None);
        }
    }

    #[test]
    fn long_messages_are_cut_between_two_letters() {
        let failure = of_event(format!(r#"{{"error":{{"message":"{}"}}}}"#, "\u{20ac}".repeat(5_000)).as_bytes());
        assert!((MESSAGE_BYTES_MAX - 3..=MESSAGE_BYTES_MAX).contains(&failure.message.len()));
    }
}
