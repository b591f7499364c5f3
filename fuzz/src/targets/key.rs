//! API keys in the form in which clients send them.

use access::ApiKey;
use access::credentials::api_key::ApiKeyError;

/// The value of [`super::FuzzTarget::words`].
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

/// A key is a prefix, an underscore and 32 digits. Its hash covers the sent text, and `Debug` does not print it.
pub fn api_key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let bytes = text.as_bytes();
    let split = bytes.len().checked_sub(33).filter(|at| bytes[*at] == b'_');
    let is_key = split.is_some_and(|at| {
        let prefix = &bytes[..at];
        let digits = &bytes[at + 1..];
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
            assert!(!shown.contains(&text[text.len() - 32..text.len() - 4]), "`Debug` prints a key");
        }
        // The error is a constant and repeats no input.
        Err(error) => assert_eq!(error, ApiKeyError::Malformed),
    }
}
