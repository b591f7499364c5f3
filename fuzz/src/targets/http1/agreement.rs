//! Comparison of `http1` with other parsers: `httparse`, `proxy::smuggling`, and `http1` itself after writing a head.

use http1::limits::CHUNK_DIGITS_MAX;
use http1::{
    Announced, Fields, HeadEdits, HeadLimits, KnownName, RequestHead, RequestParser, ResponseHead, ResponseParser,
    Version, Violation, write_fields, write_request_line, write_status_line,
};
use proxy::smuggling::judge;

use super::connection::ConnectionOutcome;

pub(super) fn request_with_httparse(bytes: &[u8], head: &RequestHead) {
    let mut headers = [httparse::EMPTY_HEADER; super::FIELDS_MAX];
    let mut other = httparse::Request::new(&mut headers);
    assert_eq!(other.parse(bytes), Ok(httparse::Status::Complete(head.len())));
    let request = head.over(bytes);
    assert_eq!(other.method.unwrap().as_bytes(), request.method());
    assert_eq!(other.path.unwrap().as_bytes(), request.target_bytes());
    assert_eq!(other.version.unwrap(), u8::from(head.version() == Version::Http11));
    same_fields(request.fields(), other.headers);
}

pub(super) fn response_with_httparse(bytes: &[u8], head: &ResponseHead) {
    let mut headers = [httparse::EMPTY_HEADER; super::FIELDS_MAX];
    let mut other = httparse::Response::new(&mut headers);
    assert_eq!(other.parse(bytes), Ok(httparse::Status::Complete(head.len())));
    assert_eq!(other.code.unwrap(), head.status());
    assert_eq!(other.version.unwrap(), u8::from(head.version() == Version::Http11));
    same_fields(head.over(bytes).fields(), other.headers);
}

fn same_fields(fields: Fields<'_>, others: &[httparse::Header<'_>]) {
    let fields: Vec<_> = fields.iter().map(|field| (field.name, field.value)).collect();
    let others: Vec<_> = others.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    assert_eq!(fields, others);
}

/// Every request up to the earlier end of both scans is equal. `http1` may stop earlier, because it has rules that
/// `strict` lacks. It may continue only after a CONNECT request, which `strict` refuses.
pub(super) fn with_strict(bytes: &[u8], outcome: &ConnectionOutcome, head_bytes_max: usize) {
    let scanned = judge::scan(bytes, &[], head_bytes_max);
    let connect = outcome.heads.iter().position(|start| is_connect(&bytes[*start..])).unwrap_or(outcome.heads.len());
    let common = connect.min(scanned.requests.len());
    if connect == outcome.heads.len() {
        assert!(
            outcome.heads.len() <= scanned.requests.len(),
            "`http1` accepts a request that `strict` refuses: {scanned:?} {outcome:?}"
        );
    }
    for (request, content_bytes) in scanned.requests.iter().zip(&outcome.content_bytes).take(common) {
        // `strict` may continue after content that `http1` refuses.
        assert!(content_bytes.is_none() || *content_bytes == request.content_bytes, "{scanned:?} {outcome:?}");
    }
    let only_here = [
        Violation::ChunkExtension,
        Violation::ConnectContent,
        Violation::ConnectionOptions,
        Violation::LineTooLarge,
        Violation::OtherHost,
        Violation::TargetForm,
        Violation::Trailer,
        Violation::Underscore,
    ];
    if outcome.refused.is_some_and(|violation| !only_here.contains(&violation)) && connect == outcome.heads.len() {
        assert!(scanned.refused.is_some(), "`http1` refuses a request that `strict` accepts: {scanned:?} {outcome:?}");
    }
}

fn is_connect(bytes: &[u8]) -> bool {
    bytes.strip_prefix(b"\r\n").unwrap_or(bytes).starts_with(b"CONNECT ")
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
fn rewritten(written: Fields<'_>, received: Fields<'_>, announced: Announced) {
    for gone in [KnownName::Connection, KnownName::Upgrade, KnownName::Te, KnownName::ProxyConnection] {
        assert!(written.get(gone).is_none());
    }
    let lengths = written.all(KnownName::ContentLength).count();
    let codings = written.all(KnownName::TransferEncoding).count();
    let expected = match announced {
        Announced::Nothing => (0, 0),
        Announced::Length(_) => (1, 0),
        Announced::Chunked => (0, 1),
    };
    assert_eq!((lengths, codings), expected);
    for field in written.iter().filter(|field| field.known.is_none()) {
        assert!(received.named(field.name).any(|value| value == field.value));
    }
}

/// Parses chunked content with `httparse`, which accepts more forms of sizes.
pub(super) fn chunks_with_httparse(bytes: &[u8], data: &[u8], end: Option<usize>) {
    let (mut rest, mut other) = (bytes, Vec::new());
    while other.len() < data.len() || end.is_some() {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(rest) else {
            panic!("httparse finds no chunk size at byte {}", bytes.len() - rest.len());
        };
        assert!(rest[..line].iter().take_while(|octet| octet.is_ascii_hexdigit()).count() <= CHUNK_DIGITS_MAX);
        rest = &rest[line..];
        if size == 0 {
            break;
        }
        let len = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        other.extend_from_slice(&rest[..len]);
        rest = rest[len..].strip_prefix(b"\r\n").unwrap_or(b"");
    }
    // The other parser may have more data of an incomplete chunk.
    assert_eq!(&other[..data.len()], data);
    let Some(end) = end else { return };
    assert_eq!(other.len(), data.len());
    let trailers = &rest[..end - (bytes.len() - rest.len())];
    let mut headers = [httparse::EMPTY_HEADER; super::FIELDS_MAX];
    let Ok(httparse::Status::Complete((len, _))) = httparse::parse_headers(trailers, &mut headers) else {
        panic!("httparse finds no trailers");
    };
    assert_eq!(len, trailers.len());
}
