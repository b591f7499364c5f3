//! The request on its way to an upstream: head and body, framed, in as few writes as possible.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use ::http1::{Announced, CHUNK_END, ChunkPrefix, InvalidPart, LAST_CHUNK, write_fields, write_request_line};
use bytes::{Buf as _, Bytes};
use http_body::Body as _;
use tokio::io::AsyncWrite as _;
use tokio::task::AbortHandle;

use super::call::Http1CallError;
use crate::body::{Upload, UploadError};
use crate::upstream::outgoing::OutgoingHead;
use crate::upstream::socket::Socket;
use crate::worker::spawn;

/// Bytes of the body that wait for the socket, besides the piece at hand.
const QUEUED_BYTES_MAX: usize = 64 * 1024;
/// Slices of one vectored write.
const SLICES_MAX: usize = 16;
/// A usual head: it fits without a second allocation.
const HEAD_BYTES_USUAL: usize = 1024;

/// Bytes that wait for the socket.
struct QueuedBytes {
    bytes: Bytes,
    /// Whether they are the client's, not framing.
    is_content: bool,
}

/// A request that is being written.
pub(super) struct RequestWriter {
    socket: Rc<RefCell<Socket>>,
    upload: Upload,
    /// Whether the body is sent in chunks, because its length is not known.
    is_chunked: bool,
    queue: VecDeque<QueuedBytes>,
    queued_bytes: usize,
    has_ended: bool,
    is_flushed: bool,
}

impl RequestWriter {
    /// Writes nothing yet.
    ///
    /// # Errors
    /// The method or the target cannot be written.
    pub(super) fn new(
        socket: Rc<RefCell<Socket>>,
        outgoing: &OutgoingHead,
        upload: Upload,
    ) -> Result<Self, InvalidPart> {
        let mut head = Vec::with_capacity(HEAD_BYTES_USUAL);
        let announced = outgoing.announced(&upload);
        write_request_line(&mut head, outgoing.head.method().as_bytes(), &outgoing.target().map(str::as_bytes))?;
        write_fields(&mut head, outgoing.head.fields(), &outgoing.edits, announced);
        let is_chunked = announced == Announced::Chunked;
        let has_ended = upload.is_end_stream();
        let mut queue = VecDeque::with_capacity(4);
        let queued_bytes = head.len();
        queue.push_back(QueuedBytes { bytes: Bytes::from(head), is_content: false });
        Ok(Self { socket, upload, is_chunked, queue, queued_bytes, has_ended, is_flushed: true })
    }

    /// The body from its beginning. Nothing of the request was written.
    pub(super) fn into_upload(self) -> Upload {
        let content = self.queue.into_iter().filter(|queued| queued.is_content).map(|queued| queued.bytes).collect();
        self.upload.rewound(content)
    }

