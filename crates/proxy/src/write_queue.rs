//! Bytes that wait for a socket, written together.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http1::{CHUNK_END, ChunkPrefix};
use tokio::io::AsyncWrite;

/// Number of queued bytes from which no further piece of a body is read.
const QUEUED_BYTES_MAX: usize = 64 * 1024;
/// Slices of one vectored write.
const SLICES_MAX: usize = 16;

/// A message's bytes that wait for a socket, in order.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    parts: VecDeque<QueuedPart>,
    bytes: usize,
}

#[derive(Debug)]
struct QueuedPart {
    bytes: Bytes,
    /// Whether they are content, and not a head or framing.
    is_content: bool,
}

impl WriteQueue {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether no further piece of a body is to be read.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes >= QUEUED_BYTES_MAX
    }

    /// Appends a head or framing.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.push_part(bytes, false);
    }

    /// Appends content.
    pub(crate) fn push_content(&mut self, content: Bytes) {
        self.push_part(content, true);
    }

    /// Appends content as one chunk; nothing if it is empty, since a chunk of size 0 would be the last one.
    pub(crate) fn push_chunk(&mut self, content: Bytes) {
        if let Some(prefix) = ChunkPrefix::new(content.len()) {
            self.push(Bytes::copy_from_slice(prefix.as_bytes()));
            self.push_content(content);
            self.push(Bytes::from_static(CHUNK_END));
        }
    }

    fn push_part(&mut self, bytes: Bytes, is_content: bool) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.parts.push_back(QueuedPart { bytes, is_content });
        }
    }

    /// Returns the content that waits.
    pub(crate) fn into_content(self) -> VecDeque<Bytes> {
        self.parts.into_iter().filter(|part| part.is_content).map(|part| part.bytes).collect()
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
            Some(only) if self.parts.len() == 1 || !socket.is_write_vectored() => {
                ready!(socket.poll_write(cx, &only.bytes))
            }
            _ => {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                for (slice, part) in slices.iter_mut().zip(&self.parts) {
                    *slice = IoSlice::new(&part.bytes);
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
            if written < front.bytes.len() {
                front.bytes.advance(written);
                return;
            }
            written -= front.bytes.len();
            self.parts.pop_front();
        }
    }
}
