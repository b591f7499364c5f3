//! The reader of all partitions. A batch is read again until it is released.

pub(crate) mod open_requests;
mod scan;

use std::sync::Arc;

use access::Timestamp;

use crate::error::SpoolError;
use crate::folder::Folder;
use crate::open_request::OpenRequest;
use crate::partition::{Partition, RecordTotals};
use crate::records::position::Position;
use crate::records::record::{Frame, FrameContent, Kind, RECORD_BYTES_MAX, Record, SharedTexts};
use crate::records::segment::{self, CHUNK_BYTES, Segment};
use crate::threads::allocator::SegmentAllocator;
use crate::threads::sync::Syncer;
use crate::threads::writer::BackgroundThreads;
use open_requests::{OpenChange, OpenRequests};
use scan::{ScanStep, decode_error, scan};

/// Bytes after which a batch ends; the record that reaches this size is its last.
const BATCH_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads every partition of the folder, including those of an earlier run with more workers. Only [`Reader::release`]
/// advances it: until then, [`Reader::next_batch`] returns the same records again.
#[derive(Debug)]
pub struct Reader {
    folder: Arc<Folder>,
    allocator: Arc<SegmentAllocator>,
    sync: Option<Arc<Syncer>>,
    partitions: Vec<PartitionReader>,
    open_requests: OpenRequests,
    /// The partition that the next batch begins with, so that a busy partition does not starve the others.
    turn: usize,
    buffer: Vec<u8>,
    texts: SharedTexts,
}

/// The reading position of one partition.
#[derive(Debug)]
pub(crate) struct PartitionReader {
    shared: Arc<Partition>,
    released: Position,
    totals: RecordTotals,
    /// The position that the last scan reached.
    at: Position,
    /// The lowest segment that may still exist.
    lowest: u32,
    open: Option<Segment>,
    /// Skipped damage, ascending: where it begins, and where reading continues.
    skipped_ranges: Vec<(Position, Position)>,
}

/// Records in the order of their partitions, with their positions.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records; empty if there is no unreleased record.
    pub records: Vec<Record>,
    /// The position after each record.
    record_positions: Vec<Position>,
    ends: Vec<PartitionEnd>,
    /// The changes that the records make to the open requests.
    open_changes: Vec<(Position, OpenChange)>,
}

#[derive(Debug, Clone, Copy)]
struct PartitionEnd {
    position: Position,
    totals: RecordTotals,
}

/// The number and bytes of unreleased records, readable at any time and from any thread.
#[derive(Debug, Clone)]
pub struct BacklogCounter(Vec<Arc<Partition>>);

/// The unreleased part of the spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpoolDepth {
    /// Number of unreleased records.
    pub records: u64,
    /// Bytes of unreleased records.
    pub bytes: u64,
    /// The time of the oldest unreleased record; `None` without records. An open has the request's start, a close its
    /// end.
    pub oldest: Option<Timestamp>,
    /// Bytes of all segments on the disk, preallocated ones included.
    pub allocated_bytes: u64,
}

impl BacklogCounter {
    /// Returns whether a worker's part of the spool lacks room for further requests: the spool or the disk is full.
    #[must_use]
    pub fn lacks_room(&self) -> bool {
        self.0.iter().any(|partition| partition.lacks_room())
    }

    /// Returns the number of unreleased records and their bytes.
    #[must_use]
    pub fn unreleased(&self) -> (u64, u64) {
        self.0
            .iter()
            .map(|partition| partition.unreleased())
            .fold((0, 0), |(records, bytes), partition| (records + partition.records, bytes + partition.bytes))
    }
}

