//! Buffers of a worker, used again by the next connection that reads or writes. An idle connection holds none.

use std::cell::RefCell;

use bytes::BytesMut;
use http1::FieldMemory;

use crate::bytes::write_queue::WriteQueue;

/// Unused buffers of each kind.
const BUFFERS_MAX: usize = 64;
/// A larger buffer is freed. With [`BUFFERS_MAX`], a worker keeps at most 1 MiB of each kind.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// Unused buffers of a worker.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    received: RefCell<Vec<BytesMut>>,
    queues: RefCell<Vec<WriteQueue>>,
    fields: RefCell<Vec<FieldMemory>>,
    lines: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// Returns an empty buffer for received bytes. Its memory is used again once nobody holds a slice of it.
    pub(crate) fn take(&self) -> BytesMut {
        self.received.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps a buffer for the next reader. The memory before the buffer, whose bytes were split off, counts as well.
    pub(crate) fn give_back(&self, mut buffer: BytesMut) {
        let mut unused = self.received.borrow_mut();
        buffer.clear();
        if unused.len() < BUFFERS_MAX && !buffer.try_reclaim(KEPT_BYTES_MAX + 1) {
            unused.push(buffer);
        }
    }

    /// Returns an empty queue.
    pub(crate) fn take_queue(&self) -> WriteQueue {
        self.queues.borrow_mut().pop().unwrap_or_default()
    }

    /// Returns memory for the fields of a head.
    pub(crate) fn take_fields(&self) -> FieldMemory {
        self.fields.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps the memory of a head's fields for the next parser.
    pub(crate) fn give_back_fields(&self, memory: FieldMemory) {
        let mut unused = self.fields.borrow_mut();
        if unused.len() < BUFFERS_MAX {
            unused.push(memory);
        }
    }

    /// Returns memory for the added lines of a head.
    pub(crate) fn take_lines(&self) -> Vec<u8> {
        self.lines.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps the memory of added lines for the next head.
    pub(crate) fn give_back_lines(&self, memory: Vec<u8>) {
        let mut unused = self.lines.borrow_mut();
        if unused.len() < BUFFERS_MAX && memory.capacity() <= KEPT_BYTES_MAX {
            unused.push(memory);
        }
    }

    /// Keeps a queue for the next writer.
    pub(crate) fn give_back_queue(&self, mut queue: WriteQueue) {
        let mut unused = self.queues.borrow_mut();
        if unused.len() < BUFFERS_MAX && queue.is_reusable() {
            queue.clear();
            unused.push(queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_a_large_head_has_filled_is_freed() {
        let buffers = Buffers::default();
        for (capacity, head, is_kept) in [
            (8 * 1024, 200, true),
            (KEPT_BYTES_MAX, KEPT_BYTES_MAX - 100, true),
            (KEPT_BYTES_MAX + 1, 0, false),
            (64 * 1024, 200, false),
            (64 * 1024, 63 * 1024, false),
        ] {
            let mut buffer = BytesMut::with_capacity(capacity);
            buffer.resize(head, b'a');
            drop(buffer.split_to(head).freeze());
            buffers.give_back(buffer);
            assert_eq!(buffers.received.borrow_mut().pop().is_some(), is_kept, "{head} of {capacity} bytes");
        }
    }

    #[test]
    fn few_buffers_are_kept() {
        let buffers = Buffers::default();
        for _ in 0..BUFFERS_MAX + 10 {
            buffers.give_back(BytesMut::with_capacity(8 * 1024));
        }
        assert_eq!(buffers.received.borrow().len(), BUFFERS_MAX);
    }
}
