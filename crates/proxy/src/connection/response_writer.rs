//! The response on its way to a client: head and body, framed, in as few writes as possible.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http1::{
    Announced, CHUNK_END, ChunkPrefix, HeadEdits, KnownName, LAST_CHUNK, ResponseTo, Version, persistence_option,
    write_own_fields, write_status_line,
};

use super::socket::SharedSocket;
use crate::body::Body;
use crate::response::{ClientHead, ClientResponse};
use crate::upstream::response_head::UpstreamHead;
use crate::worker::Worker;
use crate::write_queue::WriteQueue;

/// Bytes of a response that wait for the socket, besides the piece at hand.
const QUEUED_BYTES_MAX: usize = 64 * 1024;
/// A usual head: it fits without a second allocation.
const HEAD_BYTES_USUAL: usize = 1024;

/// What the head of a response depends on, besides the response.
pub(super) struct ResponseContext<'a> {
    pub(super) version: Version,
    pub(super) responds_to: ResponseTo,
    /// Whether the connection could serve another request.
    pub(super) persists: bool,
    pub(super) worker: &'a Worker,
}

/// How the end of the content is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContentFraming {
    /// The response has no content, whatever its head announces.
    Absent,
    /// This number of bytes is still to come.
    Length(u64),
    Chunked,
    /// The close of the connection ends it.
    UntilClose,
}

/// Why a response was not written to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteEnd {
    /// The client takes no more.
    ClientGone,
    /// The body broke off, and the framing shows it to the client.
    Aborted,
    /// The body broke off, and only a reset can show it to the client.
    AbortedUnseen,
}

/// A response that is being written.
pub(super) struct ResponseWriter {
    queue: WriteQueue,
    framing: ContentFraming,
    body: Body,
    has_ended: bool,
    /// Whether the connection can serve another request after it.
    pub(super) persists: bool,
}

impl ResponseWriter {
    /// Writes nothing yet. `first` goes before the head.
    pub(super) fn new(first: &'static [u8], response: ClientResponse, context: &ResponseContext<'_>) -> Self {
        let ClientResponse { head, body, closes } = response;
        let has_content = !matches!(head.status(), 100..=199 | 204 | 304) && context.responds_to != ResponseTo::Head;
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        let framing = match length {
            _ if !has_content => ContentFraming::Absent,
            Some(bytes) => ContentFraming::Length(bytes),
            None if context.version == Version::Http10 => ContentFraming::UntilClose,
            None => ContentFraming::Chunked,
        };
        let persists = context.persists && framing != ContentFraming::UntilClose && !closes;
        let option = persistence_option(context.version, persists);
        let mut out = Vec::with_capacity(HEAD_BYTES_USUAL);
        out.extend_from_slice(first);
        match head {
            ClientHead::Own(status, headers) => {
                let announced = framing.announced(Announced::Length(length.unwrap_or(0)));
                write_status(&mut out, status, b"");
                write_headers(&mut out, &headers);
                write_field(&mut out, b"date", &context.worker.date());
                if let Some(option) = option {
                    write_field(&mut out, b"connection", option);
                }
                write_own_fields(&mut out, &HeadEdits::for_forwarding(), announced);
            }
            ClientHead::Relayed(head, edits) => {
                let announced = framing.announced(head.announced());
                write_relayed(&mut out, &head, edits, &FramingFields { announced, option, worker: context.worker });
            }
        }
        let mut queue = WriteQueue::default();
        queue.push(Bytes::from(out));
        let has_ended = framing == ContentFraming::Absent || length == Some(0);
        Self { queue, framing, body, has_ended, persists }
    }

