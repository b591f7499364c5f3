//! The crate `httparse` reads every accepted head in the same way.

use http1::{HeadLimits, RequestParser, ResponseParser, Version};

use crate::{requests, responses};

const FIELDS_MAX: usize = 254;

/// Heads that `httparse` refuses: of a later version, and with whitespace before a colon.
fn is_refused(bytes: &[u8]) -> bool {
    let refused: [&[u8]; 4] = [b"HTTP/1.2", b"HTTP/1.9", b" :", b"\t:"];
    refused.iter().any(|part| bytes.windows(part.len()).any(|window| window == *part))
}

#[test]
fn httparse_reads_every_accepted_request_in_the_same_way() {
    for (bytes, _) in requests::ACCEPTED.iter().filter(|(bytes, _)| !is_refused(bytes.as_bytes())) {
        let bytes = bytes.as_bytes();
        let head = RequestParser::new(HeadLimits::default()).parse(bytes).unwrap().unwrap();
        let request = head.over(bytes);
        let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut other = httparse::Request::new(&mut headers);
        assert_eq!(other.parse(bytes).unwrap(), httparse::Status::Complete(head.len()));
        assert_eq!(other.method.unwrap().as_bytes(), request.method());
        assert_eq!(other.path.unwrap().as_bytes(), request.target_bytes());
        assert_eq!(other.version.unwrap(), u8::from(head.version() == Version::Http11));
        let fields: Vec<_> = request.fields().iter().map(|field| (field.name, field.value)).collect();
        let others: Vec<_> = other.headers.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
        assert_eq!(fields, others);
    }
}

#[test]
fn httparse_reads_every_accepted_response_in_the_same_way() {
    for (bytes, _) in responses::ACCEPTED.iter().filter(|(bytes, _)| !is_refused(bytes.as_bytes())) {
        let bytes = bytes.as_bytes();
        let head = ResponseParser::new(HeadLimits::default()).parse(bytes).unwrap().unwrap();
        let response = head.over(bytes);
        let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut other = httparse::Response::new(&mut headers);
        assert_eq!(other.parse(bytes).unwrap(), httparse::Status::Complete(head.len()));
        assert_eq!(other.code.unwrap(), head.status());
        assert_eq!(other.version.unwrap(), u8::from(head.version() == Version::Http11));
        let fields: Vec<_> = response.fields().iter().map(|field| (field.name, field.value)).collect();
        let others: Vec<_> = other.headers.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
        assert_eq!(fields, others);
    }
}
