//! A client's socket: the received bytes, the content of the current request, and the progress for its deadlines.

use std::cell::RefCell;
use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http1::{CONTINUE, Framing, RequestParser, Violation};
use tls::ServerStream;
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};

use super::request_body_error::RequestBodyError;
use crate::bytes::buffers::Buffers;
use crate::bytes::content::{ContentReader, Trailers};
use crate::bytes::receive_buffer::ReceiveBuffer;
use crate::bytes::write_queue::WriteQueue;
use crate::client::head::{Head, UnusedHeads};
use crate::deadlines::ConnectionDeadlines;

/// Maximum number of bytes of a refused request that are read and dropped before the connection is closed.
const LINGER_BYTES_MAX: usize = 1 << 20;

/// The first line of the preface of HTTP/2, which is no request line of HTTP/1.1.
const PREFACE_LINE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// A client's socket, shared by the connection and the body of its current request.
pub(crate) type SharedSocket = Rc<RefCell<ClientSocket>>;

/// A client's socket with its buffer, the state of the current request, and its progress.
pub(crate) struct ClientSocket {
    stream: ServerStream,
    buffers: Rc<Buffers>,
    deadlines: Rc<ConnectionDeadlines>,
    /// Received bytes that are not parsed or read yet. A waiting connection without such bytes has no buffer.
    received: ReceiveBuffer,
    /// The content of the current request.
    content: ContentReader,
    /// Whether the connection has become a tunnel, after which it serves no request.
    is_tunnel: bool,
    /// Whether the client has closed its sending side.
    is_half_closed: bool,
    /// The number of the current request. The body of an earlier request reads nothing.
    request: u64,
    interim: InterimResponse,
    /// The waker of the connection's task, which watches the socket itself once the content is complete.
    watcher: Option<Waker>,
}

/// The response `100 Continue`, if the client waits for it.
enum InterimResponse {
    NotExpected,
    Expected,
    /// These bytes are still to be written.
    Writing(&'static [u8]),
}

impl ClientSocket {
    pub(crate) fn new(stream: ServerStream, buffers: Rc<Buffers>, deadlines: Rc<ConnectionDeadlines>) -> Self {
        Self {
            stream,
            buffers,
            deadlines,
            received: ReceiveBuffer::default(),
            content: ContentReader::new(Framing::Empty),
            is_tunnel: false,
            is_half_closed: false,
            request: 0,
            interim: InterimResponse::NotExpected,
            watcher: None,
        }
    }

    /// Parses the head of the next request, if it has arrived completely. It uses the memory of `heads`.
    pub(crate) fn parse(
        &mut self,
        parser: &mut RequestParser,
        heads: &UnusedHeads,
    ) -> Result<Option<Rc<Head>>, Violation> {
        if self.received.bytes.is_empty() {
            return Ok(None);
        }
        if !parser.has_begun() {
            parser.reuse(self.buffers.take_fields());
        }
        let Some(parsed) = parser.parse(&self.received.bytes)? else { return Ok(None) };
        let bytes = self.received.bytes.split_to(parsed.len()).freeze();
        let framing = parsed.framing();
        let head = heads.join(bytes, parsed);
        self.content = ContentReader::after(head.fields(), framing);
        self.request += 1;
        self.interim = if head.expects_continue() { InterimResponse::Expected } else { InterimResponse::NotExpected };
        Ok(Some(head))
    }

    /// Drops all received bytes of a request that is refused. Returns its method and target, if they were parsed.
    pub(crate) fn refuse(&mut self, parser: &RequestParser) -> Option<(Bytes, Bytes)> {
        let line = parser.line(&self.received.bytes);
        let line = line.map(|(method, target)| (Bytes::copy_from_slice(method), Bytes::copy_from_slice(target)));
        self.received.bytes.clear();
        self.content = ContentReader::new(Framing::Empty);
        self.request += 1;
        line
    }

