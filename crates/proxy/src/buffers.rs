//! Buffers of a worker for received bytes, used again by the next connection that reads.

use std::cell::RefCell;

use bytes::BytesMut;

/// Unused buffers of a worker.
const BUFFERS_MAX: usize = 64;
/// A larger buffer is freed. With [`BUFFERS_MAX`], a worker keeps at most 1 MiB.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// Unused buffers of a worker.
#[derive(Debug, Default)]
pub(crate) struct Buffers(RefCell<Vec<BytesMut>>);

impl Buffers {
    /// Returns an empty buffer. Its memory is used again once nobody holds a slice of it.
    pub(crate) fn take(&self) -> BytesMut {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps an empty buffer for the next reader.
    pub(crate) fn give_back(&self, mut buffer: BytesMut) {
        let mut unused = self.0.borrow_mut();
        if unused.len() < BUFFERS_MAX && buffer.capacity() <= KEPT_BYTES_MAX {
            buffer.clear();
            unused.push(buffer);
        }
    }
}
