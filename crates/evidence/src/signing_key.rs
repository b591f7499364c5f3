//! The key pair that signs exports (Ed25519, RFC 8032).

use std::fmt;

use access::Secret;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::hex;
use crate::layout::SIGNATURE_BYTES;

/// The number of bytes of a seed and of a public key.
const KEY_BYTES: usize = 32;

/// A text is not a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this is not the seed of a signing key: 32 bytes in base64")]
pub struct SigningKeyError;

/// A private key with its public key. `Debug` shows the public key only.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Returns the key of a seed: 32 random bytes in base64.
    ///
    /// # Errors
    /// [`SigningKeyError`]; the error does not contain the text.
    pub fn of_seed(seed: &Secret) -> Result<Self, SigningKeyError> {
        let bytes = Base64::decode_vec(seed.expose()).map_err(|_| SigningKeyError)?;
        if bytes.len() != KEY_BYTES {
            return Err(SigningKeyError);
        }
        Ed25519KeyPair::from_seed_unchecked(&bytes).map(Self).map_err(|_| SigningKeyError)
    }

    /// The public key as hex digits.
    #[must_use]
    pub fn public_key(&self) -> String {
        hex::encode(self.0.public_key().as_ref())
    }

    /// Signs a digest; the result has 64 bytes.
    pub(crate) fn sign(&self, digest: &[u8]) -> Vec<u8> {
        self.0.sign(digest).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public_key()).finish()
    }
}

/// Whether `signature` is the signature of `digest` by the public key.
pub(crate) fn verifies(public_key: [u8; KEY_BYTES], digest: &[u8], signature: [u8; SIGNATURE_BYTES]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(digest, &signature).is_ok()
}

/// Identifies a public key: the first 16 bytes of its SHA-256 digest, as hex digits.
#[must_use]
pub fn fingerprint(public_key: [u8; KEY_BYTES]) -> String {
    let digest: [u8; 32] = Sha256::digest(public_key).into();
    hex::encode(digest.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_public_key() {
        // RFC 8032, 7.1, test 1.
        let seed = hex::decode::<32>(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let key = SigningKey::of_seed(&Secret::new(Base64::encode_string(&seed))).unwrap();
        assert_eq!(key.public_key(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let public = hex::decode(key.public_key().as_bytes()).unwrap();
        let signature: [u8; 64] = key.sign(b"").try_into().unwrap();
        let expected = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        assert_eq!(hex::encode(&signature), expected);
        assert!(verifies(public, b"", signature) && !verifies(public, b"x", signature));
        assert!(!format!("{key:?}").contains(&Base64::encode_string(&seed)));
        for text in ["", "AAAA", "*"] {
            assert!(SigningKey::of_seed(&Secret::new(text.to_owned())).is_err(), "{text}");
        }
    }
}
