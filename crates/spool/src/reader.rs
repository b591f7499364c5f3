//! The end where all lanes are read, in batches that stay until they are released.

use std::sync::Arc;

use access::Timestamp;

use crate::ahead::Ahead;
use crate::disk;
use crate::error::SpoolError;
use crate::lane::{Folder, Lane, Tally};
use crate::position::Position;
use crate::record::{self, Content, Frame, Kind, RECORD_BYTES_MAX, Record, Undecodable};
use crate::segment::{self, Segment};

const CHUNK_BYTES: usize = 256 * 1024;
const _: () = assert!(CHUNK_BYTES >= RECORD_BYTES_MAX);
/// A batch ends with the record that reaches it.
const BATCH_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads every lane of the folder, also those of a former run that had more workers. It has one place a lane, moved by
/// [`Reader::release`] alone: until then [`Reader::next_batch`] answers the same records again.
#[derive(Debug)]
pub struct Reader {
    folder: Arc<Folder>,
    ahead: Arc<Ahead>,
    lanes: Vec<Reading>,
    /// The lane that the next batch begins with, so that a busy one starves no other.
    turn: usize,
    buffer: Vec<u8>,
}

/// How far a lane is read.
#[derive(Debug)]
pub(crate) struct Reading {
    lane: Arc<Lane>,
    released: Position,
    tally: Tally,
    /// How far the last walk came.
    at: Position,
    /// The lowest segment that may still be on the disk.
    lowest: u32,
    open: Option<Segment>,
}

/// Records in the order of their lanes, and the places after them.
#[derive(Debug, Default)]
pub struct Batch {
    /// What was read; empty when nothing waits.
    pub records: Vec<Record>,
    /// The place after each record.
    places: Vec<Position>,
    ends: Vec<End>,
}

#[derive(Debug, Clone, Copy)]
struct End {
    position: Position,
    tally: Tally,
}

/// How much waits to be released.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest was made, to the millisecond, as its id (UUIDv7) says; `None` when nothing waits.
    pub oldest: Option<Timestamp>,
    /// Bytes of all segments on the disk, those made ahead included.
    pub allocated_bytes: u64,
}

impl Batch {
    /// The place after the batch in each lane that it has records of: to be stored in one transaction with them, and
    /// handed to [`crate::Spool::open`] at the next start.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.ends.iter().map(|end| end.position)
    }

    /// The place after each of `records`, in their order. A record whose lane's stored position is at its place or
    /// after it is stored already: a transaction may be committed and yet be reported as failed, and the next batch
    /// then begins with the same records.
    pub fn places(&self) -> impl Iterator<Item = Position> {
        self.places.iter().copied()
    }
}

impl Reading {
    pub(crate) const fn new(lane: Arc<Lane>, from: Position, lowest: u32) -> Self {
        Self { lane, released: from, at: from, tally: Tally { records: 0, bytes: 0 }, lowest, open: None }
    }

    /// The segment that `at` lies in.
    fn segment(&mut self, folder: &Folder, at: Position) -> Result<&Segment, SpoolError> {
        let segment = match self.open.take().filter(|open| open.number == at.segment) {
            Some(open) => open,
            None => Segment::open(&folder.dir, at.lane, at.segment)?,
        };
        Ok(self.open.insert(segment))
    }

    /// Removes the segments below the released position.
    fn remove_ingested(&mut self, folder: &Folder) -> Result<(), SpoolError> {
        while self.lowest < self.released.segment {
            let path = segment::path(&folder.dir, self.lane.number, self.lowest);
            let bytes = segment::sizes(&folder.dir, self.lane.number, [self.lowest])?;
            disk::remove(&path).map_err(SpoolError::io("remove", &path))?;
            folder.gone(bytes);
            self.lowest += 1;
        }
        Ok(())
    }
}

/// Why a walk over records goes on or ends.
enum Step {
    Next,
    Stop,
}

impl Reader {
    pub(crate) fn new(folder: Arc<Folder>, ahead: Arc<Ahead>, lanes: Vec<Reading>) -> Self {
        Self { folder, ahead, lanes, turn: 0, buffer: vec![0; CHUNK_BYTES] }
    }

