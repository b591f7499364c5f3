//! The state of one partition that its writer, the reader and the background threads share.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::error::SpoolError;
use crate::folder::{Folder, SpoolDurability};
use crate::mutex::lock;
use crate::records::position::Position;
use crate::records::segment::{Segment, SegmentSpec};
use crate::sync_waiters::SyncWaiters;

/// One partition: the end of its records, and its preallocated segments.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) number: u32,
    pub(crate) durability: SpoolDurability,
    /// The position up to which records are written; see [`Position::pack`].
    published: AtomicU64,
    /// The position up to which records survive a power cut; unused under [`SpoolDurability::Process`].
    synced: AtomicU64,
    /// Records and bytes up to `published`, counted from the position at which this run began to read.
    records: AtomicU64,
    bytes: AtomicU64,
    /// Records and bytes that are released, counted in the same way.
    released_records: AtomicU64,
    released_bytes: AtomicU64,
    /// Requests that the partition's writer has opened and not closed.
    opens: AtomicU32,
    /// Number of closes that fit into the preallocated segments.
    close_capacity: AtomicU32,
    preallocated: Mutex<VecDeque<Segment>>,
    /// Locked while a segment is created, so that taking a preallocated segment does not wait for that.
    next_segment: Mutex<NextSegment>,
    /// No segment could be created for further requests: the spool or the disk is full.
    lacks_room: AtomicBool,
    /// The allocator thread was woken because too few segments are preallocated.
    pub(crate) allocation_requested: AtomicBool,
    /// The sync thread was woken because a record was written.
    pub(crate) sync_requested: AtomicBool,
    pub(crate) sync_waiters: SyncWaiters,
}

/// The segment that will be created next.
#[derive(Debug)]
pub(crate) struct NextSegment {
    pub(crate) number: u32,
    /// The partition begins with this segment.
    pub(crate) is_first: bool,
}

/// The state of a partition when this run begins.
#[derive(Debug)]
pub(crate) struct PartitionStart {
    /// The position up to which records are written; under [`SpoolDurability::Power`] they are synced.
    pub(crate) published: Position,
    pub(crate) totals: RecordTotals,
    pub(crate) preallocated: VecDeque<Segment>,
    pub(crate) next_segment: NextSegment,
}

/// A number of records and their bytes, counted from the position at which this run began to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RecordTotals {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl RecordTotals {
    pub(crate) fn add(&mut self, record_bytes: u32) {
        self.records += 1;
        self.bytes += u64::from(record_bytes);
    }
}

impl Partition {
    pub(crate) fn new(folder: &Folder, start: PartitionStart) -> Self {
        let PartitionStart { published, totals, preallocated, next_segment } = start;
        let close_capacity = preallocated.iter().map(|segment| folder.closes_in(segment.room())).sum();
        Self {
            number: published.partition,
            durability: folder.durability,
            published: AtomicU64::new(published.pack()),
            synced: AtomicU64::new(published.pack()),
            records: AtomicU64::new(totals.records),
            bytes: AtomicU64::new(totals.bytes),
            released_records: AtomicU64::new(0),
            released_bytes: AtomicU64::new(0),
            opens: AtomicU32::new(0),
            close_capacity: AtomicU32::new(close_capacity),
            preallocated: Mutex::new(preallocated),
            next_segment: Mutex::new(next_segment),
            lacks_room: AtomicBool::new(false),
            allocation_requested: AtomicBool::new(false),
            sync_requested: AtomicBool::new(false),
            sync_waiters: SyncWaiters::default(),
        }
    }

    pub(crate) fn published(&self) -> Position {
        Position::unpack(self.number, self.published.load(Ordering::Acquire))
    }

    pub(crate) fn synced(&self) -> Position {
        Position::unpack(self.number, self.synced.load(Ordering::Acquire))
    }

    /// Returns the position up to which the reader may read: those records survive the failures that the durability covers.
    pub(crate) fn readable(&self) -> Position {
        match self.durability {
            SpoolDurability::Process => self.published(),
            SpoolDurability::Power => self.synced(),
        }
    }

