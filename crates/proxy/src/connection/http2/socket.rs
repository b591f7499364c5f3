//! The stream below h2: it counts received frames and records the progress of writes for the deadlines.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frame_budget::{BudgetExceeded, FrameBudget};
use crate::deadlines::{ConnectionDeadlines, DeadlineAction};

/// Maximum number of bytes that are read and dropped before a connection is closed, and at once.
const LINGER_BYTES_MAX: usize = 1 << 20;
const LINGER_PIECE_BYTES: usize = 4096;

/// What the socket has seen, for the connection.
#[derive(Debug, Default)]
pub(super) struct SocketState {
    /// Whether the client has exceeded its budget of frames. Nothing more is read.
    pub(super) is_flooded: Cell<bool>,
    /// Whether the client's first SETTINGS frame has been received.
    pub(super) has_settings: Cell<bool>,
    /// The number of streams that were accepted since the last read.
    pub(super) accepted: Cell<u64>,
}

/// A client's connection as h2 uses it.
pub(super) struct Http2Socket<S> {
    /// Shared with the code that closes the connection after h2 has dropped its part.
    stream: Rc<RefCell<S>>,
    /// Bytes that were received before the protocol was known.
    received: BytesMut,
    frames: FrameBudget,
    state: Rc<SocketState>,
    deadlines: Rc<ConnectionDeadlines>,
}

impl<S> Http2Socket<S> {
    pub(super) fn new(stream: Rc<RefCell<S>>, received: BytesMut, deadlines: Rc<ConnectionDeadlines>) -> Self {
        let frames = FrameBudget::new(Instant::now());
        let state = Rc::default();
        Self { stream, received, frames, state, deadlines }
    }

    pub(super) fn state(&self) -> Rc<SocketState> {
        self.state.clone()
    }

    fn count_written(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.frames.has_written(*bytes);
        }
        self.has_written(written.is_ready());
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
            ready!(Pin::new(&mut *this.stream.borrow_mut()).poll_read(cx, buf))?;
        } else {
            let bytes = buf.remaining().min(this.received.len());
            buf.put_slice(this.received.get(..bytes).unwrap_or_default());
            this.received.advance(bytes);
            if this.received.is_empty() {
                this.received = BytesMut::new();
            }
        }
        this.frames.has_accepted(this.state.accepted.take());
        let counted = this.frames.count(buf.filled().get(before..).unwrap_or_default());
        this.state.is_flooded.set(counted == Err(BudgetExceeded));
        this.state.has_settings.set(this.frames.has_settings());
        this.deadlines.within_head.set(this.frames.is_within_head());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Http2Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, bytes);
        self.count_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.stream.borrow_mut()).poll_write_vectored(cx, slices);
        self.count_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx);
        // A stream of TLS accepts bytes that its socket does not take yet.
        if flushed.is_pending() || self.deadlines.write_blocked.get() {
            self.has_written(flushed.is_ready());
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }
}

/// Closes the gateway's side and drops what the client still sends, until the client closes or sends too much. Closing
/// with unread bytes would reset the connection and might destroy the GOAWAY (RFC 9112, 9.6, has the same for HTTP/1.1).
/// The deadlines of the connection limit the time.
pub(super) async fn linger<S>(stream: &RefCell<S>, deadlines: &ConnectionDeadlines)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    deadlines.write_blocked.set(false);
    deadlines.lingering.set(true);
    let mut dropped = 0;
    let mut is_closed = false;
    poll_fn(|cx| {
        while let Some(action) = deadlines.take_order(cx.waker()) {
            if matches!(action, DeadlineAction::Cut) {
                return Poll::Ready(());
            }
        }
        let mut stream = stream.borrow_mut();
        if !is_closed {
            if ready!(Pin::new(&mut *stream).poll_shutdown(cx)).is_err() {
                return Poll::Ready(());
            }
            is_closed = true;
        }
        loop {
            let mut piece = [MaybeUninit::uninit(); LINGER_PIECE_BYTES];
            let mut piece = ReadBuf::uninit(&mut piece);
            match ready!(Pin::new(&mut *stream).poll_read(cx, &mut piece)) {
                Ok(()) if !piece.filled().is_empty() && dropped <= LINGER_BYTES_MAX => dropped += piece.filled().len(),
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    })
    .await;
}
