//! The exchange of an assertion for an access token: the body of the request, and that of its response.

use std::time::Duration;

use serde::Deserialize;

use crate::credentials::secret::Secret;

/// The media type of the request's body.
pub const FORM: &str = "application/x-www-form-urlencoded";
/// Longest access token in bytes; those of Google have up to 2,048.
const TOKEN_LEN_MAX: usize = 8 * 1024;
/// The time of a token whose response does not say how long it is valid.
const VALID_DEFAULT: Duration = Duration::from_secs(300);
/// Longest code of an error.
const CODE_LEN_MAX: usize = 64;

/// An access token with its time.
#[derive(Debug)]
pub struct GrantedToken {
    /// The token, which a header can carry.
    pub text: Secret,
    /// The time for which it is valid, from the request on.
    pub valid: Duration,
}

/// The fields of a response that are read (RFC 6749, 5).
#[derive(Deserialize)]
struct ResponseFields {
    access_token: Option<Secret>,
    expires_in: Option<f64>,
    error: Option<String>,
}

/// Returns the body of the request with this assertion (RFC 7523, 2.1). Assertions need no encoding.
#[must_use]
pub fn grant_body(assertion: &Secret) -> String {
    format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}", assertion.expose())
}

impl GrantedToken {
    /// Reads the body of a successful response; `None` without a token that a header can carry.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let ResponseFields { access_token, expires_in, .. } = serde_json::from_slice(body).ok()?;
        let text = access_token.filter(|token| {
            let token = token.expose();
            (1..=TOKEN_LEN_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
        })?;
        let valid = expires_in.map_or(Some(VALID_DEFAULT), |seconds| Duration::try_from_secs_f64(seconds).ok())?;
        Some(Self { text, valid })
    }
}

/// Returns the code of an error response, such as `invalid_grant`. Its description may contain names of the account.
#[must_use]
pub fn error_code(body: &[u8]) -> Option<Box<str>> {
    let ResponseFields { error, .. } = serde_json::from_slice(body).ok()?;
    let is_plain = |code: &String| {
        code.len() <= CODE_LEN_MAX && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    error.filter(is_plain).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_a_token_that_a_header_can_carry_and_its_time() {
        let parsed = |body: &str| {
            let granted = GrantedToken::parse(body.as_bytes())?;
            Some((granted.text.expose().to_owned(), granted.valid.as_secs()))
        };
        let token = |seconds| Some(("ya29.a".to_owned(), seconds));
        assert_eq!(parsed(r#"{"access_token":"ya29.a","expires_in":3599,"token_type":"Bearer"}"#), token(3_599));
        assert_eq!(parsed(r#"{"access_token":"ya29.a"}"#), token(300));
        for body in [
            r#"{"access_token":"a\r\nx: y"}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":"t","expires_in":-1}"#,
            r#"{"id_token":"t"}"#,
            "<html>",
        ] {
            assert_eq!(parsed(body), None, "{body}");
        }
    }

    #[test]
    fn of_an_error_only_its_code_is_read() {
        let code = |body: &str| error_code(body.as_bytes()).map(String::from);
        assert_eq!(
            code(r#"{"error":"invalid_grant","error_description":"no account a@b"}"#).as_deref(),
            Some("invalid_grant")
        );
        for body in [r#"{"error":{"code":400}}"#, r#"{"error":"a b"}"#, "{}", ""] {
            assert_eq!(code(body), None, "{body}");
        }
    }
}
