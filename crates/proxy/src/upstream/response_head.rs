//! The head of an upstream's response: immutable, as it was received. Changes for the client are `http1::HeadEdits`, which
//! are applied when the head is written.

use std::cell::RefCell;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http1::{
    FieldMemory, Fields, HeadEdits, HeadLimits, InvalidPart, KnownName, ResponseHead, ResponseParser, ResponseTo,
    Violation,
};
use thiserror::Error;

use crate::client::head::text;

/// Maximum number of unused heads of a worker.
const UNUSED_MAX: usize = 64;
/// A head with more memory for added lines is freed.
const KEPT_BYTES_MAX: usize = 4096;

/// A response head with its bytes.
#[derive(Debug, Clone)]
pub(crate) struct UpstreamHead {
    bytes: Bytes,
    parsed: ResponseHead,
}

/// The head of a response that is relayed, with its edits for the client.
#[derive(Debug)]
pub(crate) struct RelayedHead {
    pub(crate) head: UpstreamHead,
    pub(crate) edits: HeadEdits,
    /// Whether trailers are relayed.
    pub(crate) may_have_trailers: bool,
    /// Whether the content is not that of the upstream, so that the head does not announce its length.
    pub(crate) is_changed: bool,
}

/// Unused heads of a worker, whose memory further responses use.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "the boxes themselves are used again")]
pub(crate) struct RelayedHeads(RefCell<Vec<Box<RelayedHead>>>);

