//! Access tokens of other issuers: JWTs (RFC 7519) in the compact form of a signature (RFC 7515, 7.1).
//!
//! [`verify`] is a function of the token, the configured [`TokenTerms`], the [`KeySet`] and the time. A key decides which
//! algorithms are possible: a public key never verifies an HMAC. A token chooses among the keys of the set only.
//!
//! Reading order: [`algorithm`], [`key`], [`key_set`], `jwk`, [`claims`], and `json`, the strict reader of all parts.

pub mod algorithm;
pub mod claims;
mod json;
mod jwk;
pub mod key;
pub mod key_set;

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::people::subject::{Subject, SubjectText};
use crate::time::clock::Timestamp;
pub use algorithm::Algorithm;
pub use claims::{ClaimError, ClaimSet, Requirement};
use json::{Json, JsonError};
pub use key::{JwtKey, JwtKeyError};
use key_set::NoCandidate;
pub use key_set::{KeySet, KeySetError};

/// Maximum length of a token in bytes.
pub const TOKEN_LEN_MAX: usize = 16 * 1024;
/// Maximum length of a `kid` in bytes.
const KID_LEN_MAX: usize = 256;
/// The types of tokens that are accepted (RFC 7519, 5.1; RFC 9068, 2.1). Others, such as logout tokens, are signed with
/// the same keys for another purpose (RFC 8725, 3.11).
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// The conditions on the tokens of one issuer.
#[derive(Debug, Clone)]
pub struct TokenTerms {
    /// The algorithms that are accepted.
    pub algorithms: Box<[Algorithm]>,
    /// The required value of `iss`; `None` if any is accepted.
    pub issuer: Option<Box<str>>,
    /// Values of `aud`, one of which is required; empty if any is accepted.
    pub audiences: Box<[Box<str>]>,
    /// Maximum difference between the clocks of the issuer and this process.
    pub leeway: Duration,
    /// The issuer of the tokens' subjects. The token does not decide it: two issuers never share a subject.
    pub subject_issuer: SubjectText<512>,
}

/// The content of a valid token.
#[derive(Debug, Clone)]
pub struct VerifiedToken {
    /// The subject of the requests with this token.
    pub subject: Subject,
    /// All claims of the token.
    pub claims: ClaimSet,
    /// Time from which the token is invalid; it includes the leeway.
    pub expires_at: Timestamp,
}

/// The reason why a token is refused. The texts are for the client; they repeat nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JwtError {
    /// The token is longer than [`TOKEN_LEN_MAX`].
    #[error("the access token is longer than 16 KiB")]
    TooLong,
    /// The text is not a signed JWT in compact form.
    #[error("the access token is not a signed JWT")]
    Malformed,
    /// An object has more than 256 members, or a list more than 4,096 elements.
    #[error(
        "the access token has a list of more than 4,096 elements, or more than 256 claims: let its issuer leave some out"
    )]
    TooMany,
    /// The header requires an extension, or the type is not that of an access token.
    #[error("the access token has a type or an extension that is not supported")]
    Unsupported,
    /// The algorithm is not one of the configured ones, or the key does not support it.
    #[error("the access token is signed with an algorithm that is not accepted")]
    Algorithm,
    /// The header names a key that the issuer does not publish.
    #[error("the access token is signed with a key that its issuer does not publish")]
    UnknownKey,
    /// The header names no key, and more than a few could have signed the token.
    #[error("the access token does not name its key (`kid`), and its issuer has several")]
    KeyUnnamed,
    /// The signature is not that of the key.
    #[error("the signature of the access token is invalid")]
    Signature,
    /// A registered claim is missing or has the wrong type.
    #[error("the claim `{0}` of the access token is missing or invalid")]
    Claim(&'static str),
    /// `iss` is not the configured issuer.
    #[error("the access token was issued by another issuer")]
    Issuer,
    /// `aud` has none of the configured audiences.
    #[error("the access token is meant for another audience")]
    Audience,
    /// The time in `exp` has passed.
    #[error("the access token has expired")]
    Expired,
    /// The time in `nbf` is in the future.
    #[error("the access token is not valid yet")]
    NotYet,
}

