//! API keys, as callers present them.

use access::ApiKey;
use access::api_key::KeyError;

/// See [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "tollgate",
    "_",
    "0123456789abcdef0123456789abcdef",
    "codexible",
    "A",
    "é",
    "\u{0}",
    "00000000000000000000000000000000",
];

/// A key is a prefix, an underscore and 32 digits; it is hashed as it was sent, and does not print.
pub fn api_key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let bytes = text.as_bytes();
    let split = bytes.len().checked_sub(33).filter(|at| bytes[*at] == b'_');
    let is_key = split.is_some_and(|at| {
        let (prefix, digits) = (&bytes[..at], &bytes[at + 1..]);
        (1..=32).contains(&prefix.len())
            && prefix.iter().all(|byte| b"abcdefghijklmnopqrstuvwxyz0123456789".contains(byte))
            && digits.iter().all(|byte| b"0123456789abcdef".contains(byte))
    });
    let read = ApiKey::parse(text);
    assert_eq!(read.is_ok(), is_key, "{text:?}");
    match read {
        Ok(key) => {
            assert_eq!((key.expose(), key.prefix()), (text, &text[..text.len() - 33]));
            assert_eq!(key.last4(), &text[text.len() - 4..]);
            assert_eq!(key.hash(), ApiKey::parse(text).unwrap().hash());
            let shown = format!("{key:?}{:?}", key.hash());
            assert!(!shown.contains(&text[text.len() - 32..text.len() - 4]), "a key prints");
        }
        // A constant: it repeats nothing.
        Err(error) => assert_eq!(error, KeyError::Malformed),
    }
}
