//! The response to a client: writes head and body, with framing, in as few writes as possible.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;
use http1::{AnnouncedContent, LAST_CHUNK, ResponseTo, Version, persistence_option, write_framing};

use crate::bytes::write_queue::WriteQueue;
use crate::client::SharedSocket;
use crate::response::response_body::Body;
use crate::response::{ClientResponse, head};
use crate::upstream::response_head::RelayedHead;
use crate::worker::Worker;

/// Content up to this size is copied.
const COPIED_BYTES_MAX: usize = 512;

/// The properties of the request and its connection on which the head of the response depends.
pub(super) struct ResponseContext<'a> {
    pub(super) version: Version,
    pub(super) responds_to: ResponseTo,
    /// Whether the connection could serve another request.
    pub(super) persists: bool,
    pub(super) worker: &'a Worker,
}

/// The way in which the response marks the end of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContentFraming {
    /// The response has no content, whatever its head announces.
    Absent,
    /// The number of bytes that are still to be written.
    Length(u64),
    Chunked,
    /// The close of the connection ends the content.
    UntilClose,
}

/// The reason why a response was not completely written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteEnd {
    /// The client has closed the connection, or it has failed.
    ClientGone,
    /// The body failed, and the framing shows it to the client.
    Aborted,
    /// The body failed, and only a reset can show it to the client.
    AbortedUnseen,
}

/// A response that is being written.
pub(super) struct ResponseWriter {
    queue: WriteQueue,
    framing: ContentFraming,
    body: Body,
    /// Whether trailers are written. Otherwise they are dropped (RFC 9110, 6.5.1).
    has_trailers: bool,
    has_ended: bool,
    /// The reason to abort the response. The queue, which may contain the head, is written first.
    failed: Option<WriteEnd>,
    /// Whether the connection can serve another request after this response.
    pub(super) persists: bool,
}

impl ResponseWriter {
    /// Creates the writer without writing anything. `queue` may contain interim responses; `first` is sent after them and
    /// before the head.
    #[expect(clippy::boxed_local, reason = "a future moves only the box")]
    pub(super) fn new(
        mut queue: WriteQueue,
        first: &'static [u8],
        mut response: Box<ClientResponse>,
        context: &ResponseContext<'_>,
    ) -> Self {
        let ClientResponse { head, body, closes } = &mut *response;
        let status = head.status().as_u16();
        // Only a response that opens a tunnel has this status.
        let is_tunnel = status == 101;
        let is_bodiless = matches!(status, 100..=199 | 204 | 304) || context.responds_to == ResponseTo::Head;
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        let framing = match length {
            _ if is_tunnel => ContentFraming::UntilClose,
            _ if is_bodiless => ContentFraming::Absent,
            Some(bytes) => ContentFraming::Length(bytes),
            None if context.version == Version::Http10 => ContentFraming::UntilClose,
            None => ContentFraming::Chunked,
        };
        let persists = context.persists && framing != ContentFraming::UntilClose && !*closes;
        let has_trailers = framing == ContentFraming::Chunked && body.may_have_trailers() && head.keep_trailers();
        // The edits of a tunnel's head have the option `upgrade`.
        let option = if is_tunnel { None } else { persistence_option(context.version, persists) };
        let announced = framing.announced(head.announced(length));
        let written: Result<(), Infallible> = queue.write(|out| {
            out.extend_from_slice(first);
            head.write(out, &context.worker.date);
            if let Some(option) = option {
                [b"connection: ", option, b"\r\n"].into_iter().for_each(|part| out.extend_from_slice(part));
            }
            write_framing(out, announced);
            Ok(())
        });
        let Ok(()) = written;
        let ClientResponse { head, body, closes: _ } = *response;
        if let Some(relayed) = head.into_relayed() {
            context.worker.buffers.give_back_fields(context.worker.relayed_heads.give_back(relayed));
        }
        let has_ended = framing == ContentFraming::Absent || (length == Some(0) && !is_tunnel);
        Self { queue, framing, body, has_trailers, has_ended, failed: None, persists }
    }

    /// Returns the memory of the queue for another response, after this one was written.
    pub(super) fn into_queue(self) -> WriteQueue {
        self.queue
    }

    /// Whether the response ends if its client closes its sending side.
    pub(super) fn ends_with_client(&self) -> bool {
        self.body.ends_with_client()
    }

    /// Writes as much as possible. Ready when the whole response is written, or
    /// the part before its failure.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, socket: &SharedSocket) -> Poll<Result<(), WriteEnd>> {
        loop {
            if self.failed.is_none() {
                self.failed = self.fill(cx).err();
            }
            if self.queue.is_empty() {
                let flushed = socket.borrow_mut().poll_flush(cx).map_err(|_| WriteEnd::ClientGone)?;
                return match self.failed {
                    Some(end) => flushed.map(|()| Err(end)),
                    None if self.has_ended => flushed.map(Ok),
                    None => Poll::Pending,
                };
            }
            ready!(socket.borrow_mut().poll_write(cx, &mut self.queue)).map_err(|_| WriteEnd::ClientGone)?;
        }
    }

    /// Queues pieces of the body until the queue is full.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), WriteEnd> {
        while !self.has_ended && !self.queue.is_full() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => {
                    match frame.into_data() {
                        Ok(data) => self.push(data)?,
                        Err(frame) if self.has_trailers => {
                            self.queue.push_trailers(&frame.into_trailers().unwrap_or_default());
                            self.has_ended = true;
                            break;
                        }
                        Err(_) => {}
                    }
                    // If the end of the body is already known, it is sent together with the last piece.
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
            ContentFraming::UntilClose => self.push_content(data),
            ContentFraming::Length(left) => {
                let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
                // The client would read surplus bytes as the next response.
                *left = left.checked_sub(bytes).ok_or(WriteEnd::Aborted)?;
                self.push_content(data);
            }
            ContentFraming::Chunked => self.queue.push_chunk(data),
        }
        Ok(())
    }

    /// Queues content. A few bytes are copied behind the head, because a write of one piece costs less.
    fn push_content(&mut self, data: Bytes) {
        if data.len() <= COPIED_BYTES_MAX {
            self.queue.push(&data);
        } else {
            self.queue.push_content(data);
        }
    }

    fn end(&mut self) -> Result<(), WriteEnd> {
        self.has_ended = true;
        match self.framing {
            ContentFraming::Length(1..) => return Err(WriteEnd::Aborted),
            ContentFraming::Chunked => self.queue.push(LAST_CHUNK),
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
    /// Returns what the head announces. A response without content may announce the length of another response (RFC
    /// 9110, 8.6): that of GET for HEAD, and that of status 200 for status 304. If the upstream announced no length,
    /// the head announces none either, not even 0.
    const fn announced(self, of_head: AnnouncedContent) -> AnnouncedContent {
        match (self, of_head) {
            (Self::Length(bytes), _) => AnnouncedContent::Length(bytes),
            (Self::Chunked, _) => AnnouncedContent::Chunked,
            (Self::Absent, AnnouncedContent::Length(_)) => of_head,
            (Self::Absent | Self::UntilClose, _) => AnnouncedContent::Nothing,
        }
    }
}

/// Queues an interim response of an upstream.
pub(super) fn write_interim(queue: &mut WriteQueue, interim: &RelayedHead) {
    let written: Result<(), Infallible> = queue.write(|out| {
        head::write_interim(out, interim);
        write_framing(out, AnnouncedContent::Nothing);
        Ok(())
    });
    let Ok(()) = written;
}
