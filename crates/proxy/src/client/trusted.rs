//! Headers that a receiver may trust because a proxy in front of it writes them: another path or method, the client's
//! address, or the signed-in user. A client could write them too, so [`TrustRule`] removes them for every receiver.

use access::is_key;
use config::snapshot::credentials::KEY_HEADERS;
use http1::{Field, Fields, HeadEdits, InvalidPart, KnownName};

use crate::client::head::is_one_of;

/// A part of a header's name, in lowercase.
enum NamePattern {
    Whole(&'static str),
    Begins(&'static str),
}

/// Another target or method than that of the request, which backends take after the gateway has chosen the route.
const OVERRIDES: [NamePattern; 10] = [
    NamePattern::Whole("x-original-url"),
    NamePattern::Whole("x-original-uri"),
    NamePattern::Whole("x-original-host"),
    NamePattern::Whole("x-original-method"),
    NamePattern::Whole("x-rewrite-url"),
    NamePattern::Whole("x-host"),
    NamePattern::Whole("x-http-host-override"),
    NamePattern::Whole("x-http-method-override"),
    NamePattern::Whole("x-http-method"),
    NamePattern::Whole("x-method-override"),
];

/// Addresses, in the words of CDNs and cloud load balancers, some of which also name the request. `Proxy` becomes
/// `HTTP_PROXY` in a CGI backend (CVE-2016-5385).
const ADDRESSES: [NamePattern; 12] = [
    NamePattern::Whole("proxy"),
    NamePattern::Begins("cf-connecting-ip"),
    NamePattern::Whole("true-client-ip"),
    NamePattern::Whole("client-ip"),
    NamePattern::Whole("x-client-ip"),
    NamePattern::Whole("x-cluster-client-ip"),
    NamePattern::Whole("x-originating-ip"),
    NamePattern::Whole("fastly-client-ip"),
    NamePattern::Whole("fly-client-ip"),
    NamePattern::Begins("x-azure-"),
    NamePattern::Begins("x-appengine-"),
    NamePattern::Begins("x-envoy-"),
];

/// Identities, in the words of proxies that sign users in.
const IDENTITIES: [NamePattern; 17] = [
    NamePattern::Begins("client-cert"),
    NamePattern::Begins("remote-"),
    NamePattern::Begins("x-remote-"),
    NamePattern::Begins("x-authenticated-"),
    NamePattern::Begins("x-auth-request-"),
    NamePattern::Begins("x-webauth-"),
    NamePattern::Begins("x-goog-authenticated-user-"),
    NamePattern::Begins("x-amzn-oidc-"),
    NamePattern::Begins("x-ms-client-principal"),
    NamePattern::Begins("x-ssl-client-"),
    NamePattern::Begins("x-appengine-user-"),
    // Kong.
    NamePattern::Begins("x-consumer-"),
    NamePattern::Begins("x-credential-"),
    NamePattern::Begins("x-anonymous-consumer"),
    // ingress-nginx, Azure.
    NamePattern::Begins("ssl-client-"),
    NamePattern::Begins("x-client-cert"),
    NamePattern::Begins("x-arr-clientcert"),
];

/// The first octets of these names.
const OVERRIDE_STARTS: [u32; OVERRIDES.len()] = starts(&OVERRIDES);
const ADDRESS_STARTS: [u32; ADDRESSES.len()] = starts(&ADDRESSES);
const IDENTITY_STARTS: [u32; IDENTITIES.len()] = starts(&IDENTITIES);

/// The header with the subject of the client's certificate (RFC 4514), as nginx and other proxies name it.
const CLIENT_SUBJECT: &[u8] = b"x-ssl-client-s-dn";

/// Fields about earlier proxies, which the gateway writes itself unless the peer is trusted.
pub(crate) const FORWARDED: [KnownName; 8] = [
    KnownName::Forwarded,
    KnownName::XForwardedFor,
    KnownName::XForwardedHost,
    KnownName::XForwardedOther,
    KnownName::XForwardedPort,
    KnownName::XForwardedPrefix,
    KnownName::XForwardedProto,
    KnownName::XRealIp,
];

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

impl TrustRule<'_> {
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
    pub(crate) fn certificate_field(&self) -> Option<Field<'_>> {
        match (&self.trust, self.certificate) {
            (Trust::Route(_), Some(value)) => Some(Field { name: CLIENT_SUBJECT, value, known: None }),
            (Trust::Peer(_), _) | (Trust::Route(_), None) => None,
        }
    }

