//! The request line: method, target, version.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::TARGET_BYTES_MAX;
use super::bytes::{host_name_len, is_query, path_len, token_len};
use super::fault::Fault;

/// A request line that can be read in one way only. Places are those within the line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) is_http11: bool,
    /// Where the target ends; method, space and target stand before it.
    pub(super) target_end: usize,
    /// Host and port of an absolute-form.
    pub(super) authority: Option<Range<usize>>,
}

/// Reads a line, which has no control byte, without its CR LF.
pub(super) fn read(line: &[u8]) -> Result<Line, Fault> {
    let method_len = token_len(line);
    let (method, rest) = line.split_at_checked(method_len).ok_or(Fault::Method)?;
    if method.is_empty() || !matches!(rest.first(), None | Some(b' ')) {
        return Err(Fault::Method);
    }
    let (rest, is_http11) = match (rest.strip_suffix(b" HTTP/1.1"), rest.strip_suffix(b" HTTP/1.0")) {
        (Some(rest), _) => (rest, true),
        (_, Some(rest)) => (rest, false),
        (None, None) => return Err(Fault::Version),
    };
    let target = rest.strip_prefix(b" ").filter(|target| !target.is_empty()).ok_or(Fault::Form)?;
    if target.len() > TARGET_BYTES_MAX {
        return Err(Fault::TargetTooLarge);
    }
    if method == b"CONNECT" {
        return Err(Fault::Connect);
    }
    let begins = method_len + 1;
    let authority = match target {
        [b'/', ..] => path_and_query(target).map(|()| None),
        b"*" if method == b"OPTIONS" => Ok(None),
        _ => absolute(target).map(Some),
    };
    let authority = authority.map_err(|fault| if target.contains(&b' ') { Fault::Spaces } else { fault })?;
    let authority = authority.map(|place| begins + place.start..begins + place.end);
    Ok(Line { is_http11, target_end: begins + target.len(), authority })
}

/// A host with or without a port (RFC 9110, 7.2), which is not empty.
pub(super) fn is_authority(value: &[u8]) -> bool {
    let (is_host, rest) = match value {
        [b'[', rest @ ..] => {
            let end = memchr::memchr(b']', rest).unwrap_or(rest.len());
            let (address, rest) = rest.split_at_checked(end).unwrap_or_default();
            let address = std::str::from_utf8(address).ok().and_then(|address| address.parse::<Ipv6Addr>().ok());
            let rest = rest.strip_prefix(b"]");
            (address.is_some() && rest.is_some(), rest.unwrap_or_default())
        }
        _ => {
            let (name, rest) = value.split_at_checked(host_name_len(value)).unwrap_or_default();
            (!name.is_empty(), rest)
        }
    };
    let is_port = match rest {
        [] => true,
        [b':', port @ ..] => (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_host && is_port
}

/// Where host and port stand in an absolute-form.
fn absolute(target: &[u8]) -> Result<Range<usize>, Fault> {
    let slashes = target.windows(3).position(|three| three == b"://").ok_or(Fault::Form)?;
    let (scheme, rest) = target.split_at_checked(slashes).ok_or(Fault::Form)?;
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(Fault::Form);
    }
    let rest = rest.strip_prefix(b"://").ok_or(Fault::Form)?;
    let end = memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).ok_or(Fault::Form)?;
    if !is_authority(authority) {
        return Err(Fault::Form);
    }
    path_and_query(rest)?;
    let begins = slashes + 3;
    Ok(begins..begins + end)
}

fn path_and_query(target: &[u8]) -> Result<(), Fault> {
    let (path_len, has_dots_or_escapes) = path_len(target);
    let (path, query) = target.split_at_checked(path_len).unwrap_or_default();
    if !matches!(query.first(), None | Some(b'?')) || !is_query(query) {
        return Err(if target.contains(&b'#') { Fault::Fragment } else { Fault::Target });
    }
    if has_dots_or_escapes {
        if !escapes_well(path) {
            return Err(Fault::Escape);
        }
        if has_overlong(path) {
            return Err(Fault::Overlong);
        }
        if has_dot_segment(path) {
            return Err(Fault::DotSegment);
        }
    }
    Ok(())
}

fn escapes_well(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'%').skip(1).all(|escaped| match escaped {
        [b'0', b'0', ..] => false,
        [high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    })
}

/// Whether escapes spell a character in more bytes than it needs (RFC 3629, 3). No UTF-8 has C0 or C1, whatever follows; the
/// other leading bytes are letters in Latin-1, so they are refused only before the escapes that make them overlong.
fn has_overlong(path: &[u8]) -> bool {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |high: u8, low: u8| Some(nibble(high)? << 4 | nibble(low)?);
    let mut escapes = path.split(|byte| *byte == b'%').skip(1).map(|escape| match escape {
        [high, low, rest @ ..] => (byte(*high, *low), rest.is_empty()),
        _ => (None, false),
    });
    let mut leads = None;
    escapes.any(|(byte, goes_on)| {
        let before = std::mem::replace(&mut leads, byte.filter(|_| goes_on));
        match (before, byte) {
            (_, Some(0xc0 | 0xc1)) => true,
            (Some(0xe0), Some(0x80..=0x9f)) | (Some(0xf0), Some(0x80..=0x8f)) => true,
            // Sequences of five and six bytes, which older readers know.
            (Some(0xf8), Some(0x80..=0x87)) | (Some(0xfc), Some(0x80..=0x83)) => true,
            _ => false,
        }
    })
}

/// Whether a segment is `.` or `..`, however it is written: percent-encoded, between separators that are, or with
/// parameters behind it (`..;x`), which some servers take off first.
fn has_dot_segment(path: &[u8]) -> bool {
    // So many dots and nothing else since the last separator.
    let mut dots = None;
    let mut rest = path;
    loop {
        let (byte, after) = match rest {
            [b'%', high, low, after @ ..] => (unescaped(*high, *low), after),
            [byte, after @ ..] => (*byte, after),
            [] => return matches!(dots, Some(1 | 2)),
        };
        rest = after;
        match byte {
            b'/' | b'\\' | b';' if matches!(dots, Some(1 | 2)) => return true,
            b'/' | b'\\' => dots = Some(0_u32),
            b'.' => dots = dots.map(|dots| dots.saturating_add(1)),
            _ => dots = None,
        }
    }
}

/// The byte of an escape, as far as dots and separators go.
const fn unescaped(high: u8, low: u8) -> u8 {
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
    fn dot_segments_are_refused_however_they_are_written() {
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
    fn overlong_utf8_is_refused_and_shortest_is_not() {
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
            "/a%20b",
            "/",
        ] {
            assert!(!has_overlong(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn hosts_are_names_and_addresses_with_or_without_a_port() {
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
}
