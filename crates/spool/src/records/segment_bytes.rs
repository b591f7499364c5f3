//! The records in the bytes of one segment, and the data after a gap.

use crate::records::record::{self, ChecksumSeed, Frame};
use crate::records::segment::{HEADER_BYTES, ZEROS, is_zero};

/// The bytes of a segment, or those before its zeros, as [`Segment::read_data`](crate::records::segment::Segment::read_data) reads them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentBytes<'a> {
    bytes: &'a [u8],
    seed: ChecksumSeed,
    /// End of the last byte that is not zero. It is computed once, because a new segment is mostly zeros.
    dirty_until: u32,
}

/// Returns the end of the last byte that is not zero.
fn end_of_data(bytes: &[u8]) -> usize {
    let zeros: usize = bytes.rchunks(ZEROS.len()).take_while(|block| is_zero(block)).map(<[u8]>::len).sum();
    let rest = bytes.get(..bytes.len() - zeros).unwrap_or_default();
    rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

/// The data after a gap, which is an offset without an intact record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Remainder {
    /// Any byte is not zero.
    pub(crate) has_data: bool,
    /// There is an intact record or segment end.
    pub(crate) has_records: bool,
    /// At least one of these records does not exclude that the gap was synced when the record was written.
    pub(crate) was_synced: bool,
}

impl Remainder {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            has_data: self.has_data || other.has_data,
            has_records: self.has_records || other.has_records,
            was_synced: self.was_synced || other.was_synced,
        }
    }

    /// A state that no power cut leaves behind.
    pub(crate) const UNREADABLE: Self = Self { has_data: true, has_records: true, was_synced: true };
}

impl<'a> SegmentBytes<'a> {
    pub(crate) fn new(bytes: &'a [u8], seed: ChecksumSeed) -> Self {
        Self { bytes, seed, dirty_until: u32::try_from(end_of_data(bytes)).unwrap_or(u32::MAX) }
    }

    pub(crate) fn frame(self, at: u32) -> Option<Frame<'a>> {
        record::frame(self.bytes.get(at as usize..).unwrap_or_default(), self.seed, at)
    }

    /// Returns the end of the last byte that is not zero.
    pub(crate) const fn dirty_until(self) -> u32 {
        self.dirty_until
    }

    /// Returns the offset of the first intact record at or after `from`.
    pub(crate) fn next(self, from: u32) -> Option<u32> {
        (from..self.dirty_until()).find(|&at| self.frame(at).is_some())
    }

    /// Describes the data after `gap`.
    pub(crate) fn remainder(self, gap: u32) -> Remainder {
        let mut remainder = Remainder { has_data: self.dirty_until() > gap, ..Remainder::default() };
        let mut from = gap;
        while let Some((at, frame)) = self.next(from).and_then(|at| self.frame(at).map(|frame| (at, frame))) {
            remainder.has_records = true;
            remainder.was_synced |= !frame.synced.may_lose(gap);
            from = at + frame.len();
        }
        remainder
    }

    /// Describes all data after the segment's header.
    pub(crate) fn whole(self) -> Remainder {
        self.remainder(HEADER_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::end_of_data;

    #[test]
    fn data_ends_after_the_last_byte_that_is_not_zero_in_any_block() {
        for len in [0, 1, 4095, 4096, 4097, 10_000] {
            let mut bytes = vec![0_u8; len];
            assert_eq!(end_of_data(&bytes), 0, "{len} zeros");
            for at in [0, 1, 1807, 1808, 4095, 4096, 5904, 9999].into_iter().filter(|at| *at < len) {
                bytes[at] = 1;
                assert_eq!(end_of_data(&bytes), at + 1, "of {len} bytes");
            }
        }
    }
}