    /// Writes as far as possible. Ready when the whole response is written.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, socket: &SharedSocket) -> Poll<Result<(), WriteEnd>> {
        loop {
            self.fill(cx)?;
            if self.queue.is_empty() {
                return if self.has_ended { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            ready!(socket.borrow_mut().poll_write(cx, &mut self.queue)).map_err(|_| WriteEnd::ClientGone)?;
        }
    }

    /// Takes what the body has, up to a bound.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), WriteEnd> {
        while !self.has_ended && self.queue.bytes() < QUEUED_BYTES_MAX {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are dropped: the client was promised none (RFC 9110, 6.5.1).
                    if let Ok(data) = frame.into_data() {
                        self.push(data)?;
                    }
                    // Known here, the end goes out with the last piece.
                    if self.body.is_end_stream() {
                        self.end()?;
                    }
                }
                Poll::Ready(Some(Err(_))) => return Err(self.aborted()),
                Poll::Ready(None) => self.end()?,
            }
        }
        Ok(())
    }

    fn push(&mut self, data: Bytes) -> Result<(), WriteEnd> {
        match &mut self.framing {
            ContentFraming::Absent => {}
            ContentFraming::UntilClose => self.queue.push(data),
            ContentFraming::Length(left) => {
                let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
                // More would be read as the next response.
                *left = left.checked_sub(bytes).ok_or(WriteEnd::Aborted)?;
                self.queue.push(data);
            }
            ContentFraming::Chunked => {
                if let Some(prefix) = ChunkPrefix::new(data.len()) {
                    self.queue.push(Bytes::copy_from_slice(prefix.as_bytes()));
                    self.queue.push(data);
                    self.queue.push(Bytes::from_static(CHUNK_END));
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), WriteEnd> {
        self.has_ended = true;
        match self.framing {
            ContentFraming::Length(1..) => return Err(WriteEnd::Aborted),
            ContentFraming::Chunked => self.queue.push(Bytes::from_static(LAST_CHUNK)),
            ContentFraming::Absent | ContentFraming::Length(0) | ContentFraming::UntilClose => {}
        }
        Ok(())
    }

    const fn aborted(&self) -> WriteEnd {
        match self.framing {
            ContentFraming::UntilClose => WriteEnd::AbortedUnseen,
            ContentFraming::Absent | ContentFraming::Length(_) | ContentFraming::Chunked => WriteEnd::Aborted,
        }
    }
}

impl ContentFraming {
    /// What the head announces. A response without content may announce that of another one: of GET to HEAD, of status 200
    /// with status 304 (RFC 9110, 8.6). A length of 0 there is not one that anybody announced.
    const fn announced(self, of_head: Announced) -> Announced {
        match (self, of_head) {
            (Self::Length(bytes), _) => Announced::Length(bytes),
            (Self::Chunked, _) => Announced::Chunked,
            (Self::Absent, Announced::Length(_)) => of_head,
            (Self::Absent | Self::UntilClose, _) => Announced::Nothing,
        }
    }
}

/// What the connection adds to an upstream's head.
struct FramingFields<'a> {
    announced: Announced,
    option: Option<&'static [u8]>,
    worker: &'a Worker,
}

fn write_relayed(out: &mut Vec<u8>, head: &UpstreamHead, mut edits: HeadEdits, framing: &FramingFields<'_>) {
    let status = StatusCode::from_u16(head.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    write_status(out, status, head.reason());
    let fields = head.fields();
    // The added values are valid.
    if fields.get(KnownName::Date).is_none() {
        let _ = edits.append(KnownName::Date, &framing.worker.date());
    }
    if let Some(option) = framing.option {
        let _ = edits.append(KnownName::Connection, option);
    }
    http1::write_fields(out, fields, &edits, framing.announced);
}

/// Writes the status line, with the usual reason if `reason` is empty.
fn write_status(out: &mut Vec<u8>, status: StatusCode, reason: &[u8]) {
    let usual = status.canonical_reason().unwrap_or_default().as_bytes();
    // Every status of the type can be written, and parsed reasons have no control octet.
    let _ = write_status_line(out, status.as_u16(), if reason.is_empty() { usual } else { reason });
}

/// Writes the fields of a response of the gateway.
fn write_headers(out: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        if !matches!(*name, header::CONTENT_LENGTH | header::DATE) {
            write_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

/// A `HeaderName` is a token, and a `HeaderValue` has no control octet except tabs.
fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
