//! Ids of tool calls that every provider accepts.
//!
//! OpenAI accepts at most 40 characters on some models. The mapping has no state: a call and its result get the same id.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Longest id that is kept.
const ID_BYTES_MAX: usize = 40;
/// Bytes of the hash in an id that replaces another one.
const HASH_BYTES: usize = 16;

/// Returns the id itself, or one that is made from it if not every provider accepts it.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    let is_accepted = (1..=ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_accepted {
        return Cow::Borrowed(id);
    }
    let mut made = "call_".to_owned();
    for byte in Sha256::digest(id.as_bytes()).iter().take(HASH_BYTES) {
        // Writing to a string cannot fail.
        let _ = write!(made, "{byte:02x}");
    }
    Cow::Owned(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_form_become_accepted_ones_and_accepted_ones_stay() {
        for id in ["call_abc", "toolu_01-X", &"x".repeat(40)] {
            assert_eq!(call_id(id), id);
        }
        for id in ["", "functions.get:0", "\u{e9}", &"x".repeat(41)] {
            let made = call_id(id);
            assert!(made.len() == 37 && made.starts_with("call_") && call_id(&made) == made, "{id} {made}");
        }
        assert_ne!(call_id("a.b"), call_id("a.c"));
    }
}
