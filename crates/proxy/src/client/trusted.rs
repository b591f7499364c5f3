//! The rule for headers that a receiver may trust: [`TrustRule`] removes what a client has written in them.

use access::is_key;
use config::snapshot::credentials::KEY_HEADERS;
use config::snapshot::trusted_headers::{
    CLIENT_SUBJECT, FORWARDED, is_about_proxies, is_client_subject, is_trusted_by_backends,
};
use http1::{Field, Fields, HeadEdits, InvalidPart, KnownName};

use crate::client::head::is_one_of;

/// Which headers that receivers may trust are forwarded.
#[derive(Clone, Copy)]
pub(crate) enum Trust<'a> {
    /// All of them: the peer is a trusted proxy. The route allows these headers of claims; names in lowercase.
    Peer(&'a [Box<str>]),
    /// Those that the route allows; names in lowercase.
    Route(&'a [Box<str>]),
}

/// The rule for the headers that a receiver may trust.
#[derive(Clone, Copy)]
pub(crate) struct TrustRule<'a> {
    pub(crate) trust: Trust<'a>,
    /// The headers that only claims of access tokens and services may set.
    pub(crate) claim_headers: &'a [Box<str>],
    /// Whether a trusted proxy may set only those that the route allows.
    pub(crate) withholds_claims: bool,
    /// The subject of the certificate that the client presented to this gateway.
    pub(crate) certificate: Option<&'a [u8]>,
}

impl<'a> TrustRule<'a> {
    /// Removes the received headers that the receiver must not trust, and keys of this gateway in headers whose names are
    /// written with underscores. Adds the subject of the client's certificate.
    ///
    /// # Errors
    /// The subject is not a field value.
    pub(crate) fn apply(&self, edits: &mut HeadEdits, fields: Fields<'_>) -> Result<(), InvalidPart> {
        edits.remove_fields(fields, |field| self.removes(&field));
        match (self.trust, self.certificate) {
            (Trust::Route(_), Some(subject)) => edits.append_named(CLIENT_SUBJECT, subject),
            (Trust::Peer(_), _) | (Trust::Route(_), None) => Ok(()),
        }
    }

    /// Returns the header with the subject of the client's certificate, if the receiver gets it.
    pub(crate) fn certificate_field(&self) -> Option<Field<'a>> {
        match (&self.trust, self.certificate) {
            (Trust::Route(_), Some(value)) => Some(Field { name: CLIENT_SUBJECT, value, known: None }),
            (Trust::Peer(_), _) | (Trust::Route(_), None) => None,
        }
    }

    /// Whether the receiver gets this header from the gateway, and not what a client has written in it.
    pub(crate) fn replaces(&self, field: &Field<'_>) -> bool {
        let is_replaced = || match field.known {
            Some(known) => FORWARDED.contains(&known),
            // Names with underscores are not known.
            None => is_about_proxies(field.name),
        };
        matches!(self.trust, Trust::Route(_)) && is_replaced()
    }

    /// Whether the receiver must not get this received header.
    pub(crate) fn removes(&self, field: &Field<'_>) -> bool {
        let names =
            |allowed: &[Box<str>]| allowed.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(field.name));
        let is_claim = || is_one_of(field.name, self.claim_headers);
        is_misspelt_key(field)
            || match self.trust {
                Trust::Peer(allowed) => self.withholds_claims && is_claim() && !names(allowed),
                Trust::Route(allowed) => {
                    // No well-known name is one that receivers trust.
                    let is_trusted = || field.known.is_none() && is_trusted_by_backends(field.name);
                    // A route cannot allow a client to name its own certificate.
                    (is_trusted() || is_claim()) && (!names(allowed) || is_client_subject(field.name))
                }
            }
    }
}

/// Whether a header has a key of this gateway, and the name of a header of keys with underscores.
fn is_misspelt_key(field: &Field<'_>) -> bool {
    field.known.is_none()
        && is_key(field.value.trim_ascii())
        && is_one_of(field.name, KEY_HEADERS.map(KnownName::as_str))
}
