//! Comparison of `http1` with `httparse`, with the reference decoder, and with itself after a head is written.

use http1::{
    AnnouncedContent, BodyScanner, Fields, Framing, HeadEdits, HeadLimits, KnownName, Piece, RequestHead,
    RequestParser, ResponseHead, ResponseParser, ResponseTo, Version, Violation, write_fields, write_request_line,
    write_status_line,
};

use super::reference::{self, Content, FieldPair};

pub(super) fn request_with_httparse(bytes: &[u8], head: &RequestHead) {
    let mut headers = [httparse::EMPTY_HEADER; super::head_limits::FIELDS_MAX];
    let mut other = httparse::Request::new(&mut headers);
    assert_eq!(other.parse(bytes), Ok(httparse::Status::Complete(head.len())));
    let request = head.over(bytes);
    assert_eq!(other.method.unwrap().as_bytes(), request.method());
    assert_eq!(other.path.unwrap().as_bytes(), request.target_bytes());
    assert_eq!(other.version.unwrap(), u8::from(head.version() == Version::Http11));
    let others = pairs(other.headers);
    assert_eq!(received(request.fields()), others);
    assert_eq!(head.framing(), reference::request_framing(&others));
    // The pipeline routes by this type.
    http::Uri::try_from(request.target_bytes()).unwrap();
}

pub(super) fn response_with_httparse(bytes: &[u8], head: &ResponseHead, to: ResponseTo) {
    let mut headers = [httparse::EMPTY_HEADER; super::head_limits::FIELDS_MAX];
    let mut other = httparse::Response::new(&mut headers);
    assert_eq!(other.parse(bytes), Ok(httparse::Status::Complete(head.len())));
    let response = head.over(bytes);
    assert_eq!(other.code.unwrap(), head.status());
    assert_eq!(other.version.unwrap(), u8::from(head.version() == Version::Http11));
    // `httparse` returns no reason that has octets from 128 on.
    assert_eq!(other.reason.unwrap().as_bytes(), if response.reason().is_ascii() { response.reason() } else { b"" });
    let others = pairs(other.headers);
    assert_eq!(received(response.fields()), others);
    assert_eq!(head.framing(to), reference::response_framing(head.status(), to, &others));
}

fn pairs(headers: &[httparse::Header<'_>]) -> Vec<FieldPair> {
    headers.iter().map(|field| (field.name.as_bytes().to_vec(), field.value.to_vec())).collect()
}

/// The fields as `http1` reads them.
pub(super) fn received(fields: Fields<'_>) -> Vec<FieldPair> {
    fields.iter().map(|field| (field.name.to_vec(), field.value.to_vec())).collect()
}

/// The content at the beginning of `bytes` is the same for the reference decoder.
pub(super) fn content_with_reference(framing: Framing, bytes: &[u8]) {
    let (content, violation) = decode(framing, &[bytes]);
    let expected = reference::decode(framing, bytes);
    assert_eq!((&content.data, content.end, &content.trailers), (&expected.data, expected.end, &expected.trailers));
    assert!(expected.is_in_trailers || violation.is_some() == expected.is_invalid, "{violation:?} {expected:?}");
}

/// Content that arrives in these pieces, and the violation that ends it.
pub(super) fn decode(framing: Framing, pieces: &[&[u8]]) -> (Content, Option<Violation>) {
    let mut scanner = BodyScanner::new(framing);
    let mut buffer = Vec::new();
    let mut content = Content::default();
    let mut taken = 0;
    let mut violation = None;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let piece = match scanner.next(&buffer) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(refused) => {
                    violation = Some(refused);
                    break;
                }
            };
            match piece {
                Piece::Content(len) => content.data.extend_from_slice(&buffer[..len]),
                Piece::Framing(_) => {}
                Piece::Trailers(_) => content.trailers = scanner.trailers(&buffer).map(received).unwrap_or_default(),
            }
            buffer.drain(..piece.len());
            taken += piece.len();
        }
    }
    assert_eq!(scanner.content_bytes(), content.data.len() as u64);
    content.end = scanner.has_ended().then_some(taken);
    (content, violation)
}

pub(super) fn request_is_read_back(bytes: &[u8], head: &RequestHead) {
    let request = head.over(bytes);
    let mut edits = HeadEdits::for_forwarding();
    edits.set(KnownName::Host, request.authority().unwrap_or(b"backend")).unwrap();
    edits.remove(KnownName::XForwardedFor);
    let mut out = Vec::new();
    write_request_line(&mut out, request.method(), &request.origin_target()).unwrap();
    write_fields(&mut out, request.fields(), &edits, head.announced());
    let again = RequestParser::new(HeadLimits::new(usize::MAX, usize::MAX, usize::MAX)).parse(&out).unwrap().unwrap();
    assert_eq!((again.len(), again.announced()), (out.len(), head.announced()));
    let written = again.over(&out);
    assert_eq!((written.method(), written.query()), (request.method(), request.query()));
    assert!(written.path() == request.path() || written.target_bytes() == b"*");
    rewritten(written.fields(), request.fields(), head.announced());
    assert_eq!(written.fields().all(KnownName::Host).count(), 1);
}

pub(super) fn response_is_read_back(bytes: &[u8], head: &ResponseHead) {
    let response = head.over(bytes);
    let mut out = Vec::new();
    write_status_line(&mut out, head.status(), response.reason()).unwrap();
    write_fields(&mut out, response.fields(), &HeadEdits::for_forwarding(), head.announced());
    let again = ResponseParser::new(HeadLimits::new(usize::MAX, usize::MAX, usize::MAX)).parse(&out).unwrap().unwrap();
    assert_eq!((again.len(), again.announced()), (out.len(), head.announced()));
    assert_eq!((again.status(), again.over(&out).reason()), (head.status(), response.reason()));
    rewritten(again.over(&out).fields(), response.fields(), head.announced());
}

/// Written fields have no hop-by-hop field, one framing, and no field that was not received.
fn rewritten(written: Fields<'_>, received: Fields<'_>, announced: AnnouncedContent) {
    for gone in [KnownName::Connection, KnownName::Upgrade, KnownName::Te, KnownName::ProxyConnection] {
        assert!(written.get(gone).is_none());
    }
    let lengths = written.all(KnownName::ContentLength).count();
    let codings = written.all(KnownName::TransferEncoding).count();
    let expected = match announced {
        AnnouncedContent::Nothing => (0, 0),
        AnnouncedContent::Length(_) => (1, 0),
        AnnouncedContent::Chunked => (0, 1),
    };
    assert_eq!((lengths, codings), expected);
    for field in written.iter().filter(|field| field.known.is_none()) {
        assert!(received.named(field.name).any(|value| value == field.value));
    }
}
