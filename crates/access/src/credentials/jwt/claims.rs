//! The claims of a verified token.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::JwtError;
use super::json::Json;
use crate::time::clock::Timestamp;

/// Maximum length of a claim that becomes a header field, in bytes.
const FIELD_LEN_MAX: usize = 1_024;
/// Claims that are lists of words with spaces between them (RFC 8693, 4.2), and the name that Microsoft and Okta use.
const WORD_LISTS: [&str; 2] = ["scope", "scp"];

/// The claims of a verified token. They may identify a person, so `Debug` shows only their number.
#[derive(Clone)]
pub struct ClaimSet(Vec<(Box<str>, Json)>);

/// A condition on a claim. A text, number or boolean must be equal to `value`; a list must contain it. `scope` and `scp`
/// must contain each word of `value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The name of the claim.
    pub claim: Box<str>,
    /// The value, numbers and booleans as JSON writes them.
    pub value: Box<str>,
}

/// The reason why a claim cannot become a header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// The claim is an object or a list.
    #[error("is an object or a list")]
    Compound,
    /// The claim is a number that is no 64-bit integer: it was rounded when it was read.
    #[error("is a number that is no 64-bit integer")]
    Inexact,
    /// The claim is longer than 1,024 bytes.
    #[error("is longer than 1,024 bytes")]
    TooLong,
    /// The claim is empty, begins or ends with a space, or has a control character. Two parsers could read it
    /// differently.
    #[error("is empty, begins or ends with a space, or has a control character")]
    Unsafe,
}

impl ClaimSet {
    pub(super) const fn new(claims: Vec<(Box<str>, Json)>) -> Self {
        Self(claims)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }

    /// Returns a registered claim that is a time (RFC 7519, 2: `NumericDate`).
    pub(super) fn time(&self, name: &'static str) -> Result<Option<Timestamp>, JwtError> {
        let invalid = JwtError::Claim(name);
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Json::Number(number)) => number,
            Some(_) => return Err(invalid),
        };
        if let Some(seconds) = number.as_u64() {
            return Ok(Some(Timestamp(seconds.saturating_mul(1_000_000))));
        }
        let since = number.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or(invalid)?;
        Ok(Some(Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))))
    }

    /// Returns a claim as the value of a header field; `None` if it is missing or null.
    ///
    /// # Errors
    /// [`ClaimError`]: the value is never changed or cut.
    pub fn field_value(&self, name: &str) -> Result<Option<Cow<'_, str>>, ClaimError> {
        let value = match self.get(name) {
            None | Some(Json::Null) => return Ok(None),
            Some(Json::List(_) | Json::Object(_)) => return Err(ClaimError::Compound),
            Some(single) => single_text(single).ok_or(ClaimError::Inexact)?,
        };
        if value.len() > FIELD_LEN_MAX {
            return Err(ClaimError::TooLong);
        }
        let is_safe = !value.is_empty() && value.trim().len() == value.len() && !value.chars().any(char::is_control);
        if is_safe { Ok(Some(value)) } else { Err(ClaimError::Unsafe) }
    }

    /// Whether the claims satisfy the condition.
    #[must_use]
    pub fn meets(&self, requirement: &Requirement) -> bool {
        let Some(claim) = self.get(&requirement.claim) else { return false };
        if WORD_LISTS.contains(&&*requirement.claim) {
            let mut words = requirement.value.split_ascii_whitespace();
            return words.all(|word| has_word(claim, word));
        }
        let is_equal = |value: &Json| single_text(value).is_some_and(|text| text == *requirement.value);
        if let Json::List(list) = claim { list.iter().any(is_equal) } else { is_equal(claim) }
    }
}

fn has_word(claim: &Json, word: &str) -> bool {
    match claim {
        Json::Text(words) => words.split(' ').any(|known| known == word),
        Json::List(words) => words.iter().any(|known| known.text() == Some(word)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => false,
    }
}

/// Returns a text, a truth value or an integer as text.
fn single_text(value: &Json) -> Option<Cow<'_, str>> {
    match value {
        Json::Text(text) => Some(Cow::Borrowed(text)),
        // Other numbers were rounded when they were read.
        Json::Number(number) if number.is_u64() || number.is_i64() => Some(Cow::Owned(number.to_string())),
        Json::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        Json::Null | Json::Number(_) | Json::List(_) | Json::Object(_) => None,
    }
}

impl fmt::Debug for ClaimSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimSet({})", self.0.len())
    }
}
