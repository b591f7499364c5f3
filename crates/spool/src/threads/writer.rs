//! The writer of a partition.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use meter::UsageEvent;
use rustc_hash::FxHashSet;
use uuid::Uuid;

use crate::disk;
use crate::error::SpoolError;
use crate::folder::{Folder, SpoolDurability};
use crate::partition::{Partition, RecordTotals};
use crate::records::position::Position;
use crate::records::record::{self, Encoder, PAYLOAD_BYTES_MAX, Record, RecordLocation, SyncMark};
use crate::records::segment::{FRAME_BYTES, HEADER_BYTES, Segment};
use crate::threads::allocator::SegmentAllocator;
use crate::threads::sync::{DurableFuture, Syncer};

/// Appends records to one partition; each worker owns one writer. An append takes about one microsecond: one encoding
/// and one `pwrite`.
///
/// For each request that it opens, the writer reserves [`crate::CLOSE_BYTES_MAX`] allocated bytes for the close.
#[derive(Debug)]
pub struct Writer {
    pub(crate) folder: Arc<Folder>,
    pub(crate) partition: Arc<Partition>,
    allocator: Arc<SegmentAllocator>,
    sync: Option<Arc<Syncer>>,
    /// `None` after the end of a segment while the next one cannot be created, because the spool or the disk is full.
    pub(crate) current: Option<CurrentSegment>,
    encoder: Encoder,
    totals: RecordTotals,
    /// Requests that this writer has opened and not closed; bounded by the requests in flight. Tollgate makes their ids,
    /// so no client can choose ids with equal hashes.
    open: FxHashSet<Uuid>,
}

/// The segment that is written, and the offset of the next record.
#[derive(Debug)]
pub(crate) struct CurrentSegment {
    pub(crate) segment: Segment,
    pub(crate) offset: u32,
}

/// The background threads of the writers.
#[derive(Debug, Clone)]
pub(crate) struct BackgroundThreads {
    pub(crate) allocator: Arc<SegmentAllocator>,
    pub(crate) sync: Option<Arc<Syncer>>,
}

impl Writer {
    pub(crate) fn new(
        folder: Arc<Folder>,
        partition: Arc<Partition>,
        threads: BackgroundThreads,
        current: Option<CurrentSegment>,
    ) -> Self {
        let BackgroundThreads { allocator, sync } = threads;
        let totals = partition.totals();
        let encoder = Encoder::new();
        let open = FxHashSet::default();
        Self { folder, partition, allocator, sync, current, encoder, totals, open }
    }

    /// Appends a record. After `Ok`, the record survives the death of the process, and the reader will return it;
    /// [`Writer::durable`] reports when it survives a power cut.
    ///
    /// A close of a request that this writer has opened always has room. If it is longer than
    /// [`crate::CLOSE_BYTES_MAX`] and no other room is left, its names are shortened, and attempts without usage and
    /// cost are left out.
    ///
    /// # Errors
    /// [`SpoolError::Full`] or [`SpoolError::Io`]: the record is not in the spool, and the next record overwrites any
    /// part of it. [`SpoolError::TooLarge`]: no segment can hold the record.
    pub fn append(&mut self, record: &Record) -> Result<(), SpoolError> {
        match record {
            Record::Open(opened) => self.append_open(record, opened.id.0),
            Record::Close(event) => self.append_close(record, event),
            Record::CloseBatch { id, .. } => {
                let bytes = self.encode(record)?;
                self.write_keeping_room(bytes, self.opens_without(*id))?;
                self.forget_open(*id);
                Ok(())
            }
            Record::Event(_) | Record::Counts { .. } => {
                let bytes = self.encode(record)?;
                self.write_keeping_room(bytes, self.opens())
            }
        }
    }

