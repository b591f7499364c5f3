//! Generated connections: the result does not depend on the pieces, and a head that is written and parsed again is
//! unchanged.

use http1::{
    AnnouncedContent, BodyScanner, HeadEdits, HeadLimits, KnownName, RequestParser, ResponseTo, write_fields,
    write_request_line,
};
use proptest::prelude::*;

use crate::reader::{Side, read};

/// One of `good` mostly, else one of `bad`.
fn mostly(good: &'static [&'static str], bad: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => prop::sample::select(good), 1 => prop::sample::select(bad)]
}

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![60 => Just("\r\n"), 1 => prop::sample::select(&["\n", "\r", "\r\r\n", "\n\r", "\r\n ", "\0\r\n"][..])]
}

fn fields() -> impl Strategy<Value = String> {
    let framing = prop::sample::select(
        &[
            "Content-Length: 0",
            "Content-Length: 3",
            "Content-Length: 12",
            "Content-Length:\t3 ",
            "Content-Length: +3",
            "Content-Length: 3, 3",
            "Content-Length : 3",
            "Content_Length: 3",
            "content-length: 03",
            "Transfer-Encoding: chunked",
            "transfer-encoding:Chunked\t",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: xchunked",
            " Transfer-Encoding: chunked",
            "Transfer-Encoding:\r\n chunked",
        ][..],
    );
    let other = prop::sample::select(
        &[
            "X: y",
            "Y:",
            "Expect: 100-continue",
            "Connection: close",
            "Connection: x, keep-alive",
            "Upgrade: h2c\r\nConnection: upgrade",
            "Z: \u{e4}\t",
            "Cookie: a=b",
            "X_Forwarded_For: 1",
            "Proxy-Authorization: z",
        ][..],
    );
    let field = (prop_oneof![1 => framing, 2 => other], line_end());
    prop::collection::vec(field, 0..5)
        .prop_map(|fields| fields.into_iter().flat_map(|(field, end)| [field, end]).collect())
}

fn request_head() -> impl Strategy<Value = String> {
    let line = mostly(
        &["POST /a HTTP/1.1", "GET /b?c HTTP/1.1", "POST http://a/x HTTP/1.1", "PUT /c HTTP/1.0", "HEAD / HTTP/1.1"],
        &[
            "GET  / HTTP/1.1",
            "GET /\tx HTTP/1.1",
            "GET / HTTP/1.2",
            "GET x HTTP/1.1",
            "GET /",
            "\r\nGET / HTTP/1.1",
            "CONNECT a:1 HTTP/1.1",
        ],
    );
    let host = mostly(&["Host: a"], &["X: no host", "Host: a\r\nHost: b", "Host: a, b", "Host : a"]);
    (line, host, fields(), line_end())
        .prop_map(|(line, host, fields, end)| format!("{line}\r\n{host}\r\n{fields}{end}"))
}

fn response_head() -> impl Strategy<Value = String> {
    let line = mostly(
        &["HTTP/1.1 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.0 200 OK", "HTTP/1.1 100 Continue", "HTTP/1.1 304"],
        &["HTTP/1.1 20 OK", "HTTP/2 200 OK", "hello", "\r\nHTTP/1.1 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1 101 x"],
    );
    (line, fields(), line_end()).prop_map(|(line, fields, end)| format!("{line}\r\n{fields}{end}"))
}

fn body() -> impl Strategy<Value = String> {
    let size = mostly(&["3", "c", "003", "3;a=b", "3;a=\"b\""], &["3 ", " 3", "0x3", "-3", "", "3;a\nb", "3\t;a"]);
    let chunk = (size, line_end(), mostly(&["abc"], &["ab", "abcd"]), line_end()).prop_map(|(size, one, data, two)| {
        format!("{size}{one}{}{two}", if size == "c" { data.repeat(4) } else { data.to_owned() })
    });
    let last = mostly(
        &["0\r\n\r\n", "0\r\nX: y\r\n\r\n"],
        &["0\r\nHost: b\r\n\r\n", "0\r\nX: y\n\r\n", "0\n\n", "00\r\n\r\n"],
    );
    prop_oneof![
        2 => Just(String::new()),
        2 => prop::sample::select(&["abc", "abcabcabcabc", "ab"][..]).prop_map(str::to_owned),
        3 => (prop::collection::vec(chunk, 0..3), last).prop_map(|(chunks, last)| chunks.concat() + last),
    ]
}

