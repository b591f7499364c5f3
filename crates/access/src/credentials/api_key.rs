//! Keys of clients: `PREFIX_` and 32 lowercase hex digits of 128 random bits. Only the SHA-256 hash is stored.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::credentials::secret::Secret;

/// The text in place of a secret.
const MASK: &str = "***";
/// Number of random bytes in a key.
const SECRET_BYTES: usize = 16;
/// Number of hex digits in a key.
const SECRET_HEX: usize = SECRET_BYTES * 2;
/// Maximum length of a key prefix, in bytes.
pub const PREFIX_LEN_MAX: usize = 32;

/// A key in plain text. It is in memory only while it is created, and while a request is authenticated.
#[derive(Clone)]
pub struct ApiKey(Secret);

/// SHA-256 hash of a whole key with its prefix. The store and the directory find keys by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

/// Why a text is not a key, or a key could not be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ApiKeyError {
    /// The text is not `PREFIX_` and 32 lowercase hex digits.
    #[error("a key is a prefix, an underscore and 32 lowercase hex digits")]
    Malformed,
    /// The prefix is empty, too long, or has characters other than `a` to `z` and `0` to `9`.
    #[error("a key prefix is 1 to {PREFIX_LEN_MAX} characters of a-z and 0-9")]
    Prefix,
    /// The operating system returned no random bytes.
    #[error("the operating system returned no random bytes")]
    Random,
}

impl ApiKey {
    /// Creates a random key with `prefix`.
    ///
    /// # Errors
    /// [`ApiKeyError::Prefix`] if [`is_prefix`] returns `false`, [`ApiKeyError::Random`] without random bytes.
    pub fn generate(prefix: &str) -> Result<Self, ApiKeyError> {
        if !is_prefix(prefix) {
            return Err(ApiKeyError::Prefix);
        }
        let mut random = [0_u8; SECRET_BYTES];
        getrandom::fill(&mut random).map_err(|_| ApiKeyError::Random)?;
        let mut text = String::with_capacity(prefix.len() + 1 + SECRET_HEX);
        text.push_str(prefix);
        text.push('_');
        push_hex(&mut text, &random);
        Ok(Self(Secret::new(text)))
    }

    /// Parses a key that a client sent. Any valid prefix is accepted, so that keys remain valid when the brand changes.
    ///
    /// # Errors
    /// [`ApiKeyError::Malformed`] if the form differs; the error does not contain the text.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        if is_key(text.as_bytes()) { Ok(Self(Secret::new(text.to_owned()))) } else { Err(ApiKeyError::Malformed) }
    }

    /// Returns the hash that is stored and looked up.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::digest(self.0.expose().as_bytes())
    }

    /// Returns the whole key, which is shown only once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns the prefix of the brand, without the underscore.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.0.expose().rsplit_once('_').map_or("", |(prefix, _)| prefix)
    }

    /// Returns the last four digits, for lists.
    #[must_use]
    pub fn last4(&self) -> &str {
        let text = self.0.expose();
        text.get(text.len().saturating_sub(4)..).unwrap_or("")
    }
}

impl KeyHash {
    /// Returns the hash of a key that a client sent, without a copy of the key. The form is that of [`ApiKey::parse`].
    ///
    /// # Errors
    /// [`ApiKeyError::Malformed`] if the form differs; the error does not contain the text.
    pub fn from_key(text: &[u8]) -> Result<Self, ApiKeyError> {
        if is_key(text) { Ok(Self::digest(text)) } else { Err(ApiKeyError::Malformed) }
    }

