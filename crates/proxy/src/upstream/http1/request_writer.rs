//! The request to an upstream: writes head and body, with framing, in as few writes as possible.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use ::http1::{AnnouncedContent, InvalidPart, LAST_CHUNK, write_fields, write_request_line};
use bytes::Bytes;
use http_body::Body as _;
use tokio::io::AsyncWrite as _;
use tokio::task::AbortHandle;

use super::Http1Connection;
use super::error::Http1CallError;
use crate::body::upload::{Upload, UploadError};
use crate::bytes::write_queue::WriteQueue;
use crate::deadlines::task::spawn;
use crate::upstream::outgoing::OutgoingHead;
use crate::upstream::socket::Socket;

/// A request that is being written.
pub(super) struct RequestWriter {
    socket: Rc<RefCell<Socket>>,
    upload: Upload,
    /// Whether the body is sent in chunks, because its length is not known.
    is_chunked: bool,
    queue: WriteQueue,
    has_ended: bool,
    is_flushed: bool,
    /// Whether the end of the body closes this direction of the connection, which has become a tunnel.
    is_tunnel: bool,
}

impl RequestWriter {
    /// Creates the writer without writing anything.
    ///
    /// # Errors
    /// The method or the target cannot be written.
    pub(super) fn new(
        connection: &Http1Connection,
        outgoing: &OutgoingHead,
        upload: Upload,
    ) -> Result<Self, InvalidPart> {
        let announced = outgoing.announced(&upload);
        let mut queue = connection.buffers.take_queue();
        queue.write(|out| {
            write_request_line(out, outgoing.head.method_bytes(), &outgoing.target())?;
            write_fields(out, outgoing.head.fields(), &outgoing.edits, announced);
            Ok(())
        })?;
        let is_chunked = announced == AnnouncedContent::Chunked;
        let has_ended = upload.is_end_stream();
        let socket = connection.socket.clone();
        Ok(Self { socket, upload, is_chunked, queue, has_ended, is_flushed: true, is_tunnel: false })
    }

    /// Creates a writer for what follows the head of a request whose connection has become a tunnel.
    pub(super) fn tunnel(connection: &Http1Connection, upload: Upload) -> Self {
        let socket = connection.socket.clone();
        let queue = connection.buffers.take_queue();
        Self { socket, upload, is_chunked: false, queue, has_ended: false, is_flushed: true, is_tunnel: true }
    }

    /// Returns the body from its beginning. Nothing of the request may have been written.
    pub(super) fn into_upload(mut self) -> Upload {
        self.upload.rewound(self.queue.take_content())
    }

    /// Takes the queue for another message, after all was written.
    pub(super) fn take_queue(&mut self) -> WriteQueue {
        std::mem::take(&mut self.queue)
    }

    /// Writes as much as possible. Ready when the whole request is written.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Http1CallError>> {
        loop {
            self.fill(cx)?;
            if self.queue.is_empty() {
                if !self.is_flushed {
                    let mut socket = self.socket.borrow_mut();
                    ready!(Pin::new(&mut *socket).poll_flush(cx)).map_err(Http1CallError::Io)?;
                    self.is_flushed = true;
                }
                if self.has_ended && self.is_tunnel {
                    let mut socket = self.socket.borrow_mut();
                    ready!(Pin::new(&mut *socket).poll_shutdown(cx)).map_err(Http1CallError::Io)?;
                }
                return if self.has_ended { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            ready!(self.queue.poll_write(cx, &mut *self.socket.borrow_mut())).map_err(Http1CallError::Io)?;
            self.is_flushed = false;
        }
    }

    /// Queues pieces of the client's body until the bound of the queue is reached.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), UploadError> {
        while !self.has_ended && !self.queue.is_full() {
            match Pin::new(&mut self.upload).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => {
                    match frame.into_data() {
                        Ok(data) => self.push_content(data),
                        Err(frame) if self.is_chunked => {
                            self.queue.push_trailers(&frame.into_trailers().unwrap_or_default());
                            self.has_ended = true;
                            break;
                        }
                        Err(_) => {}
                    }
                    // If the end of the body is already known, it is sent together with the last piece.
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
        if self.is_chunked {
            self.queue.push_chunk(data);
        } else {
            self.queue.push_content(data);
        }
    }

    fn end(&mut self) {
        self.has_ended = true;
        if self.is_chunked {
            self.queue.push(LAST_CHUNK);
        }
    }

    /// Writes the rest in a separate task, because nothing polls a response while its client does not read.
    pub(super) fn continue_in_task(mut self) -> UploadTask {
        let state = Rc::new(UploadTaskState { end: Cell::new(None), reader: RefCell::new(None) });
        let shared = state.clone();
        let task = spawn(async move {
            let written = std::future::poll_fn(|cx| self.poll(cx)).await;
            shared.end.set(Some(match written {
                Ok(()) => UploadEnd::Written,
                Err(Http1CallError::Upload(failed)) => UploadEnd::Failed(failed),
                // The response reports the reason.
                Err(_) => UploadEnd::Refused,
            }));
            if let Some(reader) = shared.reader.take() {
                reader.wake();
            }
        });
        UploadTask { state, task: task.abort_handle() }
    }
}

/// The result of writing the rest of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UploadEnd {
    Written,
    /// The client's body failed.
    Failed(UploadError),
    /// The upstream reads no more of the request.
    Refused,
}

struct UploadTaskState {
    end: Cell<Option<UploadEnd>>,
    /// The waker of the task that reads the response, which a failed upload ends.
    reader: RefCell<Option<Waker>>,
}

/// A task that writes the rest of a request. Dropping it ends the task.
pub(super) struct UploadTask {
    state: Rc<UploadTaskState>,
    task: AbortHandle,
}

impl UploadTask {
    /// Returns whether all of the request was written.
    pub(super) fn is_written(&self) -> bool {
        self.state.end.get() == Some(UploadEnd::Written)
    }

    /// Returns why the client's body failed. While it has not failed, the task of `cx` is woken when it does.
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
