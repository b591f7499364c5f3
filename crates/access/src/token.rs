//! Access tokens: JWTs (RFC 7519) signed with HS256. A token names a user, a session, its issuer and its audience, and nothing else.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clock::Timestamp;
use crate::id::{SessionId, TokenId, UserId};
use crate::secret::Secret;

/// Fewest bytes of the secret that signs: as many as the signature has (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// Most characters of a token; ours have 400 or so.
const TOKEN_LEN_MAX: usize = 1_024;
/// The audience of every token: other services that share the secret must not accept it, nor we theirs.
const AUDIENCE: &str = "control";
/// Clocks of two nodes differ by at most this.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);

/// What a token says. Times are whole seconds: what is below is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// The token itself: no two tokens have the same id.
    pub id: TokenId,
    /// Who signed in.
    pub user: UserId,
    /// The sign-in: when it has ended, the token opens nothing.
    pub session: SessionId,
    /// When the token was made; it is not valid before.
    pub issued_at: Timestamp,
    /// From this moment on it opens nothing.
    pub expires_at: Timestamp,
}

/// Why a token says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It is no token, not signed with this secret, of another issuer or audience, not valid yet, or has a critical extension.
    #[error("this is no access token of this server")]
    Malformed,
    /// It is ours, and its time is over.
    #[error("the access token has expired")]
    Expired,
}

/// The secret is too short to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the secret that signs access tokens has at least {SECRET_BYTES_MIN} bytes: `openssl rand -hex 32` makes one")]
pub struct ShortSecret;

/// Makes and reads tokens with one secret. It does not print.
#[derive(Clone)]
pub struct Signer {
    issuer: String,
    signs: EncodingKey,
    reads: DecodingKey,
    validation: Validation,
}

/// Claims as they stand in a token (RFC 7519, 4.1); moments in seconds.
#[derive(Serialize, Deserialize)]
struct Written {
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
    /// Signs with all bytes of `secret`. Every process that shares the secret names the same `issuer`.
    ///
    /// # Errors
    /// [`ShortSecret`].
    pub fn new(secret: &Secret, issuer: &str) -> Result<Self, ShortSecret> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(ShortSecret);
        }
        install();
        let mut validation = Validation::new(Algorithm::HS256);
        // `read` looks at the time that it is given; the crate would ask the system, and allow a minute.
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["iss", "aud"]);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[AUDIENCE]);
        let (signs, reads) = (EncodingKey::from_secret(bytes), DecodingKey::from_secret(bytes));
        Ok(Self { issuer: issuer.to_owned(), signs, reads, validation })
    }

    /// The token that says `claims`.
    ///
    /// # Panics
    /// Never: an HMAC takes any key and message, and the claims are plain fields.
    #[must_use]
    #[expect(clippy::expect_used, reason = "an HMAC over plain fields cannot fail")]
    pub fn sign(&self, claims: &Claims) -> Secret {
        let written = Written {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
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

    /// What a token of ours says at `now`. A token may be made up to five minutes later than `now`: clocks differ between nodes.
    ///
    /// # Errors
    /// [`TokenError`]; that a token has expired is said only of ours.
    pub fn read(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(TokenError::Malformed);
        }
        let read = jsonwebtoken::decode::<Written>(token, &self.reads, &self.validation);
        let TokenData { header, claims, .. } = read.map_err(|_| TokenError::Malformed)?;
        let Written { iss: _, aud: _, jti, sub, sid, iat, nbf, exp } = claims;
        // No extension is known here, and a critical one must be (RFC 7515, 4.1.11).
        if header.crit.is_some() || from_seconds(nbf) > now.after(CLOCK_SKEW_MAX) {
            return Err(TokenError::Malformed);
        }
        let (issued_at, expires_at) = (from_seconds(iat), from_seconds(exp));
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

/// Names the one provider of cryptography. `jsonwebtoken` would pick it by itself, and panic at the first token where some
/// other crate of the build asks for its second one.
fn install() {
    // The error says that it was named already.
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
