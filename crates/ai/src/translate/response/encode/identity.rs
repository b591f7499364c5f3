//! The ids of a translated response and of its parts.

use std::collections::BTreeSet;

use crate::translate::call_ids::call_id;

/// The identity of one response, which is made from Tollgate's request id.
#[derive(Debug)]
pub(super) struct Identity {
    /// Tollgate's id of the request.
    pub(super) request_id: String,
    /// The time of the response, in seconds since 1970.
    pub(super) created: u64,
    /// The letters and digits of the request id.
    word: String,
}

impl Identity {
    /// Creates the identity of a response.
    pub(super) fn new(request_id: &str, created: u64) -> Self {
        let word = request_id.chars().filter(char::is_ascii_alphanumeric).collect();
        Self { request_id: request_id.to_owned(), created, word }
    }

    /// Returns the id of the response.
    pub(super) fn response(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.word)
    }

    /// Returns the id of a part of the response.
    pub(super) fn part(&self, prefix: &str, at: usize) -> String {
        format!("{prefix}{}{at:04}", self.word)
    }
}

/// The ids of the calls of one response. Providers may leave them out, or repeat them.
#[derive(Debug, Default)]
pub(super) struct UniqueCallIds(BTreeSet<String>);

impl UniqueCallIds {
    /// Returns the id of a call for the client.
    pub(super) fn add(&mut self, id: &str, identity: &Identity) -> String {
        let mut unique = call_id(id).into_owned();
        if id.is_empty() || self.0.contains(&unique) {
            // The points are not accepted in an id, so that a hash replaces them.
            unique = call_id(&format!("{}.{}.{id}", identity.request_id, self.0.len())).into_owned();
        }
        self.0.insert(unique.clone());
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_without_ids_or_with_the_same_one_get_ids() {
        let identity = Identity::new("0199-aa", 7);
        let mut ids = UniqueCallIds::default();
        let made: Vec<_> = ["call_1", "", "call_1", "", "call_1"].map(|id| ids.add(id, &identity)).into();
        assert_eq!(made[0], "call_1");
        let distinct: BTreeSet<_> = made.iter().collect();
        assert_eq!(distinct.len(), 5);
        assert!(made.iter().all(|id| id.starts_with("call_") && id.len() <= 40), "{made:?}");
        assert_eq!((identity.response("msg_"), identity.part("fc_", 3)), ("msg_0199aa".into(), "fc_0199aa0003".into()));
    }
}
