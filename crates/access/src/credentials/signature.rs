//! Detached Ed25519 signatures of files (RFC 8032).

use std::fmt;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{Algorithm, DecodingKey};

/// Number of bytes of a public key.
const KEY_BYTES: usize = 32;
/// Number of bytes of a signature.
const SIGNATURE_BYTES: usize = 64;
/// The bytes before the key in a SubjectPublicKeyInfo, as `openssl pkey -pubout -outform DER` writes it (RFC 8410, 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The public half of a key that signs files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// Parses a key in base64: its 32 bytes, or the 44 bytes between the lines of a PEM file.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Base64::decode_vec(text.trim()).ok()?;
        let key = bytes.strip_prefix(&SPKI).unwrap_or(&bytes);
        key.try_into().ok().map(Self)
    }

    /// Whether `signature` (64 bytes, or these in base64) is this key's signature of `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let decoded = std::str::from_utf8(signature).ok().and_then(|text| Base64::decode_vec(text.trim()).ok());
        let signature = decoded.as_deref().filter(|bytes| bytes.len() == SIGNATURE_BYTES).unwrap_or(signature);
        if signature.len() != SIGNATURE_BYTES {
            return false;
        }
        // An error means that the provider is installed already; the build has only one.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        let written = Base64UrlUnpadded::encode_string(signature);
        let key = DecodingKey::from_ed_der(&self.0);
        jsonwebtoken::crypto::verify(&written, message, &key, Algorithm::EdDSA).unwrap_or(false)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64::encode_string(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public key of RFC 8032, 7.1, test 2.
    const KEY: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
    const MESSAGE: &[u8] = &[0x72];
    const SIGNATURE: &str = "kqAJqfDUyrhyDoILX2QlQKKye1QWUD+Ps3YiI+vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA==";

    #[test]
    fn the_signature_of_the_standard_is_verified_in_both_forms() {
        let key = PublicKey::parse(KEY).unwrap();
        let raw = Base64::decode_vec(SIGNATURE).unwrap();
        assert!(key.verifies(MESSAGE, SIGNATURE.as_bytes()));
        assert!(key.verifies(MESSAGE, format!("{SIGNATURE}\n").as_bytes()));
        assert!(key.verifies(MESSAGE, &raw));
    }

    #[test]
    fn any_other_message_signature_or_key_is_refused() {
        let key = PublicKey::parse(KEY).unwrap();
        let raw = Base64::decode_vec(SIGNATURE).unwrap();
        for at in 0..raw.len() {
            let mut changed = raw.clone();
            changed[at] ^= 1;
            assert!(!key.verifies(MESSAGE, &changed), "byte {at}");
        }
        for signature in [&raw[..63], &[raw.as_slice(), &[0]].concat(), b"", b"no signature"] {
            assert!(!key.verifies(MESSAGE, signature));
        }
        assert!(!key.verifies(&[0x73], &raw) && !key.verifies(b"", &raw));
        let other = PublicKey::parse("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").unwrap();
        assert!(!other.verifies(MESSAGE, &raw));
    }

    #[test]
    fn a_key_is_read_as_its_bytes_or_as_openssl_writes_it() {
        let key = PublicKey::parse(KEY).unwrap();
        let pem = Base64::encode_string(&[SPKI.as_slice(), &key.0].concat());
        assert_eq!(PublicKey::parse(&format!(" {pem}\n")), Some(key));
        assert_eq!(key.to_string(), KEY);
        for text in ["", "x", "PUAX", &KEY[1..], "-----BEGIN PUBLIC KEY-----"] {
            assert_eq!(PublicKey::parse(text), None, "{text}");
        }
    }
}
