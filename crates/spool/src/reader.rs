//! The end where all lanes are read, in batches that stay until they are released.

pub(crate) mod open_requests;
mod scan;

use std::sync::Arc;

use access::Timestamp;

use crate::allocator::SegmentAllocator;
use crate::disk;
use crate::error::SpoolError;
use crate::folder::Folder;
use crate::open_request::OpenRequest;
use crate::partition::{Partition, RecordTotals};
use crate::position::Position;
use crate::record::{Frame, FrameContent, Kind, RECORD_BYTES_MAX, Record};
use crate::segment::{self, Segment};
use crate::sync::Syncer;
use crate::writer::BackgroundThreads;
use open_requests::{OpenChange, OpenRequests};
use scan::{ScanStep, decode_error, scan};

const CHUNK_BYTES: usize = 256 * 1024;
const _: () = assert!(CHUNK_BYTES >= RECORD_BYTES_MAX);
/// A batch ends with the record that reaches it.
const BATCH_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads every lane of the folder, also those of a former run that had more workers. It has one place a lane, moved by
/// [`Reader::release`] alone: until then [`Reader::next_batch`] answers the same records again.
#[derive(Debug)]
pub struct Reader {
    folder: Arc<Folder>,
    allocator: Arc<SegmentAllocator>,
    sync: Option<Arc<Syncer>>,
    partitions: Vec<PartitionReader>,
    open_requests: OpenRequests,
    /// The lane that the next batch begins with, so that a busy one starves no other.
    turn: usize,
    buffer: Vec<u8>,
}

/// How far a lane is read.
#[derive(Debug)]
pub(crate) struct PartitionReader {
    shared: Arc<Partition>,
    released: Position,
    totals: RecordTotals,
    /// How far the last walk came.
    at: Position,
    /// The lowest segment that may still be on the disk.
    lowest: u32,
    open: Option<Segment>,
    /// What is damaged and left out, ascending: where it begins, and where reading goes on.
    skipped_ranges: Vec<(Position, Position)>,
}

/// Records in the order of their lanes, and the places after them.
#[derive(Debug, Default)]
pub struct Batch {
    /// What was read; empty when nothing waits.
    pub records: Vec<Record>,
    /// The place after each record.
    record_positions: Vec<Position>,
    ends: Vec<PartitionEnd>,
    /// Of the opens and closes among them, and the places after these.
    open_changes: Vec<(Position, OpenChange)>,
}

#[derive(Debug, Clone, Copy)]
struct PartitionEnd {
    position: Position,
    totals: RecordTotals,
}

/// How many records wait to be released, and their bytes, at any moment and from any thread.
#[derive(Debug, Clone)]
pub struct BacklogCounter(Vec<Arc<Partition>>);

/// How much waits to be released.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpoolDepth {
    /// Records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest was written: a request's end, a begin's begin; `None` when nothing waits.
    pub oldest: Option<Timestamp>,
    /// Bytes of all segments on the disk, those made ahead included.
    pub allocated_bytes: u64,
}

impl BacklogCounter {
    /// Records that wait by now, and their bytes.
    #[must_use]
    pub fn unreleased(&self) -> (u64, u64) {
        self.0
            .iter()
            .map(|partition| partition.unreleased())
            .fold((0, 0), |(records, bytes), partition| (records + partition.records, bytes + partition.bytes))
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
    pub fn record_positions(&self) -> impl Iterator<Item = Position> {
        self.record_positions.iter().copied()
    }
}

impl PartitionReader {
    pub(crate) const fn new(
        shared: Arc<Partition>,
        from: Position,
        lowest: u32,
        skipped_ranges: Vec<(Position, Position)>,
    ) -> Self {
        Self {
            shared,
            released: from,
            at: from,
            totals: RecordTotals { records: 0, bytes: 0 },
            lowest,
            open: None,
            skipped_ranges,
        }
    }

    /// The segment that `at` lies in.
    fn segment(&mut self, folder: &Folder, at: Position) -> Result<&Segment, SpoolError> {
        let segment = match self.open.take().filter(|open| open.number == at.segment) {
            Some(open) => open,
            None => Segment::open(&folder.dir, at.partition, at.segment)?,
        };
        Ok(self.open.insert(segment))
    }

