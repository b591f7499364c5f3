//! The request target in its four forms (RFC 9112, 3.2).

use std::net::Ipv6Addr;

use crate::fields::Span;
use crate::limits::TARGET_BYTES_MAX;
use crate::octets::{host_name_len, is_query, path_len};
use crate::violation::Violation;

/// A request target, as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestTarget<'a> {
    /// A path, which begins with `/`, and perhaps a query.
    Origin {
        /// With `?` before the query.
        path_and_query: &'a [u8],
    },
    /// A URL, as clients send it to a forward proxy.
    Absolute {
        /// Whether the scheme is `https`, not `http`.
        is_https: bool,
        /// The host with an optional port; equal to the `Host` header, if there is one.
        authority: &'a [u8],
        /// With `?` before the query. It may be empty, and may begin with the query.
        path_and_query: &'a [u8],
    },
    /// The host and port of a CONNECT request.
    Authority(&'a [u8]),
    /// The `*` of an OPTIONS request.
    Asterisk,
}

/// Positions of the parts of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetSpans {
    Origin { path_and_query: Span, path: PathSpan },
    Absolute { is_https: bool, authority: Span, path_and_query: Span, path: PathSpan },
    Authority(Span),
    Asterisk,
}

/// The path in a target, and the kind of its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathSpan {
    len: u32,
    /// Whether the query has characters outside of ASCII.
    has_raw_query: bool,
}

impl TargetSpans {
    pub(crate) fn request_target(self, bytes: &[u8]) -> RequestTarget<'_> {
        match self {
            Self::Origin { path_and_query, .. } => {
                RequestTarget::Origin { path_and_query: path_and_query.slice(bytes) }
            }
            Self::Absolute { is_https, authority, path_and_query, .. } => RequestTarget::Absolute {
                is_https,
                authority: authority.slice(bytes),
                path_and_query: path_and_query.slice(bytes),
            },
            Self::Authority(span) => RequestTarget::Authority(span.slice(bytes)),
            Self::Asterisk => RequestTarget::Asterisk,
        }
    }

    /// The path and the query, which begins with `?` unless it is empty.
    pub(crate) fn path_and_query(self, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        match self {
            Self::Origin { path_and_query, path } | Self::Absolute { path_and_query, path, .. } => {
                path_and_query.slice(bytes).split_at_checked(usize::try_from(path.len).unwrap_or(usize::MAX))
            }
            Self::Authority(_) | Self::Asterisk => None,
        }
    }

    /// Whether the query has characters outside of ASCII.
    pub(crate) const fn has_raw_query(self) -> bool {
        match self {
            Self::Origin { path, .. } | Self::Absolute { path, .. } => path.has_raw_query,
            Self::Authority(_) | Self::Asterisk => false,
        }
    }

    /// The host and port that the target names.
    pub(crate) const fn authority(self) -> Option<Span> {
        match self {
            Self::Absolute { authority, .. } | Self::Authority(authority) => Some(authority),
            Self::Origin { .. } | Self::Asterisk => None,
        }
    }
}

/// Parses and checks the target `bytes[start..end]` of a request with this method.
pub(crate) fn judge(method: &[u8], bytes: &[u8], start: usize, end: usize) -> Result<TargetSpans, Violation> {
    let target = bytes.get(start..end).unwrap_or_default();
    let form = match target {
        _ if method == b"CONNECT" => authority_form(target).map(|()| TargetSpans::Authority(Span::new(start, end))),
        [b'/', ..] => path_of(target).map(|path| TargetSpans::Origin { path_and_query: Span::new(start, end), path }),
        b"*" if method == b"OPTIONS" => Ok(TargetSpans::Asterisk),
        _ => absolute(target, start),
    };
    form.map_err(|violation| if target.contains(&b' ') { Violation::Spaces } else { violation })
}

/// Whether a request can have this path and query: in origin form (RFC 9112, 3.2.1), and no longer than a request line
/// allows.
#[must_use]
pub fn is_origin_form(target: &str) -> bool {
    let target = target.as_bytes();
    target.len() <= TARGET_BYTES_MAX
        && target.first() == Some(&b'/')
        && path_of(target).is_ok_and(|path| !path.has_raw_query)
}

/// Returns a target with each octet outside of ASCII percent-encoded.
#[must_use]
pub fn escaped_target(target: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
    let mut escaped = Vec::with_capacity(3 * target.len());
    for octet in target {
        if octet.is_ascii() {
            escaped.push(*octet);
        } else {
            escaped.extend([b'%', digit(octet >> 4), digit(octet & 0xf)]);
        }
    }
    escaped
}

/// Whether the octets are a host with an optional port (RFC 9110, 7.2), and not empty.
pub(crate) fn is_authority(value: &[u8]) -> bool {
    split_authority(value).is_some()
}

