//! The end where all lanes are read, in batches that stay until they are released.

pub(crate) mod held;
mod walk;

use std::sync::Arc;

use access::Timestamp;

use crate::ahead::Ahead;
use crate::disk;
use crate::error::SpoolError;
use crate::folder::Folder;
use crate::lane::{Lane, Tally};
use crate::opened::Opened;
use crate::position::Position;
use crate::record::{Content, Frame, Kind, RECORD_BYTES_MAX, Record};
use crate::segment::{self, Segment};
use crate::sync::Sync;
use crate::writer::Beside;
use held::{Held, Mark};
use walk::{Step, undecodable, walk};

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
    sync: Option<Arc<Sync>>,
    lanes: Vec<Reading>,
    held: Held,
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
    /// What is damaged and left out, ascending: where it begins, and where reading goes on.
    skips: Vec<(Position, Position)>,
}

/// Records in the order of their lanes, and the places after them.
#[derive(Debug, Default)]
pub struct Batch {
    /// What was read; empty when nothing waits.
    pub records: Vec<Record>,
    /// The place after each record.
    places: Vec<Position>,
    ends: Vec<End>,
    /// Of the opens and closes among them, and the places after these.
    marks: Vec<(Position, Mark)>,
}

#[derive(Debug, Clone, Copy)]
struct End {
    position: Position,
    tally: Tally,
}

/// How many records wait to be released, and their bytes, at any moment and from any thread.
#[derive(Debug, Clone)]
pub struct Level(Vec<Arc<Lane>>);

/// How much waits to be released.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest was written: a request's end, a begin's begin; `None` when nothing waits.
    pub oldest: Option<Timestamp>,
    /// Bytes of all segments on the disk, those made ahead included.
    pub allocated_bytes: u64,
}