    /// Writes as far as possible. Ready when the whole request is written.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Http1CallError>> {
        loop {
            self.fill(cx)?;
            if self.queue.is_empty() {
                if !self.is_flushed {
                    let mut socket = self.socket.borrow_mut();
                    ready!(Pin::new(&mut *socket).poll_flush(cx)).map_err(Http1CallError::Io)?;
                    self.is_flushed = true;
                }
                return if self.has_ended { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            let written = ready!(self.poll_write(cx)).map_err(Http1CallError::Io)?;
            self.is_flushed = false;
            self.wrote(written);
        }
    }

    /// Takes what the client has sent of the body, up to a bound.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), UploadError> {
        while !self.has_ended && self.queued_bytes < QUEUED_BYTES_MAX {
            match Pin::new(&mut self.upload).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.push_content(data);
                    }
                    // Known here, the end goes out with the last piece.
                    if self.upload.is_end_stream() {
                        self.end();
                    }
                }
                Poll::Ready(Some(Err(failed))) => return Err(failed),
                Poll::Ready(None) => self.end(),
            }
        }
        Ok(())
    }

    fn push_content(&mut self, data: Bytes) {
        let prefix = ChunkPrefix::new(data.len()).filter(|_| self.is_chunked);
        if let Some(prefix) = prefix {
            self.push(Bytes::copy_from_slice(prefix.as_bytes()), false);
            self.push(data, true);
            self.push(Bytes::from_static(CHUNK_END), false);
        } else {
            self.push(data, true);
        }
    }

    fn end(&mut self) {
        self.has_ended = true;
        if self.is_chunked {
            self.push(Bytes::from_static(LAST_CHUNK), false);
        }
    }

    fn push(&mut self, bytes: Bytes, is_content: bool) {
        if !bytes.is_empty() {
            self.queued_bytes += bytes.len();
            self.queue.push_back(QueuedBytes { bytes, is_content });
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut socket = self.socket.borrow_mut();
        let socket = Pin::new(&mut *socket);
        let written = match self.queue.front() {
            Some(only) if self.queue.len() == 1 || !socket.is_write_vectored() => {
                ready!(socket.poll_write(cx, &only.bytes))
            }
            _ => {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                for (slice, queued) in slices.iter_mut().zip(&self.queue) {
                    *slice = IoSlice::new(&queued.bytes);
                }
                let count = self.queue.len().min(SLICES_MAX);
                ready!(socket.poll_write_vectored(cx, slices.get(..count).unwrap_or_default()))
            }
        };
        Poll::Ready(match written {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            written => written,
        })
    }

    fn wrote(&mut self, mut bytes: usize) {
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        while let Some(front) = self.queue.front_mut() {
            if bytes < front.bytes.len() {
                front.bytes.advance(bytes);
                return;
            }
            bytes -= front.bytes.len();
            self.queue.pop_front();
        }
    }

    /// Writes the rest in a task of its own: nobody polls a response while its client does not read.
    pub(super) fn continue_in_task(mut self) -> UploadTask {
        let state = Rc::new(UploadTaskState { end: Cell::new(None), reader: RefCell::new(None) });
        let shared = state.clone();
        let task = spawn(async move {
            let written = std::future::poll_fn(|cx| self.poll(cx)).await;
            shared.end.set(Some(match written {
                Ok(()) => UploadEnd::Written,
                Err(Http1CallError::Upload(failed)) => UploadEnd::Failed(failed),
                // The response reports why.
                Err(_) => UploadEnd::Refused,
            }));
            if let Some(reader) = shared.reader.take() {
                reader.wake();
            }
        });
        UploadTask { state, task: task.abort_handle() }
    }
}

/// How the rest of a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UploadEnd {
    Written,
    /// The client's body failed.
    Failed(UploadError),
    /// The upstream reads no more of it.
    Refused,
}

struct UploadTaskState {
    end: Cell<Option<UploadEnd>>,
    /// The reader of the response, which a failed upload ends.
    reader: RefCell<Option<Waker>>,
}

/// A task that writes the rest of a request. Dropped, the task ends.
pub(super) struct UploadTask {
    state: Rc<UploadTaskState>,
    task: AbortHandle,
}

impl UploadTask {
    /// Whether all of the request was written.
    pub(super) fn is_written(&self) -> bool {
        self.state.end.get() == Some(UploadEnd::Written)
    }

    /// Returns why the client's body failed, and otherwise wakes the caller when it does.
    pub(super) fn poll_failed(&self, cx: &Context<'_>) -> Option<UploadError> {
        match self.state.end.get() {
            Some(UploadEnd::Failed(failed)) => Some(failed),
            Some(UploadEnd::Written | UploadEnd::Refused) => None,
            None => {
                let mut reader = self.state.reader.borrow_mut();
                match reader.as_mut() {
                    Some(known) => known.clone_from(cx.waker()),
                    None => *reader = Some(cx.waker().clone()),
                }
                None
            }
        }
    }
}

impl Drop for UploadTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}
