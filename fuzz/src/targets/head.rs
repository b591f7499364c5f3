//! HTTP/1.1 requests of clients: heads and the framing of bodies, before hyper parses them.

use proxy::smuggling::judge::{self, ScanOutcome};

use crate::random::SeededRandom;

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
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

/// The maximum of a head. It is below the smallest configurable value, so that inputs reach it.
const HEAD_BYTES_MAX: usize = 2 * 1024;
/// The maximum of bytes for hyper, which is thousands of times slower than the scan.
const JUDGED_BYTES_MAX: usize = 16 * 1024;

/// Any split gives the same scan, and hyper, after the scan, sees the same requests with the same lengths.
pub fn http_head(bytes: &[u8]) {
    let whole = judge::scan(bytes, &[], HEAD_BYTES_MAX);
    plausible(bytes, &whole);
    let mut random = SeededRandom::of(bytes);
    let pieces: Vec<usize> = (0..50).map(|_| 1 + random.below(40)).collect();
    for pieces in [&[1][..], &[2, 3], &pieces] {
        assert_eq!(judge::scan(bytes, pieces, HEAD_BYTES_MAX), whole, "in pieces of {pieces:?}");
    }
    if bytes.len() <= JUDGED_BYTES_MAX {
        for pieces in [&[usize::MAX][..], &pieces] {
            if let Err(disagreement) = judge::check(bytes, pieces, HEAD_BYTES_MAX) {
                panic!("in pieces of {pieces:?}: {disagreement}");
            }
        }
    }
}

fn plausible(bytes: &[u8], scanned: &ScanOutcome) {
    assert!(scanned.passed_bytes <= bytes.len());
    let content: u64 = scanned.requests.iter().filter_map(|request| request.content_bytes).sum();
    assert!(content <= bytes.len() as u64, "more content than bytes");
    // The accepted bytes alone give the same scan.
    let again = judge::scan(&bytes[..scanned.passed_bytes], &[], HEAD_BYTES_MAX);
    assert_eq!((&again.requests, again.passed_bytes), (&scanned.requests, scanned.passed_bytes));
}
