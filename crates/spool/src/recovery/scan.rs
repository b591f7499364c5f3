//! The records of one segment's bytes, and what stands where none does.

use crate::record::{self, Frame, Seed};
use crate::segment::HEADER_BYTES;

/// A segment's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a> {
    bytes: &'a [u8],
    seed: Seed,
    /// After the last byte that is not zero: to find it is to read all the zeros of a segment that has just begun.
    dirty_until: u32,
}

/// What stands behind a place where no record does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Behind {
    /// Bytes that are not zero.
    pub(super) dirty: bool,
    /// Intact records, an end among them.
    pub(super) records: bool,
    /// One of them shows that the place was on the disk when it was written, or does not show that it was not.
    pub(super) after_sync: bool,
}

impl Behind {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            dirty: self.dirty || other.dirty,
            records: self.records || other.records,
            after_sync: self.after_sync || other.after_sync,
        }
    }

    /// What no power cut leaves.
    pub(super) const UNREADABLE: Self = Self { dirty: true, records: true, after_sync: true };
}

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8], seed: Seed) -> Self {
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

    /// What stands behind `hole`, where no record does.
    pub(super) fn behind(self, hole: u32) -> Behind {
        let mut behind = Behind { dirty: self.dirty_until() > hole, ..Behind::default() };
        let mut from = hole;
        while let Some((at, frame)) = self.next(from).and_then(|at| self.frame(at).map(|frame| (at, frame))) {
            behind.records = true;
            behind.after_sync |= !frame.synced.may_lose(hole);
            from = at + frame.len();
        }
        behind
    }

    /// What a whole segment has behind its header.
    pub(super) fn whole(self) -> Behind {
        self.behind(HEADER_BYTES)
    }
}
