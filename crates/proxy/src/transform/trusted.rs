//! Headers that a backend may trust because a proxy in front of it writes them: another path or method, the client's
//! address, or who has signed in. A client could write them too.

/// A part of a header's name, in lowercase.
enum Name {
    Whole(&'static str),
    Begins(&'static str),
}

/// Another target or method than that of the request, which backends take after the gateway has chosen the route.
const OVERRIDES: [Name; 9] = [
    Name::Whole("x-original-url"),
    Name::Whole("x-original-uri"),
    Name::Whole("x-original-host"),
    Name::Whole("x-rewrite-url"),
    Name::Whole("x-host"),
    Name::Whole("x-http-host-override"),
    Name::Whole("x-http-method-override"),
    Name::Whole("x-http-method"),
    Name::Whole("x-method-override"),
];

/// Addresses and identities, in the words of CDNs, cloud load balancers and proxies that sign users in. `Proxy` becomes
/// `HTTP_PROXY` in a CGI backend (CVE-2016-5385).
const IDENTITIES: [Name; 21] = [
    Name::Whole("proxy"),
    Name::Begins("cf-connecting-ip"),
    Name::Whole("true-client-ip"),
    Name::Whole("client-ip"),
    Name::Whole("x-client-ip"),
    Name::Whole("x-cluster-client-ip"),
    Name::Whole("x-originating-ip"),
    Name::Whole("fastly-client-ip"),
    Name::Whole("fly-client-ip"),
    Name::Begins("x-azure-"),
    Name::Begins("x-appengine-"),
    Name::Begins("x-envoy-"),
    Name::Begins("remote-"),
    Name::Begins("x-remote-"),
    Name::Begins("x-authenticated-"),
    Name::Begins("x-auth-request-"),
    Name::Begins("x-webauth-"),
    Name::Begins("x-goog-authenticated-user-"),
    Name::Begins("x-amzn-oidc-"),
    Name::Begins("x-ms-client-principal"),
    Name::Begins("x-ssl-client-"),
];

/// Whether backends may trust what `name` says. `name` is in lowercase.
pub(super) fn is_trusted_by_backends(name: &str) -> bool {
    // Most names begin with another letter.
    matches!(name.as_bytes().first(), Some(b'c' | b'f' | b'p' | b'r' | b't' | b'x'))
        && OVERRIDES.iter().chain(&IDENTITIES).any(|known| known.is(name))
}

/// Whether `name` is `known`, as a backend behind CGI or WSGI reads it: underscores are hyphens there.
pub(super) fn is_like(name: &str, known: &str) -> bool {
    name.len() == known.len() && begins_like(name, known)
}

/// Whether `name` begins with `known`, likewise.
pub(super) fn begins_like(name: &str, known: &str) -> bool {
    let same = |(byte, known): (u8, u8)| byte == known || (byte == b'_' && known == b'-');
    name.len() >= known.len() && name.bytes().zip(known.bytes()).all(same)
}

impl Name {
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Whole(known) => is_like(name, known),
            Self::Begins(known) => begins_like(name, known),
        }
    }
}