/// Why the head of a response cannot be written as HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum InvalidHead {
    #[error("the head of the upstream's response breaks a rule")]
    Violation(#[from] Violation),
    #[error("the head of the upstream's response has a part that cannot be written")]
    Part(#[from] InvalidPart),
}

impl RelayedHead {
    /// Returns a head with the edits of every head that is relayed. It is boxed, because it passes many functions.
    pub(crate) fn new(head: UpstreamHead) -> Box<Self> {
        Box::new(Self { head, edits: HeadEdits::for_forwarding(), may_have_trailers: true, is_changed: false })
    }
}

impl RelayedHeads {
    /// Returns a head as [`RelayedHead::new`] does, in the memory of an earlier one if there is any.
    pub(crate) fn take(&self, head: UpstreamHead) -> Box<RelayedHead> {
        let unused = self.0.borrow_mut().pop();
        let Some(mut relayed) = unused else { return RelayedHead::new(head) };
        relayed.head = head;
        (relayed.may_have_trailers, relayed.is_changed) = (true, false);
        relayed
    }

    /// Keeps the memory of a head that is no longer needed. Returns the memory of its fields.
    pub(crate) fn give_back(&self, mut relayed: Box<RelayedHead>) -> FieldMemory {
        let memory = relayed.head.take_memory();
        let mut unused = self.0.borrow_mut();
        if unused.len() < UNUSED_MAX && relayed.edits.capacity() <= KEPT_BYTES_MAX {
            relayed.edits.clear();
            unused.push(relayed);
        }
        memory
    }
}

impl UpstreamHead {
    /// Joins a parsed head with the bytes from which it was parsed.
    pub(crate) const fn new(bytes: Bytes, parsed: ResponseHead) -> Self {
        Self { bytes, parsed }
    }

    /// Returns the head of a response over HTTP/2 as HTTP/1.1 has it, so that the same rules apply to both.
    ///
    /// # Errors
    /// The head breaks a rule of HTTP/1.1, for example by two lengths.
    pub(crate) fn of_http2(status: StatusCode, headers: &HeaderMap) -> Result<Self, InvalidHead> {
        let mut bytes = Vec::with_capacity(1024);
        http1::write_status_line(&mut bytes, status.as_u16(), b"")?;
        for (name, value) in headers {
            http1::write_field(&mut bytes, name.as_str().as_bytes(), value.as_bytes())?;
        }
        bytes.extend_from_slice(b"\r\n");
        Ok(Self::written(bytes)?)
    }

    /// Returns the head that the gateway has written itself.
    pub(crate) fn written(bytes: Vec<u8>) -> Result<Self, Violation> {
        let limits = HeadLimits::new(usize::MAX, usize::MAX, usize::MAX);
        let parsed = ResponseParser::new(limits).parse(&bytes)?.ok_or(Violation::Truncated)?;
        Ok(Self::new(Bytes::from(bytes), parsed))
    }

    /// Returns the head that the gateway has written itself; `None` if it breaks a rule.
    pub(crate) fn parsed(bytes: Vec<u8>) -> Option<Self> {
        Self::written(bytes).ok()
    }

    /// Returns the head with another status.
    pub(crate) fn with_status(&self, status: u16) -> Result<Self, InvalidHead> {
        if status == self.status() {
            return Ok(self.clone());
        }
        let mut bytes = Vec::with_capacity(self.bytes.len());
        http1::write_status_line(&mut bytes, status, b"")?;
        for field in self.fields().iter() {
            http1::write_field(&mut bytes, field.name, field.value)?;
        }
        bytes.extend_from_slice(b"\r\n");
        Ok(Self::written(bytes)?)
    }

    /// Returns the head of other content without a coding, with this status and media type; `None` if a part cannot be written.
    pub(crate) fn with_content(&self, status: u16, media_type: &str) -> Option<Self> {
        const REPLACED: [KnownName; 4] =
            [KnownName::ContentEncoding, KnownName::ContentLength, KnownName::ContentType, KnownName::TransferEncoding];
        let mut bytes = Vec::with_capacity(self.bytes.len());
        http1::write_status_line(&mut bytes, status, b"").ok()?;
        for field in self.fields().iter().filter(|field| !field.known.is_some_and(|name| REPLACED.contains(&name))) {
            http1::write_field(&mut bytes, field.name, field.value).ok()?;
        }
        http1::write_field(&mut bytes, b"content-type", media_type.as_bytes()).ok()?;
        bytes.extend_from_slice(b"\r\n");
        Self::parsed(bytes)
    }

    /// Takes the memory of the fields of a head that is no longer needed, and frees its bytes, which are a part of the buffer
    /// of its connection.
    fn take_memory(&mut self) -> FieldMemory {
        self.bytes = Bytes::new();
        self.parsed.take_memory()
    }

    /// Returns the head as it was received or written.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or(&self.bytes)
    }

    /// The number of bytes of the head.
    pub(crate) const fn len(&self) -> usize {
        self.parsed.len()
    }

    /// The status: from 200 to 999, or less in an interim response.
    pub(crate) const fn status(&self) -> u16 {
        self.parsed.status()
    }

    /// Whether the status is 2xx.
    pub(crate) const fn is_success(&self) -> bool {
        matches!(self.status(), 200..=299)
    }

    /// Whether the content has a coding.
    pub(crate) fn is_compressed(&self) -> bool {
        let coding = self.text(KnownName::ContentEncoding).unwrap_or_default().trim();
        !coding.is_empty() && !coding.eq_ignore_ascii_case("identity")
    }

    /// The reason phrase, which may be empty.
    pub(crate) fn reason(&self) -> &[u8] {
        self.parsed.over(&self.bytes).reason()
    }

    /// Returns all fields of the head.
    pub(crate) fn fields(&self) -> Fields<'_> {
        self.parsed.over(&self.bytes).fields()
    }

    /// The value of the first field of this name, if it is ASCII.
    pub(crate) fn text(&self, name: KnownName) -> Option<&str> {
        self.fields().get(name).and_then(text)
    }

    /// Returns the content that the framing fields announce.
    pub(crate) const fn announced(&self) -> http1::AnnouncedContent {
        self.parsed.announced()
    }

    /// The number of content bytes that follow, if the head announces it.
    pub(crate) const fn content_length(&self, request: ResponseTo) -> Option<u64> {
        match self.parsed.framing(request) {
            http1::Framing::Empty => Some(0),
            http1::Framing::Length(bytes) => Some(bytes),
            http1::Framing::Chunked | http1::Framing::UntilClose | http1::Framing::Tunnel => None,
        }
    }
}