/// The port after a valid host: `Some(None)` if there is no port.
fn split_authority(value: &[u8]) -> Option<Option<&[u8]>> {
    let rest = match value {
        [b'[', rest @ ..] => {
            let (address, rest) = rest.split_at_checked(memchr::memchr(b']', rest)?)?;
            std::str::from_utf8(address).ok()?.parse::<Ipv6Addr>().ok()?;
            rest.strip_prefix(b"]")?
        }
        _ => {
            let (name, rest) = value.split_at_checked(host_name_len(value))?;
            if name.is_empty() {
                return None;
            }
            rest
        }
    };
    match rest {
        [] => Some(None),
        [b':', port @ ..] if (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit) => Some(Some(port)),
        _ => None,
    }
}

/// RFC 9110, 9.3.6: a CONNECT request needs a port.
fn authority_form(target: &[u8]) -> Result<(), Violation> {
    split_authority(target).flatten().map(|_| ()).ok_or(Violation::TargetForm)
}

fn absolute(target: &[u8], start: usize) -> Result<TargetSpans, Violation> {
    let slashes = memchr::memmem::find(target, b"://").ok_or(Violation::TargetForm)?;
    let (scheme, rest) = target.split_at_checked(slashes).ok_or(Violation::TargetForm)?;
    let is_https = scheme.eq_ignore_ascii_case(b"https");
    if !is_https && !scheme.eq_ignore_ascii_case(b"http") {
        return Err(Violation::TargetForm);
    }
    let rest = rest.strip_prefix(b"://").ok_or(Violation::TargetForm)?;
    let len = memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(len).ok_or(Violation::TargetForm)?;
    if !is_authority(authority) {
        return Err(Violation::TargetForm);
    }
    let path = path_of(rest)?;
    let begin = start + slashes + 3;
    Ok(TargetSpans::Absolute {
        is_https,
        authority: Span::new(begin, begin + len),
        path_and_query: Span::new(begin + len, start + target.len()),
        path,
    })
}

/// Checks a path with its query.
fn path_of(target: &[u8]) -> Result<PathSpan, Violation> {
    let (path_len, has_dots_or_escapes) = path_len(target);
    let (path, query) = target.split_at_checked(path_len).unwrap_or_default();
    let has_raw_query = !is_query(query);
    if !matches!(query.first(), None | Some(b'?')) || (has_raw_query && !is_raw_query(query)) {
        return Err(if target.contains(&b'#') { Violation::Fragment } else { Violation::Target });
    }
    if has_dots_or_escapes {
        if !has_valid_escapes(path) {
            return Err(Violation::Escape);
        }
        if has_overlong(path) {
            return Err(Violation::Overlong);
        }
        if has_dot_segment(path) {
            return Err(Violation::DotSegment);
        }
    }
    Ok(PathSpan { len: u32::try_from(path_len).unwrap_or(u32::MAX), has_raw_query })
}

/// Whether a query is UTF-8 whose ASCII octets are those of a query. Clients such as curl send it as it was typed.
#[cold]
fn is_raw_query(query: &[u8]) -> bool {
    std::str::from_utf8(query).is_ok() && query.iter().all(|octet| !octet.is_ascii() || is_query(&[*octet]))
}

fn has_valid_escapes(path: &[u8]) -> bool {
    path.split(|octet| *octet == b'%').skip(1).all(|escaped| match escaped {
        [b'0', b'0', ..] => false,
        [high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    })
}

/// Whether consecutive escapes encode a character in more octets than necessary. C0 and C1 never occur in UTF-8. The other
/// first octets are letters in Latin-1, so they are refused only before an octet that makes the sequence overlong.
fn has_overlong(path: &[u8]) -> bool {
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut escapes = path.split(|octet| *octet == b'%').skip(1).map(|escape| match escape {
        [high, low, rest @ ..] => (digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low), rest.is_empty()),
        _ => (None, false),
    });
    let mut previous = None;
    escapes.any(|(octet, is_followed_by_escape)| {
        let first = std::mem::replace(&mut previous, if is_followed_by_escape { octet } else { None });
        match (first, octet) {
            (_, Some(0xc0 | 0xc1)) => true,
            (Some(0xe0), Some(0x80..=0x9f)) | (Some(0xf0), Some(0x80..=0x8f)) => true,
            // Sequences of five and six octets, which RFC 2279 allowed.
            (Some(0xf8), Some(0x80..=0x87)) | (Some(0xfc), Some(0x80..=0x83)) => true,
            _ => false,
        }
    })
}

/// Whether a segment is `.` or `..` in any spelling: percent-encoded, between separators that are percent-encoded, or with
/// parameters after it (`..;x`), which some servers remove first.
fn has_dot_segment(path: &[u8]) -> bool {
    // The number of dots since the last separator, if there is nothing else.
    let mut dots = None;
    let mut rest = path;
    loop {
        let (octet, after) = match rest {
            [b'%', high, low, after @ ..] => (decoded(*high, *low), after),
            [octet, after @ ..] => (*octet, after),
            [] => return matches!(dots, Some(1 | 2)),
        };
        rest = after;
        match octet {
            b'/' | b'\\' | b';' if matches!(dots, Some(1 | 2)) => return true,
            b'/' | b'\\' => dots = Some(0_u32),
            b'.' => dots = dots.map(|dots| dots.saturating_add(1)),
            _ => dots = None,
        }
    }
}

