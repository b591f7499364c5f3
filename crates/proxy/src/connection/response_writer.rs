//! The response on its way to a client: head and body, framed, in as few writes as possible.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body::Body as _;
use http1::{CHUNK_END, ChunkPrefix, LAST_CHUNK, ResponseTo, Version, persistence_option, write_status_line};
use hyper::ext::ReasonPhrase;

use super::socket::SharedSocket;
use crate::body::Body;
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
    pub(super) fn new(first: &'static [u8], response: Response<Body>, context: &ResponseContext<'_>) -> Self {
        let (parts, body) = response.into_parts();
        let has_content =
            !matches!(parts.status.as_u16(), 100..=199 | 204 | 304) && context.responds_to != ResponseTo::Head;
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        let framing = match length {
            _ if !has_content => ContentFraming::Absent,
            Some(bytes) => ContentFraming::Length(bytes),
            None if context.version == Version::Http10 => ContentFraming::UntilClose,
            None => ContentFraming::Chunked,
        };
        let persists = context.persists && framing != ContentFraming::UntilClose && !is_close(&parts.headers);
        let mut head = Vec::with_capacity(HEAD_BYTES_USUAL);
        head.extend_from_slice(first);
        let reason = parts.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
        write_status(&mut head, parts.status, reason);
        write_fields(&mut head, &parts.headers);
        if !parts.headers.contains_key(header::DATE) {
            write_field(&mut head, b"date", &context.worker.date());
        }
        if let Some(option) = persistence_option(context.version, persists) {
            write_field(&mut head, b"connection", option);
        }
        match framing {
            ContentFraming::Absent => write_announced_length(&mut head, parts.status, &parts.headers, length),
            ContentFraming::Length(bytes) => write_field(&mut head, b"content-length", bytes.to_string().as_bytes()),
            ContentFraming::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            ContentFraming::UntilClose => {}
        }
        head.extend_from_slice(b"\r\n");
        let mut queue = WriteQueue::default();
        queue.push(Bytes::from(head));
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

fn is_close(headers: &HeaderMap) -> bool {
    headers.get(header::CONNECTION).is_some_and(|option| option.as_bytes().eq_ignore_ascii_case(b"close"))
}

fn write_status(out: &mut Vec<u8>, status: StatusCode, reason: Option<&[u8]>) {
    let reason = reason.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().as_bytes());
    if write_status_line(out, status.as_u16(), reason).is_err() {
        // A reason with a control octet; every status of the type can be written.
        let _ = write_status_line(out, status.as_u16(), b"");
    }
}

/// Writes the fields except those of the connection and of the framing.
fn write_fields(out: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        if !matches!(*name, header::CONNECTION | header::CONTENT_LENGTH | header::TRANSFER_ENCODING) {
            write_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

/// A response without content may announce that of another one: of GET to HEAD, of status 200 with status 304
/// (RFC 9110, 8.6).
fn write_announced_length(out: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap, length: Option<u64>) {
    if status == StatusCode::NO_CONTENT || status.is_informational() {
        return;
    }
    if let Some(announced) = headers.get(header::CONTENT_LENGTH) {
        write_field(out, b"content-length", announced.as_bytes());
    } else if let Some(bytes @ 1..) = length {
        write_field(out, b"content-length", bytes.to_string().as_bytes());
    }
}

/// A `HeaderName` is a token, and a `HeaderValue` has no control octet except tabs.
fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
