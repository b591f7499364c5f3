//! A walk over the records of one segment that continues after damage.

use std::ops::Range;

use crate::error::SpoolError;
use crate::records::record::{self, Frame, FrameContent, Kind, Record};
use crate::records::segment::Segment;
use crate::records::segment_bytes::SegmentBytes;

/// The end of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WalkEnd {
    /// The offset after the last record that was visited.
    pub(crate) offset: u32,
    /// Whether the segment has no further record.
    pub(crate) is_sealed: bool,
    /// The number of ranges that were skipped because they contain no intact record.
    pub(crate) damaged: u64,
}

/// Calls `visit` with the records between two offsets, end records excluded, until it returns `false`. A record for which it
/// returned `false` is visited again by the next walk.
pub(crate) fn walk(
    segment: &Segment,
    range: Range<u32>,
    buffer: &mut [u8],
    mut visit: impl FnMut(&Frame<'_>) -> bool,
) -> Result<WalkEnd, SpoolError> {
    let Range { start: from, end: until } = range;
    let mut end = WalkEnd { offset: from, is_sealed: false, damaged: 0 };
    while end.offset < until {
        let began = end.offset;
        let room = buffer.len().min(until.saturating_sub(began) as usize);
        let chunk = buffer.get_mut(..room).unwrap_or_default();
        let count = segment.read(chunk, began)?;
        let mut rest = chunk.get(..count).unwrap_or_default();
        while let Some(frame) = record::frame(rest, segment.seed, end.offset) {
            if frame.kind() == Ok(Kind::End) {
                return Ok(WalkEnd { is_sealed: true, ..end });
            }
            if !visit(&frame) {
                return Ok(end);
            }
            end.offset += frame.len();
            rest = rest.get(frame.len() as usize..).unwrap_or_default();
        }
        if end.offset == began {
            match after_gap(segment, began, until)? {
                Gap::Empty => return Ok(WalkEnd { is_sealed: true, ..end }),
                Gap::Damage(None) => return Ok(WalkEnd { is_sealed: true, damaged: end.damaged + 1, ..end }),
                Gap::Damage(Some(next)) => end = WalkEnd { offset: next, damaged: end.damaged + 1, ..end },
            }
        }
    }
    Ok(end)
}

/// Returns the number of rows that a record is exported as.
pub(crate) fn rows_of(frame: &Frame<'_>) -> u64 {
    match frame.kind() {
        Ok(Kind::Close | Kind::Event) => 1,
        Ok(Kind::Counts | Kind::CloseBatch) => match frame.decode() {
            Ok(FrameContent::Record(Record::Counts { counts, .. } | Record::CloseBatch { counts, .. })) => {
                counts.len() as u64
            }
            Ok(FrameContent::Record(_) | FrameContent::End) | Err(_) => 0,
        },
        Ok(Kind::Open | Kind::Lease | Kind::End) | Err(_) => 0,
    }
}

/// The bytes at an offset without an intact record.
enum Gap {
    /// All following bytes are zero.
    Empty,
    /// The offset of the next intact record, if there is one.
    Damage(Option<u32>),
}

fn after_gap(segment: &Segment, at: u32, until: u32) -> Result<Gap, SpoolError> {
    let mut bytes = Vec::new();
    segment.read_data(&mut bytes)?;
    let bytes = SegmentBytes::new(&bytes, segment.seed);
    if bytes.dirty_until() <= at {
        return Ok(Gap::Empty);
    }
    Ok(Gap::Damage(bytes.next(at).filter(|next| *next < until)))
}
