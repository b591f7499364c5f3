//! The crate `http1`: heads, content and connections, at any split and compared with other parsers.

mod agreement;
mod connection;
mod edits;
mod head_limits;
mod hyper_client;
mod hyper_server;
mod pipeline;
mod reference;
mod scripted_io;

use http::Method;
use http1::{Fields, Framing, KnownName, RequestHead, RequestParser, ResponseHead, ResponseParser, ResponseTo};

use crate::random::SeededRandom;
use connection::{ConnectionOutcome, ReaderSide};
use head_limits::head_limits;
use hyper_client::ReadResponse;
use hyper_server::ReadRequest;
use reference::FieldPair;

pub use edits::edits;
pub use pipeline::pipeline;

/// The value of [`super::FuzzTarget::words`].
pub const REQUEST_WORDS: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "POST /a HTTP/1.1\r\n",
    "HEAD http://x/a HTTP/1.0\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "CONNECT x:1 HTTP/1.1\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.1",
    "HTTP/0.9",
    "Host: x\r\n",
    "Host:",
    "host: y\r\n",
    "Content-Length: 5\r\n",
    "Content-Length:",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding:",
    "transfer-encoding: gzip, chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: upgrade\r\nUpgrade: h2c\r\n",
    "Expect: 100-continue\r\n",
    "Trailer: x\r\n",
    "x: y\r\n",
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\n",
    "00000000000000005;a=b\r\n",
    "FFFFFFFFFFFFFFFF\r\n",
    "hello",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "+5",
    "0x5",
    "5, 5",
    "\u{0}",
    "\u{b}",
    "\u{e9}",
    "chunked",
    "//",
    "http://x",
    "?",
    "#",
    "@",
    "[::1]",
];
/// The value of [`super::FuzzTarget::words`].
pub const RESPONSE_WORDS: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 x\r\n",
    "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 304\r\n",
    "HTTP/2 200\r\n",
    "HTTP/0.9",
    "Content-Length: 5\r\n",
    "Content-Length:",
    "Content_Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding:",
    "Connection: close\r\n",
    "Connection: keep-alive, x\r\n",
    "Connection: upgrade\r\nUpgrade: websocket\r\n",
    "Server: x\r\n",
    "Set-Cookie: a=b\r\n",
    "x: y\r\n",
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "hello",
    " ",
    "\t",
    ":",
    ",",
    "\u{0}",
    "\u{e9}",
    "999",
];
/// The value of [`super::FuzzTarget::words`].
pub const CHUNKED_WORDS: &[&str] = &[
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\n",
    "1;a=b\r\nx\r\n",
    "00000000000000001\r\n",
    "FFFFFFFFFFFFFFFF\r\n",
    "a\r\n0123456789\r\n",
    "X-Sum: 1\r\n",
    "Content-Length: 5\r\n",
    "x_forwarded_for: 1\r\n",
    "\r\n",
    "\n",
    "\r",
    ";",
    "\"",
    " ",
    "\t",
    ":",
    "\u{0}",
    "\u{e9}",
];

/// Requests at any split are parsed equally. `httparse`, the reference decoder and hyper read each accepted request equally,
/// and hyper reads no further one. A written head is parsed as the same head.
pub fn request(bytes: &[u8]) {
    let outcome = any_split(ReaderSide::Requests, bytes);
    let mut expected = Vec::new();
    let mut end = outcome.taken;
    for (start, content_bytes) in outcome.heads.iter().zip(&outcome.content_bytes) {
        let message = &bytes[*start..];
        let head = RequestParser::new(head_limits()).parse(message).unwrap().unwrap();
        agreement::content_with_reference(head.framing(), &message[head.len()..]);
        if is_corrected_request(message, &head) {
            end = end.min(*start);
            continue;
        }
        agreement::request_with_httparse(message, &head);
        agreement::request_is_read_back(message, &head);
        if head.over(message).method() == b"CONNECT" {
            // hyper serves it by a tunnel, and reads no request after it.
            end = end.min(*start);
        } else if end == outcome.taken {
            expected.push(read_request(message, &head, content_bytes.is_some()));
        }
    }
    let taken = &bytes[..end];
    let (requests, is_over) = hyper_server::read(&SeededRandom::from_bytes(bytes).cut(taken, 400));
    assert_eq!(requests, expected[..requests.len().min(expected.len())]);
    assert!(requests.len() == expected.len() || is_over, "hyper reads only {} requests", requests.len());
}

