//! The identity that a request was made as.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{KeyNo, PlanId, UserNo};

/// The key and the user of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Caller {
    /// The user who owns the key.
    pub user: UserNo,
    /// The key of the request.
    pub key: KeyNo,
    /// The plan of the user when the request was admitted.
    pub plan: PlanId,
}

/// The identity that a request was made as. Limits apply to it, and usage is recorded under it.
///
/// A [`Principal`](crate::Principal) is what a key resolves to, with its plan, budgets and restrictions; its subject is
/// [`Subject::Key`]. The other subjects have no user. If they have a plan, its budgets apply to the subject
/// ([`SubjectId`](crate::SubjectId)). A clone allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A key of Tollgate.
    Key(Caller),
    /// An access token of an external issuer (RFC 7519, 4.1), or another credential of an entry of `auth`.
    Token {
        /// The `iss` claim of the token, or the name of the entry.
        issuer: SubjectText<512>,
        /// The `sub` claim; at most 255 characters in OpenID Connect (Core 1.0, 2).
        sub: SubjectText<255>,
    },
    /// The user name of a `Basic` credential (RFC 7617).
    Basic {
        /// The name of the entry of `auth` that lists the user.
        issuer: SubjectText<512>,
        /// The name, without the password.
        name: SubjectText<255>,
    },
    /// The certificate of a TLS client.
    Certificate {
        /// The distinguished name of the certificate's subject (RFC 4514).
        subject: SubjectText<512>,
    },
    /// A client without a credential, on a route that needs none.
    Anonymous {
        /// The address of the client. Records do not contain it.
        address: Option<IpAddr>,
    },
}

/// The way in which a client identified itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKind {
    /// A key of Tollgate.
    Key,
    /// An access token of an external issuer.
    Token,
    /// The user name of a `Basic` credential.
    Basic,
    /// The certificate of a TLS client.
    Certificate,
    /// A client without a credential.
    Anonymous,
}

/// A text of a subject with at most `BYTES_MAX` bytes. It may identify a person, so `Debug` shows only its length.
///
/// A longer text is refused, not cut: two identities could become one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectText<const BYTES_MAX: usize>(Arc<str>);

impl<const BYTES_MAX: usize> SubjectText<BYTES_MAX> {
    /// Returns the text; `None` if it is empty, longer than `BYTES_MAX` bytes, or contains a control character, which
    /// PostgreSQL or a log could not represent.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_valid = !text.is_empty() && text.len() <= BYTES_MAX && !text.chars().any(char::is_control);
        is_valid.then(|| Self(text.into()))
    }

    /// Returns the whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const BYTES_MAX: usize> fmt::Debug for SubjectText<BYTES_MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectText({} bytes)", self.0.len())
    }
}

impl SubjectKind {
    /// All kinds, in a fixed order.
    pub const ALL: [Self; 5] = [Self::Key, Self::Token, Self::Basic, Self::Certificate, Self::Anonymous];

    /// The spelling in the store, the log and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Token => "token",
            Self::Basic => "basic",
            Self::Certificate => "certificate",
            Self::Anonymous => "anonymous",
        }
    }
}

impl Subject {
    /// A client without a credential, as records contain it.
    pub const ANONYMOUS: Self = Self::Anonymous { address: None };

    /// Returns the key and its user; `None` for subjects that are no key.
    #[must_use]
    pub const fn caller(&self) -> Option<Caller> {
        match self {
            Self::Key(caller) => Some(*caller),
            Self::Token { .. } | Self::Basic { .. } | Self::Certificate { .. } | Self::Anonymous { .. } => None,
        }
    }

    /// Returns the subject as records contain it: without an address, which is personal data without a use there.
    #[must_use]
    pub fn recorded(&self) -> Self {
        if matches!(self, Self::Anonymous { .. }) { Self::ANONYMOUS } else { self.clone() }
    }

    /// Returns the kind of the subject.
    #[must_use]
    pub const fn kind(&self) -> SubjectKind {
        match self {
            Self::Key(_) => SubjectKind::Key,
            Self::Token { .. } => SubjectKind::Token,
            Self::Basic { .. } => SubjectKind::Basic,
            Self::Certificate { .. } => SubjectKind::Certificate,
            Self::Anonymous { .. } => SubjectKind::Anonymous,
        }
    }