/// The octet of an escape, if it is a dot or a separator; otherwise `%`.
const fn decoded(high: u8, low: u8) -> u8 {
    match (high, low.to_ascii_lowercase()) {
        (b'2', b'e') => b'.',
        (b'2', b'f') => b'/',
        (b'5', b'c') => b'\\',
        (b'3', b'b') => b';',
        _ => b'%',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_are_refused_in_every_spelling() {
        for path in [
            "/o/../k",
            "/o/..",
            "/./k",
            "/o/%2e%2E/k",
            "/o/.%2e/k",
            "/%2E/k",
            "/o/..;/k",
            "/o/..;x=1",
            "/o/..%2fk",
            "/o%5C..%5ck",
            "/o/..%3B/k",
            "/.",
            "/o/%2e%3bx",
        ] {
            assert!(has_dot_segment(path.as_bytes()), "{path}");
        }
        for path in ["/", "/a.b/..c/...", "/%2e%2e%2e", "/a%2f..b", "/.well-known/x", "/a;..", "/..a;b", "/v1.5/x..y"] {
            assert!(!has_dot_segment(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn overlong_utf8_is_refused_and_other_escapes_are_not() {
        for path in [
            "/o/..%c0%af../k",
            "/o/%C0%AE%c0%ae/k",
            "/%c1%9c",
            "/a%c0",
            "/%c0.",
            "/%e0%80%af",
            "/x%E0%9F%BFy",
            "/%f0%80%80%af",
            "/%f0%8f%bf%bf",
            "/%f8%80%80%80%af",
            "/%fc%80%80%80%80%af",
        ] {
            assert!(has_overlong(path.as_bytes()), "{path}");
        }
        for path in [
            "/caf%C3%A9",
            "/%e0%a0%80",
            "/%f0%90%80%80",
            "/%f0%9f%98%80",
            "/voil%e0",
            "/%e0x%80",
            "/%e0/%80",
            "/%80%af",
            "/%c",
            "/a%20b",
            "/",
        ] {
            assert!(!has_overlong(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_query_may_be_unescaped_utf8_and_a_path_may_not() {
        for (target, is_raw) in [("/a?q=b", false), ("/a?q=\u{e9}", true), ("/?\u{1f600}&\u{80}", true)] {
            assert_eq!(path_of(target.as_bytes()).map(|path| path.has_raw_query), Ok(is_raw), "{target}");
            assert_eq!(is_origin_form(target), !is_raw, "{target}");
        }
        for target in [
            &b"/\xc3\xa9"[..],
            b"/a?q=\xe9",
            b"/a?q=\xc0\xaf",
            b"/a?q=\xed\xa0\x80",
            b"/a?\xc3\xa9<",
            b"/a?\xc3\xa9\\\x7f",
        ] {
            assert_eq!(path_of(target), Err(Violation::Target), "{}", String::from_utf8_lossy(target));
        }
        assert_eq!(path_of("/a?\u{e9}#b".as_bytes()), Err(Violation::Fragment));
        assert_eq!(escaped_target("/a?q=\u{e9}\u{1f600}&x".as_bytes()), b"/a?q=%C3%A9%F0%9F%98%80&x");
    }

    #[test]
    fn hosts_are_names_and_addresses_with_an_optional_port() {
        for host in ["a", "example.com", "my_host:8080", "127.0.0.1:1", "[::1]", "[2001:db8::1]:443", "xn--a.b-c"] {
            assert!(is_authority(host.as_bytes()), "{host}");
        }
        for host in [
            "", ":80", "a:", "a:x", "a:123456", "a b", "a,b", "u@a", "a/b", "a:80:80", "[::1", "::1", "[]", "[::1]x",
            "[::g]", "a%20b", "a\\b", "[v1.x]", "ä",
        ] {
            assert!(!is_authority(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn each_form_names_its_parts() {
        let parts = |method: &str, target: &str| {
            let bytes = format!("..{target}");
            judge(method.as_bytes(), bytes.as_bytes(), 2, bytes.len())
                .map(|spans| format!("{:?}", spans.request_target(bytes.as_bytes())))
        };
        let expected = |target: RequestTarget<'_>| Ok(format!("{target:?}"));
        assert_eq!(parts("GET", "/a?b"), expected(RequestTarget::Origin { path_and_query: b"/a?b" }));
        assert_eq!(parts("OPTIONS", "*"), expected(RequestTarget::Asterisk));
        assert_eq!(parts("CONNECT", "[::1]:80"), expected(RequestTarget::Authority(b"[::1]:80")));
        for (target, is_https, authority, path_and_query) in
            [("HTTP://A:1?b", false, "A:1", "?b"), ("https://a", true, "a", ""), ("http://a/b?c", false, "a", "/b?c")]
        {
            let authority = authority.as_bytes();
            let path_and_query = path_and_query.as_bytes();
            assert_eq!(parts("GET", target), expected(RequestTarget::Absolute { is_https, authority, path_and_query }));
        }
    }
}
