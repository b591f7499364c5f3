//! Over the records of a lane that wait to be released.

use super::Reading;
use crate::error::SpoolError;
use crate::folder::Folder;
use crate::position::Position;
use crate::record::{self, Frame, Kind, Undecodable};
use crate::segment::Segment;

/// Why a walk over records goes on or ends.
pub(super) enum Step {
    Next,
    Stop,
}

/// Shows `visit` the readable records after the released position, the ends of segments among them, until it says stop;
/// [`Reading::at`] is then after the last one that it did not stop at, also when the next one is an error.
pub(super) fn walk(
    folder: &Folder,
    reading: &mut Reading,
    buffer: &mut [u8],
    mut visit: impl FnMut(&Frame<'_>, &Segment, u32) -> Result<Step, SpoolError>,
) -> Result<(), SpoolError> {
    let readable = reading.lane.readable();
    reading.at = reading.released;
    while reading.at < readable {
        if let Some(&(_, after)) = reading.skips.iter().find(|(from, _)| *from == reading.at) {
            reading.at = after;
            continue;
        }
        let began = reading.at;
        let skip = reading.skips.iter().find(|(from, _)| *from > began && from.segment == began.segment);
        let before = skip.map_or(u32::MAX, |(from, _)| from.offset);
        let (mut at, file) = (began, reading.segment(folder, began)?);
        let until = if at.segment == readable.segment { readable.offset } else { file.bytes };
        let room = buffer.len().min(until.min(before).saturating_sub(at.offset) as usize);
        let chunk = buffer.get_mut(..room).unwrap_or_default();
        let count = file.read(chunk, at.offset)?;
        let mut rest = chunk.get(..count).unwrap_or_default();
        let mut step = Ok(Step::Next);
        while let Some(frame) = record::frame(rest, file.seed, at.offset) {
            step = visit(&frame, file, at.offset);
            if !matches!(step, Ok(Step::Next)) {
                break;
            }
            if frame.kind() == Ok(Kind::End) {
                at = Position::start_of(at.lane, at.segment + 1);
                break;
            }
            at.offset += frame.len();
            rest = rest.get(frame.len() as usize..).unwrap_or_default();
        }
        let stuck = (at == began).then(|| file.corrupt(at.offset));
        reading.at = at;
        match (step?, stuck) {
            (Step::Stop, _) => return Ok(()),
            (Step::Next, Some(error)) => return Err(error),
            (Step::Next, None) => {}
        }
    }
    Ok(())
}

pub(super) fn undecodable(why: Undecodable, file: &Segment, offset: u32) -> SpoolError {
    match why {
        Undecodable::Newer => file.newer(offset),
        Undecodable::Damaged => file.corrupt(offset),
    }
}