    /// Removes the segments below the released position.
    fn remove_ingested(&mut self, folder: &Folder) -> Result<(), SpoolError> {
        while self.lowest < self.released.segment {
            let path = segment::path(&folder.dir, self.shared.number, self.lowest);
            let bytes = segment::sizes(&folder.dir, self.shared.number, [self.lowest])?;
            disk::remove(&path).map_err(SpoolError::io("remove", &path))?;
            folder.subtract_removed(bytes);
            self.lowest += 1;
        }
        Ok(())
    }
}

impl Reader {
    pub(crate) fn new(
        folder: Arc<Folder>,
        threads: BackgroundThreads,
        partitions: Vec<PartitionReader>,
        open_requests: OpenRequests,
    ) -> Self {
        let BackgroundThreads { allocator, sync } = threads;
        Self { folder, allocator, sync, partitions, open_requests, turn: 0, buffer: vec![0; CHUNK_BYTES] }
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
        let (before, from) = self.partitions.split_at_mut(self.turn);
        for partition in from.iter_mut().chain(before) {
            if batch.records.len() >= records_max || bytes_left == 0 {
                break;
            }
            let number = partition.shared.number;
            let mut end = PartitionEnd { position: partition.released, totals: partition.totals };
            let scanned = scan(&self.folder, partition, &mut self.buffer, |frame, file, at| {
                if frame.kind() == Ok(Kind::End) {
                    return Ok(ScanStep::Next);
                }
                if batch.records.len() >= records_max || bytes_left == 0 {
                    return Ok(ScanStep::Stop);
                }
                if let FrameContent::Record(record) = frame.decode().map_err(|why| decode_error(why, file, at))? {
                    let place = Position { partition: number, segment: file.number, offset: at + frame.len() };
                    batch.open_changes.extend(open_change(&record).map(|change| (place, change)));
                    batch.records.push(record);
                    batch.record_positions.push(place);
                    end.totals.add(frame.len());
                    bytes_left = bytes_left.saturating_sub(frame.len().into());
                }
                Ok(ScanStep::Next)
            });
            if end.totals != partition.totals {
                end.position = partition.at;
                batch.ends.push(end);
            }
            if let Err(error) = scanned {
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
    pub fn would_remove_segments(&self, batch: &Batch) -> bool {
        self.partitions.iter().any(|partition| partition.lowest < self.released_after(batch, partition).segment)
    }

    /// The requests that are still open when the batch is read, and whose opens go with the segments that
    /// [`Reader::release`] would remove: to be stored in one transaction with the batch, idempotent by their ids, unless
    /// their closes are stored already (from a batch whose commit was not known to have succeeded, and that is read again in
    /// part), until their closes are, and to be given to [`crate::SpoolOpener::stored_requests`] at the next start. Empty where
    /// nothing would be removed; bounded by what is in flight.
    #[must_use]
    pub fn requests_to_store(&self, batch: &Batch) -> Vec<OpenRequest> {
        if !self.would_remove_segments(batch) {
            return Vec::new();
        }
        let unreleased = batch.open_changes.iter().filter(|(place, _)| self.is_unreleased(*place));
        self.open_requests.lost_with(unreleased, |place| self.is_removed_with(batch, place))
    }

    /// Where reading goes on in a lane when the batch is released.
    fn released_after(&self, batch: &Batch, partition: &PartitionReader) -> Position {
        let end = batch.ends.iter().find(|end| end.position.partition == partition.shared.number);
        end.map_or(partition.released, |end| end.position.max(partition.released))
    }

    /// Whether a record before `place` is not released yet.
    fn is_unreleased(&self, place: Position) -> bool {
        self.partitions.iter().any(|partition| partition.shared.number == place.partition && place > partition.released)
    }

    /// Whether the segment in which `place` lies is removed with the batch.
    fn is_removed_with(&self, batch: &Batch, place: Position) -> bool {
        let partition = self.partitions.iter().find(|partition| partition.shared.number == place.partition);
        partition.is_some_and(|partition| place.segment < self.released_after(batch, partition).segment)
    }

    /// The batch is stored: reading goes on after it, and segments that hold nothing else are removed. Doing so twice,
    /// or with an older batch, is harmless.
    ///
    /// # Errors
    /// [`SpoolError::Io`] when a segment cannot be removed: the batch is released all the same, and the removal is
    /// tried again at the next release and at the next start.
    pub fn release(&mut self, batch: &Batch) -> Result<(), SpoolError> {
        let mut removed = Ok(());
        for (place, change) in &batch.open_changes {
            if self.is_unreleased(*place) {
                self.open_requests.apply(*place, change);
            }
        }
        for end in &batch.ends {
            let Some(partition) =
                self.partitions.iter_mut().find(|partition| partition.shared.number == end.position.partition)
            else {
                continue;
            };
            if end.position > partition.released {
                if end.position.segment > partition.released.segment {
                    self.open_requests.mark_stored(end.position);
                }
                partition.released = end.position;
                partition.totals = end.totals;
                partition.shared.set_released(end.totals);
            }
        }
        for partition in &mut self.partitions {
            removed = partition.remove_ingested(&self.folder).and(removed);
        }
        self.turn = if self.turn + 1 < self.partitions.len() { self.turn + 1 } else { 0 };
        self.allocator.wake();
        removed
    }

    /// Who tells how much waits.
    #[must_use]
    pub fn backlog_counter(&self) -> BacklogCounter {
        BacklogCounter(self.partitions.iter().map(|partition| partition.shared.clone()).collect())
    }

    /// Where each lane ends by now.
    #[must_use]
    pub fn end_positions(&self) -> Vec<Position> {
        self.partitions.iter().map(|partition| partition.shared.published()).collect()
    }

    /// How much waits to be released.
    ///
    /// # Errors
    /// As [`Reader::next_batch`]: the oldest record's header is read from its file.
    pub fn depth(&mut self) -> Result<SpoolDepth, SpoolError> {
        let (records, bytes) = self.backlog_counter().unreleased();
        let mut depth = SpoolDepth { records, bytes, allocated_bytes: self.folder.allocated(), oldest: None };
        for partition in &mut self.partitions {
            let mut oldest = None;
            scan(&self.folder, partition, &mut self.buffer, |frame, file, at| {
                if frame.kind().map_err(|why| decode_error(why, file, at))? == Kind::End {
                    return Ok(ScanStep::Next);
                }
                oldest = written_at(frame);
                Ok(ScanStep::Stop)
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
        self.sync.as_ref().map_or(Ok(()), |sync| sync.sync_all())
    }

    /// The last failure (a full disk, say) of making segments ahead or syncing, once; it is tried again ten times a second.
    pub fn take_failure(&mut self) -> Option<SpoolError> {
        self.folder.take_failure()
    }
}

/// The open requests of a batch, and of those that were read before it, that a release changes.
fn open_change(record: &Record) -> Option<OpenChange> {
    if let Record::Open(opened) = record {
        return Some(OpenChange::Opened(opened.clone()));
    }
    record.closes().map(OpenChange::Closed)
}

/// When a record was written. The id of one that ends a request is as old as its begin.
fn written_at(frame: &Frame<'_>) -> Option<Timestamp> {
    match frame.decode() {
        Ok(FrameContent::Record(Record::Open(opened))) => Some(opened.started_at),
        Ok(FrameContent::Record(Record::Close(event) | Record::Event(event))) => Some(event.ended_at()),
        Ok(FrameContent::Record(Record::Counts { .. } | Record::CloseBatch { .. }) | FrameContent::End) | Err(_) => {
            id_timestamp(frame)
        }
    }
}

/// The time in a UUIDv7 (RFC 9562, 5.7): milliseconds in its first 48 bits.
fn id_timestamp(frame: &Frame<'_>) -> Option<Timestamp> {
    let [a, b, c, d, e, f, ..] = frame.id.into_bytes();
    let millis = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    (frame.id.get_version_num() == 7).then(|| Timestamp(millis.saturating_mul(1_000)))
}

#[cfg(test)]
mod stored_requests_tests;
#[cfg(test)]
mod tests;