    /// Returns the totals of published records. They may differ from [`Partition::published`] by one record.
    pub(crate) fn totals(&self) -> RecordTotals {
        RecordTotals { records: self.records.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// Returns the totals of records that are published and not released.
    pub(crate) fn unreleased(&self) -> RecordTotals {
        let released = [&self.released_records, &self.released_bytes].map(|word| word.load(Ordering::Acquire));
        let RecordTotals { records, bytes } = self.totals();
        RecordTotals { records: records.saturating_sub(released[0]), bytes: bytes.saturating_sub(released[1]) }
    }

    pub(crate) fn set_released(&self, totals: RecordTotals) {
        self.released_records.store(totals.records, Ordering::Release);
        self.released_bytes.store(totals.bytes, Ordering::Release);
    }

    /// Makes all records before `position` visible to the reader. Only the partition's writer calls this.
    pub(crate) fn publish(&self, position: Position, totals: RecordTotals) {
        self.records.store(totals.records, Ordering::Relaxed);
        self.bytes.store(totals.bytes, Ordering::Relaxed);
        self.published.store(position.pack(), Ordering::Release);
    }

    /// Records that everything before `position` is on the disk.
    pub(crate) fn mark_synced(&self, position: Position) {
        self.synced.fetch_max(position.pack(), Ordering::AcqRel);
    }

    pub(crate) fn set_opens(&self, opens: u32) {
        self.opens.store(opens, Ordering::Relaxed);
    }

    /// Returns the number of closes that fit into the preallocated segments.
    pub(crate) fn close_capacity(&self) -> u32 {
        self.close_capacity.load(Ordering::Acquire)
    }

    /// Returns whether half a segment is preallocated beyond the closes of open requests.
    pub(crate) fn has_preallocated_room(&self, folder: &Folder) -> bool {
        self.surplus_closes() >= folder.closes_in_new_segment().div_ceil(2)
    }

    /// Notes whether requests find room, after the allocator has tried to create some.
    pub(crate) fn note_room(&self, folder: &Folder) {
        self.lacks_room.store(!self.has_preallocated_room(folder), Ordering::Relaxed);
    }

    /// Returns whether requests found no room in new segments when the allocator last tried to create some.
    pub(crate) fn lacks_room(&self) -> bool {
        self.lacks_room.load(Ordering::Relaxed)
    }

    /// Returns whether three quarters of a segment are preallocated beyond the closes of open requests. The allocator
    /// thread is woken below that, before [`Self::has_preallocated_room`] fails.
    pub(crate) fn has_enough_preallocated(&self, folder: &Folder) -> bool {
        self.surplus_closes() >= folder.closes_in_new_segment().saturating_mul(3).div_ceil(4)
    }

    /// Returns the number of closes that fit into the preallocated segments beyond those of open requests.
    fn surplus_closes(&self) -> u32 {
        self.close_capacity().saturating_sub(self.opens.load(Ordering::Relaxed))
    }

    /// Returns whether the preallocated segments hold a record of `bytes` bytes and, after it, the closes of `opens`
    /// requests.
    pub(crate) fn next_segment_fits(&self, folder: &Folder, bytes: u32, opens: u32) -> bool {
        lock(&self.preallocated).front().is_some_and(|first| {
            let room = first.room();
            let rest = self.close_capacity().saturating_sub(folder.closes_in(room));
            // A segment of an earlier run that is too small for the record is skipped.
            rest.saturating_add(room.checked_sub(bytes).map_or(0, |left| folder.closes_in(left))) >= opens
        })
    }

    /// Returns the next preallocated segment, if one exists.
    pub(crate) fn take_preallocated(&self, folder: &Folder) -> Option<Segment> {
        let mut preallocated = lock(&self.preallocated);
        let segment = preallocated.pop_front()?;
        self.close_capacity.fetch_sub(folder.closes_in(segment.room()), Ordering::AcqRel);
        Some(segment)
    }

    /// Creates a segment, unless another thread has created one since `close_capacity` was read.
    pub(crate) fn preallocate_one(&self, folder: &Folder, close_capacity: u32) -> Result<(), SpoolError> {
        let mut next_segment = lock(&self.next_segment);
        if self.close_capacity() > close_capacity {
            return Ok(());
        }
        let NextSegment { number, is_first } = *next_segment;
        let power = folder.durability == SpoolDurability::Power;
        let segment = folder.create(SegmentSpec {
            partition: self.number,
            number,
            bytes: folder.segment_bytes,
            is_first,
            power,
        })?;
        *next_segment = NextSegment { number: number.saturating_add(1), is_first: false };
        let mut preallocated = lock(&self.preallocated);
        self.close_capacity.fetch_add(folder.closes_in(segment.room()), Ordering::AcqRel);
        preallocated.push_back(segment);
        Ok(())
    }

    /// Creates segments until enough are preallocated.
    pub(crate) fn preallocate(&self, folder: &Folder) -> Result<(), SpoolError> {
        while !self.has_enough_preallocated(folder) {
            self.preallocate_one(folder, self.close_capacity())?;
        }
        self.allocation_requested.store(false, Ordering::Release);
        Ok(())
    }
}
