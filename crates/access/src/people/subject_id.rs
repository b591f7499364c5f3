//! The id of a subject that is recorded by name: budget counters, totals and leases of the subject are found by it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::people::subject::{Subject, SubjectName};

/// The id of a subject with a name: 122 bits of the SHA-256 hash of its kind, issuer and name. Each node computes it
/// without the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubjectId(pub Uuid);

impl SubjectId {
    /// Returns the id of a subject; `None` for keys and anonymous clients.
    #[must_use]
    pub fn from_subject(subject: &Subject) -> Option<Self> {
        subject.name().map(Self::of_name)
    }

    /// Returns the id of a subject with this name.
    #[must_use]
    pub fn of_name(SubjectName { kind, issuer, name }: SubjectName<'_>) -> Self {
        let mut hash = Sha256::new();
        for part in [kind.as_str(), issuer, name] {
            // With the lengths, no two different subjects have the same bytes.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let mut first = [0; 16];
        first.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        Self(Builder::from_custom_bytes(first).into_uuid())
    }
}

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::subject::SubjectKind;

    fn id(kind: SubjectKind, issuer: &str, name: &str) -> SubjectId {
        SubjectId::of_name(SubjectName { kind, issuer, name })
    }

    #[test]
    fn subjects_that_differ_in_any_part_have_different_ids() {
        let ids = [
            id(SubjectKind::Token, "https://id", "ada"),
            id(SubjectKind::Token, "https://ida", "da"),
            id(SubjectKind::Token, "https://id", "adb"),
            id(SubjectKind::Basic, "", "ada"),
            id(SubjectKind::Certificate, "", "ada"),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    /// The store contains ids, so a new version must compute the same ones.
    #[test]
    fn id_of_a_subject_is_frozen() {
        let ada = SubjectName { kind: SubjectKind::Token, issuer: "https://id.example.com", name: "ada" };
        assert_eq!(SubjectId::of_name(ada).to_string(), "38eec0dc-2306-83c2-8e5d-1c6fd9325c9d");
        assert_eq!(SubjectId::from_subject(&ada.subject().unwrap()), Some(SubjectId::of_name(ada)));
        assert_eq!(SubjectId::from_subject(&Subject::ANONYMOUS), None);
    }
}
