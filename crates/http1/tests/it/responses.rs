//! Responses that are accepted, and the values that are read from them.

use http1::{HeadEdits, HeadLimits, ResponseParser, ResponseTo};

use crate::reader::{Side, accepted, at_every_split};

/// A message, and the values that are read in response to an ordinary request.
pub(crate) const ACCEPTED: &[(&str, &str)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 \"OK\" 1.1 persists length=0 content 0"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 \"OK\" 1.1 persists length=2 content 2"),
    ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 \"\" 1.1 persists length=0 content 0"),
    ("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 \"\" 1.1 persists length=0 content 0"),
    (
        "HTTP/1.1 404 Not\tFound \u{e4}\r\nContent-Length: 0\r\n\r\n",
        "404 \"Not\\tFound ä\" 1.1 persists length=0 content 0",
    ),
    ("HTTP/1.1 999  x\r\nContent-Length: 0\r\n\r\n", "999 \" x\" 1.1 persists length=0 content 0"),
    ("HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 \"OK\" 1.1 closes until-close content 13+"),
    ("HTTP/1.0 200 OK\r\n\r\nx", "200 \"OK\" 1.0 closes until-close content 1+"),
    ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "200 \"OK\" 1.0 closes length=1 content 1"),
    (
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
        "200 \"OK\" 1.0 persists length=1 content 1",
    ),
    ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nx", "200 \"OK\" 1.0 closes until-close content 1+"),
    ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", "200 \"OK\" 1.1 closes length=1 content 1"),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
        "200 \"OK\" 1.1 persists chunked content 3",
    ),
    ("HTTP/1.1 204 No Content\r\n\r\n", "204 \"No Content\" 1.1 persists content 0"),
    ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204 \"No Content\" 1.1 persists content 0"),
    ("HTTP/1.1 304 Not Modified\r\n\r\n", "304 \"Not Modified\" 1.1 persists content 0"),
    (
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
        "304 \"Not Modified\" 1.1 persists length=99 content 0",
    ),
    (
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        "304 \"Not Modified\" 1.1 persists chunked content 0",
    ),
    ("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", "204 \"x\" 1.1 closes content 0"),
    ("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", "204 \"x\" 1.1 closes content 0"),
    ("HTTP/1.1 204 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "204 \"x\" 1.1 closes content 0"),
    ("HTTP/1.0 204 x\r\nTransfer-Encoding: gzip\r\n\r\n", "204 \"x\" 1.0 closes content 0"),
    ("HTTP/1.1 304 x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "304 \"x\" 1.1 closes content 0"),
    ("HTTP/1.1 304 x\r\nContent-Length: x\r\n\r\n", "304 \"x\" 1.1 closes content 0"),
    ("HTTP/1.1 100 x\r\nContent-Length: 5\r\n\r\n", "100 \"x\" 1.1 closes interim content 0"),
    ("HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n", "103 \"x\" 1.1 closes interim content 0"),
    ("HTTP/1.1 101 x\r\nContent-Length: 1\r\n\r\nframes", "101 \"x\" 1.1 closes tunnel content 6+"),
    ("HTTP/1.1 200 OK\r\nX-Foo : bar\r\nContent-Length\t : 2\r\n\r\nhi", "200 \"OK\" 1.1 persists length=2 content 2"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "200 \"OK\" 1.1 persists chunked content 0"),
    ("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", "200 \"OK\" 1.1 persists length=0 content 0"),
    ("HTTP/1.9 204 x\r\n\r\n", "204 \"x\" 1.1 persists content 0"),
    ("HTTP/1.1 100 Continue\r\n\r\n", "100 \"Continue\" 1.1 persists interim content 0"),
    ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "103 \"Early Hints\" 1.1 persists interim content 0"),
    (
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes",
        "101 \"Switching Protocols\" 1.1 closes upgrade tunnel content 6+",
    ),
    (
        "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
        "205 \"Reset Content\" 1.1 persists length=0 content 0",
    ),
    (
        "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
        "200 \"OK\" 1.1 persists length=0 content 0",
    ),
    (
        "HTTP/1.1 200 OK\r\nHost: a b\r\nhost: c\r\nContent-Length: 0\r\n\r\n",
        "200 \"OK\" 1.1 persists length=0 content 0",
    ),
];

#[test]
fn accepted_responses_are_read_as_written() {
    for (bytes, expected) in ACCEPTED {
        assert_eq!(&accepted(Side::Responses(ResponseTo::Other), bytes.as_bytes()), expected, "{bytes:?}");
    }
}

#[test]
fn responses_to_head_have_no_content_whatever_they_announce() {
    let bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        HTTP/1.1 404 Not Found\r\n\r\n";
    let outcome = at_every_split(Side::Responses(ResponseTo::method(b"HEAD")), bytes.as_bytes());
    assert_eq!(
        outcome.messages,
        [
            "200 \"OK\" 1.1 persists length=9 content 0",
            "200 \"OK\" 1.1 persists chunked content 0",
            "404 \"Not Found\" 1.1 persists content 0"
        ]
    );
}

#[test]
fn whitespace_before_a_colon_is_not_written_again() {
    let bytes = b"HTTP/1.1 200 OK\r\nA \t: b:c\r\nd::e\r\nf : :\r\ng\t:\r\n\r\n";
    let head = ResponseParser::new(HeadLimits::default()).parse(bytes).unwrap().unwrap();
    let response = head.over(bytes);
    let fields: Vec<_> = response.fields().iter().map(|field| (field.name, field.value)).collect();
    assert_eq!(fields, [(&b"A"[..], &b"b:c"[..]), (b"d", b":e"), (b"f", b":"), (b"g", b"")]);
    let mut written = Vec::new();
    http1::write_edited_fields(&mut written, response.fields(), &HeadEdits::for_forwarding());
    assert_eq!(written, b"A: b:c\r\nd::e\r\nf: :\r\ng: \r\n");
}

#[test]
fn a_successful_response_to_connect_begins_a_tunnel() {
    let side = Side::Responses(ResponseTo::method(b"CONNECT"));
    let outcome = at_every_split(side, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nany bytes");
    assert_eq!(outcome.messages, ["200 \"OK\" 1.1 closes length=1 tunnel content 9+"]);
    let outcome = at_every_split(side, b"HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(outcome.messages, ["407 \"No\" 1.1 persists length=1 content 1"]);
}

#[test]
fn interim_responses_precede_the_final_one() {
    let bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let outcome = at_every_split(Side::Responses(ResponseTo::Other), bytes.as_bytes());
    assert_eq!((outcome.messages.len(), outcome.refused, outcome.taken), (3, None, bytes.len()));
    assert!(outcome.messages[0].contains(" interim ") && outcome.messages[1].contains(" interim "));
}

/// The proxy decides that a second response is unsolicited; the parser finds where it begins.
#[test]
fn bytes_after_a_response_are_not_part_of_it() {
    let outcome = at_every_split(Side::Responses(ResponseTo::Other), b"HTTP/1.1 204 x\r\n\r\nhello");
    assert_eq!((outcome.messages.len(), outcome.taken), (1, 18));
    assert!(outcome.refused.is_some());
}
