//! Requests that are accepted, and the values that are read from them.

use http1::{HeadLimits, KnownName, RequestParser, RequestTarget};

use crate::reader::{Side, accepted, at_every_split, text};

/// A message, and the values that are read: method, target, form, version, persistence, announced content, content.
pub(crate) const ACCEPTED: &[(&str, &str)] = &[
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("GET / HTTP/1.0\r\n\r\n", "GET / origin 1.0 closes content 0"),
    ("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "GET / origin 1.0 persists content 0"),
    ("GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n", "GET / origin 1.0 closes content 0"),
    ("GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n", "GET / origin 1.0 closes content 0"),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / origin 1.1 closes content 0"),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n", "GET / origin 1.1 closes content 0"),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n", "GET / origin 1.1 closes content 0"),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection:\tclose \r\n\r\n", "GET / origin 1.1 closes content 0"),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection:\r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n", "GET / origin 1.1 closes content 0"),
    ("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /a origin 1.1 persists content 0"),
    ("M-SEARCH /a HTTP/1.0\r\n\r\n", "M-SEARCH /a origin 1.0 closes content 0"),
    ("!#$%&'*+-.^_`|~0aZ / HTTP/1.0\r\n\r\n", "!#$%&'*+-.^_`|~0aZ / origin 1.0 closes content 0"),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * asterisk 1.1 persists content 0"),
    ("OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS /a origin 1.1 persists content 0"),
    ("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS http://a http 1.1 persists content 0"),
    ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "CONNECT a:443 authority 1.1 persists content 0"),
    ("CONNECT [::1]:443 HTTP/1.0\r\n\r\n", "CONNECT [::1]:443 authority 1.0 closes content 0"),
    ("GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://a/b http 1.1 persists content 0"),
    ("GET HTTP://A:80/b?c HTTP/1.1\r\nHost: a:80\r\n\r\n", "GET HTTP://A:80/b?c http 1.1 persists content 0"),
    ("GET https://a HTTP/1.1\r\nHost: A\r\n\r\n", "GET https://a https 1.1 persists content 0"),
    ("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://a?b http 1.1 persists content 0"),
    ("GET http://[::1]:8/ HTTP/1.1\r\nHost: [::1]:8\r\n\r\n", "GET http://[::1]:8/ http 1.1 persists content 0"),
    ("GET http://a/b HTTP/1.0\r\n\r\n", "GET http://a/b http 1.0 closes content 0"),
    ("GET http://a/b HTTP/1.1\r\nHost: b\r\n\r\n", "GET http://a/b http 1.1 persists content 0"),
    ("GET http://a:80/ HTTP/1.0\r\nHost: a\r\n\r\n", "GET http://a:80/ http 1.0 closes content 0"),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("GET /a HTTP/1.9\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /a origin 1.1 closes content 0"),
    ("GET /x?q=\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?q=\u{e9} origin 1.1 persists content 0"),
    ("GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?b=c origin 1.1 persists content 0"),
    ("GET /%C3%A4?%zz={ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /%C3%A4?%zz={ origin 1.1 persists content 0"),
    ("GET /?%c0%af HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?%c0%af origin 1.1 persists content 0"),
    ("GET /%e0%a0%80/voil%e0 HTTP/1.0\r\n\r\n", "GET /%e0%a0%80/voil%e0 origin 1.0 closes content 0"),
    ("GET /a//b;c=d HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a//b;c=d origin 1.1 persists content 0"),
    ("GET /{a}|\"b\" HTTP/1.1\r\nHost: a\r\n\r\n", "GET /{a}|\"b\" origin 1.1 persists content 0"),
    ("GET /a?b?c/../d HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?b?c/../d origin 1.1 persists content 0"),
    ("GET /a?\\ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?\\ origin 1.1 persists content 0"),
    ("GET // HTTP/1.1\r\nHost: a\r\n\r\n", "GET // origin 1.1 persists content 0"),
    ("GET /.well-known/...x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /.well-known/...x origin 1.1 persists content 0"),
    ("GET / HTTP/1.1\r\nHost:\t[2001:db8::1]:8080 \r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("GET / HTTP/1.1\r\nhOsT:my_host\r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX:\ta\tb \r\nY: \u{e4}\r\nX:\r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("GET / HTTP/1.1\r\nHost: a\r\nconversation_id: 1\r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "POST / origin 1.1 persists length=0 content 0"),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t005 \r\n\r\nhello",
        "POST / origin 1.1 persists length=5 content 5",
    ),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\r\n", "GET / origin 1.1 persists length=2 content 2"),
    (
        "POST / HTTP/1.0\r\nContent-Length: 9999999999999999999\r\n\r\nx",
        "POST / origin 1.0 closes length=9999999999999999999 content 1+",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:  Chunked\t\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n",
        "POST / origin 1.1 persists chunked content 6",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n",
        "POST / origin 1.1 persists chunked content 0",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\nx",
        "POST / origin 1.1 persists length=1 expects content 1",
    ),
    ("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", "GET / origin 1.1 persists expects-unknown content 0"),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: y\r\n\r\n",
        "GET / origin 1.1 persists expects-unknown content 0",
    ),
    ("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", "GET / origin 1.0 closes content 0"),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / origin 1.1 persists upgrade content 0",
    ),
    ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", "GET / origin 1.1 persists content 0"),
    ("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "GET / origin 1.0 closes content 0"),
];