    /// Returns the issuer and the name of a subject that records store by name; the issuer is empty without one.
    #[must_use]
    pub fn name(&self) -> Option<SubjectName<'_>> {
        let (issuer, name) = match self {
            Self::Key(_) | Self::Anonymous { .. } => return None,
            Self::Token { issuer, sub } => (issuer.as_str(), sub.as_str()),
            Self::Basic { issuer, name } => (issuer.as_str(), name.as_str()),
            Self::Certificate { subject } => ("", subject.as_str()),
        };
        Some(SubjectName { kind: self.kind(), issuer, name })
    }
}

/// A subject that is recorded by name: a token, the name of a `Basic` credential, or a certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectName<'a> {
    /// The kind of the subject.
    pub kind: SubjectKind,
    /// The issuer of a token, or the name of the entry that lists a user; empty for certificates.
    pub issuer: &'a str,
    /// The `sub` of a token, the name, or the subject of the certificate.
    pub name: &'a str,
}

impl SubjectName<'_> {
    /// Returns the subject; `None` for kinds without a name, and for texts that no subject has.
    #[must_use]
    pub fn subject(self) -> Option<Subject> {
        match self.kind {
            SubjectKind::Token => {
                Some(Subject::Token { issuer: SubjectText::parse(self.issuer)?, sub: SubjectText::parse(self.name)? })
            }
            SubjectKind::Basic => {
                Some(Subject::Basic { issuer: SubjectText::parse(self.issuer)?, name: SubjectText::parse(self.name)? })
            }
            SubjectKind::Certificate if self.issuer.is_empty() => {
                Some(Subject::Certificate { subject: SubjectText::parse(self.name)? })
            }
            SubjectKind::Key | SubjectKind::Certificate | SubjectKind::Anonymous => None,
        }
    }
}

impl fmt::Debug for SubjectName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectName({}, {} bytes)", self.kind.as_str(), self.name.len())
    }
}

/// A request without a key is anonymous, until other credentials are supported.
impl From<Option<Caller>> for Subject {
    fn from(caller: Option<Caller>) -> Self {
        caller.map_or(Self::ANONYMOUS, Self::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: SubjectKind, issuer: &str, name: &str) -> Option<Subject> {
        SubjectName { kind, issuer, name }.subject()
    }

    #[test]
    fn subject_is_found_again_by_its_name() {
        for (kind, issuer, name) in [
            (SubjectKind::Token, "https://id.example.com", "ada"),
            (SubjectKind::Basic, "ops", "ada@example.com"),
            (SubjectKind::Certificate, "", "CN=ada,O=Example"),
        ] {
            let subject = named(kind, issuer, name).unwrap();
            assert_eq!((subject.kind(), subject.caller()), (kind, None));
            assert_eq!(subject.name(), Some(SubjectName { kind, issuer, name }));
            assert_eq!(subject.recorded(), subject);
        }
        let caller = Caller { user: UserNo(1), key: KeyNo(2), plan: PlanId::NIL };
        assert_eq!((Subject::Key(caller).caller(), Subject::Key(caller).name()), (Some(caller), None));
    }

    #[test]
    fn texts_are_bounded_and_never_cut() {
        let text = "x".repeat(513);
        for (kind, issuer, name) in [
            (SubjectKind::Token, &text[..], "ada"),
            (SubjectKind::Token, "https://id", &text[..256]),
            (SubjectKind::Token, "", "ada"),
            (SubjectKind::Basic, "ops", &text[..256]),
            (SubjectKind::Basic, "", "ada"),
            (SubjectKind::Certificate, "issuer", "CN=ada"),
            (SubjectKind::Certificate, "", &text[..]),
            (SubjectKind::Certificate, "", ""),
            (SubjectKind::Basic, "ops", "a\0b"),
            (SubjectKind::Key, "", "ada"),
            (SubjectKind::Anonymous, "", "ada"),
        ] {
            assert_eq!(named(kind, issuer, name), None, "{kind:?}");
        }
        assert!(named(SubjectKind::Token, &text[..512], &text[..255]).is_some());
    }

    #[test]
    fn debug_contains_no_name() {
        let subject = named(SubjectKind::Token, "https://id.example.com", "ada@example.com").unwrap();
        let written = format!("{subject:?} {:?}", subject.name().unwrap());
        assert!(!written.contains("ada") && !written.contains("id.example"), "{written}");
    }

    #[test]
    fn record_of_an_anonymous_request_contains_no_address() {
        let subject = Subject::Anonymous { address: Some(IpAddr::from([203, 0, 113, 9])) };
        assert_eq!(subject.recorded(), Subject::ANONYMOUS);
    }
}
