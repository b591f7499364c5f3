use proptest::prelude::*;

use super::judge::{ScanOutcome, check, scan};
use super::*;

const BYTES_MAX: usize = 4096;

fn whole(bytes: &[u8]) -> ScanOutcome {
    scan(bytes, &[usize::MAX], BYTES_MAX)
}

/// Cut anywhere, bytes come to the same, and hyper sees what the scan says.
#[track_caller]
fn at_every_split(bytes: &[u8]) -> ScanOutcome {
    let scanned = whole(bytes);
    for at in 1..bytes.len() {
        assert_eq!(scan(bytes, &[at, usize::MAX], BYTES_MAX).refused, scanned.refused, "cut at {at}");
        assert_eq!(scan(bytes, &[at, usize::MAX], BYTES_MAX).requests, scanned.requests, "cut at {at}");
    }
    assert_eq!(scan(bytes, &[1], BYTES_MAX).requests, scanned.requests);
    for pieces in [&[usize::MAX][..], &[1], &[7, 3], &[bytes.len() / 2, 1]] {
        if let Err(disagreement) = check(bytes, pieces, BYTES_MAX) {
            panic!("{disagreement}");
        }
    }
    scanned
}

/// A head, or what the fields of one are, that is refused.
#[track_caller]
fn refused(fault: Fault, bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    let scanned = at_every_split(bytes);
    assert_eq!(scanned.refused, Some(ScanRefusal::Head(fault)), "{}", String::from_utf8_lossy(bytes));
    assert!(scanned.requests.is_empty());
    // After a good one it is refused in its turn.
    let second = [b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n", bytes].concat();
    let scanned = at_every_split(&second);
    assert_eq!((scanned.requests.len(), scanned.refused), (1, Some(ScanRefusal::Head(fault))));
}

#[track_caller]
fn refused_fields(fault: Fault, fields: &str) {
    refused(fault, format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\nX: y\r\n\r\n"));
}

#[track_caller]
fn refused_target(fault: Fault, target: &str) {
    refused(fault, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
}

/// Bytes that pass; answers the requests that they are.
#[track_caller]
fn passes(bytes: impl AsRef<[u8]>) -> Vec<(String, Option<u64>)> {
    let bytes = bytes.as_ref();
    let scanned = at_every_split(bytes);
    assert_eq!((scanned.refused, scanned.passed_bytes), (None, bytes.len()), "{}", String::from_utf8_lossy(bytes));
    scanned.requests.into_iter().map(|request| (request.line, request.content_bytes)).collect()
}

#[track_caller]
fn refused_body(fault: Fault, body: &str) {
    let request = format!("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let scanned = at_every_split(request.as_bytes());
    assert_eq!(scanned.refused, Some(ScanRefusal::Body(fault)), "{body:?}");
    assert_eq!(scanned.requests[0].content_bytes, None, "{body:?}");
}

#[test]
fn lines_end_in_cr_lf_alone() {
    refused(Fault::BareLf, "GET / HTTP/1.1\nHost: a\n\n");
    refused(Fault::BareLf, "GET / HTTP/1.1\r\nHost: a\n\r\n");
    refused(Fault::BareLf, "GET / HTTP/1.1\r\nHost: a\r\n\n");
    refused(Fault::BareLf, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::BareCr, "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n");
    refused(Fault::BareCr, "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n");
    refused(Fault::BareCr, "GET / HTTP/1.1\r\nHost: a\r\n\rX");
    refused(Fault::BareCr, "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    refused_fields(Fault::BareLf, "X: a\nContent-Length: 5");
    refused_fields(Fault::BareCr, "X: a\r Y: b");
    refused_fields(Fault::BareLf, "X\n: y");
}

#[test]
fn control_bytes_are_refused() {
    for byte in (0..=31_u8).chain([127]).filter(|byte| !b"\t\r\n".contains(byte)) {
        let value = [b"GET / HTTP/1.1\r\nHost: a\r\nX: a", &[byte][..], b"b\r\n\r\n"].concat();
        refused(Fault::Control, &value);
        let name = [b"GET / HTTP/1.1\r\nHost: a\r\nX", &[byte][..], b"Y: b\r\n\r\n"].concat();
        refused(Fault::Name, &name);
        let target = [b"GET /a", &[byte][..], b"b HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        refused(Fault::Control, &target);
    }
    passes("GET / HTTP/1.1\r\nHost: a\r\nX:\ta\tb \r\nY: \u{e4}\r\n\r\n");
}

#[test]
fn one_blank_line_may_stand_before_a_request() {
    passes("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    passes("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::BlankLines, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn request_lines_have_a_method_two_spaces_and_a_version() {
    refused(Fault::Method, " GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::Method, "\tGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::Method, "G\u{e4}T / HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::Method, "GET@ / HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::Method, "\x16\x03\x01\x02");
    refused(Fault::Spaces, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::Spaces, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::Spaces, "GET / a HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::Spaces, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::Spaces, "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::Form, "GET HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::Form, "GET  HTTP/1.1\r\nHost: a\r\n\r\n");
    for version in [
        "",
        " HTTP/1.1 ",
        " HTTP/1.2",
        " HTTP/2.0",
        " http/1.1",
        " HTTP/1.10",
        " HTTP/0.9",
        " HTTP/1,1",
        "\u{a0}HTTP/1.1",
    ] {
        refused(Fault::Version, format!("GET /{version}\r\nHost: a\r\n\r\n"));
    }
    refused(Fault::Version, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(passes("M-SEARCH /a HTTP/1.0\r\n\r\n"), [("M-SEARCH /a".to_owned(), Some(0))]);
}

#[test]
fn targets_are_paths_or_urls() {
    for target in ["/a?b=c", "/%C3%A4?%zz={", "/a//b;c=d", "/{a}|\"b\"", "/a?b?c/../d", "/a?\\", "//"] {
        passes(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    passes("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    for target in ["/\u{e4}", "/a?\u{e4}", "/a\\b", "/<", "/a?\"", "/a?b>c", "/`"] {
        refused_target(Fault::Target, target);
    }
    for target in ["/a#b", "/a?b#c", "/#"] {
        refused_target(Fault::Fragment, target);
    }
    for target in ["/%", "/%2", "/%zz", "/a%00b", "/%%20", "/a%2/b"] {
        refused_target(Fault::Escape, target);
    }
    for target in ["/a/..%c0%af..", "/%C1%9C", "http://a/%e0%80%ae"] {
        refused_target(Fault::Overlong, target);
    }
    passes("GET /?%c0%af HTTP/1.1\r\nHost: a\r\n\r\n");
    for target in ["/a/../b", "/..", "/a/%2e%2E?x", "http://a/.."] {
        refused_target(Fault::DotSegment, target);
    }
    for target in
        ["*", "a", "a:80", "ftp://a/", "http:/a", "http://", "http:///a", "http://u@a/", "?a", "http://a:b/", "://a"]
    {
        refused_target(Fault::Form, target);
    }
    refused(Fault::Form, "OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(Fault::Connect, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn absolute_form_names_the_host_that_is_called() {
    for (target, host) in [
        ("http://a/b", "a"),
        ("HTTP://A:80/b?c", "a:80"),
        ("https://a", "A"),
        ("http://a?b", "a"),
        ("http://[::1]:8/", "[::1]:8"),
    ] {
        passes(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    passes("GET http://a/b HTTP/1.0\r\n\r\n");
    for (target, host) in [("http://a/", "b"), ("http://a:80/", "a"), ("http://a/", "a:80"), ("http://a.b/", "a")] {
        refused(Fault::OtherHost, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
}

#[test]
fn one_host_is_needed_and_not_two() {
    refused(Fault::NoHost, "GET / HTTP/1.1\r\n\r\n");
    refused(Fault::NoHost, "GET http://a/ HTTP/1.1\r\nX-Host: a\r\n\r\n");
    refused(Fault::TwoHosts, "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n");
    refused(Fault::TwoHosts, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n");
    passes("GET / HTTP/1.0\r\n\r\n");
    for host in ["", " ", "a b", "a,b", "a, b", "u@a", "a/b", "a:x", "a:80:80", "\u{e4}", "http://a", "a\tb"] {
        refused(Fault::Host, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    passes("GET / HTTP/1.1\r\nHost:\t[2001:db8::1]:8080 \r\n\r\n");
}

#[test]
fn fields_are_names_colons_and_values() {
    refused_fields(Fault::SpaceBeforeColon, "Content-Length : 5");
    refused_fields(Fault::SpaceBeforeColon, "X\t: 5");
    refused_fields(Fault::Fold, " X: y");
    refused_fields(Fault::Fold, "X: y\r\n\tz");
    refused(Fault::Fold, "GET / HTTP/1.1\r\n Host: a\r\n\r\n");
    refused_fields(Fault::Name, ": y");
    refused_fields(Fault::Name, "X(y): z");
    refused_fields(Fault::Name, "\u{e4}: z");
    refused_fields(Fault::NoColon, "X");
    refused_fields(Fault::Underscore, "Content_Length: 5");
    refused_fields(Fault::Underscore, "transfer_encoding: chunked");
    passes("GET / HTTP/1.1\r\nhOsT:a\r\nX:\r\nconversation_id: 1\r\nX: y\r\n\r\n");
}

#[test]
fn lengths_are_one_decimal_number() {
    for length in [
        "",
        "+5",
        "-5",
        "5, 5",
        "5 5",
        "0x5",
        "5;",
        "5.0",
        "1e3",
        "\u{663}",
        "99999999999999999999",
        "00000000000000000005",
    ] {
        refused_fields(Fault::Length, &format!("Content-Length: {length}"));
    }
    refused_fields(Fault::TwoLengths, "Content-Length: 5\r\nContent-Length: 5");
    refused_fields(Fault::TwoLengths, "Content-Length: 5\r\nX: y\r\ncontent-length: 6");
    refused_fields(Fault::LengthAndCoding, "Content-Length: 5\r\nTransfer-Encoding: chunked");
    refused_fields(Fault::LengthAndCoding, "Transfer-Encoding: chunked\r\nContent-Length: 0");
    assert_eq!(
        passes("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length:\t005 \r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a\r\n\r\n"),
        [("POST /a".to_owned(), Some(5)), ("GET /b".to_owned(), Some(0))]
    );
    let none = passes("POST /a HTTP/1.0\r\nContent-Length: 9999999999999999999\r\n\r\nx");
    assert_eq!(none, [("POST /a".to_owned(), None)]);
}

#[test]
fn of_transfer_codings_chunked_is_taken_once() {
    for coding in [
        "",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "chunked,",
        "\"chunked\"",
        "xchunked",
        "identity",
    ] {
        refused_fields(Fault::Coding, &format!("Transfer-Encoding: {coding}"));
    }
    refused_fields(Fault::Coding, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked");
    refused_fields(Fault::Coding, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity");
    refused(Fault::CodingInHttp10, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(
        passes(
            "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:  Chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n"
        ),
        [("POST /a".to_owned(), Some(6))]
    );
}

#[test]
fn chunks_are_framed_to_the_byte() {
    for body in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "0x5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        " 5\r\n",
        ";a\r\n",
        "11112222333344445\r\n",
        "5\n",
    ] {
        refused_body(Fault::ChunkSize, body);
    }
    for body in ["5\r\nhello!\r\n", "5\r\nhello\n", "5\r\nhello\rx", "5\rx", "5;a\rx"] {
        refused_body(Fault::ChunkEnd, body);
    }
    refused_body(Fault::ChunkExtension, "5;a\nb\r\nhello\r\n0\r\n\r\n");
    refused_body(Fault::ChunkExtension, "5;a\0b\r\nhello\r\n0\r\n\r\n");
    for (fault, trailers) in [
        (Fault::BareLf, "X: y\n\r\n"),
        (Fault::BareLf, "\n"),
        (Fault::Fold, " X: y\r\n\r\n"),
        (Fault::SpaceBeforeColon, "X : y\r\n\r\n"),
        (Fault::NoColon, "X\r\n\r\n"),
        (Fault::Trailer, "Content-Length: 5\r\n\r\n"),
        (Fault::Trailer, "Transfer-Encoding: chunked\r\n\r\n"),
        (Fault::Trailer, "Host: a\r\n\r\n"),
        (Fault::Control, "X: \0\r\n\r\n"),
    ] {
        refused_body(fault, &format!("1\r\nx\r\n0\r\n{trailers}"));
    }
    let well = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00a;b=\"c;d\"\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\nX: y\r\n\r\n";
    assert_eq!(passes(well.repeat(2)), [("POST /a".to_owned(), Some(10)), ("POST /a".to_owned(), Some(10))]);
}

#[test]
fn everything_has_a_bound() {
    let head = |fill: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(fill));
    let room = BYTES_MAX - head(0).len();
    let check = |bytes: String| {
        let scanned = whole(bytes.as_bytes());
        assert_eq!(scan(bytes.as_bytes(), &[1], BYTES_MAX), scanned);
        assert_eq!(scan(bytes.as_bytes(), &[100, 3], BYTES_MAX), scanned);
        super::judge::check(bytes.as_bytes(), &[1000], BYTES_MAX).unwrap();
        scanned.refused
    };
    assert_eq!(check(head(room)), None);
    assert_eq!(check(head(room + 1)), Some(ScanRefusal::Head(Fault::TooLarge)));
    assert_eq!(check("G".repeat(BYTES_MAX + 1)), Some(ScanRefusal::Head(Fault::TooLarge)));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(check(fields(FIELDS_MAX)), None);
    assert_eq!(check(fields(FIELDS_MAX + 1)), Some(ScanRefusal::Head(Fault::TooManyFields)));
    let name = |bytes: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}: y\r\n\r\n", "x".repeat(bytes));
    assert_eq!(check(name(NAME_BYTES_MAX)), None);
    assert_eq!(check(name(NAME_BYTES_MAX + 1)), Some(ScanRefusal::Head(Fault::NameTooLarge)));
    let body = |body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let extension = |bytes: usize| body(&format!("1;{}\r\nx\r\n0;{}\r\n\r\n", "e".repeat(bytes - 1), "e"));
    assert_eq!(check(extension(CHUNK_EXTENSIONS_BYTES_MAX)), None);
    let too_long = Some(ScanRefusal::Body(Fault::ChunkExtensionsTooLarge));
    assert_eq!(check(extension(CHUNK_EXTENSIONS_BYTES_MAX + 1)), too_long);
    assert_eq!(
        check(body(&format!("0\r\nX: {}\r\n\r\n", "x".repeat(BYTES_MAX)))),
        Some(ScanRefusal::Body(Fault::TooLarge))
    );
    let trailers = |count: usize| check(body(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(count))));
    assert_eq!(trailers(FIELDS_MAX), None);
    assert_eq!(trailers(FIELDS_MAX + 1), Some(ScanRefusal::Body(Fault::TooManyFields)));
}

#[test]
fn targets_longer_than_hyper_takes_are_refused() {
    let bytes = |target: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(target - 1)).into_bytes();
    for (target, refused) in
        [(TARGET_BYTES_MAX, None), (TARGET_BYTES_MAX + 1, Some(ScanRefusal::Head(Fault::TargetTooLarge)))]
    {
        let bytes = bytes(target);
        assert_eq!(scan(&bytes, &[usize::MAX], 1 << 20).refused, refused);
        check(&bytes, &[10_000], 1 << 20).unwrap();
    }
}

#[test]
fn stand_ins_keep_a_line_that_can_be_read() {
    let line = |bytes: &[u8]| {
        let mut scanner = Scanner::new(BYTES_MAX);
        assert!(matches!(scanner.push(bytes).found, ScanEvent::Refused(ScanRefusal::Head(_))));
        String::from_utf8(scanner.refused_line().to_vec()).unwrap()
    };
    assert_eq!(line(b"POST /v1/messages?a HTTP/1.0\r\n X: y\r\n\r\n"), "POST /v1/messages?a");
    assert_eq!(line(b"\r\nGET http://a/b HTTP/1.1\r\nHost: b\r\n\r\n"), "GET http://a/b");
    assert_eq!(line(b"GET /a b HTTP/1.1\r\n\r\n"), "");
}

/// One of `good` mostly, else one of `bad`.
fn mostly(good: &'static [&'static str], bad: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => prop::sample::select(good), 1 => prop::sample::select(bad)]
}

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![60 => Just("\r\n"), 1 => prop::sample::select(&["\n", "\r", "\r\r\n", "\n\r", "\r\n ", "\0\r\n"][..])]
}

/// A head with fields that say how long a body is, in every wrong way.
fn hostile_head() -> impl Strategy<Value = String> {
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
    let framing = prop::sample::select(
        &[
            "Content-Length: 0",
            "Content-Length: 3",
            "Content-Length: 12",
            "Content-Length:\t3 ",
            "Content-Length: +3",
            "Content-Length: 3, 3",
            "Content-Length: 0x3",
            "Content-Length : 3",
            "Content_Length: 3",
            "content-length: 03",
            "Transfer-Encoding: chunked",
            "transfer-encoding:Chunked\t",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding : chunked",
            " Transfer-Encoding: chunked",
            "Transfer-Encoding: \u{b}chunked",
            "Transfer-Encoding:\r\n chunked",
        ][..],
    );
    let other = prop::sample::select(
        &[
            "X: y",
            "Y:",
            "Expect: 100-continue",
            "Connection: close",
            "Upgrade: h2c\r\nConnection: upgrade",
            "Z: \u{e4}\t",
        ][..],
    );
    let field = prop_oneof![2 => framing, 1 => other];
    (line, host, prop::collection::vec((field, line_end()), 0..4), line_end()).prop_map(|(line, host, fields, end)| {
        let fields: String = fields.into_iter().flat_map(|(field, end)| [field, end]).collect();
        format!("{line}\r\n{host}\r\n{fields}{end}")
    })
}

/// What follows a head, chunked or not, well or not.
fn hostile_body() -> impl Strategy<Value = String> {
    let size = mostly(
        &["3", "c", "003", "3;a=b", "3;a=\"b\""],
        &["3 ", " 3", "0x3", "-3", "", "3;a\nb", "3\t;a", "fffffffffffffffff"],
    );
    let chunk = (size, line_end(), mostly(&["abc"], &["ab", "abcd"]), line_end()).prop_map(|(size, one, data, two)| {
        format!("{size}{one}{}{two}", if size == "c" { data.repeat(4) } else { data.to_owned() })
    });
    let last = mostly(
        &["0\r\n\r\n"],
        &["0\r\nX: y\r\n\r\n", "0\r\nHost: b\r\n\r\n", "0\r\nX: y\n\r\n", "0\n\n", "00\r\n\r\n"],
    );
    prop_oneof![
        2 => Just(String::new()),
        2 => prop::sample::select(&["abc", "abcabcabcabc", "ab"][..]).prop_map(str::to_owned),
        3 => (prop::collection::vec(chunk, 0..3), last).prop_map(|(chunks, last)| chunks.concat() + last),
    ]
}

/// Requests with what smuggling is made of.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let request = (hostile_head(), hostile_body()).prop_map(|(head, body)| head + &body);
    prop::collection::vec(request, 1..4).prop_map(|requests| requests.concat().into_bytes())
}

/// Whole requests one after the other, and then perhaps one byte changed, lost or doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let field = prop::sample::select(
        &["X: y\r\n", "Accept: */*\r\n", "Y:\t \r\n", "Cookie: a=b; c=d\r\n", "X-A: \u{e4}\r\n"][..],
    );
    let body = prop_oneof![
        Just("\r\n".to_owned()),
        (0..30_usize).prop_map(|length| format!("Content-Length: {length}\r\n\r\n{}", "b".repeat(length))),
        prop::collection::vec(1..20_usize, 0..4).prop_map(|chunks| {
            let chunks: String = chunks.iter().map(|size| format!("{size:X}\r\n{}\r\n", "c".repeat(*size))).collect();
            format!("Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
        }),
    ];
    let target = prop::sample::select(&["/", "/a?b=c", "http://h/x", "/%20/y;z"][..]);
    let request = (target, prop::collection::vec(field, 0..4), body)
        .prop_map(|(target, fields, body)| format!("POST {target} HTTP/1.1\r\nHost: h\r\n{}{body}", fields.concat()));
    let requests = prop::collection::vec(request, 1..5).prop_map(|requests| requests.concat().into_bytes());
    (requests, any::<prop::sample::Index>(), 0..4_u8, any::<u8>()).prop_map(|(mut bytes, at, change, byte)| {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pieces_come_to_what_the_whole_comes_to(
        bytes in prop_oneof![hostile(), mutated()],
        pieces in prop::collection::vec(1..40_usize, 1..6),
    ) {
        prop_assert_eq!(scan(&bytes, &pieces, 200), scan(&bytes, &[usize::MAX], 200));
        prop_assert_eq!(scan(&bytes, &[1], 200), scan(&bytes, &[usize::MAX], 200));
    }

    #[test]
    fn hyper_sees_the_requests_that_the_scan_saw(
        bytes in prop_oneof![hostile(), mutated()],
        pieces in prop::collection::vec(1..40_usize, 1..6),
    ) {
        if let Err(disagreement) = check(&bytes, &pieces, BYTES_MAX) {
            prop_assert!(false, "{}", disagreement);
        }
    }
}