/// Whether a field shares a response with pages of other origins. Only the gateway decides that.
pub(crate) fn is_sharing(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"access-control-";
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn of_http2(fields: &[(&'static str, &'static str)]) -> Result<UpstreamHead, InvalidHead> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        UpstreamHead::of_http2(StatusCode::OK, &headers)
    }

    #[test]
    fn the_head_of_other_content_has_nothing_about_the_earlier_content() {
        let head = of_http2(&[("content-encoding", "gzip"), ("content-length", "9"), ("x-id", "1")]).unwrap();
        let other = head.with_content(400, "application/json").unwrap();
        let names: Vec<_> = other.fields().iter().map(|field| field.name).collect();
        assert_eq!((other.status(), names), (400, vec![&b"x-id"[..], b"content-type"]));
    }

    #[test]
    fn a_head_with_an_invalid_status_says_so() {
        let head = of_http2(&[("x-id", "1")]).unwrap();
        assert_eq!(head.with_status(99).err(), Some(InvalidHead::Part(InvalidPart::Status)));
        assert_eq!(head.with_status(206).unwrap().status(), 206);
    }

    #[test]
    fn a_head_in_used_memory_has_nothing_of_the_earlier_one() {
        let heads = RelayedHeads::default();
        let mut first = heads.take(of_http2(&[("a", "1")]).unwrap());
        first.edits.set(KnownName::Server, b"x").unwrap();
        first.edits.remove(KnownName::Via);
        (first.may_have_trailers, first.is_changed) = (false, true);
        heads.give_back(first);
        assert!(heads.0.borrow()[0].head.as_bytes().is_empty(), "the buffer of the connection is not kept");
        let second = heads.take(of_http2(&[("b", "2"), ("via", "1.1 x")]).unwrap());
        assert!(heads.0.borrow().is_empty());
        let names: Vec<_> = second.edits.kept(second.head.fields()).map(|field| field.name).collect();
        assert_eq!((names, second.edits.added().count()), (vec![&b"b"[..], b"via"], 0));
        assert_eq!((second.may_have_trailers, second.is_changed), (true, false));
    }

    #[test]
    fn few_and_small_heads_are_kept() {
        let heads = RelayedHeads::default();
        let mut large = heads.take(of_http2(&[]).unwrap());
        large.edits.append(KnownName::Server, &[b'x'; KEPT_BYTES_MAX]).unwrap();
        heads.give_back(large);
        assert!(heads.0.borrow().is_empty());
        let used: Vec<_> = (0..UNUSED_MAX + 10).map(|_| heads.take(of_http2(&[]).unwrap())).collect();
        used.into_iter().for_each(|head| drop(heads.give_back(head)));
        assert_eq!(heads.0.borrow().len(), UNUSED_MAX);
    }

    #[test]
    fn heads_over_http2_are_judged_as_those_over_http1() {
        let head = of_http2(&[("content-length", "5"), ("content-type", "text/plain"), ("a", "")]).unwrap();
        assert_eq!((head.status(), head.content_length(ResponseTo::Other)), (200, Some(5)));
        assert_eq!(head.content_length(ResponseTo::Head), Some(0));
        assert_eq!((head.text(KnownName::ContentType), head.fields().len()), (Some("text/plain"), 3));
        assert_eq!(of_http2(&[]).unwrap().content_length(ResponseTo::Other), None);
        for (fields, violation) in [
            (&[("content-length", "5"), ("content-length", "5")][..], Violation::TwoLengths),
            (&[("content-length", "+5")], Violation::Length),
            (&[("transfer-encoding", "gzip")], Violation::Coding),
            (&[("transfer-encoding", "chunked"), ("content-length", "5")], Violation::LengthAndCoding),
        ] {
            assert_eq!(of_http2(fields).unwrap_err(), InvalidHead::Violation(violation), "{fields:?}");
        }
    }
}
