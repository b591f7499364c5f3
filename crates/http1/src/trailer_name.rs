//! The fields that must not be trailers. They are dropped from received trailer sections, and never written into one.

use crate::known_name::{KnownName, NameMatch, begins_like};

/// Beginnings of names without an id. `content-` and `accept-`: format and negotiation of the content; `if-`: conditions;
/// `access-control-`, `proxy-` and `sec-`: controls of browsers and proxies.
const PREFIXES: [&[u8]; 6] = [b"accept-", b"access-control-", b"content-", b"if-", b"proxy-", b"sec-"];
/// Names without an id: controls of caches, browsers and connections.
const NAMES: [&[u8]; 12] = [
    b"age",
    b"allow",
    b"alt-svc",
    b"clear-site-data",
    b"cookie2",
    b"expires",
    b"pragma",
    b"priority",
    b"refresh",
    b"set-cookie2",
    b"strict-transport-security",
    b"warning",
];
/// A digest of the content, which is known at its end (RFC 9530, 2).
const CONTENT_DIGEST: &[u8] = b"content-digest";

/// Whether a field must not be a trailer, in either spelling of its name.
///
/// Recipients must know framing, routing, authentication, request modifiers, response controls and content format before
/// the content (RFC 9110, 6.5.1). A server that merges trailers into the head would take such a field from whoever wrote
/// the content. Well-known names are those by which a gateway decides, or which it replaces: the client's address, keys,
/// ids. Other names are allowed, for example `grpc-status`.
pub(crate) fn is_forbidden_as_trailer(name: &[u8], known: NameMatch) -> bool {
    use KnownName::{Date, Etag, Server, Via};
    let is = |text: &&[u8]| name.len() == text.len() && begins_like(name, text);
    match known.known() {
        Some(Date | Etag | Server | Via) => false,
        Some(_) => true,
        None if is(&CONTENT_DIGEST) => false,
        None => PREFIXES.iter().any(|prefix| begins_like(name, prefix)) || NAMES.iter().any(is),
    }
}

/// Whether a field may be a trailer of a message that is passed on over HTTP/2; [`crate::write_trailers`] applies the same
/// rule.
#[must_use]
pub fn may_be_trailer(name: &[u8]) -> bool {
    !is_forbidden_as_trailer(name, NameMatch::from_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_needed_before_the_content_are_no_trailers() {
        let is_forbidden = |name: &str| is_forbidden_as_trailer(name.as_bytes(), NameMatch::from_name(name.as_bytes()));
        for name in [
            "Content-Length",
            "transfer-encoding",
            "Trailer",
            "TE",
            "Host",
            "Connection",
            "Authorization",
            "X_Api_Key",
            "Cookie",
            "Set-Cookie",
            "X-Forwarded-For",
            "x_forwarded_anything",
            "X-Request-Id",
            "Cache-Control",
            "Content-Type",
            "Content-Language",
            "content_disposition",
            "Accept-Charset",
            "If-Match",
            "Proxy-Authentication-Info",
            "Sec-Fetch-Site",
            "Access-Control-Allow-Origin",
            "AGE",
            "Strict_Transport-Security",
        ] {
            assert!(is_forbidden(name), "{name}");
        }
        for name in [
            "grpc-status",
            "Grpc-Message",
            "grpc-status-details-bin",
            "X-Checksum",
            "ETag",
            "Date",
            "Content-Digest",
            "Repr-Digest",
            "Server-Timing",
            "Authentication-Info",
            "ages",
            "ag",
        ] {
            assert!(!is_forbidden(name), "{name}");
        }
    }
}
