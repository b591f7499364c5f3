//! The part of a streamed body that was sent, for a retry.

use std::cell::RefCell;

use bytes::Bytes;

use crate::bytes::content::length;
use crate::capacity::MemoryPermit;

/// The bytes of a body so far. They count against the memory of their client, and are given up if they become too many.
#[derive(Debug)]
pub(crate) struct KeptBody {
    bytes_max: u64,
    kept: RefCell<Option<KeptPieces>>,
}

#[derive(Debug)]
struct KeptPieces {
    pieces: Vec<Bytes>,
    bytes: u64,
    held: MemoryPermit,
}

impl KeptBody {
    /// Returns a copy of at most `bytes_max` bytes, which `held` counts.
    pub(crate) fn new(bytes_max: u64, held: MemoryPermit) -> Self {
        Self { bytes_max, kept: RefCell::new(Some(KeptPieces { pieces: Vec::new(), bytes: 0, held })) }
    }

    /// Adds a piece. It is copied, because it would keep the whole buffer of its connection.
    pub(crate) fn push(&self, piece: &Bytes) {
        let mut kept = self.kept.borrow_mut();
        let Some(known) = &mut *kept else { return };
        known.bytes += length(piece);
        if known.bytes > self.bytes_max || known.held.grow(piece.len()).is_err() {
            *kept = None;
        } else {
            known.pieces.push(Bytes::copy_from_slice(piece));
        }
    }

    /// Gives the bytes up: the body cannot be sent again.
    pub(crate) fn give_up(&self) {
        *self.kept.borrow_mut() = None;
    }

    /// Returns the bytes so far; `None` if they were given up.
    pub(crate) fn pieces(&self) -> Option<Vec<Bytes>> {
        self.kept.borrow().as_ref().map(|kept| kept.pieces.clone())
    }
}
