//! Requests that are refused. Each is refused alone and after a valid request, whole and at every split.

use http1::{HeadLimits, RequestParser, Violation};

use crate::reader::{LIMITS, Side, head_refused, in_pieces, text};

const FIRST: &str = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n";

/// Complete heads that are refused.
const HEADS: &[(Violation, &[&str])] = &[
    (
        Violation::BareLf,
        &[
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\n\r\nHost: a\r\n\r\n",
        ],
    ),
    (
        Violation::BareCr,
        &[
            "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
            "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\rX",
            "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\rHost: a\r\n\r\n",
            "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    ),
    (Violation::BlankLines, &["\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\n\r\n"]),
    (
        Violation::Method,
        &[
            " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\tGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "G\u{e4}T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET@ / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}",
            "(GET) / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\0GET / HTTP/1.1\r\n\r\n",
            "\r\n GET / HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ],
    ),
    (
        Violation::Spaces,
        &[
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\t\r\nHost: a\r\n\r\n",
            "CONNECT a:1 b:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    ),
    (
        Violation::Version,
        &[
            "GET /\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
            "GET / HTTP/1.\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.x\r\nHost: a\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "GET / HTTP/2\r\nHost: a\r\n\r\n",
            "GET / http/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
            "GET / HTTP/01.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
            "GET / HTTP/1,1\r\nHost: a\r\n\r\n",
            "GET / HTTPS/1.1\r\nHost: a\r\n\r\n",
            "GET /\u{a0}HTTP/1.1\r\nHost: a\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET\r\n\r\n",
        ],
    ),
    (
        Violation::TargetForm,
        &[
            "GET HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET  HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT :443 HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT http://a:443/ HTTP/1.1\r\nHost: a:443\r\n\r\n",
            "CONNECT u@a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
            "CONNECT * HTTP/1.1\r\nHost: a\r\n\r\n",
            "connect a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        ],
    ),
    (
        Violation::ConnectContent,
        &[
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 0\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ],
    ),
    (
        Violation::NoHost,
        &[
            "GET / HTTP/1.1\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nX-Host: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost_: a\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\n\r\n",
        ],
    ),
    (
        Violation::TwoHosts,
        &[
            "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nX: y\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\nHost: b\r\n\r\n",
        ],
    ),
    (
        Violation::OtherHost,
        &["CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"],
    ),
    (
        Violation::CodingInHttp10,
        &[
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ],
    ),
    (Violation::Fold, &["GET / HTTP/1.1\r\n Host: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n"]),
    (Violation::FieldName, &["GET / HTTP/1.1\r\nHost: a\r\nX\0Y: b\r\n\r\n", "GET / HTTP/1.1\r\n\u{7f}: a\r\n\r\n"]),
];

/// Field lines of a request that is valid without them.
const FIELDS: &[(Violation, &[&str])] = &[
    (Violation::BareLf, &["X: a\nContent-Length: 5", "X\n: y", "\nX: y", "X: y\n", "X:\ny"]),
    (Violation::BareCr, &["X: a\r Y: b", "X: y\r", "\rX: y", "X: a\r\r"]),
    (
        Violation::ControlOctet,
        &[
            "X: \0",
            "X: a\u{1}b",
            "X: \u{8}",
            "X: \u{b}",
            "X: \u{c}",
            "X: a\u{1f}",
            "X: \u{7f}",
            "X:\u{1b}[0m",
            "Transfer-Encoding: \u{b}chunked",
        ],
    ),
    (
        Violation::SpaceBeforeColon,
        &["Content-Length : 5", "X\t: 5", "X y: z", "GET / HTTP/1.1", "Transfer-Encoding : chunked", "X \r"],
    ),
    (Violation::Fold, &[" X: y", "X: y\r\n\tz", "\tX: y", "Transfer-Encoding:\r\n chunked", "Host: a\r\n b"]),
    (
        Violation::FieldName,
        &[": y", "X(y): z", "\u{e4}: z", "X,Y: z", "\"X\": z", "X/Y: z", "X\u{b}: z", "{}: z", "@: z"],
    ),
    (Violation::NoColon, &["X", "Content-Length"]),
    (Violation::Underscore, &["Content_Length: 5", "transfer_encoding: chunked", "CONTENT_LENGTH: 0"]),
    (Violation::TwoHosts, &["Host: a", "HOST: b", "host:"]),
    (
        Violation::Length,
        &[
            "Content-Length:",
            "Content-Length: +5",
            "Content-Length: -5",
            "Content-Length: 5, 5",
            "Content-Length: 5,5",
            "Content-Length: 5 5",
            "Content-Length: 0x5",
            "Content-Length: 5;",
            "Content-Length: 5.0",
            "Content-Length: 1e3",
            "Content-Length: \u{663}",
            "Content-Length: \"5\"",
            "Content-Length: 5_0",
            "Content-Length: 99999999999999999999",
            "Content-Length: 00000000000000000005",
            "Content-Length: 18446744073709551616",
        ],
    ),
    (
        Violation::TwoLengths,
        &[
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5\r\nX: y\r\ncontent-length: 6",
            "Content-Length: 0\r\nContent-Length:",
            "Content-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        ],
    ),
    (
        Violation::LengthAndCoding,
        &[
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            "transfer-encoding: CHUNKED\r\nX: y\r\ncontent-length: 5",
        ],
    ),
    (
        Violation::Coding,
        &[
            "Transfer-Encoding:",
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked, gzip",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: chunked,",
            "Transfer-Encoding: ,chunked",
            "Transfer-Encoding: \"chunked\"",
            "Transfer-Encoding: 'chunked'",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunkedx",
            "Transfer-Encoding: chunked;q=1",
            "Transfer-Encoding: chunk ed",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding:",
            "Transfer-Encoding: gzip\r\nContent-Length: 5",
        ],
    ),
    (
        Violation::ConnectionOptions,
        &[
            "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a",
            "Connection: ,,,,,,,,,,,,,,,,\r\nConnection: ,,,,,,,,,,,,,,,,",
        ],
    ),
];

/// Targets of a GET request.
const TARGETS: &[(Violation, &[&str])] = &[
    (
        Violation::Target,
        &["/\u{e4}", "/a?\u{e4}<", "/a\\b", "/<", "/>", "/a?\"", "/a?b>c", "/a?<", "/`", "/^\\", "http://a/\u{e4}"],
    ),
    (Violation::Fragment, &["/a#b", "/a?b#c", "/#", "http://a/#", "http://a#b"]),
    (Violation::Escape, &["/%", "/%2", "/%zz", "/a%00b", "/%%20", "/a%2/b", "/%0", "/%u0041", "http://a/%"]),
    (
        Violation::Overlong,
        &[
            "/a/..%c0%af..",
            "/%C1%9C",
            "http://a/%e0%80%ae",
            "/%F0%80%80%af",
            "/%f8%87%bf",
            "/a%c0",
            "/%c0%ae%c0%ae/b?c",
        ],
    ),
    (
        Violation::DotSegment,
        &["/a/../b", "/..", "/.", "/a/%2e%2E?x", "http://a/..", "/a/.%2e/b", "/a/..;x/b", "/a/..%2fb", "/a%5c..%5cb"],
    ),
    (
        Violation::TargetForm,
        &[
            "*",
            "a",
            "a:80",
            "ftp://a/",
            "http:/a",
            "http://",
            "http:///a",
            "http://u@a/",
            "http://u:p@a/",
            "?a",
            "http://a:b/",
            "http://a:/",
            "://a",
            "http//a/",
            "https://[::1/",
            "javascript:x",
            "#",
            "http://a\\b/",
        ],
    ),
];

/// Values of the one `Host` header.
const HOSTS: &[&str] = &[
    "", " ", "a b", "a,b", "a, b", "u@a", "a/b", "a:x", "a:80:80", "a:", ":80", "a:123456", "\u{e4}", "http://a",
    "a\tb", "a%20b", "a?b", "a#b", "[::1", "::1", "[::g]", "[::1]a", "a\\b", "*", "\"a\"", "a;b", "a_b:",
];

#[test]
fn heads_that_can_be_read_in_two_ways_are_refused() {
    for (violation, heads) in HEADS {
        for head in *heads {
            // Empty lines before the second request are judged after the first one.
            head_refused(Side::Requests, FIRST, *violation, head.as_bytes());
        }
    }
}

#[test]
fn field_lines_that_can_be_read_in_two_ways_are_refused() {
    for (violation, lines) in FIELDS {
        for line in *lines {
            let head = format!("POST /a HTTP/1.1\r\nHost: a\r\n{line}\r\nX: y\r\n\r\n");
            head_refused(Side::Requests, FIRST, *violation, head.as_bytes());
        }
    }
}

#[test]
fn targets_that_servers_resolve_differently_are_refused() {
    for (violation, targets) in TARGETS {
        for target in *targets {
            head_refused(
                Side::Requests,
                FIRST,
                *violation,
                format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
            );
        }
    }
}

#[test]
fn hosts_that_are_no_host_are_refused() {
    for host in HOSTS {
        head_refused(
            Side::Requests,
            FIRST,
            Violation::Host,
            format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(),
        );
    }
}

#[test]
fn control_octets_are_refused_everywhere() {
    for octet in (0..=31_u8).chain([127]).filter(|octet| !b"\t\r\n".contains(octet)) {
        for (violation, before, after) in [
            (Violation::ControlOctet, "GET / HTTP/1.1\r\nHost: a\r\nX: a", "b\r\n\r\n"),
            (Violation::FieldName, "GET / HTTP/1.1\r\nHost: a\r\nX", "Y: b\r\n\r\n"),
            (Violation::ControlOctet, "GET /a", "b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ] {
            let head = [before.as_bytes(), &[octet], after.as_bytes()].concat();
            head_refused(Side::Requests, FIRST, violation, &head);
        }
    }
}

#[test]
fn the_table_has_at_least_150_hostile_requests() {
    let count = |table: &[(Violation, &[&str])]| table.iter().map(|(_, cases)| cases.len()).sum::<usize>();
    let count = count(HEADS) + count(FIELDS) + count(TARGETS) + HOSTS.len();
    assert!(count >= 150, "{count}");
}

#[test]
fn heads_are_bounded() {
    let (head_bytes_max, line_bytes_max, fields_max) = LIMITS;
    let check = |bytes: String| in_pieces(Side::Requests, bytes.as_bytes()).refused;
    let refused = |violation: Violation| Some((violation, true));
    let head = |fill: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(fill));
    let room = head_bytes_max - head(0).len();
    assert_eq!(check(head(room)), None);
    assert_eq!(check(head(room + 1)), refused(Violation::HeadTooLarge));
    let line =
        |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - "GET / HTTP/1.1".len()));
    assert_eq!(check(line(line_bytes_max)), None);
    assert_eq!(check(line(line_bytes_max + 1)), refused(Violation::LineTooLarge));
    assert_eq!(check("G".repeat(line_bytes_max + 2)), refused(Violation::LineTooLarge));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(check(fields(fields_max)), None);
    assert_eq!(check(fields(fields_max + 1)), refused(Violation::TooManyFields));
    let name = |bytes: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}: y\r\n\r\n", "x".repeat(bytes));
    assert_eq!(check(name(http1::limits::NAME_BYTES_MAX)), None);
    assert_eq!(check(name(http1::limits::NAME_BYTES_MAX + 1)), refused(Violation::NameTooLarge));
    let options =
        |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: x{}\r\n\r\n", ",x".repeat(count - 1));
    assert_eq!(check(options(http1::limits::CONNECTION_OPTIONS_MAX)), None);
    assert_eq!(check(options(http1::limits::CONNECTION_OPTIONS_MAX + 1)), refused(Violation::ConnectionOptions));
    let name_without_end = format!("GET / HTTP/1.1\r\n{}", "x".repeat(http1::limits::NAME_BYTES_MAX + 1));
    assert_eq!(check(name_without_end), refused(Violation::NameTooLarge));
}

#[test]
fn targets_are_bounded() {
    let refused = |target: usize| {
        let bytes = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(target - 1));
        RequestParser::new(HeadLimits::new(1 << 20, 1 << 20, 100)).parse(bytes.as_bytes()).err()
    };
    assert_eq!(refused(http1::limits::TARGET_BYTES_MAX), None);
    assert_eq!(refused(http1::limits::TARGET_BYTES_MAX + 1), Some(Violation::TargetTooLarge));
}

#[test]
fn a_refused_head_keeps_a_request_line_that_is_valid() {
    let line = |bytes: &[u8]| {
        let mut parser = RequestParser::new(HeadLimits::default());
        assert!(parser.parse(bytes).is_err());
        assert!(parser.parse(bytes).is_err(), "a refused connection stays refused");
        parser.line(bytes).map(|(method, target)| format!("{} {}", text(method), text(target)))
    };
    assert_eq!(line(b"POST /v1/messages?a HTTP/1.0\r\n X: y\r\n\r\n").as_deref(), Some("POST /v1/messages?a"));
    assert_eq!(line(b"\r\nGET http://a/b HTTP/1.1\r\nHost: b c\r\n\r\n").as_deref(), Some("GET http://a/b"));
    assert_eq!(line(b"GET /a b HTTP/1.1\r\n\r\n"), None);
}
