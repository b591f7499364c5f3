//! The stream below h2: it counts received frames and records the progress of writes for the deadlines.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frame_budget::{BudgetExceeded, FrameBudget};
use crate::deadlines::ConnectionDeadlines;

/// What the socket has seen, for the connection.
#[derive(Debug, Default)]
pub(super) struct SocketState {
    /// Whether the client has exceeded its budget of frames. Nothing more is read.
    pub(super) is_flooded: Cell<bool>,
    /// Whether the client's first SETTINGS frame has been received.
    pub(super) has_settings: Cell<bool>,
}

/// A client's connection as h2 uses it.
pub(super) struct Http2Socket<S> {
    stream: S,
    /// Bytes that were received before the protocol was known.
    received: BytesMut,
    frames: FrameBudget,
    state: Rc<SocketState>,
    deadlines: Rc<ConnectionDeadlines>,
}

impl<S> Http2Socket<S> {
    pub(super) fn new(stream: S, received: BytesMut, deadlines: Rc<ConnectionDeadlines>) -> Self {
        let (frames, state) = (FrameBudget::new(Instant::now()), Rc::default());
        Self { stream, received, frames, state, deadlines }
    }

    pub(super) fn state(&self) -> Rc<SocketState> {
        self.state.clone()
    }

    fn has_written(&self, is_ready: bool) {
        self.deadlines.write_blocked.set(!is_ready);
        if is_ready {
            self.deadlines.writes.set(self.deadlines.writes.get() + 1);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Http2Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.state.is_flooded.get() {
            // The connection ends after the poll that set the flag.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if this.received.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let bytes = buf.remaining().min(this.received.len());
            buf.put_slice(this.received.get(..bytes).unwrap_or_default());
            this.received.advance(bytes);
            if this.received.is_empty() {
                this.received = BytesMut::new();
            }
        }
        let counted = this.frames.count(buf.filled().get(before..).unwrap_or_default());
        this.state.is_flooded.set(counted == Err(BudgetExceeded));
        this.state.has_settings.set(this.frames.has_settings());
        this.deadlines.within_head.set(this.frames.is_within_head());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Http2Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.has_written(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.has_written(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // A stream of TLS accepts bytes that its socket does not take yet.
        if flushed.is_pending() || self.deadlines.write_blocked.get() {
            self.has_written(flushed.is_ready());
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
