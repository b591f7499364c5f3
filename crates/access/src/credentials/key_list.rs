//! Keys that the configuration lists. Their users have no account: a key is a name.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::people::subject::SubjectText;

/// Maximum number of keys in one list, all of which are compared with each credential.
pub const LISTED_KEYS_MAX: usize = 256;
/// Minimum length of a listed key in bytes. A shorter one could be guessed.
pub const LISTED_KEY_LEN_MIN: usize = 16;
/// Maximum length of a listed key in bytes.
pub const LISTED_KEY_LEN_MAX: usize = 4_096;

/// The SHA-256 hash of a listed key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ListedKeyHash([u8; 32]);

/// One key of a list.
#[derive(Debug, Clone)]
pub struct ListedKey {
    /// The name of the key, under which its requests are recorded.
    pub name: SubjectText<255>,
    /// The hash of the key.
    pub hash: ListedKeyHash,
}

/// The keys of one list.
#[derive(Debug, Clone)]
pub struct KeyList(Box<[ListedKey]>);

/// Whether a text has the form of a listed key: 16 to 4,096 visible ASCII characters.
#[must_use]
pub fn is_listable(key: &[u8]) -> bool {
    (LISTED_KEY_LEN_MIN..=LISTED_KEY_LEN_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic)
}

impl ListedKeyHash {
    /// Returns the hash of a key; `None` if no key has this form: 16 to 4,096 visible ASCII characters.
    #[must_use]
    pub fn from_key(key: &[u8]) -> Option<Self> {
        is_listable(key).then(|| Self(Sha256::digest(key).into()))
    }

    /// Returns the bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the hash as `sha256sum` writes it.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Parses 64 hexadecimal digits, as `sha256sum` writes them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl KeyList {
    /// Creates a list of at most [`LISTED_KEYS_MAX`] keys, which the caller checks.
    #[must_use]
    pub fn new(keys: Vec<ListedKey>) -> Self {
        Self(keys.into())
    }

    /// Returns the names of the keys.
    pub fn names(&self) -> impl Iterator<Item = &SubjectText<255>> {
        self.0.iter().map(|listed| &listed.name)
    }

    /// Returns the name of a key. The time does not depend on the position of the key or on equal bytes.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<&SubjectText<255>> {
        let hash = ListedKeyHash::from_key(key)?;
        self.0.iter().fold(
            None,
            |found, listed| if bool::from(listed.hash.0.ct_eq(&hash.0)) { Some(&listed.name) } else { found },
        )
    }
}

impl fmt::Debug for ListedKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListedKeyHash(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_hash_only() {
        // `printf %s 0123456789abcdef | sha256sum`
        let hex = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
        let listed = |name: &str, hash| ListedKey { name: SubjectText::parse(name).unwrap(), hash };
        let list = KeyList::new(vec![
            listed("hash", ListedKeyHash::parse(&hex.to_uppercase()).unwrap()),
            listed("value", ListedKeyHash::from_key(b"fedcba9876543210").unwrap()),
        ]);
        let find = |key: &str| list.find(key.as_bytes()).map(|name| name.as_str().to_owned());
        assert_eq!((find("0123456789abcdef"), find("fedcba9876543210")), (Some("hash".into()), Some("value".into())));
        for key in [hex, "", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef "] {
            assert_eq!(find(key), None, "{key}");
        }
        for text in ["", "9f", &hex[1..], &format!("{hex}0"), &hex.replace('9', "g"), &hex.replace("9f", "+f")] {
            assert_eq!(ListedKeyHash::parse(text), None, "{text}");
        }
        assert!(!format!("{list:?}").contains("9f9f"));
    }
}
