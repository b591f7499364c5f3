//! What the writer, the reader and the threads beside them share of one lane.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::error::SpoolError;
use crate::folder::{Durability, Folder, lock};
use crate::position::Position;
use crate::segment::{Segment, SegmentSpec};
use crate::sync::SyncWaiters;

/// One lane: how far it is written, and the segments after the one that is.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) number: u32,
    pub(crate) durability: Durability,
    /// Segment and offset up to which records are whole; see [`Position::pack`].
    published: AtomicU64,
    /// The same of what survives a power cut; meaningless where nothing is synced.
    synced: AtomicU64,
    /// Records and their bytes from where this run began to read until `published`.
    records: AtomicU64,
    bytes: AtomicU64,
    /// The same of what is released.
    released_records: AtomicU64,
    released_bytes: AtomicU64,
    /// Requests whose close is still to come, by this lane's writer.
    opens: AtomicU32,
    /// How many closes the segments that are made hold.
    close_capacity: AtomicU32,
    preallocated: Mutex<VecDeque<Segment>>,
    /// Held while a segment is made: whoever takes one does not wait for it.
    next_segment: Mutex<NextSegment>,
    /// The thread that makes segments was told that there are too few.
    pub(crate) allocation_requested: AtomicBool,
    /// The thread that syncs was told that something was written.
    pub(crate) sync_requested: AtomicBool,
    pub(crate) sync_waiters: SyncWaiters,
}

/// The next segment to be made.
#[derive(Debug)]
pub(crate) struct NextSegment {
    pub(crate) number: u32,
    /// Nothing stands before it.
    pub(crate) is_first: bool,
}

/// The state in which a partition begins a run.
#[derive(Debug)]
pub(crate) struct PartitionStart {
    /// The end of the records, which are synced under [`Durability::Power`].
    pub(crate) published: Position,
    pub(crate) totals: RecordTotals,
    pub(crate) preallocated: VecDeque<Segment>,
    pub(crate) next_segment: NextSegment,
}

/// Records and their bytes, counted from where this run began to read.
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
    /// `published` is synced, where that means something; `preallocated` are the segments after the one that is written.
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

    /// Up to where the reader may read: what it hands out must be there after whatever the lane promises to survive.
    pub(crate) fn readable(&self) -> Position {
        match self.durability {
            Durability::Process => self.published(),
            Durability::Power => self.synced(),
        }
    }

    /// What is published; it may lag behind [`Partition::published`] or run ahead of it by a record.
    pub(crate) fn totals(&self) -> RecordTotals {
        RecordTotals { records: self.records.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// What is published and not released.
    pub(crate) fn unreleased(&self) -> RecordTotals {
        let released = [&self.released_records, &self.released_bytes].map(|word| word.load(Ordering::Acquire));
        let RecordTotals { records, bytes } = self.totals();
        RecordTotals { records: records.saturating_sub(released[0]), bytes: bytes.saturating_sub(released[1]) }
    }

    pub(crate) fn set_released(&self, totals: RecordTotals) {
        self.released_records.store(totals.records, Ordering::Release);
        self.released_bytes.store(totals.bytes, Ordering::Release);
    }

    /// Shows the reader all that is written before `position`; called by the lane's one writer.
    pub(crate) fn publish(&self, position: Position, totals: RecordTotals) {
        self.records.store(totals.records, Ordering::Relaxed);
        self.bytes.store(totals.bytes, Ordering::Relaxed);
        self.published.store(position.pack(), Ordering::Release);
    }

    /// All before `position` is on the disk.
    pub(crate) fn mark_synced(&self, position: Position) {
        self.synced.fetch_max(position.pack(), Ordering::AcqRel);
    }

    pub(crate) fn set_opens(&self, opens: u32) {
        self.opens.store(opens, Ordering::Relaxed);
    }

    /// How many closes the segments that are made hold.
    pub(crate) fn close_capacity(&self) -> u32 {
        self.close_capacity.load(Ordering::Acquire)
    }

    /// Whether what is made holds the closes of what is open, and half a segment more.
    pub(crate) fn has_preallocated_room(&self, folder: &Folder) -> bool {
        self.surplus_closes() >= folder.closes_in_new_segment().div_ceil(2)
    }

    /// Whether that and a quarter of a segment is made: more is asked for before there is no room.
    pub(crate) fn has_enough_preallocated(&self, folder: &Folder) -> bool {
        self.surplus_closes() >= folder.closes_in_new_segment().saturating_mul(3).div_ceil(4)
    }

    /// How many closes what is made holds beside those of what is open.
    fn surplus_closes(&self) -> u32 {
        self.close_capacity().saturating_sub(self.opens.load(Ordering::Relaxed))
    }

    /// Whether the made segments, the first of them with a record of `bytes` bytes, hold the closes of `opens` requests.
    pub(crate) fn next_segment_fits(&self, folder: &Folder, bytes: u32, opens: u32) -> bool {
        lock(&self.preallocated).front().is_some_and(|first| {
            let room = first.room();
            let rest = self.close_capacity().saturating_sub(folder.closes_in(room));
            // One of another run that is too small for the record is left again.
            rest.saturating_add(room.checked_sub(bytes).map_or(0, |left| folder.closes_in(left))) >= opens
        })
    }

    /// The next segment; `None` when none is made.
    pub(crate) fn take_preallocated(&self, folder: &Folder) -> Option<Segment> {
        let mut preallocated = lock(&self.preallocated);
        let segment = preallocated.pop_front()?;
        self.close_capacity.fetch_sub(folder.closes_in(segment.room()), Ordering::AcqRel);
        Some(segment)
    }

    /// Makes a segment, unless one was made since `close_capacity` was looked at.
    pub(crate) fn preallocate_one(&self, folder: &Folder, close_capacity: u32) -> Result<(), SpoolError> {
        let mut next_segment = lock(&self.next_segment);
        if self.close_capacity() > close_capacity {
            return Ok(());
        }
        let NextSegment { number, is_first } = *next_segment;
        let power = folder.durability == Durability::Power;
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

    /// Makes the segments that are missing ahead.
    pub(crate) fn preallocate(&self, folder: &Folder) -> Result<(), SpoolError> {
        while !self.has_enough_preallocated(folder) {
            self.preallocate_one(folder, self.close_capacity())?;
        }
        self.allocation_requested.store(false, Ordering::Release);
        Ok(())
    }
}
