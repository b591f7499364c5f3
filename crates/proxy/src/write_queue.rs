//! Bytes that wait for a socket, written together.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

/// Slices of one vectored write.
const SLICES_MAX: usize = 16;

/// Bytes that wait for a socket, in order.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    parts: VecDeque<Bytes>,
    bytes: usize,
}

impl WriteQueue {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The number of bytes that wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends bytes.
    pub(crate) fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.bytes += part.len();
            self.parts.push_back(part);
        }
    }

    /// Writes once, as much as the socket takes. Ready with the number of bytes, which is not 0.
    ///
    /// # Errors
    /// The socket's error.
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut W,
    ) -> Poll<io::Result<usize>> {
        let socket = Pin::new(socket);
        let written = match self.parts.front() {
            Some(only) if self.parts.len() == 1 || !socket.is_write_vectored() => ready!(socket.poll_write(cx, only)),
            _ => {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                for (slice, part) in slices.iter_mut().zip(&self.parts) {
                    *slice = IoSlice::new(part);
                }
                let count = self.parts.len().min(SLICES_MAX);
                ready!(socket.poll_write_vectored(cx, slices.get(..count).unwrap_or_default()))
            }
        }?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.remove(written);
        Poll::Ready(Ok(written))
    }

    fn remove(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        while let Some(front) = self.parts.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.parts.pop_front();
        }
    }
}