    /// Whether the connection begins with the preface of HTTP/2 (RFC 9113, 3.4), whose first line the parser has refused.
    pub(crate) fn begins_http2(&self) -> bool {
        self.request == 0 && self.received.bytes.starts_with(PREFACE_LINE)
    }

    /// Returns the connection with the bytes that were received and not parsed.
    pub(crate) fn into_parts(self) -> (ServerStream, BytesMut) {
        (self.stream, self.received.bytes)
    }

    /// Returns the number of the current request.
    pub(crate) const fn request(&self) -> u64 {
        self.request
    }

    /// Returns the content of the current request.
    pub(crate) const fn content(&self) -> &ContentReader {
        &self.content
    }

    /// Makes all further bytes content of the current request: the connection becomes a tunnel.
    pub(crate) fn begin_tunnel(&mut self) {
        self.content = ContentReader::new(Framing::Tunnel);
        self.is_tunnel = true;
    }

    /// Takes the trailers at the end of the current request's content.
    pub(crate) const fn take_trailers(&mut self) -> Option<Trailers> {
        self.content.take_trailers()
    }

    /// Returns whether a part of the current request, or a further request, is unread.
    pub(crate) fn is_unread(&self) -> bool {
        !self.content.is_over() || !self.received.bytes.is_empty()
    }

    /// Returns the next piece of the current request's content.
    pub(crate) fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, RequestBodyError>>> {
        loop {
            match self.content.next(&mut self.received.bytes) {
                Ok(Some(data)) => {
                    self.wake_watcher_at_end();
                    return Poll::Ready(Some(Ok(data)));
                }
                Ok(None) if self.content.is_over() => {
                    self.wake_watcher_at_end();
                    return Poll::Ready(None);
                }
                Ok(None) => {}
                Err(violation) => return Poll::Ready(Some(Err(RequestBodyError::Violation(violation)))),
            }
            if let Err(error) = ready!(self.poll_continue(cx)) {
                return Poll::Ready(Some(Err(RequestBodyError::Io(error))));
            }
            match ready!(self.poll_receive(cx)) {
                // In a tunnel, each direction ends by itself.
                Ok(0) if self.is_tunnel => return Poll::Ready(None),
                Ok(0) => return Poll::Ready(Some(Err(RequestBodyError::Truncated))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(RequestBodyError::Io(error)))),
            }
        }
    }

    fn wake_watcher_at_end(&mut self) {
        if self.content.is_over()
            && let Some(watcher) = self.watcher.take()
        {
            watcher.wake();
        }
    }