impl Level {
    /// Records that wait by now, and their bytes.
    #[must_use]
    pub fn waiting(&self) -> (u64, u64) {
        self.0
            .iter()
            .map(|lane| lane.waiting())
            .fold((0, 0), |(records, bytes), lane| (records + lane.records, bytes + lane.bytes))
    }
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
    pub(crate) const fn new(lane: Arc<Lane>, from: Position, lowest: u32, skips: Vec<(Position, Position)>) -> Self {
        Self { lane, released: from, at: from, tally: Tally { records: 0, bytes: 0 }, lowest, open: None, skips }
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

impl Reader {
    pub(crate) fn new(folder: Arc<Folder>, beside: Beside, lanes: Vec<Reading>, held: Held) -> Self {
        let Beside { ahead, sync } = beside;
        Self { folder, ahead, sync, lanes, held, turn: 0, buffer: vec![0; CHUNK_BYTES] }
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
                    let place = Position { lane, segment: file.number, offset: at + frame.len() };
                    batch.marks.extend(mark(&record).map(|mark| (place, mark)));
                    batch.records.push(record);
                    batch.places.push(place);
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
        self.lanes.iter().any(|reading| reading.lowest < self.released_with(batch, reading).segment)
    }

    /// The requests that are still open when the batch is read, and whose opens go with the segments that
    /// [`Reader::release`] would remove: to be stored in one transaction with the batch, idempotent by their ids, unless
    /// their closes are stored already (from a batch whose commit was not known to have succeeded, and that is read again in
    /// part), until their closes are, and to be given to [`crate::Opening::carried`] at the next start. Empty where
    /// nothing would be removed; bounded by what is in flight.
    #[must_use]
    pub fn carried(&self, batch: &Batch) -> Vec<Opened> {
        if !self.would_remove(batch) {
            return Vec::new();
        }
        let news = batch.marks.iter().filter(|(place, _)| self.is_news(*place));
        self.held.lost_by(news, |place| self.goes(batch, place))
    }

    /// Where reading goes on in a lane when the batch is released.
    fn released_with(&self, batch: &Batch, reading: &Reading) -> Position {
        let end = batch.ends.iter().find(|end| end.position.lane == reading.lane.number);
        end.map_or(reading.released, |end| end.position.max(reading.released))
    }

    /// Whether a record before `place` is not released yet.
    fn is_news(&self, place: Position) -> bool {
        self.lanes.iter().any(|reading| reading.lane.number == place.lane && place > reading.released)
    }

    /// Whether the segment in which `place` lies is removed with the batch.
    fn goes(&self, batch: &Batch, place: Position) -> bool {
        let reading = self.lanes.iter().find(|reading| reading.lane.number == place.lane);
        reading.is_some_and(|reading| place.segment < self.released_with(batch, reading).segment)
    }

    /// The batch is stored: reading goes on after it, and segments that hold nothing else are removed. Doing so twice,
    /// or with an older batch, is harmless.
    ///
    /// # Errors
    /// [`SpoolError::Io`] when a segment cannot be removed: the batch is released all the same, and the removal is
    /// tried again at the next release and at the next start.
    pub fn release(&mut self, batch: &Batch) -> Result<(), SpoolError> {
        let mut removed = Ok(());
        for (place, mark) in &batch.marks {
            if self.is_news(*place) {
                self.held.apply(*place, mark);
            }
        }
        for end in &batch.ends {
            let Some(reading) = self.lanes.iter_mut().find(|reading| reading.lane.number == end.position.lane) else {
                continue;
            };
            if end.position > reading.released {
                if end.position.segment > reading.released.segment {
                    self.held.carry(end.position);
                }
                reading.released = end.position;
                reading.tally = end.tally;
                reading.lane.note_released(end.tally);
            }
        }
        for reading in &mut self.lanes {
            removed = reading.remove_ingested(&self.folder).and(removed);
        }
        self.turn = if self.turn + 1 < self.lanes.len() { self.turn + 1 } else { 0 };
        self.ahead.wake();
        removed
    }

    /// Who tells how much waits.
    #[must_use]
    pub fn level(&self) -> Level {
        Level(self.lanes.iter().map(|reading| reading.lane.clone()).collect())
    }

    /// Where each lane ends by now.
    #[must_use]
    pub fn ends(&self) -> Vec<Position> {
        self.lanes.iter().map(|reading| reading.lane.published()).collect()
    }

    /// How much waits to be released.
    ///
    /// # Errors
    /// As [`Reader::next_batch`]: the oldest record's header is read from its file.
    pub fn depth(&mut self) -> Result<Depth, SpoolError> {
        let (records, bytes) = self.level().waiting();
        let mut depth = Depth { records, bytes, allocated_bytes: self.folder.allocated(), oldest: None };
        for reading in &mut self.lanes {
            let mut oldest = None;
            walk(&self.folder, reading, &mut self.buffer, |frame, file, at| {
                if frame.kind().map_err(|why| undecodable(why, file, at))? == Kind::End {
                    return Ok(Step::Next);
                }
                oldest = written_at(frame);
                Ok(Step::Stop)
            })?;
            depth.oldest = [depth.oldest, oldest].into_iter().flatten().min();
        }
        Ok(depth)
    }

    /// Makes all that was appended readable: under [`crate::Durability::Power`] a record is read only when the disk has it.
    /// Otherwise it happens by itself, soon.
    ///
    /// # Errors
    /// [`SpoolError::Io`] when the disk refuses; it is tried again.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        self.sync.as_ref().map_or(Ok(()), |sync| sync.now())
    }

    /// The last failure (a full disk, say) of making segments ahead or syncing, once; it is tried again ten times a second.
    pub fn trouble(&mut self) -> Option<SpoolError> {
        self.folder.take_trouble()
    }
}

/// The open requests of a batch, and of those that were read before it, that a release changes.
fn mark(record: &Record) -> Option<Mark> {
    if let Record::Open(opened) = record {
        return Some(Mark::Opened(opened.clone()));
    }
    record.closes().map(Mark::Closed)
}

/// When a record was written. The id of one that ends a request is as old as its begin.
fn written_at(frame: &Frame<'_>) -> Option<Timestamp> {
    match frame.decode() {
        Ok(Content::Record(Record::Open(opened))) => Some(opened.started_at),
        Ok(Content::Record(Record::Close(event) | Record::Event(event))) => Some(event.ended_at()),
        Ok(Content::Record(Record::Counts { .. } | Record::Counted { .. }) | Content::End) | Err(_) => made_at(frame),
    }
}

/// The time in a UUIDv7 (RFC 9562, 5.7): milliseconds in its first 48 bits.
fn made_at(frame: &Frame<'_>) -> Option<Timestamp> {
    let [a, b, c, d, e, f, ..] = frame.id.into_bytes();
    let millis = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    (frame.id.get_version_num() == 7).then(|| Timestamp(millis.saturating_mul(1_000)))
}

#[cfg(test)]
mod carried_tests;
#[cfg(test)]
mod tests;
