//! The head of a request on a stream, written as HTTP/1.1 has it and parsed by the same strict parser. So every rule about
//! targets, names, values, lengths and hosts applies to both protocols, and routes, edits and logs see one form.
//!
//! h2 has refused what only HTTP/2 can express before: pseudo-fields that are missing, repeated or late, names with upper
//! case, fields of the connection, and `TE` other than `trailers` (RFC 9113, 8.2 and 8.3). Such a stream is reset.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, COOKIE, HOST};
use http::request::Parts;
use http1::{HeadLimits, InvalidPart, RequestParser, Violation, escaped_target, write_field, write_request_line};

use crate::client::head::Head;

/// Room for the bytes of a usual head.
const HEAD_BYTES_USUAL: usize = 1024;

/// Returns the head of a request. `has_content` is false if the stream ended with the head.
pub(super) fn received(parts: &Parts, has_content: bool, limits: HeadLimits) -> Head {
    let parsed = written(parts, has_content).and_then(|bytes| {
        let head = RequestParser::new(limits).parse(&bytes)?.ok_or(Violation::Truncated)?;
        Ok(Head::new(Bytes::from(bytes), head))
    });
    parsed.unwrap_or_else(|violation| {
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        Head::refused(Some((parts.method.as_str().as_bytes(), target.as_bytes())), violation)
    })
}

/// Writes the head with `Host`, one `Cookie`, and the framing that the stream has.
fn written(parts: &Parts, has_content: bool) -> Result<Vec<u8>, Violation> {
    let mut out = Vec::with_capacity(HEAD_BYTES_USUAL);
    let is_connect = parts.method == http::Method::CONNECT;
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let target = target(parts, authority)?;
    // A query that is not escaped is, as over HTTP/1.1. A path with other octets is refused.
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let escaped = if query.is_ascii() { None } else { Some(escaped_target(query.as_bytes())) };
    let parts_of_target = [path.as_bytes(), escaped.as_deref().unwrap_or(query.as_bytes())];
    write_request_line(&mut out, parts.method.as_str().as_bytes(), &parts_of_target).map_err(violation)?;
    if let Some(authority) = authority {
        write_field(&mut out, HOST.as_str().as_bytes(), authority.as_bytes()).map_err(violation)?;
    }
    for (name, value) in &parts.headers {
        match (name, authority) {
            (&COOKIE, _) => {}
            // RFC 9113, 8.3.1: `Host` may repeat `:authority`, and may not differ from it.
            (&HOST, Some(authority)) if value.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => {}
            (&HOST, Some(_)) => return Err(Violation::OtherHost),
            _ => write_field(&mut out, name.as_str().as_bytes(), value.as_bytes()).map_err(violation)?,
        }
    }
    // A client may send each pair of a cookie as one field (RFC 9113, 8.2.3).
    let cookies: Vec<&[u8]> = parts.headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes).collect();
    if !cookies.is_empty() {
        write_field(&mut out, COOKIE.as_str().as_bytes(), &cookies.join(&b"; "[..])).map_err(violation)?;
    }
    if has_content && !is_connect && !parts.headers.contains_key(CONTENT_LENGTH) {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// Returns the target as a request line has it: the authority of CONNECT, otherwise `:path`, which is a path or `*`.
fn target<'a>(parts: &'a Parts, authority: Option<&'a str>) -> Result<&'a str, Violation> {
    if parts.method == http::Method::CONNECT {
        return authority.ok_or(Violation::TargetForm);
    }
    let is_http = parts.uri.scheme_str().is_none_or(|scheme| matches!(scheme, "http" | "https"));
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    if is_http && (path == "*" || path.starts_with('/')) { Ok(path) } else { Err(Violation::TargetForm) }
}

const fn violation(part: InvalidPart) -> Violation {
    match part {
        InvalidPart::Method => Violation::Method,
        InvalidPart::Name => Violation::FieldName,
        InvalidPart::Value => Violation::ControlOctet,
        InvalidPart::Target | InvalidPart::Status | InvalidPart::Reason | InvalidPart::TooMany => Violation::Target,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, Method, Request};
    use http1::{AnnouncedContent, KnownName};

    use super::*;

    fn head_of(method: &str, uri: &str, fields: &[(&'static str, &str)], has_content: bool) -> Head {
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        *request.uri_mut() = uri.parse().unwrap();
        for (name, value) in fields {
            request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        received(&request.into_parts().0, has_content, HeadLimits::new(1000, 1000, 100))
    }

    #[test]
    fn authority_becomes_the_host_and_cookies_one_field() {
        let fields = [("cookie", "a=b"), ("x-a", "1"), ("cookie", "c=d"), ("x-a", "2"), ("host", "API.example")];
        let head = head_of("GET", "https://api.example/p?q", &fields, false);
        assert_eq!((head.violation(), head.path(), head.query()), (None, "/p", Some("q")));
        assert_eq!(head.get(KnownName::Host), Some(&b"api.example"[..]));
        assert_eq!(head.fields().all(KnownName::Cookie).collect::<Vec<_>>(), [b"a=b; c=d"]);
        assert_eq!(head.fields().named(b"x-a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!((head.fields().len(), head.announced()), (4, AnnouncedContent::Nothing));
    }

    #[test]
    fn a_query_is_escaped() {
        let head = head_of("GET", "https://api.example/p?q=\u{e9}", &[], false);
        assert_eq!((head.violation(), head.query()), (None, Some("q=%C3%A9")));
    }

    #[test]
    fn content_without_a_length_is_announced_as_chunked() {
        for (fields, has_content, announced) in [
            (&[][..], true, AnnouncedContent::Chunked),
            (&[("content-length", "5")], true, AnnouncedContent::Length(5)),
            (&[("content-length", "0")], false, AnnouncedContent::Length(0)),
            (&[], false, AnnouncedContent::Nothing),
        ] {
            assert_eq!(head_of("POST", "http://h/", fields, has_content).announced(), announced);
        }
    }

    #[test]
    fn heads_are_judged_by_the_rules_of_http1() {
        let check = |uri: &str, fields: &[(&'static str, &str)], violation| {
            assert_eq!(head_of("GET", uri, fields, false).violation(), Some(violation), "{uri} {fields:?}");
        };
        check("/", &[], Violation::NoHost);
        check("/", &[("host", "a"), ("host", "a")], Violation::TwoHosts);
        check("http://a/", &[("host", "b")], Violation::OtherHost);
        check("http://user@a/", &[], Violation::Host);
        check("ftp://a/", &[], Violation::TargetForm);
        check("http://a/%zz", &[], Violation::Escape);
        check("http://a/b/../c", &[], Violation::DotSegment);
        check("http://a/", &[("content-length", "1"), ("content-length", "1")], Violation::TwoLengths);
        check("http://a/", &[("content_length", "1")], Violation::Underscore);
        check("http://a/", &[("x", &"y".repeat(1000))], Violation::HeadTooLarge);
        let connect = head_of("CONNECT", "a:443", &[], true);
        assert!(connect.is_connect() && connect.violation().is_none());
    }
}