    fn digest(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey(…{})", self.last4())
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// Whether `prefix` may precede the underscore of a key.
#[must_use]
pub fn is_prefix(prefix: &str) -> bool {
    has_prefix_form(prefix.as_bytes())
}

/// Whether the text has the form of a key, with any valid prefix.
#[must_use]
pub fn is_key(text: &[u8]) -> bool {
    let Some((prefix, secret)) = text.split_last_chunk::<SECRET_HEX>() else { return false };
    is_secret(secret) && prefix.strip_suffix(b"_").is_some_and(has_prefix_form)
}

/// Whether a key with this prefix is part of the text.
#[must_use]
pub fn contains_key(text: &[u8], prefix: &str) -> bool {
    let mut parts = text.split(|octet| *octet == b'_');
    let mut before = parts.next().unwrap_or_default();
    parts.any(|after| {
        let follows = std::mem::replace(&mut before, after).ends_with(prefix.as_bytes());
        follows && after.first_chunk::<SECRET_HEX>().is_some_and(is_secret)
    })
}

/// Whether a key with this prefix is part of the text, or of the text with its escapes (`%5F`) decoded.
#[must_use]
pub fn contains_encoded_key(text: &[u8], prefix: &str) -> bool {
    contains_key(text, prefix) || (text.contains(&b'%') && contains_key(&decoded(text), prefix))
}

/// Decodes escapes (RFC 3986, 2.1). Invalid ones remain.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escape = if *first == b'%' { after.first_chunk::<2>() } else { None };
        let value = escape.and_then(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?));
        decoded.push(value.unwrap_or(*first));
        rest = if value.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    decoded
}

/// Returns the text with the secret of each key with this prefix replaced, for logs and traces. An empty prefix is any. If a
/// key is written with escapes (`%5F`), all escapes of the text are decoded.
#[must_use]
pub fn masked<'a>(text: &'a str, prefix: &str) -> Cow<'a, str> {
    if text.contains('%') {
        let decoded = decoded(text.as_bytes());
        if contains_key(&decoded, prefix) {
            return Cow::Owned(without_secrets(&String::from_utf8_lossy(&decoded), prefix));
        }
    }
    if contains_key(text.as_bytes(), prefix) { Cow::Owned(without_secrets(text, prefix)) } else { Cow::Borrowed(text) }
}

fn without_secrets(text: &str, prefix: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('_') {
        shown.push_str(before);
        shown.push('_');
        let is_key = before.ends_with(prefix) && after.as_bytes().first_chunk().is_some_and(is_secret);
        if is_key {
            shown.push_str(MASK);
        }
        rest = if is_key { after.get(SECRET_HEX..).unwrap_or_default() } else { after };
    }
    shown.push_str(rest);
    shown
}

fn is_secret(text: &[u8; SECRET_HEX]) -> bool {
    // Every word is looked at: a loop that stops at the first other one is slower.
    let (words, _) = text.as_chunks();
    words.iter().fold(true, |all, word| all & are_digits(*word))
}

/// Whether eight octets are lowercase hex digits. All are compared at once: the highest bit of an octet is the result.
const fn are_digits(octets: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = 0x80 * ONES;
    let word = u64::from_le_bytes(octets);
    let low = word & !HIGHEST;
    // No sum carries into the next octet.
    let is_digit = low + (0x80 - b'0' as u64) * ONES;
    let is_after_9 = low + (0x80 - b':' as u64) * ONES;
    let is_letter = low + (0x80 - b'a' as u64) * ONES;
    let is_after_f = low + (0x80 - b'g' as u64) * ONES;
    (is_digit & !is_after_9 | is_letter & !is_after_f) & !word & HIGHEST == HIGHEST
}

