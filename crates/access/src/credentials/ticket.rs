//! Opaque tokens: a prefix for their purpose, and 43 base64url characters of 256 random bits. Only the SHA-256 hash is
//! stored.

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::credentials::secret::Secret;

const SECRET_BYTES: usize = 32;
/// Length of `SECRET_BYTES` in base64url without padding.
const SECRET_CHARS: usize = 43;
/// The base64url alphabet (RFC 4648, table 2).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The purpose of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TicketKind {
    /// `tgr_…`: a refresh token, which renews a session once.
    Refresh,
    /// `tgl_…`: the token of a one-time link.
    Link,
}

/// A ticket in plain text. It is in memory only while it is created or looked up, and is never printed.
#[derive(Clone)]
pub struct Ticket(Secret);

/// SHA-256 hash of a whole ticket with its prefix, which is stored and looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TicketHash(pub [u8; 32]);

/// Why a text is not a ticket, or a ticket could not be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TicketError {
    /// The text has another form, or another purpose.
    #[error("the token is invalid")]
    Malformed,
    /// The operating system returned no random bytes.
    #[error("the operating system returned no random bytes")]
    Random,
}

impl TicketKind {
    /// Returns the prefix of tickets of this kind.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "tgr_",
            Self::Link => "tgl_",
        }
    }
}

impl Ticket {
    /// Creates a random ticket.
    ///
    /// # Errors
    /// [`TicketError::Random`] if no random bytes are available.
    pub fn generate(kind: TicketKind) -> Result<Self, TicketError> {
        let mut random = [0_u8; SECRET_BYTES];
        getrandom::fill(&mut random).map_err(|_| TicketError::Random)?;
        let mut text = String::with_capacity(kind.prefix().len() + SECRET_CHARS);
        text.push_str(kind.prefix());
        push_base64url(&mut text, &random);
        Ok(Self(Secret::new(text)))
    }

    /// Parses a ticket that a client sent.
    ///
    /// # Errors
    /// [`TicketError::Malformed`]; the error does not contain the text.
    pub fn parse(kind: TicketKind, text: &str) -> Result<Self, TicketError> {
        match text.strip_prefix(kind.prefix()) {
            Some(secret) if secret.len() == SECRET_CHARS && secret.bytes().all(|byte| ALPHABET.contains(&byte)) => {
                Ok(Self(Secret::new(text.to_owned())))
            }
            _ => Err(TicketError::Malformed),
        }
    }

    /// Returns the hash that is stored and looked up.
    #[must_use]
    pub fn hash(&self) -> TicketHash {
        TicketHash(Sha256::digest(self.0.expose().as_bytes()).into())
    }

    /// Returns the whole ticket, for its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(…)")
    }
}

impl fmt::Debug for TicketHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketHash(…)")
    }
}

/// Appends base64url without padding (RFC 4648, 5).
fn push_base64url(text: &mut String, bytes: &[u8]) {
    for three in bytes.chunks(3) {
        let word = three.iter().chain([0, 0].iter()).take(3).fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
        for shift in [18, 12, 6, 0].into_iter().take(three.len() + 1) {
            text.push(ALPHABET.get(word >> shift & 63).map_or('A', |byte| char::from(*byte)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_ticket_reads_back_with_the_same_hash() {
        for (kind, other) in [(TicketKind::Refresh, TicketKind::Link), (TicketKind::Link, TicketKind::Refresh)] {
            let ticket = Ticket::generate(kind).unwrap();
            let text = ticket.expose().to_owned();
            assert_eq!(text.len(), 47);
            assert_eq!(Ticket::parse(kind, &text).unwrap().hash(), ticket.hash());
            assert_eq!(Ticket::parse(other, &text).map(|_| ()), Err(TicketError::Malformed));
            assert_ne!(Ticket::generate(kind).unwrap().hash(), ticket.hash());
            let shown = format!("{ticket:?} {:?}", ticket.hash());
            assert_eq!(shown, "Ticket(…) TicketHash(…)");
        }
    }

    #[test]
    fn other_forms_are_malformed() {
        let secret = "A".repeat(43);
        for text in [
            String::new(),
            "tgr_".to_owned(),
            secret.clone(),
            format!("tgr_{}", &secret[1..]),
            format!("tgr_{secret}A"),
            format!("TGR_{secret}"),
            format!(" tgr_{secret}"),
            format!("tgr_{secret}\n"),
            format!("tgr_{}+", &secret[1..]),
            format!("tgr_{}=", &secret[1..]),
            format!("tgr_{}é", &secret[2..]),
        ] {
            assert_eq!(Ticket::parse(TicketKind::Refresh, &text).map(|_| ()), Err(TicketError::Malformed), "{text:?}");
        }
        assert!(Ticket::parse(TicketKind::Refresh, &format!("tgr_{secret}")).is_ok());
    }

    #[test]
    fn base64url_is_that_of_the_rfc() {
        // The vectors of RFC 4648, 10, and both characters that differ from base64.
        for (bytes, expected) in [
            (b"f".as_slice(), "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (&[0xfb, 0xff, 0xfe], "-__-"),
        ] {
            let mut text = String::new();
            push_base64url(&mut text, bytes);
            assert_eq!(text, expected);
        }
    }
}