    /// Returns whether a request that is admitted now can be recorded when it ends: half a segment is free or
    /// preallocated beyond the room that is reserved for closes. The rest is for requests that were admitted before and
    /// for records without an open. The check is cheap enough for each admission.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let opens = self.opens();
        let close_capacity = self.partition.close_capacity();
        let reserved_here = opens.saturating_sub(close_capacity).saturating_mul(self.folder.close_bytes());
        let free_here = self.current.as_ref().map_or(0, |current| current.room().saturating_sub(reserved_here));
        self.partition.has_preallocated_room(&self.folder) || free_here >= self.folder.segment_bytes / 2
    }

    /// Returns a future that completes when all records appended so far have the spool's durability.
    pub fn durable(&self) -> DurableFuture {
        DurableFuture::new(&self.partition)
    }

    /// Returns the number of requests that this writer has opened and not closed.
    #[must_use]
    pub fn opens(&self) -> u32 {
        u32::try_from(self.open.len()).unwrap_or(u32::MAX)
    }

    fn append_open(&mut self, record: &Record, id: Uuid) -> Result<(), SpoolError> {
        let opens = self.opens().saturating_add(u32::from(!self.open.contains(&id)));
        let bytes = self.encode(record)?;
        self.write_keeping_room(bytes, opens)?;
        self.open.insert(id);
        self.partition.set_opens(opens);
        if !self.partition.has_enough_preallocated(&self.folder)
            && !self.partition.allocation_requested.swap(true, Ordering::AcqRel)
        {
            self.allocator.wake();
        }
        Ok(())
    }

    fn append_close(&mut self, record: &Record, event: &UsageEvent) -> Result<(), SpoolError> {
        let opens = self.opens_without(event.id.0);
        let mut placed = self.encode(record).and_then(|bytes| self.write_keeping_room(bytes, opens).map(|()| bytes));
        if placed.as_ref().is_err_and(SpoolError::is_out_of_room) {
            for shorter in record::shortened(event) {
                let Ok(bytes) = self.encode(&Record::Close(shorter)) else { continue };
                if bytes <= self.folder.close_bytes() {
                    placed = self.write_keeping_room(bytes, opens).map(|()| bytes);
                    break;
                }
            }
        }
        placed?;
        self.forget_open(event.id.0);
        Ok(())
    }

    fn opens_without(&self, id: Uuid) -> u32 {
        self.opens().saturating_sub(u32::from(self.open.contains(&id)))
    }

    fn forget_open(&mut self, id: Uuid) {
        self.open.remove(&id);
        self.partition.set_opens(self.opens());
    }

    fn encode(&mut self, record: &Record) -> Result<u32, SpoolError> {
        let bytes = self.encoder.encode(record)?;
        if bytes > self.folder.segment_bytes.saturating_sub(FRAME_BYTES) {
            return Err(SpoolError::TooLarge { payload_bytes_max: PAYLOAD_BYTES_MAX });
        }
        Ok(bytes)
    }

    /// Writes the last encoded record of `bytes` bytes at a place where room for the closes of `opens` requests remains
    /// after it.
    ///
    /// Each step keeps that room: a close uses the room of one close at most, and the end of a segment that is too
    /// small for a close counts as no room.
    fn write_keeping_room(&mut self, bytes: u32, opens: u32) -> Result<(), SpoolError> {
        loop {
            let close_capacity = self.partition.close_capacity();
            let left = self.current.as_ref().and_then(|current| current.room().checked_sub(bytes));
            match left {
                Some(left) if close_capacity.saturating_add(self.folder.closes_in(left)) >= opens => {
                    return self.write(bytes);
                }
                // The record does not fit, or a segment of an earlier run is too small for it.
                None if self.partition.next_segment_fits(&self.folder, bytes, opens) => self.switch_segment()?,
                Some(_) | None => self.partition.preallocate_one(&self.folder, close_capacity)?,
            }
        }
    }

    fn write(&mut self, bytes: u32) -> Result<(), SpoolError> {
        let Some(current) = self.current.as_mut() else { return Ok(()) };
        let location = location(&self.partition, current);
        current.segment.write(self.encoder.stamped(location), current.offset)?;
        current.offset += bytes;
        self.totals.add(bytes);
        let end =
            Position { partition: self.partition.number, segment: current.segment.number, offset: current.offset };
        self.partition.publish(end, self.totals);
        if let Some(sync) = &self.sync
            && !self.partition.sync_requested.swap(true, Ordering::SeqCst)
        {
            sync.wake();
        }
        Ok(())
    }

    /// Seals the current segment and continues with the next preallocated one.
    fn switch_segment(&mut self) -> Result<(), SpoolError> {
        if let Some(current) = &self.current {
            current.segment.write(&record::end(location(&self.partition, current)), current.offset)?;
            self.current = None;
        }
        self.current = self.partition.take_preallocated(&self.folder).map(CurrentSegment::start);
        self.allocator.wake();
        Ok(())
    }

    /// Seals a partition that no worker writes. Its unused segments are removed; the others are removed after ingest.
    pub(crate) fn close_partition(&mut self) -> Result<(), SpoolError> {
        let Some(current) = &self.current else { return Ok(()) };
        current.segment.write(&record::end(location(&self.partition, current)), current.offset)?;
        let next = Position::start_of(self.partition.number, current.segment.number.saturating_add(1));
        self.partition.publish(next, self.totals);
        self.current = None;
        while let Some(segment) = self.partition.take_preallocated(&self.folder) {
            disk::remove(&segment.path).map_err(SpoolError::io("remove", &segment.path))?;
            self.folder.subtract_removed(segment.bytes.into());
        }
        Ok(())
    }
}

/// Returns the location of the next record and the synced part before it.
fn location(partition: &Partition, current: &CurrentSegment) -> RecordLocation {
    let CurrentSegment { segment, offset } = current;
    let synced = if segment.power && partition.durability == SpoolDurability::Power {
        let synced = partition.synced();
        SyncMark::until(if synced.segment == segment.number { synced.offset } else { HEADER_BYTES })
    } else {
        SyncMark::UNKNOWN
    };
    RecordLocation { seed: segment.seed, offset: *offset, synced }
}

impl CurrentSegment {
    /// Returns a segment without records.
    pub(crate) const fn start(segment: Segment) -> Self {
        Self { segment, offset: HEADER_BYTES }
    }

    /// Returns the bytes that are free for records, without the end record.
    fn room(&self) -> u32 {
        self.segment.bytes.saturating_sub(FRAME_BYTES - HEADER_BYTES).saturating_sub(self.offset)
    }
}

#[cfg(test)]
mod reserve_tests;
#[cfg(test)]
mod tests;