#[test]
fn accepted_requests_are_read_as_written() {
    for (bytes, expected) in ACCEPTED {
        assert_eq!(&accepted(Side::Requests, bytes.as_bytes()), expected, "{bytes:?}");
    }
}

#[test]
fn requests_follow_each_other_in_one_buffer() {
    let bytes: Vec<u8> = ACCEPTED
        .iter()
        .filter(|(_, expected)| !expected.ends_with('+'))
        .flat_map(|(bytes, _)| bytes.as_bytes())
        .copied()
        .collect();
    let outcome = crate::reader::read(Side::Requests, &bytes, &[]);
    let expected: Vec<&str> =
        ACCEPTED.iter().map(|(_, expected)| *expected).filter(|line| !line.ends_with('+')).collect();
    assert_eq!((outcome.refused, outcome.taken), (None, bytes.len()));
    assert_eq!(outcome.messages, expected);
    assert_eq!(crate::reader::read(Side::Requests, &bytes, &[1]), outcome);
}

#[test]
fn content_ends_where_the_next_request_begins() {
    let chunked = "Transfer-Encoding: chunked";
    let next = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    // Data that looks like the last chunk, and an extension with a quoted semicolon.
    let chunks = "00a;b=\"c;d\"\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\nX: y\r\n\r\n";
    for (framing, content, traits) in [
        ("Content-Length:\t005 ", "hello", "length=5 content 5"),
        ("Content-Length: 2", "hi\r\n", "length=2 content 2"),
        (chunked, chunks, "chunked content 10"),
    ] {
        let first = format!("POST /a HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{content}");
        let outcome = at_every_split(Side::Requests, [&first, next, &first].concat().as_bytes());
        let line = format!("POST /a origin 1.1 persists {traits}");
        assert_eq!(outcome.messages, [&line, "GET /b origin 1.1 persists content 0", &line]);
        assert_eq!(outcome.refused, None);
    }
}

#[test]
fn a_body_never_becomes_a_request() {
    let inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";
    for (head, body) in [
        (format!("Content-Length: {}\r\n", inner.len()), inner.to_owned()),
        ("Transfer-Encoding: chunked\r\n".to_owned(), format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len())),
    ] {
        let bytes = format!("POST /outer HTTP/1.1\r\nHost: a\r\n{head}\r\n{body}GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        let outcome = at_every_split(Side::Requests, bytes.as_bytes());
        assert_eq!(outcome.messages.len(), 2, "{outcome:?}");
        assert!(outcome.messages[1].starts_with("GET /next "), "{outcome:?}");
    }
}