/// The SHA-256 hash of a token, by which a cache finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Returns the hash of a token.
    #[must_use]
    pub fn from_token(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// Verifies a token at `now`. Claims are read only after the signature is found to be valid.
///
/// # Errors
/// [`JwtError`].
pub fn verify(token: &[u8], terms: &TokenTerms, keys: &KeySet, now: Timestamp) -> Result<VerifiedToken, JwtError> {
    if token.len() > TOKEN_LEN_MAX {
        return Err(JwtError::TooLong);
    }
    let token = std::str::from_utf8(token).map_err(|_| JwtError::Malformed)?;
    let (message, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(JwtError::Malformed)?;
    if payload.contains('.') || signature.is_empty() {
        return Err(JwtError::Malformed);
    }
    let Header { algorithm, key_id } = read_header(header, terms)?;
    let candidates = keys.candidates(key_id.as_deref(), algorithm).map_err(|none| match none {
        NoCandidate::UnknownId => JwtError::UnknownKey,
        NoCandidate::Algorithm => JwtError::Algorithm,
        NoCandidate::TooMany => JwtError::KeyUnnamed,
    })?;
    if !candidates.iter().any(|key| key.verifies(message.as_bytes(), signature, algorithm)) {
        return Err(JwtError::Signature);
    }
    let claims = ClaimSet::new(object(payload)?);
    let expires_at = check_times(&claims, terms.leeway, now)?;
    check_issuer(&claims, terms)?;
    check_audience(&claims, terms)?;
    let sub = match claims.get("sub") {
        Some(Json::Text(sub)) => SubjectText::parse(sub).ok_or(JwtError::Claim("sub"))?,
        _ => return Err(JwtError::Claim("sub")),
    };
    let subject = Subject::Token { issuer: terms.subject_issuer.clone(), sub };
    Ok(VerifiedToken { subject, claims, expires_at })
}

/// Whether a credential has the compact form of a JWT: three parts, of at most [`TOKEN_LEN_MAX`] bytes together.
#[must_use]
pub fn has_form(token: &[u8]) -> bool {
    token.len() <= TOKEN_LEN_MAX && token.iter().filter(|byte| **byte == b'.').count() == 2
}

/// Returns the `iss` that a token claims, which nothing has verified: it only selects the entry that verifies the token.
#[must_use]
pub fn claimed_issuer(token: &[u8]) -> Option<Box<str>> {
    let token = std::str::from_utf8(token).ok().filter(|token| token.len() <= TOKEN_LEN_MAX)?;
    let payload = token.split('.').nth(1)?;
    let claims = object(payload).ok()?;
    let (_, iss) = claims.into_iter().find(|(name, _)| **name == *"iss")?;
    if let Json::Text(iss) = iss { Some(iss) } else { None }
}

/// Decodes a part of a token, which is one JSON object.
fn object(part: &str) -> Result<Vec<(Box<str>, Json)>, JwtError> {
    let bytes = Base64UrlUnpadded::decode_vec(part).map_err(|_| JwtError::Malformed)?;
    json::object(&bytes).map_err(|error| match error {
        JsonError::Malformed => JwtError::Malformed,
        JsonError::TooMany => JwtError::TooMany,
    })
}

/// The header of a token.
struct Header {
    algorithm: Algorithm,
    /// The `kid` that the token names.
    key_id: Option<Box<str>>,
}

/// Reads a header, whose algorithm `terms` must have.
fn read_header(part: &str, terms: &TokenTerms) -> Result<Header, JwtError> {
    let mut algorithm = None;
    let mut key_id = None;
    for (name, value) in object(part)? {
        match (&*name, value) {
            ("alg", Json::Text(name)) => algorithm = Some(name),
            ("kid", Json::Text(id)) if id.len() <= KID_LEN_MAX => key_id = Some(id),
            ("typ", Json::Text(of)) => check_type(&of)?,
            ("alg" | "kid" | "typ", _) => return Err(JwtError::Malformed),
            // Critical extensions must be understood (RFC 7515, 4.1.11), and none is. `b64` changes the signed bytes (RFC
            // 7797), `zip` and `enc` are those of encrypted tokens.
            ("crit" | "b64" | "zip" | "enc", _) => return Err(JwtError::Unsupported),
            // `jku`, `jwk`, `x5u` and `x5c` would let the token choose its key.
            _ => {}
        }
    }
    let name = algorithm.ok_or(JwtError::Malformed)?;
    let accepted = Algorithm::parse(&name).filter(|algorithm| terms.algorithms.contains(algorithm));
    Ok(Header { algorithm: accepted.ok_or(JwtError::Algorithm)?, key_id })
}

/// `typ` is compared in any case, and `application/` may be omitted (RFC 7515, 4.1.9).
fn check_type(of: &str) -> Result<(), JwtError> {
    const PREFIX: &str = "application/";
    let has_prefix = of.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    let short = if has_prefix { of.get(PREFIX.len()..).unwrap_or_default() } else { of };
    if TYPES.iter().any(|known| known.eq_ignore_ascii_case(short)) { Ok(()) } else { Err(JwtError::Unsupported) }
}

/// Checks `exp`, which is required, `nbf` and `iat`. Returns the time from which the token is invalid.
fn check_times(claims: &ClaimSet, leeway: Duration, now: Timestamp) -> Result<Timestamp, JwtError> {
    let expires_at = claims.time("exp")?.ok_or(JwtError::Claim("exp"))?.after(leeway);
    if expires_at <= now {
        return Err(JwtError::Expired);
    }
    claims.time("iat")?;
    if claims.time("nbf")?.is_some_and(|nbf| nbf > now.after(leeway)) {
        return Err(JwtError::NotYet);
    }
    Ok(expires_at)
}

fn check_issuer(claims: &ClaimSet, terms: &TokenTerms) -> Result<(), JwtError> {
    match (claims.get("iss"), &terms.issuer) {
        (Some(Json::Text(iss)), Some(issuer)) if iss == issuer => Ok(()),
        (Some(Json::Text(_)), Some(_)) => Err(JwtError::Issuer),
        (Some(Json::Text(_)) | None, None) => Ok(()),
        (Some(_), _) | (None, Some(_)) => Err(JwtError::Claim("iss")),
    }
}

fn check_audience(claims: &ClaimSet, terms: &TokenTerms) -> Result<(), JwtError> {
    let accepted = |aud: &str| terms.audiences.is_empty() || terms.audiences.iter().any(|audience| **audience == *aud);
    match claims.get("aud") {
        None if terms.audiences.is_empty() => Ok(()),
        Some(Json::Text(aud)) if accepted(aud) => Ok(()),
        Some(Json::Text(_)) => Err(JwtError::Audience),
        Some(Json::List(list)) => {
            let texts: Option<Vec<&str>> = list.iter().map(Json::text).collect();
            let texts = texts.ok_or(JwtError::Claim("aud"))?;
            let is_accepted = terms.audiences.is_empty() || texts.into_iter().any(accepted);
            if is_accepted { Ok(()) } else { Err(JwtError::Audience) }
        }
        Some(_) | None => Err(JwtError::Claim("aud")),
    }
}

#[cfg(test)]
mod tests;
