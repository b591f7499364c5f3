//! Ids of tool calls that every provider accepts.
//!
//! OpenAI accepts at most 40 characters on some models. The mapping has no state: a call and its result get the same id.

use std::borrow::Cow;
use std::collections::BTreeSet;
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

/// The ids of the calls of one response. Providers may leave them out, or repeat them.
#[derive(Debug, Default)]
pub(super) struct UniqueCallIds(BTreeSet<String>);

impl UniqueCallIds {
    /// Returns the id of a call for the client. `request_id` is Tollgate's.
    pub(super) fn add(&mut self, id: &str, request_id: &str) -> String {
        let mut unique = call_id(id).into_owned();
        if id.is_empty() || self.0.contains(&unique) {
            // An id with dots is not accepted, so `call_id` replaces it by its hash.
            unique = call_id(&format!("{request_id}.{}.{id}", self.0.len())).into_owned();
        }
        self.0.insert(unique.clone());
        unique
    }
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

    #[test]
    fn calls_without_ids_or_with_the_same_one_get_ids() {
        let mut ids = UniqueCallIds::default();
        let made: Vec<_> = ["call_1", "", "call_1", "", "call_1"].map(|id| ids.add(id, "0199-aa")).into();
        assert_eq!(made[0], "call_1");
        let distinct: BTreeSet<_> = made.iter().collect();
        assert_eq!(distinct.len(), 5);
        assert!(made.iter().all(|id| id.starts_with("call_") && id.len() <= 40), "{made:?}");
    }
}