#[test]
fn paths_queries_and_authorities_are_parts_of_the_head() {
    for (line, host, path, query, authority, origin) in [
        ("GET /a/b?c=d?e", "h", Some("/a/b"), Some("c=d?e"), "h", "/a/b?c=d?e"),
        ("GET /a?", "h", Some("/a"), Some(""), "h", "/a?"),
        ("GET http://H:1/x?y", "h:1", Some("/x"), Some("y"), "H:1", "/x?y"),
        ("GET http://h?y", "h", Some("/"), Some("y"), "h", "/?y"),
        ("GET http://h", "h", Some("/"), None, "h", "/"),
        ("OPTIONS http://h", "h", Some("/"), None, "h", "*"),
        ("OPTIONS http://h/", "h", Some("/"), None, "h", "/"),
        ("OPTIONS *", "h", None, None, "h", "*"),
        ("CONNECT h:1", "h:1", None, None, "h:1", "h:1"),
    ] {
        let bytes = format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = RequestParser::new(HeadLimits::default()).parse(bytes.as_bytes()).unwrap().unwrap();
        let request = head.over(bytes.as_bytes());
        assert_eq!(request.path().map(text).as_deref(), path, "{line}");
        assert_eq!(request.query().map(text).as_deref(), query, "{line}");
        assert_eq!(request.authority().map(text).as_deref(), Some(authority), "{line}");
        assert_eq!(text(&request.origin_target().concat()), origin, "{line}");
    }
    let bytes = b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n";
    let head = RequestParser::new(HeadLimits::default()).parse(bytes).unwrap().unwrap();
    assert_eq!(head.over(bytes).authority(), Some(&b"a"[..]), "the target's host replaces the header's");
    let bytes = b"GET / HTTP/1.0\r\n\r\n";
    let head = RequestParser::new(HeadLimits::default()).parse(bytes).unwrap().unwrap();
    assert_eq!(head.over(bytes).authority(), None);
    assert_eq!(head.over(bytes).target(), RequestTarget::Origin { path_and_query: b"/" });
}

#[test]
fn fields_are_found_by_id_and_by_name() {
    let bytes =
        b"GET / HTTP/1.1\r\nX-Other: 1\r\nHost: a\r\nCookie: b\r\nx-other:2\r\nX-Api-Key: k\r\nCOOKIE:\t c \r\n\
        X_Api_Key: spoofed\r\nX-Forwarded-Foo: f\r\n\r\n";
    let head = RequestParser::new(HeadLimits::default()).parse(bytes).unwrap().unwrap();
    let fields = head.over(bytes).fields();
    assert_eq!((fields.len(), fields.is_empty()), (8, false));
    assert_eq!(fields.get(KnownName::Cookie), Some(&b"b"[..]));
    assert_eq!(fields.all(KnownName::Cookie).collect::<Vec<_>>(), [b"b", b"c"]);
    assert!(fields.is_repeated(KnownName::Cookie) && !fields.is_repeated(KnownName::XApiKey));
    assert_eq!(fields.all(KnownName::XApiKey).collect::<Vec<_>>(), [b"k"], "another name is another field");
    assert_eq!(fields.get(KnownName::Authorization), None);
    assert_eq!(fields.all(KnownName::Authorization).count(), 0);
    assert_eq!(fields.get(KnownName::XForwardedOther), Some(&b"f"[..]));
    assert_eq!(fields.named(b"X-OTHER").collect::<Vec<_>>(), [b"1", b"2"]);
    let names: Vec<String> = fields.iter().map(|field| text(field.name)).collect();
    let expected = ["X-Other", "Host", "Cookie", "x-other", "X-Api-Key", "COOKIE", "X_Api_Key", "X-Forwarded-Foo"];
    assert_eq!(names, expected);
    assert_eq!(fields.iter().filter(|field| field.known == Some(KnownName::Cookie)).count(), 2);
}
