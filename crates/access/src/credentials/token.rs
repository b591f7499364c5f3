//! Access tokens: JWTs (RFC 7519) that are signed with HS256. A token contains only its user, session, issuer and
//! audience.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::credentials::secret::Secret;
use crate::id::{SessionId, TokenId, UserId};
use crate::time::clock::Timestamp;

/// Minimum length of the signing secret in bytes: that of the signature (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// Maximum length of a token in bytes; tokens of Tollgate have about 400.
const TOKEN_LEN_MAX: usize = 1_024;
/// The audience of every token. Other services that share the secret must not accept these tokens, and Tollgate rejects
/// theirs.
const AUDIENCE: &str = "control";
/// The audience of the tokens of known browsers, which begin no session.
const BROWSERS: &str = "browser";
/// Maximum difference between the clocks of two nodes.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);

/// The claims of a token. Times are whole seconds; fractions are truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// The unique id of the token.
    pub id: TokenId,
    /// The user who signed in.
    pub user: UserId,
    /// The session. When it has ended, the token is invalid.
    pub session: SessionId,
    /// Time at which the token was issued; it is not valid earlier.
    pub issued_at: Timestamp,
    /// Time from which the token is invalid.
    pub expires_at: Timestamp,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// The text is not a token, has a wrong signature, issuer or audience, is not valid yet, or has a critical
    /// extension.
    #[error("the access token is invalid or was issued by another server")]
    Malformed,
    /// The signature is valid, but the token has expired.
    #[error("the access token has expired")]
    Expired,
}

/// The secret is too short for signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the secret that signs access tokens must have at least {SECRET_BYTES_MIN} bytes; create one with `openssl rand -hex 32`"
)]
pub struct ShortSecret;

/// Signs and verifies tokens with one secret, which is never printed.
#[derive(Clone)]
pub struct Signer {
    issuer: String,
    audience: &'static str,
    signs: EncodingKey,
    reads: DecodingKey,
    validation: Validation,
}

/// The claims in their serialized form (RFC 7519, 4.1), with times in seconds.
#[derive(Serialize, Deserialize)]
struct SerializedClaims {
    iss: String,
    aud: String,
    jti: TokenId,
    sub: UserId,
    sid: SessionId,
    iat: u64,
    nbf: u64,
    exp: u64,
}

impl Signer {
    /// Creates a signer with all bytes of `secret`. Processes that share the secret must use the same `issuer`.
    ///
    /// # Errors
    /// [`ShortSecret`] if the secret has fewer than [`SECRET_BYTES_MIN`] bytes.
    pub fn new(secret: &Secret, issuer: &str) -> Result<Self, ShortSecret> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(ShortSecret);
        }
        install();
        let mut validation = Validation::new(Algorithm::HS256);
        // `read` compares with the time that it receives. The library would read the system's clock, and allow one
        // minute.
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["iss", "aud"]);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[AUDIENCE]);
        let signs = EncodingKey::from_secret(bytes);
        let reads = DecodingKey::from_secret(bytes);
        Ok(Self { issuer: issuer.to_owned(), audience: AUDIENCE, signs, reads, validation })
    }

    /// Returns the signer of the tokens that mark a browser in which a user has signed in before. It has the same secret;
    /// neither signer reads tokens of the other.
    #[must_use]
    pub fn of_browsers(&self) -> Self {
        let mut signer = Self { audience: BROWSERS, ..self.clone() };
        signer.validation.set_audience(&[BROWSERS]);
        signer
    }

    /// Signs a token with `claims`.
    ///
    /// # Panics
    /// Never: an HMAC accepts any key and message, and the claims are plain fields.
    #[must_use]
    #[expect(clippy::expect_used, reason = "an HMAC over plain fields cannot fail")]
    pub fn sign(&self, claims: &Claims) -> Secret {
        let written = SerializedClaims {
            iss: self.issuer.clone(),
            aud: self.audience.to_owned(),
            jti: claims.id,
            sub: claims.user,
            sid: claims.session,
            iat: claims.issued_at.unix_seconds(),
            nbf: claims.issued_at.unix_seconds(),
            exp: claims.expires_at.unix_seconds(),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &written, &self.signs);
        Secret::new(token.expect("an HMAC over plain fields does not fail"))
    }

    /// Returns the claims of a token that is valid at `now`. Clocks of nodes differ: the token may have been issued up
    /// to five minutes after `now`.
    ///
    /// # Errors
    /// [`TokenError`]; only tokens with a valid signature are reported as expired.
    pub fn read(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(TokenError::Malformed);
        }
        let read = jsonwebtoken::decode::<SerializedClaims>(token, &self.reads, &self.validation);
        let TokenData { header, claims, .. } = read.map_err(|_| TokenError::Malformed)?;
        let SerializedClaims { iss: _, aud: _, jti, sub, sid, iat, nbf, exp } = claims;
        // Critical extensions must be understood (RFC 7515, 4.1.11), and none is supported.
        if header.crit.is_some() || from_seconds(nbf) > now.after(CLOCK_SKEW_MAX) {
            return Err(TokenError::Malformed);
        }
        let issued_at = from_seconds(iat);
        let expires_at = from_seconds(exp);
        if expires_at <= now {
            return Err(TokenError::Expired);
        }
        Ok(Claims { id: jti, user: sub, session: sid, issued_at, expires_at })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

fn from_seconds(seconds: u64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000_000))
}

/// Installs the cryptography provider. Otherwise `jsonwebtoken` selects one itself, and panics at the first token if
/// another crate of the build enables its second provider.
fn install() {
    // An error means that the provider is installed already.
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
