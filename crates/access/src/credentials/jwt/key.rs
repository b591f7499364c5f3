//! The keys that verify tokens.

use std::fmt;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::{self, aws_lc};
use thiserror::Error;

use super::algorithm::Algorithm;
use crate::credentials::secret::Secret;

/// Lengths of an RSA key in bytes: 2,048 to 8,192 bits. Its encoding has a few bytes more.
const RSA_LEN_MIN: usize = 256;
const RSA_LEN_MAX: usize = 1_024 + 64;
/// Lengths of uncompressed points (SEC 1, 2.3.3), which differ for each curve.
const P256_LEN: usize = 65;
const P384_LEN: usize = 97;
const ED25519_LEN: usize = 32;
/// The first byte of an uncompressed point.
const UNCOMPRESSED: u8 = 4;
/// The first lines of public keys (RFC 7468, 13; RFC 8017, A.1.1).
const PUBLIC_KEYS: [&str; 2] = ["-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"];

/// The kind of a key, which decides its algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Secret,
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// A key that verifies signatures. `Debug` shows only its kind.
#[derive(Clone)]
pub struct JwtKey {
    kind: KeyKind,
    decoding: DecodingKey,
}

/// The reason why a configured key is refused. The texts do not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JwtKeyError {
    /// The text is not the PEM of a supported public key.
    #[error("a public key in PEM (`BEGIN PUBLIC KEY`): RSA of 2,048 to 8,192 bits, P-256, P-384 or Ed25519")]
    PublicKey,
    /// A public key, which all may know, is no secret.
    #[error("a secret: a key in PEM belongs in `public_key`")]
    SecretIsPem,
}

impl JwtKey {
    /// Creates a key of HMACs.
    ///
    /// # Errors
    /// [`JwtKeyError::SecretIsPem`]. The caller checks the length with [`Algorithm::secret_len_min`].
    pub fn secret(secret: &Secret) -> Result<Self, JwtKeyError> {
        if secret.expose().contains("-----BEGIN ") {
            return Err(JwtKeyError::SecretIsPem);
        }
        Ok(Self::new(KeyKind::Secret, DecodingKey::from_secret(secret.expose().as_bytes())))
    }

    /// Reads a public key in PEM.
    ///
    /// # Errors
    /// [`JwtKeyError::PublicKey`].
    pub fn public(pem: &str) -> Result<Self, JwtKeyError> {
        let pem = pem.trim();
        if !PUBLIC_KEYS.iter().any(|first| pem.starts_with(first)) || pem.matches("-----BEGIN ").count() != 1 {
            return Err(JwtKeyError::PublicKey);
        }
        let pem = pem.as_bytes();
        let of_len = |key: &DecodingKey| key.try_get_as_bytes().map_or(0, <[u8]>::len);
        if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            return match of_len(&key) {
                P256_LEN => Ok(Self::new(KeyKind::P256, key)),
                P384_LEN => Ok(Self::new(KeyKind::P384, key)),
                _ => Err(JwtKeyError::PublicKey),
            };
        }
        if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            let is_valid = of_len(&key) == ED25519_LEN;
            return is_valid.then(|| Self::new(KeyKind::Ed25519, key)).ok_or(JwtKeyError::PublicKey);
        }
        let key = DecodingKey::from_rsa_pem(pem).map_err(|_| JwtKeyError::PublicKey)?;
        let is_valid = (RSA_LEN_MIN..=RSA_LEN_MAX).contains(&of_len(&key));
        is_valid.then(|| Self::new(KeyKind::Rsa, key)).ok_or(JwtKeyError::PublicKey)
    }

    /// Creates a key of RSA signatures; the caller has checked both numbers.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        Self::new(KeyKind::Rsa, DecodingKey::from_rsa_raw_components(modulus, exponent))
    }

    /// Creates a key of ES256; `None` if the coordinates do not have the length of the curve (RFC 7518, 6.2.1.2).
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        Self::point(KeyKind::P256, P256_LEN, x, y)
    }

    /// Creates a key of ES384; `None` if the coordinates do not have the length of the curve.
    pub(super) fn p384(x: &[u8], y: &[u8]) -> Option<Self> {
        Self::point(KeyKind::P384, P384_LEN, x, y)
    }

    /// Creates a key of EdDSA; `None` if it does not have the length of Ed25519.
    pub(super) fn ed25519(x: &[u8]) -> Option<Self> {
        (x.len() == ED25519_LEN).then(|| Self::new(KeyKind::Ed25519, DecodingKey::from_ed_der(x)))
    }

    /// Creates a key from the coordinates of a point. The library refuses signatures of a point outside of the curve.
    fn point(kind: KeyKind, len: usize, x: &[u8], y: &[u8]) -> Option<Self> {
        let half = (len - 1) / 2;
        let point = [&[UNCOMPRESSED], x, y].concat();
        (x.len() == half && y.len() == half).then(|| Self::new(kind, DecodingKey::from_ec_der(&point)))
    }

    fn new(kind: KeyKind, decoding: DecodingKey) -> Self {
        // An error means that the provider is installed already; the build has only one.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        Self { kind, decoding }
    }

    /// Whether the key can verify signatures of this algorithm.
    #[must_use]
    pub fn supports(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Hs256, Hs384, Hs512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let kind = match algorithm {
            Hs256 | Hs384 | Hs512 => KeyKind::Secret,
            Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => KeyKind::Rsa,
            Es256 => KeyKind::P256,
            Es384 => KeyKind::P384,
            EdDsa => KeyKind::Ed25519,
        };
        self.kind == kind
    }

    /// Whether `signature`, in base64url, is this key's signature of `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &str, algorithm: Algorithm) -> bool {
        self.supports(algorithm)
            && crypto::verify(signature, message, &self.decoding, algorithm.library()).unwrap_or(false)
    }
}

#[cfg(test)]
impl JwtKey {
    pub(super) fn of_bytes(secret: &[u8]) -> Self {
        Self::new(KeyKind::Secret, DecodingKey::from_secret(secret))
    }

    pub(super) fn of_rsa(key: DecodingKey) -> Self {
        Self::new(KeyKind::Rsa, key)
    }

    pub(super) fn of_p256(key: DecodingKey) -> Self {
        Self::new(KeyKind::P256, key)
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtKey({:?})", self.kind)
    }
}
