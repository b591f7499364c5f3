//! Headers that a receiver may trust because a proxy in front of it writes them: another path or method, the client's
//! address, or the signed-in user. A client could write them too, so the gateway takes them from trusted proxies only.

use http1::KnownName;

/// The source of the values of a header that a condition of a route reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldSource {
    /// Requests of all senders.
    Client,
    /// The request of a trusted proxy. Other requests have no value.
    TrustedProxy,
    /// The request of a trusted proxy; for others, the scheme of the connection.
    Scheme,
    /// The request of a trusted proxy; for others, the subject of the client's certificate.
    Certificate,
}

impl FieldSource {
    /// Returns the source of a header that a route reads before claims and services set `claim_headers`, which clients may send
    /// only if the route has them in `allowed`. Names are in lowercase.
    pub(crate) fn before_claims<'a>(
        name: &str,
        claim_headers: &[Box<str>],
        mut allowed: impl Iterator<Item = &'a str> + Clone,
    ) -> Self {
        let source = Self::from_name(name, allowed.clone());
        let is_claim = || claim_headers.iter().any(|claim| is_same_name(name, claim));
        if source == Self::Client && is_claim() && !allowed.any(|allowed| allowed == name) {
            Self::TrustedProxy
        } else {
            source
        }
    }

    /// Returns the source of a header on a route that allows clients to send `allowed`. Names are in lowercase.
    pub(crate) fn from_name<'a>(name: &str, mut allowed: impl Iterator<Item = &'a str>) -> Self {
        let octets = name.as_bytes();
        if is_client_subject(octets) {
            Self::Certificate
        } else if NamePattern::Whole("x-forwarded-proto").is(octets) {
            Self::Scheme
        } else if is_about_proxies(octets) || is_trusted_by_backends(octets) && !allowed.any(|allowed| allowed == name)
        {
            Self::TrustedProxy
        } else {
            Self::Client
        }
    }
}

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

/// A factor with which few other names have the bit of one of these.
const START_FACTOR: u32 = 0xd87b_ae55;
/// The bits of the first octets of these names.
const STARTS: u64 = starts(&OVERRIDES) | starts(&ADDRESSES) | starts(&IDENTITIES);

/// The header with the subject of the client's certificate (RFC 4514), as nginx and other proxies name it.
pub const CLIENT_SUBJECT: &[u8] = b"x-ssl-client-s-dn";

/// Fields about earlier proxies, which the gateway writes itself unless the peer is trusted.
pub const FORWARDED: [KnownName; 8] = [
    KnownName::Forwarded,
    KnownName::XForwardedFor,
    KnownName::XForwardedHost,
    KnownName::XForwardedOther,
    KnownName::XForwardedPort,
    KnownName::XForwardedPrefix,
    KnownName::XForwardedProto,
    KnownName::XRealIp,
];

/// The names of [`FORWARDED`].
const ABOUT_PROXIES: [NamePattern; 3] =
    [NamePattern::Begins("x-forwarded-"), NamePattern::Whole("x-real-ip"), NamePattern::Whole("forwarded")];

/// Whether a backend may read a header of this name as one of [`FORWARDED`].
#[must_use]
pub fn is_about_proxies(name: &[u8]) -> bool {
    ABOUT_PROXIES.iter().any(|known| known.is(name))
}

/// Whether a backend may read a header of this name as [`CLIENT_SUBJECT`].
#[must_use]
pub fn is_client_subject(name: &[u8]) -> bool {
    NamePattern::Whole("x-ssl-client-s-dn").is(name)
}

/// Whether backends may trust a header of this name, in any case.
#[must_use]
pub fn is_trusted_by_backends(name: &[u8]) -> bool {
    // Most names begin otherwise than all of these.
    let may_begin_alike = name.first_chunk().is_some_and(|first| STARTS & start(*first) != 0);
    may_begin_alike && (selects_response(name) || ADDRESSES.iter().any(|known| known.is(name)))
}

/// Whether a backend may give another response for another value of such a header: it names a target or an identity.
#[must_use]
pub fn selects_response(name: &[u8]) -> bool {
    OVERRIDES.iter().chain(&IDENTITIES).any(|known| known.is(name))
}

/// The bit of the first octets of a name, as a backend behind CGI or WSGI reads them.
const fn start(first: [u8; 4]) -> u64 {
    let [a, b, c, d] = first;
    let word = u32::from_le_bytes([plain(a), plain(b), plain(c), plain(d)]);
    1 << (word.wrapping_mul(START_FACTOR) >> 26)
}

/// Whether two names are equal for a backend behind CGI or WSGI.
fn is_same_name(name: &str, other: &str) -> bool {
    name.len() == other.len() && name.bytes().map(plain).eq(other.bytes().map(plain))
}

const fn plain(octet: u8) -> u8 {
    if octet == b'_' { b'-' } else { octet.to_ascii_lowercase() }
}

const fn starts<const N: usize>(patterns: &[NamePattern; N]) -> u64 {
    let mut all = 0;
    let mut at = 0;
    while at < N {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        let Some(first) = patterns[at].text().as_bytes().first_chunk() else { break };
        all |= start(*first);
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
    fn fields_about_proxies_are_found_in_every_spelling() {
        for known in FORWARDED {
            let text = known.as_str();
            for name in [text.to_owned(), text.to_ascii_uppercase(), text.replace('-', "_")] {
                assert!(is_about_proxies(name.as_bytes()), "{name}");
            }
        }
        assert!(is_about_proxies(b"X_Forwarded_User"));
        for name in ["x-forwarded", "x-real-ip2", "forwarded-for", "", "x-request-id"] {
            assert!(!is_about_proxies(name.as_bytes()), "{name}");
        }
    }

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
