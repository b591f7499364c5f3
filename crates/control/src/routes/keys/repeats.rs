//! The field `Idempotency-Key`, by which a client repeats a request whose response it has lost.

use access::{Refusal, UserId};
use http::{HeaderMap, HeaderName};
use serde_json::Value;
use store::RepeatableRequest;
use utoipa::IntoParams;

use crate::message::problem::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Maximum length of a value.
const LEN_MAX: usize = 255;

/// The field, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the handlers read the field themselves")]
pub(super) struct IdempotencyField {
    /// Marks repeats of the request: 1 to 255 visible ASCII characters. With another body, a repeat is a conflict.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255)]
    idempotency_key: Option<String>,
}

/// The value of `Idempotency-Key`.
pub(super) struct IdempotencyKey(Vec<u8>);

impl IdempotencyKey {
    /// Returns the value; `None` if the field is missing.
    ///
    /// # Errors
    /// `bad_request` if there are several fields, or the value is not 1 to 255 visible ASCII characters.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next().map(|value| value.as_bytes()) else { return Ok(None) };
        let is_valid = (1..=LEN_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        if !is_valid || values.next().is_some() {
            let message = format!("`Idempotency-Key` must be one field of 1 to {LEN_MAX} visible ASCII characters");
            return Err(Problem::new(Refusal::BadRequest, message));
        }
        Ok(Some(Self(value.to_vec())))
    }

    /// Describes the request: `operation` names the endpoint and the key that it changes, `body` has everything else that
    /// must be equal in a repeat.
    pub(super) fn request(&self, user: UserId, operation: &str, body: &Value) -> RepeatableRequest {
        RepeatableRequest::new(user, operation, &self.0, body.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_field_of_visible_characters() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_KEY, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            IdempotencyKey::from_headers(&headers).map(|key| key.is_some()).map_err(|_| ())
        };
        let longest = "x".repeat(LEN_MAX);
        assert_eq!((of(&[]), of(&["a-1"]), of(&[&longest])), (Ok(false), Ok(true), Ok(true)));
        for values in [&[""][..], &["a b"], &["\u{e9}"], &[&format!("{longest}x")], &["a", "a"]] {
            assert_eq!(of(values), Err(()), "{values:?}");
        }
    }
}
