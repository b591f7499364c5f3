//! Positions in a partition. The store keeps one position per partition, and commits it together with the rows of the
//! records before it.

use crate::records::segment;

/// A position between two records of a partition. Within a partition, positions are ordered like the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The number of the partition.
    pub partition: u32,
    /// The number of the segment; numbers only increase within a partition.
    pub segment: u32,
    /// The offset from the beginning of the segment, in bytes.
    pub offset: u32,
}

impl Position {
    /// Returns the position before the first record of a segment.
    pub(crate) const fn start_of(partition: u32, segment: u32) -> Self {
        Self { partition, segment, offset: segment::HEADER_BYTES }
    }

    /// Returns segment and offset as one word that has the same order.
    pub(crate) const fn pack(self) -> u64 {
        ((self.segment as u64) << u32::BITS) | self.offset as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "each half of the word is 32 bits")]
    pub(crate) const fn unpack(partition: u32, word: u64) -> Self {
        Self { partition, segment: (word >> u32::BITS) as u32, offset: word as u32 }
    }
}
