use super::*;
use crate::field_writer::write_field;
use crate::{HeadLimits, KnownName, RequestParser, ResponseParser, ResponseTo};

#[test]
fn request_lines_join_the_parts_of_a_target() {
    let mut out = Vec::new();
    write_request_line(&mut out, b"GET", &[b"/base", b"/a", b"?b"]).unwrap();
    assert_eq!(out, b"GET /base/a?b HTTP/1.1\r\n");
    for (method, target, error) in [
        ("", "/", InvalidPart::Method),
        ("G T", "/", InvalidPart::Method),
        ("GET", "", InvalidPart::Target),
        ("GET", "/ HTTP/1.1\r\nX: y", InvalidPart::Target),
        ("GET", "/\u{e9}", InvalidPart::Target),
    ] {
        let mut out = b"before".to_vec();
        assert_eq!(
            write_request_line(&mut out, method.as_bytes(), &[target.as_bytes()]),
            Err(error),
            "{method} {target}"
        );
        assert_eq!(out, b"before");
    }
}

#[test]
fn status_lines_have_a_status_and_a_reason() {
    let written = |status, reason: &str| {
        let mut out = Vec::new();
        write_status_line(&mut out, status, reason.as_bytes()).map(|()| String::from_utf8(out).unwrap())
    };
    assert_eq!(written(200, "OK").unwrap(), "HTTP/1.1 200 OK\r\n");
    assert_eq!(written(999, "").unwrap(), "HTTP/1.1 999 \r\n");
    assert_eq!(written(99, ""), Err(InvalidPart::Status));
    assert_eq!(written(1000, ""), Err(InvalidPart::Status));
    assert_eq!(written(200, "a\r\nX: y"), Err(InvalidPart::Reason));
}

#[test]
fn fields_with_unusual_whitespace_are_written_anew() {
    let bytes = b"GET / HTTP/1.1\r\nHost:a\r\nA:\tb \r\nB:  c\r\nC: d\r\nD:\r\nE: \r\nF: g\th\r\n\r\n";
    let head = RequestParser::new(HeadLimits::default()).parse(bytes).unwrap().unwrap();
    let mut out = Vec::new();
    write_fields(&mut out, head.over(bytes).fields(), &HeadEdits::for_forwarding(), AnnouncedContent::Nothing);
    let expected = "Host:a\r\nA: b\r\nB: c\r\nC: d\r\nD:\r\nE: \r\nF: g\th\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn own_responses_are_complete_heads() {
    let own = |announced| {
        let mut out = Vec::new();
        write_status_line(&mut out, 429, b"Too Many Requests").unwrap();
        write_field(&mut out, b"content-type", b"application/json").unwrap();
        write_field(&mut out, b"set-cookie", b"a").unwrap();
        write_field(&mut out, b"set-cookie", b"b").unwrap();
        assert_eq!(write_field(&mut out, b"via", b"a\r\nb"), Err(InvalidPart::Value));
        assert_eq!(write_field(&mut out, b"a b", b"a"), Err(InvalidPart::Name));
        write_framing(&mut out, announced);
        out
    };
    // A length of 20 digits is refused by the parser: no content has it.
    assert!(ResponseParser::new(HeadLimits::default()).parse(&own(AnnouncedContent::Length(u64::MAX))).is_err());
    let out = own(AnnouncedContent::Length(1_234_567_890));
    let head = ResponseParser::new(HeadLimits::default()).parse(&out).unwrap().unwrap();
    assert_eq!((head.len(), head.announced()), (out.len(), AnnouncedContent::Length(1_234_567_890)));
    let response = head.over(&out);
    assert_eq!(response.reason(), b"Too Many Requests");
    assert_eq!(response.fields().all(KnownName::SetCookie).collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(response.fields().get(KnownName::ContentType), Some(&b"application/json"[..]));
}

#[test]
fn the_interim_response_is_a_head() {
    let head = ResponseParser::new(HeadLimits::default()).parse(CONTINUE).unwrap().unwrap();
    assert!(head.is_interim() && head.status() == 100 && head.len() == CONTINUE.len());
    assert_eq!(head.framing(ResponseTo::Other), crate::Framing::Empty);
}

#[test]
fn persistence_is_announced_where_it_differs_from_the_default_of_the_version() {
    assert_eq!(persistence_option(Version::Http11, true), None);
    assert_eq!(persistence_option(Version::Http11, false), Some(&b"close"[..]));
    assert_eq!(persistence_option(Version::Http10, true), Some(&b"keep-alive"[..]));
    assert_eq!(persistence_option(Version::Http10, false), None);
}

#[test]
fn numbers_are_decimal() {
    for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
        let mut out = Vec::new();
        write_decimal(&mut out, number);
        assert_eq!(out, number.to_string().as_bytes());
    }
}