    /// Sends `100 Continue` if the client waits for it before it sends the content.
    fn poll_continue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.interim {
                InterimResponse::NotExpected | InterimResponse::Writing([]) => {
                    self.interim = InterimResponse::NotExpected;
                    return Poll::Ready(Ok(()));
                }
                // The client sent content without waiting.
                InterimResponse::Expected if self.content.has_begun() || !self.received.bytes.is_empty() => {
                    self.interim = InterimResponse::NotExpected;
                }
                InterimResponse::Expected => self.interim = InterimResponse::Writing(CONTINUE),
                InterimResponse::Writing(rest) => {
                    let written = ready!(pin!(self.stream.write(rest)).poll(cx))?;
                    *rest = rest.get(written..).unwrap_or_default();
                }
            }
        }
    }

    /// Whether the client can read an interim response of an upstream. While it waits for `100 Continue`, it would take
    /// another one for that.
    pub(crate) const fn takes_interim(&self) -> bool {
        matches!(self.interim, InterimResponse::NotExpected | InterimResponse::Writing([]))
    }

    /// Begins the response. Returns the unwritten rest of an interim response that was partly written; no other one
    /// follows.
    pub(crate) fn begin_response(&mut self) -> &'static [u8] {
        match std::mem::replace(&mut self.interim, InterimResponse::NotExpected) {
            InterimResponse::Writing(rest) if rest.len() < CONTINUE.len() => rest,
            InterimResponse::NotExpected | InterimResponse::Expected | InterimResponse::Writing(_) => &[],
        }
    }

    /// Ready when the client has disconnected: the connection has failed, or the client has closed its sending side and
    /// `ends_with_client`. An early request is received once and remains in the buffer.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>, ends_with_client: bool) -> Poll<()> {
        if !self.content.is_over() {
            self.watcher = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // Some clients send an empty line after the content, which is no request (RFC 9112, 2.2).
        while !self.is_half_closed && b"\r\n".starts_with(&self.received.bytes) {
            match ready!(self.poll_receive(cx)) {
                Ok(1..) => {}
                Ok(0) => self.is_half_closed = true,
                Err(_) => return Poll::Ready(()),
            }
        }
        // The kernel reports a reset that a write has caused.
        let is_gone = self.is_half_closed && (ends_with_client || !matches!(self.stream.tcp().take_error(), Ok(None)));
        if is_gone { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Reads more bytes. Returns 0 at the end of the connection.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // A waiting connection takes no buffer. A read that leaves room in the buffer has emptied the socket, which Tokio
        // notes, so that the next call needs no system call.
        let is_waiting = match &self.stream {
            ServerStream::Plain(stream) => stream.poll_read_ready(cx)?.is_pending(),
            ServerStream::Tls(_) => false,
        };
        if is_waiting {
            self.rest_if_empty();
            return Poll::Pending;
        }
        let received = self.received.poll_read(cx, &mut self.stream, &self.buffers);
        if received.is_pending() {
            self.rest_if_empty();
        }
        received
    }

    fn rest_if_empty(&mut self) {
        if self.received.bytes.is_empty() {
            self.rest();
        }
    }

    /// Returns the buffer to the worker.
    pub(crate) fn rest(&mut self) {
        self.received.rest(&self.buffers);
    }

    /// Writes once. Returns the number of written bytes.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, queue: &mut WriteQueue) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            ServerStream::Plain(stream) => queue.poll_write(cx, stream),
            ServerStream::Tls(stream) => queue.poll_write(cx, stream),
        };
        self.note_progress(written.is_ready());
        written
    }

    /// Sends the encrypted bytes that the socket has not taken yet.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ServerStream::Tls(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        let flushed = Pin::new(stream).poll_flush(cx);
        self.note_progress(flushed.is_ready());
        flushed
    }

    fn note_progress(&self, is_progress: bool) {
        let deadlines = &self.deadlines;
        deadlines.write_blocked.set(!is_progress);
        if is_progress {
            deadlines.writes.set(deadlines.writes.get() + 1);
        }
    }

    /// Tells the client that the connection ends, if the socket takes the few bytes at once.
    pub(crate) fn close(&mut self) {
        if self.stream.is_tls() {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.stream).poll_shutdown(&mut cx);
        }
    }

    /// Closes the gateway's side and drops what the client still sends, until the client closes or [`LINGER_BYTES_MAX`]
    /// is exceeded. Closing with unread bytes would reset the connection and might destroy the response (RFC 9112,
    /// 9.6).
    pub(crate) async fn linger(socket: &SharedSocket) {
        socket.borrow().deadlines.lingering.set(true);
        let mut dropped = 0;
        std::future::poll_fn(|cx| {
            let mut socket = socket.borrow_mut();
            let socket = &mut *socket;
            if ready!(Pin::new(&mut socket.stream).poll_shutdown(cx)).is_err() {
                return Poll::Ready(());
            }
            loop {
                dropped += socket.received.bytes.len();
                socket.received.bytes.clear();
                match ready!(socket.poll_receive(cx)) {
                    Ok(1..) if dropped <= LINGER_BYTES_MAX => {}
                    Ok(_) | Err(_) => return Poll::Ready(()),
                }
            }
        })
        .await;
    }

    /// Makes the following close a reset, so that the client cannot mistake a response without announced end for a
    /// complete one.
    pub(crate) fn reset_on_close(&self) {
        // The call fails only on a connection that has already ended.
        let _ = socket2::SockRef::from(self.stream.tcp()).set_linger(Some(std::time::Duration::ZERO));
    }
}