    /// Whether the receiver gets this header from the gateway, and not what a client has written in it.
    pub(crate) fn replaces(&self, field: &Field<'_>) -> bool {
        let is_replaced = field.known.is_some_and(|known| FORWARDED.contains(&known));
        is_replaced && matches!(self.trust, Trust::Route(_))
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

/// Whether a backend may read a header of this name as [`CLIENT_SUBJECT`].
fn is_client_subject(name: &[u8]) -> bool {
    NamePattern::Whole("x-ssl-client-s-dn").is(name)
}

/// Whether backends may trust a header of this name, in any case.
pub(crate) fn is_trusted_by_backends(name: &[u8]) -> bool {
    // Most names begin otherwise than all of these.
    let begins_alike = name.first_chunk().is_some_and(|first| {
        let start = start(*first);
        OVERRIDE_STARTS.contains(&start) || ADDRESS_STARTS.contains(&start) || IDENTITY_STARTS.contains(&start)
    });
    begins_alike && (selects_response(name) || ADDRESSES.iter().any(|known| known.is(name)))
}

/// Whether a backend may give another response for another value of such a header: it names a target or an identity.
pub(crate) fn selects_response(name: &[u8]) -> bool {
    OVERRIDES.iter().chain(&IDENTITIES).any(|known| known.is(name))
}

/// The first octets of a name in one word, as a backend behind CGI or WSGI reads them.
const fn start(first: [u8; 4]) -> u32 {
    let [a, b, c, d] = first;
    u32::from_le_bytes([plain(a), plain(b), plain(c), plain(d)])
}

const fn plain(octet: u8) -> u8 {
    if octet == b'_' { b'-' } else { octet.to_ascii_lowercase() }
}

const fn starts<const N: usize>(patterns: &[NamePattern; N]) -> [u32; N] {
    let (mut all, mut at) = ([0; N], 0);
    while at < N {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        let Some(first) = patterns[at].text().as_bytes().first_chunk() else { break };
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            all[at] = start(*first);
        }
        at += 1;
    }
    all
}

/// Whether `name` begins with `known`, in any case, as a backend behind CGI or WSGI reads it: underscores are hyphens there.
fn begins_like(name: &[u8], known: &str) -> bool {
    let same = |(octet, known): (&u8, u8)| octet.eq_ignore_ascii_case(&known) || (*octet == b'_' && known == b'-');
    name.len() >= known.len() && name.iter().zip(known.bytes()).all(same)
}

impl NamePattern {
    const fn text(&self) -> &'static str {
        match self {
            Self::Whole(text) | Self::Begins(text) => text,
        }
    }

    fn is(&self, name: &[u8]) -> bool {
        match self {
            Self::Whole(known) => name.len() == known.len() && begins_like(name, known),
            Self::Begins(known) => begins_like(name, known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_names_are_found_in_every_spelling() {
        for known in OVERRIDES.iter().chain(&ADDRESSES).chain(&IDENTITIES) {
            let text = known.text();
            for name in [text.to_owned(), text.to_ascii_uppercase(), text.replace('-', "_")] {
                assert!(is_trusted_by_backends(name.as_bytes()), "{name}");
                let longer = format!("{name}z");
                let begins = matches!(known, NamePattern::Begins(_));
                assert_eq!(is_trusted_by_backends(longer.as_bytes()), begins, "{longer}");
            }
            assert!(!is_trusted_by_backends(&text.as_bytes()[1..]), "{text}");
            // A shorter name of another pattern begins like this one.
            let is_known = text == "x-appengine-user-";
            assert_eq!(is_trusted_by_backends(&text.as_bytes()[..text.len() - 1]), is_known, "{text} is cut");
        }
        for name in ["X-Consumer-Username", "X-Credential-Identifier", "X-Anonymous-Consumer", "ssl-client-verify"] {
            assert!(is_trusted_by_backends(name.as_bytes()), "{name}");
        }
        for name in ["", "x", "x-s", "x-consumer", "ssl-client", "x-stainless-os", "traceparent", "cache-control"] {
            assert!(!is_trusted_by_backends(name.as_bytes()), "{name}");
        }
    }
}
