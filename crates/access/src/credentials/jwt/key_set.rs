//! The keys that may verify the tokens of one entry: a configured key, or the JSON Web Key Set of an issuer (RFC 7517).

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::algorithm::Algorithm;
use super::json::{self, Json, JsonError};
use super::jwk::{self, Jwk};
use super::key::JwtKey;

/// Maximum number of keys in one document.
pub const KEYS_MAX: usize = 64;
/// Maximum number of keys with which one token is verified. A signature costs up to 100 µs of a worker.
const TRIED_MAX: usize = 4;

/// The keys of one issuer.
#[derive(Clone)]
pub struct KeySet {
    keys: Box<[Jwk]>,
    /// Whether `kid` selects among the keys. A configured key is used for each token.
    has_ids: bool,
    /// The hash of the document.
    digest: [u8; 32],
}

/// The reason why a document is not used as a set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// The document is not a JSON Web Key Set, or repeats a name.
    #[error("the document is not a JSON Web Key Set")]
    Malformed,
    /// The document has more than [`KEYS_MAX`] keys.
    #[error("the document has more than 64 keys")]
    TooMany,
    /// No key of the document can verify tokens.
    #[error("the document has no public key that verifies tokens: RSA of 2,048 to 8,192 bits, P-256, P-384 or Ed25519")]
    NoKey,
}

/// The reason why no key of a set may verify a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoCandidate {
    /// The token names a key that the set does not have.
    UnknownId,
    /// No key supports the algorithm.
    Algorithm,
    /// More than [`TRIED_MAX`] keys may have signed the token.
    TooMany,
}

impl KeySet {
    /// Creates the set of one configured key, which verifies each token. `kid` has no effect.
    #[must_use]
    pub fn of_key(key: JwtKey) -> Self {
        Self { keys: [Jwk { id: None, algorithm: None, key }].into(), has_ids: false, digest: [0; 32] }
    }

    /// Reads the document of an issuer. Keys for other purposes and of other kinds are skipped.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        let members = json::object(without_mark(document)).map_err(|error| match error {
            JsonError::Malformed => KeySetError::Malformed,
            JsonError::TooMany => KeySetError::TooMany,
        })?;
        let keys = members.into_iter().find(|(name, _)| **name == *"keys").map(|(_, value)| value);
        let Some(Json::List(list)) = keys else { return Err(KeySetError::Malformed) };
        if list.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let keys: Box<[Jwk]> = list.iter().filter_map(jwk::read).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoKey);
        }
        Ok(Self { keys, has_ids: true, digest: Sha256::digest(document).into() })
    }

    /// Returns the number of usable keys, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the set has no usable key, which [`KeySet::parse`] refuses.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether both sets come from the same document.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// Whether a key of the set can verify signatures of this algorithm.
    #[must_use]
    pub fn supports(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.supports(algorithm))
    }

    /// Returns the keys that may have signed a token. `id` selects the keys with this `kid`. Only if no key has it, keys
    /// without a `kid` are considered. Without `id`, each key is considered.
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<&JwtKey>, NoCandidate> {
        let id = if self.has_ids { id } else { None };
        let with = |id: Option<&str>| self.keys.iter().filter(|key| key.id.as_deref() == id).collect::<Vec<_>>();
        let considered = match id {
            None => self.keys.iter().collect(),
            Some(_) if self.keys.iter().any(|key| key.id.as_deref() == id) => with(id),
            Some(_) => with(None),
        };
        if considered.is_empty() {
            return Err(NoCandidate::UnknownId);
        }
        let fitting: Vec<&JwtKey> =
            considered.into_iter().filter(|key| key.supports(algorithm)).map(|key| &key.key).collect();
        match fitting.len() {
            0 => Err(NoCandidate::Algorithm),
            1..=TRIED_MAX => Ok(fitting),
            _ => Err(NoCandidate::TooMany),
        }
    }
}

/// Removes the byte order mark before a document, which some servers write although JSON has none (RFC 8259, 8.1).
#[must_use]
pub fn without_mark(document: &[u8]) -> &[u8] {
    document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document)
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.key)).finish()
    }
}

#[cfg(test)]
mod tests;
