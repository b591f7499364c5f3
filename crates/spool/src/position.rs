//! Where in a lane: the store keeps one a lane, in the same transaction as the rows that came before it.

use crate::segment;

/// A place between two records of a lane. Within a lane, positions are ordered as records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The lane.
    pub partition: u32,
    /// The segment's number; numbers of a lane only grow.
    pub segment: u32,
    /// Bytes from the segment's beginning.
    pub offset: u32,
}

impl Position {
    /// Before the first record of a segment.
    pub(crate) const fn start_of(partition: u32, segment: u32) -> Self {
        Self { partition, segment, offset: segment::HEADER_BYTES }
    }

    /// Segment and offset as one word, ordered as positions are.
    pub(crate) const fn pack(self) -> u64 {
        ((self.segment as u64) << u32::BITS) | self.offset as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "each half of the word is 32 bits")]
    pub(crate) const fn unpack(partition: u32, word: u64) -> Self {
        Self { partition, segment: (word >> u32::BITS) as u32, offset: word as u32 }
    }
}
