//! The records of one segment's bytes, and what stands where none does.

use crate::record::{self, ChecksumSeed, Frame};
use crate::segment::HEADER_BYTES;

/// A segment's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct SegmentBytes<'a> {
    bytes: &'a [u8],
    seed: ChecksumSeed,
    /// After the last byte that is not zero: to find it is to read all the zeros of a segment that has just begun.
    dirty_until: u32,
}

/// What stands behind a place where no record does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Remainder {
    /// Bytes that are not zero.
    pub(super) has_data: bool,
    /// Intact records, an end among them.
    pub(super) has_records: bool,
    /// One of them shows that the place was on the disk when it was written, or does not show that it was not.
    pub(super) was_synced: bool,
}

impl Remainder {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            has_data: self.has_data || other.has_data,
            has_records: self.has_records || other.has_records,
            was_synced: self.was_synced || other.was_synced,
        }
    }

    /// What no power cut leaves.
    pub(super) const UNREADABLE: Self = Self { has_data: true, has_records: true, was_synced: true };
}

impl<'a> SegmentBytes<'a> {
    pub(super) fn new(bytes: &'a [u8], seed: ChecksumSeed) -> Self {
        let until = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Self { bytes, seed, dirty_until: u32::try_from(until).unwrap_or(u32::MAX) }
    }

    pub(super) fn frame(self, at: u32) -> Option<Frame<'a>> {
        record::frame(self.bytes.get(at as usize..).unwrap_or_default(), self.seed, at)
    }

    /// After the last byte that is not zero.
    pub(super) const fn dirty_until(self) -> u32 {
        self.dirty_until
    }

    /// The first intact record that begins at `from` or behind it.
    pub(super) fn next(self, from: u32) -> Option<u32> {
        (from..self.dirty_until()).find(|&at| self.frame(at).is_some())
    }

    /// What stands behind `gap`, where no record does.
    pub(super) fn remainder(self, gap: u32) -> Remainder {
        let mut remainder = Remainder { has_data: self.dirty_until() > gap, ..Remainder::default() };
        let mut from = gap;
        while let Some((at, frame)) = self.next(from).and_then(|at| self.frame(at).map(|frame| (at, frame))) {
            remainder.has_records = true;
            remainder.was_synced |= !frame.synced.may_lose(gap);
            from = at + frame.len();
        }
        remainder
    }

    /// What a whole segment has behind its header.
    pub(super) fn whole(self) -> Remainder {
        self.remainder(HEADER_BYTES)
    }
}