/// Whether other parsers refuse a request that `http1` reads: one of a later version, or with an unescaped query.
fn is_corrected_request(message: &[u8], head: &RequestHead) -> bool {
    let is_later =
        |digit: u8| message[..head.len()].windows(11).any(|end| end == [b" HTTP/1.", &[digit][..], b"\r\n"].concat());
    head.over(message).has_raw_query() || (b'2'..=b'9').any(is_later)
}

/// Whether other parsers refuse a response that `http1` reads: one of a later version, with whitespace before a colon, or
/// without content although its fields announce some.
fn is_corrected_response(message: &[u8], head: &ResponseHead) -> bool {
    let fields = head.over(message).fields();
    let has_framing =
        [KnownName::ContentLength, KnownName::TransferEncoding].iter().any(|name| fields.get(*name).is_some());
    let is_spaced = message[..head.len()].windows(2).any(|two| matches!(two, b" :" | b"\t:"));
    let is_empty = matches!(head.status(), 100..=199 | 204 | 304);
    message[7] > b'1' || is_spaced || (is_empty && has_framing)
}

/// The request as hyper should read it.
fn read_request(message: &[u8], head: &RequestHead, is_complete: bool) -> ReadRequest {
    let request = head.over(message);
    let (content, _) = agreement::decode(head.framing(), &[&message[head.len()..]]);
    ReadRequest {
        method: String::from_utf8_lossy(request.method()).into_owned(),
        target: http::Uri::try_from(request.target_bytes()).unwrap().to_string(),
        fields: sorted(request.fields()),
        data: is_complete.then_some(content.data),
    }
}

/// The response as hyper should read it.
fn read_response(message: &[u8], head: &ResponseHead, to: ResponseTo, is_complete: bool) -> ReadResponse {
    let (content, _) = agreement::decode(head.framing(to), &[&message[head.len()..]]);
    ReadResponse {
        status: head.status(),
        fields: sorted(head.over(message).fields()),
        data: is_complete.then_some(content.data),
    }
}

fn sorted(fields: Fields<'_>) -> Vec<FieldPair> {
    let mut fields = agreement::received(fields);
    fields.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}

/// Responses at any split are parsed equally. `httparse`, the reference decoder and hyper read each accepted one equally.
pub fn response(bytes: &[u8]) {
    for to in [ResponseTo::Other, ResponseTo::Head, ResponseTo::Connect] {
        let outcome = any_split(ReaderSide::Responses(to), bytes);
        let mut is_final_read = to == ResponseTo::Connect;
        for (number, start) in outcome.heads.iter().enumerate() {
            let message = &bytes[*start..];
            let head = ResponseParser::new(head_limits()).parse(message).unwrap().unwrap();
            if is_corrected_response(message, &head) {
                break;
            }
            agreement::response_with_httparse(message, &head, to);
            agreement::response_is_read_back(message, &head);
            agreement::content_with_reference(head.framing(to), &message[head.len()..]);
            // hyper's client reads one final response, and hands the connection over at a tunnel.
            if !head.is_interim() && !is_final_read && head.framing(to) != Framing::Tunnel {
                let end = outcome.heads.get(number + 1).copied().unwrap_or(outcome.taken);
                let is_complete = outcome.content_bytes[number].is_some() || head.framing(to) == Framing::UntilClose;
                let method = if to == ResponseTo::Head { Method::HEAD } else { Method::GET };
                let response = hyper_client::read(method, &SeededRandom::from_bytes(bytes).cut(&bytes[..end], 400));
                assert_eq!(response, Some(read_response(&bytes[*start..end], &head, to, is_complete)));
            }
            is_final_read |= !head.is_interim();
        }
    }
}

/// Chunked content at any split has the same data, end, trailers and violation, and the reference decoder agrees.
pub fn chunked(bytes: &[u8]) {
    let whole = agreement::decode(Framing::Chunked, &[bytes]);
    let mut random = SeededRandom::from_bytes(bytes);
    let ones: Vec<&[u8]> = bytes.chunks(1).collect();
    for pieces in [ones, random.cut(bytes, 7), random.cut(bytes, 100)] {
        assert_eq!(agreement::decode(Framing::Chunked, &pieces), whole);
    }
    agreement::content_with_reference(Framing::Chunked, bytes);
}

fn any_split(side: ReaderSide, bytes: &[u8]) -> ConnectionOutcome {
    let whole = connection::read(side, &[bytes], head_limits());
    assert!(whole.taken <= bytes.len());
    let mut random = SeededRandom::from_bytes(bytes);
    let ones: Vec<&[u8]> = bytes.chunks(1).collect();
    for pieces in [ones, random.cut(bytes, 40), random.cut(bytes, 400)] {
        let cut = connection::read(side, &pieces, head_limits());
        assert_eq!(cut, whole, "in pieces of {:?}", pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>());
    }
    whole
}
