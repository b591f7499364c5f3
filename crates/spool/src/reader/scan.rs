//! A scan over the unreleased records of a partition.

use super::PartitionReader;
use crate::error::SpoolError;
use crate::folder::Folder;
use crate::records::position::Position;
use crate::records::record::{self, DecodeError, Frame, Kind};
use crate::records::segment::Segment;

/// The decision of the visitor after a record.
pub(super) enum ScanStep {
    Next,
    Stop,
}

/// Calls `visit` with the readable records after the released position, end records included, until it returns
/// [`ScanStep::Stop`]. Afterwards [`PartitionReader::at`] is after the last record for which it did not stop, also if
/// the next one is an error.
pub(super) fn scan(
    folder: &Folder,
    partition: &mut PartitionReader,
    buffer: &mut [u8],
    mut visit: impl FnMut(&Frame<'_>, &Segment, u32) -> Result<ScanStep, SpoolError>,
) -> Result<(), SpoolError> {
    let readable = partition.shared.readable();
    partition.at = partition.released;
    while partition.at < readable {
        if let Some(&(_, after)) = partition.skipped_ranges.iter().find(|(from, _)| *from == partition.at) {
            partition.at = after;
            continue;
        }
        let began = partition.at;
        let skip = partition.skipped_ranges.iter().find(|(from, _)| *from > began && from.segment == began.segment);
        let before = skip.map_or(u32::MAX, |(from, _)| from.offset);
        let mut at = began;
        let file = partition.segment(folder, began)?;
        let until = if at.segment == readable.segment { readable.offset } else { file.bytes };
        let room = buffer.len().min(until.min(before).saturating_sub(at.offset) as usize);
        let chunk = buffer.get_mut(..room).unwrap_or_default();
        let count = file.read(chunk, at.offset)?;
        let mut rest = chunk.get(..count).unwrap_or_default();
        let mut step = Ok(ScanStep::Next);
        while let Some(frame) = record::frame(rest, file.seed, at.offset) {
            step = visit(&frame, file, at.offset);
            if !matches!(step, Ok(ScanStep::Next)) {
                break;
            }
            if frame.kind() == Ok(Kind::End) {
                at = Position::start_of(at.partition, at.segment + 1);
                break;
            }
            at.offset += frame.len();
            rest = rest.get(frame.len() as usize..).unwrap_or_default();
        }
        let stuck = (at == began).then(|| file.corrupt(at.offset));
        partition.at = at;
        match (step?, stuck) {
            (ScanStep::Stop, _) => return Ok(()),
            (ScanStep::Next, Some(error)) => return Err(error),
            (ScanStep::Next, None) => {}
        }
    }
    Ok(())
}

pub(super) fn decode_error(why: DecodeError, file: &Segment, offset: u32) -> SpoolError {
    match why {
        DecodeError::Newer(format) => file.newer(offset, format),
        DecodeError::Damaged => file.corrupt(offset),
    }
}
