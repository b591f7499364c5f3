//! The crate `http1`: heads, content and connections, at any split and compared with other parsers.

mod agreement;
mod connection;

use http1::{BodyScanner, Framing, HeadLimits, Piece, RequestParser, ResponseParser, ResponseTo, limits};

use crate::random::SeededRandom;
use connection::{ConnectionOutcome, ReaderSide};

/// The value of [`super::FuzzTarget::words`].
pub const REQUEST_WORDS: &[&str] = super::head::WORDS;
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

/// The maximum of a head and of trailers: `proxy::smuggling` has one limit for both. Inputs reach it.
const HEAD_BYTES_MAX: usize = limits::TRAILERS_BYTES_MAX;
const LINE_BYTES_MAX: usize = 1024;
const FIELDS_MAX: usize = 100;

fn head_limits() -> HeadLimits {
    HeadLimits::new(HEAD_BYTES_MAX, LINE_BYTES_MAX, FIELDS_MAX)
}

/// Requests at any split are parsed equally. `httparse` parses each accepted head equally. `http1` refuses every
/// request that `proxy::smuggling` refuses. A written head is parsed as the same head.
pub fn request(bytes: &[u8]) {
    let outcome = any_split(ReaderSide::Requests, bytes);
    agreement::with_strict(bytes, &outcome, HEAD_BYTES_MAX);
    for start in outcome.heads {
        let bytes = &bytes[start..];
        let head = RequestParser::new(head_limits()).parse(bytes).unwrap().unwrap();
        agreement::request_with_httparse(bytes, &head);
        agreement::request_is_read_back(bytes, &head);
    }
}

/// Responses at any split are parsed equally, and `httparse` parses each accepted head equally.
pub fn response(bytes: &[u8]) {
    for to in [ResponseTo::Other, ResponseTo::Head, ResponseTo::Connect] {
        let outcome = any_split(ReaderSide::Responses(to), bytes);
        for start in outcome.heads {
            let bytes = &bytes[start..];
            let head = ResponseParser::new(head_limits()).parse(bytes).unwrap().unwrap();
            agreement::response_with_httparse(bytes, &head);
            agreement::response_is_read_back(bytes, &head);
        }
    }
}

/// Chunked content at any split has the same data and the same end. A parser that uses `httparse::parse_chunk_size`
/// finds the same data.
pub fn chunked(bytes: &[u8]) {
    let whole = decode(&[bytes]);
    let mut random = SeededRandom::of(bytes);
    let ones: Vec<&[u8]> = bytes.chunks(1).collect();
    for pieces in [ones, random.cut(bytes, 7), random.cut(bytes, 100)] {
        assert_eq!(decode(&pieces), whole);
    }
    agreement::chunks_with_httparse(bytes, &whole.0, whole.1);
}

/// The data, and the length of the encoded content if it is complete.
fn decode(pieces: &[&[u8]]) -> (Vec<u8>, Option<usize>) {
    let mut scanner = BodyScanner::new(Framing::Chunked);
    let (mut buffer, mut data, mut taken) = (Vec::new(), Vec::new(), 0);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Ok(Some(piece)) = scanner.next(&buffer) {
            if let Piece::Content(len) = piece {
                data.extend_from_slice(&buffer[..len]);
            }
            buffer.drain(..piece.len());
            taken += piece.len();
        }
    }
    assert_eq!(scanner.content_bytes(), data.len() as u64);
    (data, scanner.has_ended().then_some(taken))
}

fn any_split(side: ReaderSide, bytes: &[u8]) -> ConnectionOutcome {
    let whole = connection::read(side, &[bytes], head_limits());
    assert!(whole.taken <= bytes.len());
    let mut random = SeededRandom::of(bytes);
    let ones: Vec<&[u8]> = bytes.chunks(1).collect();
    for pieces in [ones, random.cut(bytes, 40), random.cut(bytes, 400)] {
        let cut = connection::read(side, &pieces, head_limits());
        assert_eq!(cut, whole, "in pieces of {:?}", pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>());
    }
    whole
}
