//! Bytes that wait for a socket, written together.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http1::{CHUNK_END, ChunkPrefix, write_trailers};
use tokio::io::AsyncWrite;

/// Number of queued bytes from which no further piece of a body is read.
const QUEUED_BYTES_MAX: usize = 64 * 1024;
/// Slices of one vectored write.
const SLICES_MAX: usize = 16;
/// Room for a usual head.
const HEAD_BYTES_USUAL: usize = 1024;
/// Written heads and framing are removed from their buffer from this size on, even if others wait.
const WRITTEN_BYTES_MAX: usize = 4096;
/// A queue with more memory is not used again.
const KEPT_BYTES_MAX: usize = 16 * 1024;
const KEPT_PARTS_MAX: usize = 64;

/// A message's bytes that wait for a socket, in order.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    parts: VecDeque<QueuedPart>,
    /// Heads and framing, in order.
    own: Vec<u8>,
    /// The number of written bytes of `own`.
    own_written: usize,
    /// The number of bytes in the queue.
    bytes: usize,
}

#[derive(Debug)]
enum QueuedPart {
    /// The next bytes of `WriteQueue::own`: a head or framing.
    Own(usize),
    Content(Bytes),
}

impl WriteQueue {
    /// Returns whether the queue is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether no further piece of a body is to be read.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes >= QUEUED_BYTES_MAX
    }

    /// Appends the head or framing that `write` writes.
    ///
    /// # Errors
    /// The error of `write`, which then must have written nothing.
    pub(crate) fn write<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let before = self.own.len();
        if self.own.capacity() == 0 {
            self.own.reserve(HEAD_BYTES_USUAL);
        }
        let written = write(&mut self.own);
        self.has_own(self.own.len() - before);
        written
    }

    /// Appends a head or framing.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
        self.has_own(bytes.len());
    }

    fn has_own(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.bytes += bytes;
        match self.parts.back_mut() {
            Some(QueuedPart::Own(before)) => *before += bytes,
            Some(QueuedPart::Content(_)) | None => self.parts.push_back(QueuedPart::Own(bytes)),
        }
    }

    /// Appends content to the queue.
    pub(crate) fn push_content(&mut self, content: Bytes) {
        if !content.is_empty() {
            self.bytes += content.len();
            self.parts.push_back(QueuedPart::Content(content));
        }
    }

    /// Appends content as one chunk; nothing if it is empty, since a chunk of size 0 would be the last one.
    pub(crate) fn push_chunk(&mut self, content: Bytes) {
        if let Some(prefix) = ChunkPrefix::new(content.len()) {
            self.push(prefix.as_bytes());
            self.push_content(content);
            self.push(CHUNK_END);
        }
    }

    /// Appends the last chunk and trailers, without those that HTTP/1.1 forbids.
    pub(crate) fn push_trailers(&mut self, trailers: &HeaderMap) {
        let before = self.own.len();
        write_trailers(
            &mut self.own,
            trailers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())),
        );
        self.has_own(self.own.len() - before);
    }

    /// Takes the content that waits.
    pub(crate) fn take_content(&mut self) -> VecDeque<Bytes> {
        let content = |part| match part {
            QueuedPart::Own(_) => None,
            QueuedPart::Content(content) => Some(content),
        };
        let taken = self.parts.drain(..).filter_map(content).collect();
        self.clear();
        taken
    }

    /// Forgets all bytes and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.parts.clear();
        self.own.clear();
        (self.own_written, self.bytes) = (0, 0);
    }

    /// Whether the memory of the queue is worth keeping for another message.
    pub(crate) fn is_reusable(&self) -> bool {
        self.own.capacity() <= KEPT_BYTES_MAX && self.parts.capacity() <= KEPT_PARTS_MAX
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
        let mut own = self.own.get(self.own_written..).unwrap_or_default();
        let written = if self.parts.len() == 1 || !socket.is_write_vectored() {
            let only = match self.parts.front() {
                Some(QueuedPart::Own(bytes)) => own.get(..*bytes).unwrap_or_default(),
                Some(QueuedPart::Content(content)) => content,
                None => &[],
            };
            ready!(socket.poll_write(cx, only))
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            for (slice, part) in slices.iter_mut().zip(&self.parts) {
                *slice = IoSlice::new(match part {
                    QueuedPart::Own(bytes) => {
                        let (part, rest) = own.split_at_checked(*bytes).unwrap_or_default();
                        own = rest;
                        part
                    }
                    QueuedPart::Content(content) => content,
                });
            }
            let count = self.parts.len().min(SLICES_MAX);
            ready!(socket.poll_write_vectored(cx, slices.get(..count).unwrap_or_default()))
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
            let len = match front {
                QueuedPart::Own(bytes) => {
                    self.own_written += written.min(*bytes);
                    *bytes
                }
                QueuedPart::Content(content) => content.len(),
            };
            if written < len {
                match front {
                    QueuedPart::Own(bytes) => *bytes -= written,
                    QueuedPart::Content(content) => content.advance(written),
                }
                break;
            }
            written -= len;
            self.parts.pop_front();
        }
        if self.parts.is_empty() {
            self.own.clear();
            self.own_written = 0;
        } else if self.own_written >= WRITTEN_BYTES_MAX {
            self.own.drain(..self.own_written);
            self.own_written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that takes a few bytes at a time.
    struct SlowSocket {
        taken: Vec<u8>,
        step: usize,
        is_vectored: bool,
    }

    impl AsyncWrite for SlowSocket {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let len = bytes.len().min(self.step);
            self.taken.extend_from_slice(&bytes[..len]);
            Poll::Ready(Ok(len))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let len = all.len().min(self.step);
            self.taken.extend_from_slice(&all[..len]);
            Poll::Ready(Ok(len))
        }

        fn is_write_vectored(&self) -> bool {
            self.is_vectored
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn bytes_leave_in_order_however_few_the_socket_takes() {
        for (step, is_vectored) in [1, 2, 3, 7, 100, 100_000].into_iter().flat_map(|step| [(step, true), (step, false)])
        {
            let mut socket = SlowSocket { taken: Vec::new(), step, is_vectored };
            let mut queue = WriteQueue::default();
            let mut expected = Vec::new();
            let mut cx = Context::from_waker(std::task::Waker::noop());
            for round in 0_u8..40 {
                let written: Result<(), ()> = queue.write(|out| {
                    out.extend_from_slice(b"head\r\n");
                    Ok(())
                });
                written.unwrap();
                queue.push(b"framing");
                queue.push_content(Bytes::copy_from_slice(&[round; 300]));
                queue.push_content(Bytes::new());
                queue.push_chunk(Bytes::copy_from_slice(&[b'a' + round % 26; 10]));
                queue.push_chunk(Bytes::new());
                expected.extend_from_slice(b"head\r\nframing");
                expected.extend_from_slice(&[round; 300]);
                expected.extend_from_slice(b"a\r\n");
                expected.extend_from_slice(&[b'a' + round % 26; 10]);
                expected.extend_from_slice(b"\r\n");
                // A part of them waits until the next round.
                for _ in 0..3 {
                    if !queue.is_empty() {
                        assert!(queue.poll_write(&mut cx, &mut socket).is_ready());
                    }
                }
            }
            assert_eq!(queue.bytes, expected.len() - socket.taken.len());
            while !queue.is_empty() {
                assert!(queue.poll_write(&mut cx, &mut socket).is_ready());
            }
            assert_eq!(socket.taken, expected, "{step} {is_vectored}");
            assert_eq!((queue.bytes, queue.own.len(), queue.own_written), (0, 0, 0));
        }
    }

    #[test]
    fn framing_that_was_written_is_removed_while_content_waits() {
        let mut socket = SlowSocket { taken: Vec::new(), step: 3 + 10 + 2, is_vectored: true };
        let mut queue = WriteQueue::default();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        queue.push_content(Bytes::from_static(b"x"));
        for _ in 0..10_000 {
            queue.push_chunk(Bytes::from_static(b"0123456789"));
            assert!(queue.poll_write(&mut cx, &mut socket).is_ready());
        }
        assert!(!queue.is_empty() && queue.own.len() < WRITTEN_BYTES_MAX + 100, "{}", queue.own.len());
    }

    #[test]
    fn only_content_is_taken_back() {
        let mut queue = WriteQueue::default();
        queue.push(b"head");
        queue.push_chunk(Bytes::from_static(b"ab"));
        queue.push_content(Bytes::from_static(b"c"));
        assert_eq!(queue.take_content(), [Bytes::from_static(b"ab"), Bytes::from_static(b"c")]);
        assert!(queue.is_empty() && !queue.is_full() && queue.is_reusable());
        queue.push_content(Bytes::from(vec![0; QUEUED_BYTES_MAX]));
        assert!(queue.is_full());
    }
}