/// Messages, and then perhaps one byte changed, lost or doubled.
fn connection(head: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let messages = prop::collection::vec((head, body()).prop_map(|(head, body)| head + &body), 1..4);
    (messages, any::<prop::sample::Index>(), 0..6_u8, any::<u8>()).prop_map(|(messages, at, change, byte)| {
        let mut bytes = messages.concat().into_bytes();
        let at = at.index(bytes.len());
        match change {
            1 => bytes[at] = byte,
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, bytes[at]),
            _ => {}
        }
        bytes
    })
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..40_usize, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_in_any_pieces_parse_like_the_whole(bytes in connection(request_head()), pieces in pieces()) {
        let whole = read(Side::Requests, &bytes, &[]);
        prop_assert_eq!(&read(Side::Requests, &bytes, &pieces), &whole);
        prop_assert_eq!(&read(Side::Requests, &bytes, &[1]), &whole);
    }

    #[test]
    fn responses_in_any_pieces_parse_like_the_whole(
        bytes in connection(response_head()),
        pieces in pieces(),
        to in prop::sample::select(&[ResponseTo::Other, ResponseTo::Head, ResponseTo::Connect][..]),
    ) {
        let whole = read(Side::Responses(to), &bytes, &[]);
        prop_assert_eq!(&read(Side::Responses(to), &bytes, &pieces), &whole);
        prop_assert_eq!(&read(Side::Responses(to), &bytes, &[1]), &whole);
    }

    #[test]
    fn arbitrary_octets_in_any_pieces_parse_like_the_whole(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        pieces in pieces(),
    ) {
        for side in [Side::Requests, Side::Responses(ResponseTo::Other)] {
            let whole = read(side, &bytes, &[]);
            prop_assert_eq!(&read(side, &bytes, &pieces), &whole);
        }
        let mut whole = BodyScanner::new(http1::Framing::Chunked);
        let mut cut = BodyScanner::new(http1::Framing::Chunked);
        let taken = whole.take(&bytes);
        let mut start = 0;
        for end in 1..=bytes.len() {
            start += cut.take(&bytes[start..end]).unwrap_or(0);
        }
        prop_assert_eq!(taken.unwrap_or(0), start);
    }

    #[test]
    fn a_written_head_is_read_back_with_its_edits(bytes in connection(request_head())) {
        let Ok(Some(head)) = RequestParser::new(HeadLimits::default()).parse(&bytes) else { return Ok(()) };
        let request = head.over(&bytes);
        let mut edits = HeadEdits::for_forwarding();
        edits.set(KnownName::Host, b"backend:80").unwrap();
        edits.remove(KnownName::XForwardedFor);
        let mut out = Vec::new();
        write_request_line(&mut out, request.method(), &request.origin_target()).unwrap();
        write_fields(&mut out, request.fields(), &edits, head.announced());
        let again = RequestParser::new(HeadLimits::default()).parse(&out).unwrap().unwrap();
        prop_assert_eq!((again.len(), again.announced()), (out.len(), head.announced()));
        let written = again.over(&out);
        prop_assert_eq!(written.method(), request.method());
        prop_assert_eq!((written.path(), written.query()), (request.path(), request.query()));
        let fields = written.fields();
        prop_assert_eq!(fields.all(KnownName::Host).collect::<Vec<_>>(), [b"backend:80"]);
        for gone in [KnownName::Connection, KnownName::Upgrade, KnownName::ProxyAuthorization] {
            prop_assert!(fields.get(gone).is_none());
        }
        prop_assert_eq!(fields.named(b"x_forwarded_for").count(), 0);
        let count = |fields: http1::Fields<'_>| fields.named(b"Cookie").count() + fields.named(b"Z").count();
        prop_assert_eq!(count(fields), count(request.fields()));
        prop_assert!(head.announced() == AnnouncedContent::Nothing || again.announced() != AnnouncedContent::Nothing);
    }
}
