//! Responses that are refused. Each is refused alone and after a valid response, whole and at every split.

use http1::{HeadLimits, ResponseParser, ResponseTo, Violation};

use crate::reader::{LIMITS, Side, at_every_split, head_refused, in_pieces};

const SIDE: Side = Side::Responses(ResponseTo::Other);
const FIRST: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Complete heads that are refused.
const HEADS: &[(Violation, &[&str])] = &[
    (
        Violation::StatusLine,
        &[
            "<html>hello</html>",
            "hello\r\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "\nHTTP/1.1 200 OK\r\n\r\n",
            " HTTP/1.1 200 OK\r\n\r\n",
            "\0HTTP/1.1 200 OK\r\n\r\n",
            "http/1.1 200 OK\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/0.9 200 OK\r\n\r\n",
            "HTTPS/1.1 200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "\u{15}\u{3}\u{1}",
            "HTTP/1.1\r\n\r\n",
            "HTTP/1.1 \r\n\r\n",
            "HTTP/1.1 20\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1 000 OK\r\n\r\n",
            "HTTP/1.1 0200 OK\r\n\r\n",
            "HTTP/1.1 +20 OK\r\n\r\n",
            "HTTP/1.1 -20 OK\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/1.1\t200 OK\r\n\r\n",
            "HTTP/1.1 200\tOK\r\n\r\n",
            "HTTP/1.1 200OK\r\n\r\n",
            "HTTP/1.1 200.1 OK\r\n\r\n",
            "HTTP/1.10 200 OK\r\n\r\n",
            "HTTP/1.1,200 OK\r\n\r\n",
        ],
    ),
    (Violation::Version, &["HTTP/1. 200 OK\r\n\r\n", "HTTP/1.x 200 OK\r\n\r\n"]),
    (
        Violation::BareLf,
        &["HTTP/1.1 200 OK\nContent-Length: 0\n\n", "HTTP/1.1 200 OK\r\nX: y\n\r\n", "HTTP/1.1 200 OK\r\n\n"],
    ),
    (
        Violation::BareCr,
        &["HTTP/1.1 200 OK\rX: y\r\n\r\n", "HTTP/1.1 200 O\rK\r\n\r\n", "HTTP/1.1 200 OK\r\n\rX: y\r\n\r\n"],
    ),
    (
        Violation::ControlOctet,
        &["HTTP/1.1 200 O\0K\r\n\r\n", "HTTP/1.1 200 OK\u{b}\r\n\r\n", "HTTP/1.1 2\0 OK\r\n\r\n", "HTTP/1.\u{1}"],
    ),
    (Violation::Fold, &["HTTP/1.1 200 OK\r\n X: y\r\n\r\n"]),
    (Violation::CodingInHttp10, &["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]),
];

/// Field lines of a response that is valid without them.
const FIELDS: &[(Violation, &[&str])] = &[
    (Violation::BareLf, &["X: a\nSet-Cookie: b", "X\n: y", "\nX: y"]),
    (Violation::BareCr, &["X: a\rSet-Cookie: b", "X: y\r"]),
    (Violation::ControlOctet, &["X: \0", "X: a\u{8}b", "Location: /\u{c}", "X: \u{7f}"]),
    (
        Violation::SpaceBeforeColon,
        &["Content-Length x: 5", "X\t", "X \t", "Transfer-Encoding \u{b}: chunked", "X \0: y"],
    ),
    (Violation::Fold, &["X: y\r\n z", "Transfer-Encoding:\r\n\tchunked", " X: y"]),
    (Violation::FieldName, &[": y", "X@: y", "\u{e4}: y", "X\0: y", "HTTP/1.1 200 OK"]),
    (Violation::NoColon, &["X", "Content-Length"]),
    (Violation::Underscore, &["Content_Length: 5", "Transfer_Encoding: chunked"]),
    (
        Violation::Length,
        &[
            "Content-Length:",
            "Content-Length: -1",
            "Content-Length: +1",
            "Content-Length: 1, 1",
            "Content-Length: 1 1",
            "Content-Length: 0x1",
            "Content-Length: 99999999999999999999",
        ],
    ),
    (
        Violation::TwoLengths,
        &["Content-Length: 1\r\nContent-Length: 1", "Content-Length: 1\r\nX: y\r\ncontent-length: 2"],
    ),
    (
        Violation::LengthAndCoding,
        &["Content-Length: 1\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 0"],
    ),
    (
        Violation::Coding,
        &[
            "Transfer-Encoding:",
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: identity\r\nContent-Length: 5",
        ],
    ),
    (Violation::ConnectionOptions, &["Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"]),
];

#[test]
fn heads_that_can_be_read_in_two_ways_are_refused() {
    for (violation, heads) in HEADS {
        for head in *heads {
            head_refused(SIDE, FIRST, *violation, head.as_bytes());
        }
    }
}

#[test]
fn field_lines_that_can_be_read_in_two_ways_are_refused() {
    for (violation, lines) in FIELDS {
        for line in *lines {
            let head = format!("HTTP/1.1 200 OK\r\nServer: a\r\n{line}\r\nX: y\r\n\r\n");
            head_refused(SIDE, FIRST, *violation, head.as_bytes());
        }
    }
}

#[test]
fn the_table_has_at_least_60_hostile_responses() {
    let count = |table: &[(Violation, &[&str])]| table.iter().map(|(_, cases)| cases.len()).sum::<usize>();
    let count = count(HEADS) + count(FIELDS);
    assert!(count >= 60, "{count}");
}

#[test]
fn broken_chunks_end_the_response_and_not_its_head() {
    for body in ["x\r\n", "\r\n", "5 \r\nhello\r\n", "1\r\nxy\r\n", "0\r\nContent-Length\r\n\r\n", "0\n\n"] {
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let outcome = at_every_split(SIDE, bytes.as_bytes());
        assert_eq!(outcome.messages.len(), 1);
        assert!(matches!(outcome.refused, Some((_, false))), "{body:?}");
    }
}

#[test]
fn heads_are_bounded() {
    let (head_bytes_max, line_bytes_max, fields_max) = LIMITS;
    let check = |bytes: String| in_pieces(SIDE, bytes.as_bytes()).refused;
    let refused = |violation: Violation| Some((violation, true));
    let head = |fill: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: {}\r\n\r\n", "x".repeat(fill));
    let room = head_bytes_max - head(0).len();
    assert_eq!(check(head(room)), None);
    assert_eq!(check(head(room + 1)), refused(Violation::HeadTooLarge));
    let line = |bytes: usize| format!("HTTP/1.1 204 {}\r\n\r\n", "x".repeat(bytes - "HTTP/1.1 204 ".len()));
    assert_eq!(check(line(line_bytes_max)), None);
    assert_eq!(check(line(line_bytes_max + 1)), refused(Violation::LineTooLarge));
    let spaced = |blanks: usize| format!("HTTP/1.1 204 x\r\nX{}: y\r\n\r\n", " ".repeat(blanks));
    assert_eq!(check(spaced(http1::limits::NAME_BYTES_MAX - 1)), None);
    assert_eq!(check(spaced(http1::limits::NAME_BYTES_MAX)), refused(Violation::NameTooLarge));
    let fields = |count: usize| format!("HTTP/1.1 204 x\r\n{}\r\n", "X: y\r\n".repeat(count));
    assert_eq!(check(fields(fields_max)), None);
    assert_eq!(check(fields(fields_max + 1)), refused(Violation::TooManyFields));
}

#[test]
fn a_refused_connection_stays_refused() {
    let mut parser = ResponseParser::new(HeadLimits::default());
    let violation = parser.parse(b"HTTP/1.1 200 OK\r\n X: y\r\n\r\n").unwrap_err();
    assert_eq!(parser.parse(FIRST.as_bytes()).unwrap_err(), violation);
}