fn has_prefix_form(prefix: &[u8]) -> bool {
    (1..=PREFIX_LEN_MAX).contains(&prefix.len())
        && prefix.iter().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit())
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_key_reads_back_with_the_same_hash() {
        let key = ApiKey::generate("codexible").unwrap();
        let text = key.expose().to_owned();
        assert_eq!(text.len(), "codexible_".len() + 32);
        let read = ApiKey::parse(&text).unwrap();
        assert_eq!((read.hash(), read.prefix(), read.last4()), (key.hash(), "codexible", &text[text.len() - 4..]));
        assert_ne!(ApiKey::generate("codexible").unwrap().hash(), key.hash());
    }

    #[test]
    fn other_forms_are_malformed() {
        let hex = "0123456789abcdef0123456789abcdef";
        for text in [
            String::new(),
            "sk-proj-abc".to_owned(),
            hex.to_owned(),
            format!("_{hex}"),
            format!("tollgate_{}", &hex[1..]),
            format!("tollgate_{hex}0"),
            format!("tollgate_{}", hex.to_uppercase()),
            format!("Tollgate_{hex}"),
            format!("toll_gate_{hex}"),
            format!("tollgate_{hex} "),
            format!("{}_{hex}", "p".repeat(33)),
        ] {
            assert_eq!(ApiKey::parse(&text).map(|_| ()), Err(ApiKeyError::Malformed), "{text}");
        }
    }

    #[test]
    fn each_octet_of_a_secret_is_a_lowercase_hex_digit() {
        for octet in 0..=u8::MAX {
            let is_digit = matches!(octet, b'0'..=b'9' | b'a'..=b'f');
            for place in 0..SECRET_HEX {
                let mut text = [b'9'; SECRET_HEX];
                text[place] = octet;
                assert_eq!(is_secret(&text), is_digit, "{octet} at {place}");
            }
            assert_eq!(is_secret(&[octet; SECRET_HEX]), is_digit, "{octet}");
        }
    }

    #[test]
    fn a_key_within_a_text_is_found_by_its_prefix() {
        let hex = "0123456789abcdef0123456789abcdef";
        for (text, expected) in [
            (format!("tollgate_{hex}"), true),
            (format!("a_b=1&api_key=tollgate_{hex}&c=2"), true),
            (format!("_tollgate_{hex}"), true),
            (format!("tollgate_{}", &hex[1..]), false),
            (format!("tollgate={hex}"), false),
            (format!("order_{hex}"), false),
            (String::new(), false),
        ] {
            assert_eq!(contains_key(text.as_bytes(), "tollgate"), expected, "{text}");
        }
    }

    #[test]
    fn an_encoded_key_is_found_and_each_key_of_a_text_is_masked() {
        let hex = "0123456789abcdef0123456789abcdef";
        for (text, expected) in [
            (format!("/a/tollgate_{hex}/b"), true),
            (format!("/a/tollgate%5F{hex}"), true),
            (format!("/a/tollgate%5f{hex}"), true),
            (format!("/%74ollgate_{}%66", &hex[..31]), true),
            (format!("/a/tollgate%255F{hex}"), false),
            (format!("/%/%5/tollgate-{hex}"), false),
        ] {
            assert_eq!(contains_encoded_key(text.as_bytes(), "tollgate"), expected, "{text}");
        }
        for (text, prefix, expected) in [
            (format!("a tollgate_{hex} b"), "tollgate", "a tollgate_*** b".to_owned()),
            (format!("tollgate_{hex}tollgate_{hex}"), "tollgate", "tollgate_***tollgate_***".to_owned()),
            (format!("é_tollgate_{hex}_{hex}"), "tollgate", format!("é_tollgate_***_{hex}")),
            (format!("order_{hex}"), "tollgate", format!("order_{hex}")),
            (format!("order_{hex}/1"), "", "order_***/1".to_owned()),
            ("plain_text".to_owned(), "tollgate", "plain_text".to_owned()),
            (
                format!("/%C3%A9/tollgate%5F{hex}/tollgate_{hex}"),
                "tollgate",
                "/\u{e9}/tollgate_***/tollgate_***".to_owned(),
            ),
            (format!("/%5f/tollgate_{hex}"), "tollgate", "/_/tollgate_***".to_owned()),
            ("/%5F%".to_owned(), "tollgate", "/%5F%".to_owned()),
        ] {
            assert_eq!(masked(&text, prefix), expected, "{text}");
        }
    }

    #[test]
    fn key_and_hash_do_not_print() {
        let key = ApiKey::generate("tollgate").unwrap();
        let shown = format!("{key:?} {:?}", key.hash());
        assert!(!shown.contains(&key.expose()[9..30]), "{shown}");
    }

    #[test]
    fn no_key_is_generated_with_a_prefix_that_cannot_be_parsed() {
        let long = "p".repeat(PREFIX_LEN_MAX + 1);
        for prefix in ["", "Tollgate", "toll_gate", &long] {
            assert_eq!(ApiKey::generate(prefix).map(|_| ()), Err(ApiKeyError::Prefix), "{prefix}");
        }
    }
}
