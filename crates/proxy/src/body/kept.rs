//! The part of a streamed body that was sent, for a retry.

use std::cell::RefCell;

use bytes::Bytes;

use crate::body::buffer::Buffer;
use crate::bytes::content::length;
use crate::capacity::MemoryPermit;

/// The bytes of a body so far. They count against the memory of their client, and are given up if they become too many.
pub(crate) struct KeptBody {
    bytes_max: u64,
    kept: RefCell<KeptBytes>,
}

enum KeptBytes {
    Growing(Buffer),
    /// All bytes of the body, which an attempt sends again.
    Complete(Bytes),
    GivenUp,
}

impl KeptBody {
    /// Returns a copy of at most `bytes_max` bytes, which `held` counts.
    pub(crate) fn new(bytes_max: u64, held: MemoryPermit) -> Self {
        Self { bytes_max, kept: RefCell::new(KeptBytes::Growing(Buffer::new(held))) }
    }

    /// Adds a piece of the body to the copy.
    pub(crate) fn push(&self, piece: &Bytes) {
        let mut kept = self.kept.borrow_mut();
        let KeptBytes::Growing(buffer) = &mut *kept else { return };
        if buffer.bytes() + length(piece) > self.bytes_max || buffer.push(piece).is_err() {
            *kept = KeptBytes::GivenUp;
        }
    }

    /// Gives the bytes up: the body cannot be sent again.
    pub(crate) fn give_up(&self) {
        *self.kept.borrow_mut() = KeptBytes::GivenUp;
    }

    /// Returns the bytes of a body that has arrived completely; `None` if they were given up.
    pub(crate) fn complete(&self) -> Option<Bytes> {
        let mut kept = self.kept.borrow_mut();
        let bytes = match std::mem::replace(&mut *kept, KeptBytes::GivenUp) {
            KeptBytes::Growing(buffer) => buffer.finish(),
            KeptBytes::Complete(bytes) => bytes,
            KeptBytes::GivenUp => return None,
        };
        *kept = KeptBytes::Complete(bytes.clone());
        Some(bytes)
    }
}
