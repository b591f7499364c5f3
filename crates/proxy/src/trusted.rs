//! Headers that a backend may trust because a proxy in front of it writes them: another path or method, the client's
//! address, or the signed-in user. A client could write them too.

/// A part of a header's name, in lowercase.
enum NamePattern {
    Whole(&'static str),
    Begins(&'static str),
}

/// Another target or method than that of the request, which backends take after the gateway has chosen the route.
const OVERRIDES: [NamePattern; 9] = [
    NamePattern::Whole("x-original-url"),
    NamePattern::Whole("x-original-uri"),
    NamePattern::Whole("x-original-host"),
    NamePattern::Whole("x-rewrite-url"),
    NamePattern::Whole("x-host"),
    NamePattern::Whole("x-http-host-override"),
    NamePattern::Whole("x-http-method-override"),
    NamePattern::Whole("x-http-method"),
    NamePattern::Whole("x-method-override"),
];

/// Addresses and identities, in the words of CDNs, cloud load balancers and proxies that sign users in. `Proxy` becomes
/// `HTTP_PROXY` in a CGI backend (CVE-2016-5385).
const IDENTITIES: [NamePattern; 21] = [
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
    NamePattern::Begins("remote-"),
    NamePattern::Begins("x-remote-"),
    NamePattern::Begins("x-authenticated-"),
    NamePattern::Begins("x-auth-request-"),
    NamePattern::Begins("x-webauth-"),
    NamePattern::Begins("x-goog-authenticated-user-"),
    NamePattern::Begins("x-amzn-oidc-"),
    NamePattern::Begins("x-ms-client-principal"),
    NamePattern::Begins("x-ssl-client-"),
];

/// The header with the subject of the client's certificate (RFC 4514), as nginx and other proxies name it.
pub(crate) const CLIENT_SUBJECT: &[u8] = b"x-ssl-client-s-dn";

/// Whether a backend may read a header of this name as [`CLIENT_SUBJECT`].
pub(crate) fn is_client_subject(name: &[u8]) -> bool {
    NamePattern::Whole("x-ssl-client-s-dn").is(name)
}

/// Whether backends may trust a header of this name, in any case.
pub(crate) fn is_trusted_by_backends(name: &[u8]) -> bool {
    // Most names begin with another letter.
    let first = name.first().map(u8::to_ascii_lowercase);
    matches!(first, Some(b'c' | b'f' | b'p' | b'r' | b't' | b'x'))
        && OVERRIDES.iter().chain(&IDENTITIES).any(|known| known.is(name))
}

/// Whether `name` begins with `known`, in any case, as a backend behind CGI or WSGI reads it: underscores are hyphens there.
fn begins_like(name: &[u8], known: &str) -> bool {
    let same = |(octet, known): (&u8, u8)| octet.eq_ignore_ascii_case(&known) || (*octet == b'_' && known == b'-');
    name.len() >= known.len() && name.iter().zip(known.bytes()).all(same)
}

impl NamePattern {
    fn is(&self, name: &[u8]) -> bool {
        match self {
            Self::Whole(known) => name.len() == known.len() && begins_like(name, known),
            Self::Begins(known) => begins_like(name, known),
        }
    }
}