impl Batch {
    /// Returns the position after the batch, for each partition that it has records of. The store commits them with the
    /// records and passes them to [`crate::Spool::open`] at the next start.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.ends.iter().map(|end| end.position)
    }

    /// Returns the position after each of `records`, in their order. A record is already stored if the stored position
    /// of its partition is at or after its own: a commit may succeed and be reported as failed, and the next batch then
    /// begins with the same records.
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

    pub(crate) const fn partition(&self) -> &Arc<Partition> {
        &self.shared
    }

    /// Opens the segment that contains `at`.
    fn segment(&mut self, folder: &Folder, at: Position) -> Result<&Segment, SpoolError> {
        let segment = match self.open.take().filter(|open| open.number == at.segment) {
            Some(open) => open,
            None => Segment::open(&folder.dir, at.partition, at.segment)?,
        };
        Ok(self.open.insert(segment))
    }

    /// Removes the segments before the released position.
    fn remove_ingested(&mut self, folder: &Folder) -> Result<(), SpoolError> {
        while self.lowest < self.released.segment {
            let bytes = segment::sizes(&folder.dir, self.shared.number, [self.lowest])?;
            folder.remove_ingested(self.shared.number, self.lowest)?;
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
        Self {
            folder,
            allocator,
            sync,
            partitions,
            open_requests,
            turn: 0,
            buffer: vec![0; CHUNK_BYTES],
            texts: SharedTexts::default(),
        }
    }

    /// Returns up to `records_max` records (at most about 4 MiB) after the released positions, in the order of each
    /// partition. This call reads files and may block.
    ///
    /// # Errors
    /// [`SpoolError::Io`], or [`SpoolError::Corrupt`] if a record was changed after it was written. An error is
    /// returned only after all readable records of this and the other partitions are released.
    pub fn next_batch(&mut self, records_max: usize) -> Result<Batch, SpoolError> {
        let mut batch = Batch::default();
        let unreleased: u64 = self.partitions.iter().map(|partition| partition.shared.unreleased().records).sum();
        batch.records.reserve(records_max.min(usize::try_from(unreleased).unwrap_or(usize::MAX)));
        let mut bytes_left = BATCH_BYTES_MAX;
        let mut failed = None;
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
                if let FrameContent::Record(record) =
                    frame.decode_with(Some(&self.texts)).map_err(|why| decode_error(why, file, at))?
                {
                    let place = Position { partition: number, segment: file.number, offset: at + frame.len() };
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
        batch.open_changes = open_requests::changes_of(&batch.records, &batch.record_positions);
        match failed {
            Some(error) if batch.records.is_empty() => Err(error),
            _ => Ok(batch),
        }
    }

    /// Returns whether [`Reader::release`] would remove a segment. In that case the stored records must be durable
    /// before.
    #[must_use]
    pub fn would_remove_segments(&self, batch: &Batch) -> bool {
        self.partitions.iter().any(|partition| partition.lowest < self.released_after(batch, partition).segment)
    }

    /// Returns the requests that are open after the batch and whose open records are in segments that
    /// [`Reader::release`] would remove. The store must insert them in the transaction of the batch, idempotent by id,
    /// keep them until their closes are stored, and pass them to [`crate::SpoolOpener::stored_requests`] at the next
    /// start. A request whose close is already stored must be left out: its batch may be read again in part after a
    /// commit with an unknown result. The list is empty if no segment would be removed, and bounded by the requests in
    /// flight.
    #[must_use]
    pub fn requests_to_store(&self, batch: &Batch) -> Vec<OpenRequest> {
        if !self.would_remove_segments(batch) {
            return Vec::new();
        }
        let unreleased = batch.open_changes.iter().filter(|(place, _)| self.is_unreleased(*place));
        self.open_requests.lost_with(unreleased, |place| self.is_removed_with(batch, place))
    }

    /// Returns the position of a partition after the batch is released.
    fn released_after(&self, batch: &Batch, partition: &PartitionReader) -> Position {
        let end = batch.ends.iter().find(|end| end.position.partition == partition.shared.number);
        end.map_or(partition.released, |end| end.position.max(partition.released))
    }

    /// Returns whether the record before `place` is not released yet.
    fn is_unreleased(&self, place: Position) -> bool {
        self.partitions.iter().any(|partition| partition.shared.number == place.partition && place > partition.released)
    }

    /// Returns whether releasing the batch removes the segment that contains `place`.
    fn is_removed_with(&self, batch: &Batch, place: Position) -> bool {
        let partition = self.partitions.iter().find(|partition| partition.shared.number == place.partition);
        partition.is_some_and(|partition| place.segment < self.released_after(batch, partition).segment)
    }

    /// Marks the batch as stored: reading continues after it, and segments without other records are removed. Releasing
    /// a batch twice, or an older batch, has no effect.
    ///
    /// # Errors
    /// [`SpoolError::Io`] if a segment cannot be removed. The batch is released nevertheless, and the removal is
    /// repeated at the next release and at the next start.
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

    /// Returns a handle to the number of unreleased records.
    #[must_use]
    pub fn backlog_counter(&self) -> BacklogCounter {
        BacklogCounter(self.partitions.iter().map(|partition| partition.shared.clone()).collect())
    }

    /// Returns whether [`Reader::next_batch`] and [`Reader::release`] have nothing to do: no record is unreleased, and no
    /// segment is to be removed. It reads no file.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let has_records = self.partitions.iter().any(|partition| partition.shared.unreleased().records > 0);
        !has_records && !self.would_remove_segments(&Batch::default())
    }

    /// Returns the end of each partition.
    #[must_use]
    pub fn end_positions(&self) -> Vec<Position> {
        self.partitions.iter().map(|partition| partition.shared.published()).collect()
    }

    /// Returns the unreleased part of the spool.
    ///
    /// # Errors
    /// The errors of [`Reader::next_batch`]: the oldest record's header is read from its file.
    pub fn depth(&mut self) -> Result<SpoolDepth, SpoolError> {
        let (records, bytes) = self.backlog_counter().unreleased();
        let mut depth = SpoolDepth { records, bytes, allocated_bytes: self.folder.allocated(), oldest: None };
        for partition in &mut self.partitions {
            let mut oldest = None;
            // Only the first record is read.
            let buffer = self.buffer.get_mut(..RECORD_BYTES_MAX).unwrap_or_default();
            scan(&self.folder, partition, buffer, |frame, file, at| {
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

    /// Makes all appended records readable under [`crate::SpoolDurability::Power`], where only synced records are read. The
    /// sync thread does the same shortly after each append.
    ///
    /// # Errors
    /// [`SpoolError::Io`] if the sync fails; the sync thread repeats it.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        self.sync.as_ref().map_or(Ok(()), |sync| sync.sync_all())
    }

    /// Returns the last failure of a background thread (such as a full disk) once. The threads repeat their work ten
    /// times per second.
    pub fn take_failure(&mut self) -> Option<SpoolError> {
        self.folder.take_failure()
    }
}

/// Returns the time at which a record was written. The id of a close is as old as the request's start.
fn written_at(frame: &Frame<'_>) -> Option<Timestamp> {
    match frame.decode() {
        Ok(FrameContent::Record(Record::Open(opened))) => Some(opened.started_at),
        Ok(FrameContent::Record(Record::Close(event) | Record::Event(event))) => Some(event.ended_at()),
        Ok(FrameContent::Record(Record::Counts { .. } | Record::CloseBatch { .. }) | FrameContent::End) | Err(_) => {
            id_timestamp(frame)
        }
    }
}

/// Returns the time in a UUIDv7 (RFC 9562, 5.7): milliseconds in its first 48 bits.
fn id_timestamp(frame: &Frame<'_>) -> Option<Timestamp> {
    let [a, b, c, d, e, f, ..] = frame.id.into_bytes();
    let millis = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    (frame.id.get_version_num() == 7).then(|| Timestamp(millis.saturating_mul(1_000)))
}

#[cfg(test)]
mod stored_requests_tests;
#[cfg(test)]
mod tests;
