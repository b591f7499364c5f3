//! Received bytes that are not read yet, and the size of the next read.

use std::future::Future as _;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::bytes::buffers::Buffers;

/// Size of the first read of a message. A read that fills the buffer doubles the size of the next one.
const READ_BYTES_MIN: usize = 8 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;
/// Minimum free space in the buffer for a read.
const ROOM_BYTES_MIN: usize = 1024;

/// The received bytes of a connection. An idle connection has no memory here.
#[derive(Debug)]
pub(crate) struct ReceiveBuffer {
    pub(crate) bytes: BytesMut,
    read_bytes: usize,
}

impl Default for ReceiveBuffer {
    fn default() -> Self {
        Self { bytes: BytesMut::new(), read_bytes: READ_BYTES_MIN }
    }
}

impl ReceiveBuffer {
    /// Reads more bytes. Returns 0 at the end of the connection.
    pub(crate) fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut R,
        buffers: &Buffers,
    ) -> Poll<io::Result<usize>> {
        let room = self.make_room(buffers);
        let read = ready!(pin!(socket.read_buf(&mut self.bytes)).poll(cx))?;
        self.has_read(read, room);
        Poll::Ready(Ok(read))
    }

    /// Returns the free space of the buffer, which is enough for a read.
    fn make_room(&mut self, buffers: &Buffers) -> usize {
        if self.bytes.capacity() == 0 {
            self.bytes = buffers.take();
        }
        if self.bytes.capacity() - self.bytes.len() < ROOM_BYTES_MIN {
            self.bytes.reserve(self.read_bytes);
        }
        self.bytes.capacity() - self.bytes.len()
    }

    fn has_read(&mut self, bytes: usize, room: usize) {
        if bytes == room {
            self.read_bytes = (2 * self.read_bytes).min(READ_BYTES_MAX);
        }
    }

    /// Returns the memory of the buffer, which must be empty.
    pub(crate) fn rest(&mut self, buffers: &Buffers) {
        if self.bytes.capacity() > 0 {
            buffers.give_back(std::mem::take(self).bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_memory_of_a_large_head_is_bounded_and_freed() {
        let buffers = Buffers::default();
        let mut received = ReceiveBuffer::default();
        for head_bytes in [READ_BYTES_MAX, 50_000, 20_000] {
            let head = vec![b'a'; head_bytes];
            let mut socket = head.as_slice();
            let mut cx = Context::from_waker(Waker::noop());
            while received.bytes.len() < head_bytes {
                assert!(matches!(received.poll_read(&mut cx, &mut socket, &buffers), Poll::Ready(Ok(1..))));
            }
            assert!(received.bytes.capacity() <= 3 * READ_BYTES_MAX, "{}", received.bytes.capacity());
            drop(received.bytes.split_to(head_bytes));
            received.rest(&buffers);
            assert_eq!((received.bytes.capacity(), received.read_bytes), (0, READ_BYTES_MIN));
            assert_eq!(buffers.take().capacity(), 0, "after a head of {head_bytes} bytes");
        }
    }
}
