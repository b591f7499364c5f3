//! The cost of a head does not depend on the pieces in which it arrives.

use std::time::{Duration, Instant};

use http1::{BodyScanner, Framing, HeadLimits, RequestParser};

#[test]
fn a_head_that_arrives_byte_by_byte_is_not_scanned_again() {
    let fields = "X-Padding: abcdefghijklmnopqrstuvwxyz\r\n".repeat(200);
    let bytes =
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n{fields}X: {}\r\n\r\n", "a".repeat(60_000), "b".repeat(900_000));
    let mut parser = RequestParser::new(HeadLimits::new(2 << 20, 1 << 20, 250));
    // Linear, it takes some 10 ms; a scan from the start of the line at each byte would take 400 billion steps.
    #[expect(clippy::disallowed_methods, reason = "the test measures time")]
    let start = Instant::now();
    for end in 0..bytes.len() {
        assert!(parser.parse(&bytes.as_bytes()[..end]).unwrap().is_none());
    }
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(parser.parse(bytes.as_bytes()).unwrap().unwrap().len(), bytes.len());
}

#[test]
fn trailers_that_arrive_byte_by_byte_are_not_scanned_again() {
    let bytes = format!("0\r\nX: {}\r\n\r\n", "x".repeat(8000));
    let mut scanner = BodyScanner::new(Framing::Chunked);
    let mut taken = 0;
    for end in 1..=bytes.len() {
        taken += scanner.take(&bytes.as_bytes()[taken..end]).unwrap();
    }
    assert!(scanner.has_ended() && taken == bytes.len());
}

#[test]
fn empty_input_and_a_blank_line_do_not_begin_a_head() {
    let mut parser = RequestParser::new(HeadLimits::default());
    for (bytes, has_begun) in [("", false), ("\r", false), ("\r\n", false), ("\r\nG", true), ("\r\nGET /", true)] {
        assert!(parser.parse(bytes.as_bytes()).unwrap().is_none());
        assert_eq!(parser.has_begun(), has_begun, "{bytes:?}");
    }
}