    /// Up to `records_max` records (and some 4 MiB) after the released positions, each lane's in order. Reads files, and
    /// so may block for as long as the disk does.
    ///
    /// # Errors
    /// [`SpoolError::Io`], or [`SpoolError::Corrupt`] when what was written is no longer what stands there; not before
    /// all that can be read, in this lane before it and in the others, is released.
    pub fn next_batch(&mut self, records_max: usize) -> Result<Batch, SpoolError> {
        let mut batch = Batch::default();
        let (mut bytes_left, mut failed) = (BATCH_BYTES_MAX, None);
        let (before, from) = self.lanes.split_at_mut(self.turn);
        for reading in from.iter_mut().chain(before) {
            if batch.records.len() >= records_max || bytes_left == 0 {
                break;
            }
            let lane = reading.lane.number;
            let mut end = End { position: reading.released, tally: reading.tally };
            let walked = walk(&self.folder, reading, &mut self.buffer, |frame, file, at| {
                if frame.kind() == Ok(Kind::End) {
                    return Ok(Step::Next);
                }
                if batch.records.len() >= records_max || bytes_left == 0 {
                    return Ok(Step::Stop);
                }
                if let Content::Record(record) = frame.decode().map_err(|why| undecodable(why, file, at))? {
                    batch.records.push(record);
                    batch.places.push(Position { lane, segment: file.number, offset: at + frame.len() });
                    end.tally.add(frame.len());
                    bytes_left = bytes_left.saturating_sub(frame.len().into());
                }
                Ok(Step::Next)
            });
            if end.tally != reading.tally {
                end.position = reading.at;
                batch.ends.push(end);
            }
            if let Err(error) = walked {
                failed.get_or_insert(error);
            }
        }
        match failed {
            Some(error) if batch.records.is_empty() => Err(error),
            _ => Ok(batch),
        }
    }

    /// Whether [`Reader::release`] would remove a segment: what is stored must then be stored for good beforehand.
    #[must_use]
    pub fn would_remove(&self, batch: &Batch) -> bool {
        self.lanes.iter().any(|reading| {
            let end = batch.ends.iter().find(|end| end.position.lane == reading.lane.number);
            let released = end.map_or(reading.released, |end| end.position.max(reading.released));
            reading.lowest < released.segment
        })
    }

    /// The batch is stored: reading goes on after it, and segments that hold nothing else are removed. Doing so twice,
    /// or with an older batch, is harmless.
    ///
    /// # Errors
    /// [`SpoolError::Io`] when a segment cannot be removed: the batch is released all the same, and the removal is
    /// tried again at the next release and at the next start.
    pub fn release(&mut self, batch: &Batch) -> Result<(), SpoolError> {
        let mut removed = Ok(());
        for end in &batch.ends {
            let Some(reading) = self.lanes.iter_mut().find(|reading| reading.lane.number == end.position.lane) else {
                continue;
            };
            if end.position > reading.released {
                reading.released = end.position;
                reading.tally = end.tally;
            }
        }
        for reading in &mut self.lanes {
            removed = reading.remove_ingested(&self.folder).and(removed);
        }
        self.turn = if self.turn + 1 < self.lanes.len() { self.turn + 1 } else { 0 };
        self.ahead.wake();
        removed
    }

    /// How much waits to be released.
    ///
    /// # Errors
    /// As [`Reader::next_batch`]: the oldest record's header is read from its file.
    pub fn depth(&mut self) -> Result<Depth, SpoolError> {
        let mut depth = Depth { allocated_bytes: self.folder.allocated(), ..Depth::default() };
        for reading in &mut self.lanes {
            let (published, released) = (reading.lane.tally(), reading.tally);
            depth.records += published.records.saturating_sub(released.records);
            depth.bytes += published.bytes.saturating_sub(released.bytes);
            let mut oldest = None;
            walk(&self.folder, reading, &mut self.buffer, |frame, file, at| {
                if frame.kind().map_err(|why| undecodable(why, file, at))? == Kind::End {
                    return Ok(Step::Next);
                }
                oldest = made_at(frame);
                Ok(Step::Stop)
            })?;
            depth.oldest = [depth.oldest, oldest].into_iter().flatten().min();
        }
        Ok(depth)
    }

    /// The last failure (a full disk, say) of making segments ahead, once; it is tried again ten times a second.
    pub fn trouble(&mut self) -> Option<SpoolError> {
        self.folder.take_trouble()
    }
}

/// Shows `visit` the published records after the released position, the ends of segments among them, until it says stop;
/// [`Reading::at`] is then after the last one that it did not stop at, also when the next one is an error.
fn walk(
    folder: &Folder,
    reading: &mut Reading,
    buffer: &mut [u8],
    mut visit: impl FnMut(&Frame<'_>, &Segment, u32) -> Result<Step, SpoolError>,
) -> Result<(), SpoolError> {
    let published = reading.lane.published();
    reading.at = reading.released;
    while reading.at < published {
        let began = reading.at;
        let (mut at, file) = (began, reading.segment(folder, began)?);
        let until = if at.segment == published.segment { published.offset } else { file.bytes };
        let room = buffer.len().min(until.saturating_sub(at.offset) as usize);
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

fn undecodable(why: Undecodable, file: &Segment, offset: u32) -> SpoolError {
    match why {
        Undecodable::Newer => file.newer(offset),
        Undecodable::Damaged => file.corrupt(offset),
    }
}

/// The time in a UUIDv7 (RFC 9562, 5.7): milliseconds in its first 48 bits.
fn made_at(frame: &Frame<'_>) -> Option<Timestamp> {
    let [a, b, c, d, e, f, ..] = frame.id.into_bytes();
    let millis = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    (frame.id.get_version_num() == 7).then(|| Timestamp(millis.saturating_mul(1_000)))
}

#[cfg(test)]
mod tests;
