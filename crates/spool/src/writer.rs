//! The end of a lane where one worker appends.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use meter::UsageEvent;
use uuid::Uuid;

use crate::ahead::Ahead;
use crate::disk;
use crate::error::SpoolError;
use crate::folder::{Durability, Folder};
use crate::lane::{Lane, Tally};
use crate::position::Position;
use crate::record::{self, Encoder, PAYLOAD_BYTES_MAX, Record, Spot, Synced};
use crate::segment::{FRAME_BYTES, HEADER_BYTES, Segment};
use crate::sync::{Durable, Sync};

/// Appends to one lane; owned by one worker's thread. About a microsecond an append: one encoding, one `pwrite`.
///
/// With each request that it opens it keeps [`crate::CLOSE_BYTES_MAX`] bytes, on the disk already, for its close.
#[derive(Debug)]
pub struct Writer {
    pub(crate) folder: Arc<Folder>,
    pub(crate) lane: Arc<Lane>,
    ahead: Arc<Ahead>,
    sync: Option<Arc<Sync>>,
    /// `None` between a segment that ended and the next one, while the spool or the disk is full.
    pub(crate) current: Option<Current>,
    encoder: Encoder,
    tally: Tally,
    /// Opened here, and not closed yet: bounded by what is in flight.
    open: HashSet<Uuid>,
}

/// The segment that is written, and where the next record goes.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) segment: Segment,
    pub(crate) offset: u32,
}

/// What works beside the writers.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    pub(crate) ahead: Arc<Ahead>,
    pub(crate) sync: Option<Arc<Sync>>,
}

impl Writer {
    pub(crate) fn new(folder: Arc<Folder>, lane: Arc<Lane>, beside: Beside, current: Option<Current>) -> Self {
        let Beside { ahead, sync } = beside;
        let (tally, encoder, open) = (lane.tally(), Encoder::new(), HashSet::new());
        Self { folder, lane, ahead, sync, current, encoder, tally, open }
    }

    /// Appends; when it answers `Ok`, the record survives the death of the process ([`Writer::durable`] says when it
    /// survives a power cut), and the reader will see it.
    ///
    /// The close of what was opened here is never refused for want of room. One of more than [`crate::CLOSE_BYTES_MAX`]
    /// that finds no more room than that has its names cut short, and its attempts without usage and cost left out.
    ///
    /// # Errors
    /// [`SpoolError::Full`] or [`SpoolError::Io`]: the record is not in the spool, and what may have been written of it
    /// is written over by the next one. [`SpoolError::TooLarge`]: no segment can ever hold it.
    pub fn append(&mut self, record: &Record) -> Result<(), SpoolError> {
        match record {
            Record::Open(opened) => self.append_open(record, opened.id.0),
            Record::Close(event) => self.append_close(record, event),
            Record::Counted { id, .. } => {
                let bytes = self.put(record)?;
                self.place(bytes, self.opens_without(*id))?;
                self.closed(*id);
                Ok(())
            }
            Record::Event(_) | Record::Counts { .. } => {
                let bytes = self.put(record)?;
                self.place(bytes, self.opens())
            }
        }
    }

    /// Whether what is admitted now can be recorded when it ends: half a segment is free, or as much is made ahead, beside
    /// what is kept for closes. That reserve is for what was admitted before the answer was no, and for what
    /// is not opened. Cheap enough to ask at each admission.
    #[must_use]
    pub fn room(&self) -> bool {
        let (opens, ahead) = (self.opens(), self.lane.ahead());
        let kept_here = opens.saturating_sub(ahead).saturating_mul(self.folder.close_bytes());
        let free_here = self.current.as_ref().map_or(0, |current| current.room().saturating_sub(kept_here));
        self.lane.has_room_ahead(&self.folder) || free_here >= self.folder.segment_bytes / 2
    }

    /// Becomes ready when all that was appended until now survives what this spool promises to survive.
    pub fn durable(&self) -> Durable {
        Durable::new(&self.lane)
    }

    /// How many requests were opened here and are not closed.
    #[must_use]
    pub fn opens(&self) -> u32 {
        u32::try_from(self.open.len()).unwrap_or(u32::MAX)
    }

    fn append_open(&mut self, record: &Record, id: Uuid) -> Result<(), SpoolError> {
        let opens = self.opens().saturating_add(u32::from(!self.open.contains(&id)));
        let bytes = self.put(record)?;
        self.place(bytes, opens)?;
        self.open.insert(id);
        self.lane.note_opens(opens);
        if !self.lane.has_enough_ahead(&self.folder) && !self.lane.more_asked.swap(true, Ordering::AcqRel) {
            self.ahead.wake();
        }
        Ok(())
    }

    fn append_close(&mut self, record: &Record, event: &UsageEvent) -> Result<(), SpoolError> {
        let opens = self.opens_without(event.id.0);
        let mut placed = self.put(record).and_then(|bytes| self.place(bytes, opens).map(|()| bytes));
        if placed.as_ref().is_err_and(SpoolError::is_for_want_of_room) {
            for shorter in record::shortened(event) {
                let Ok(bytes) = self.put(&Record::Close(shorter)) else { continue };
                if bytes <= self.folder.close_bytes() {
                    placed = self.place(bytes, opens).map(|()| bytes);
                    break;
                }
            }
        }
        placed?;
        self.closed(event.id.0);
        Ok(())
    }

    fn opens_without(&self, id: Uuid) -> u32 {
        self.opens().saturating_sub(u32::from(self.open.contains(&id)))
    }

    fn closed(&mut self, id: Uuid) {
        self.open.remove(&id);
        self.lane.note_opens(self.opens());
    }

    fn put(&mut self, record: &Record) -> Result<u32, SpoolError> {
        let bytes = self.encoder.put(record)?;
        if bytes > self.folder.segment_bytes.saturating_sub(FRAME_BYTES) {
            return Err(SpoolError::TooLarge { payload_bytes_max: PAYLOAD_BYTES_MAX });
        }
        Ok(bytes)
    }

    /// Writes the `bytes` bytes of the record last put where the closes of `opens` requests still have room after it.
    ///
    /// Each step keeps that: a close takes the room of one, and is at most as long; what is left of a segment when a
    /// close no longer fits into it holds none.
    fn place(&mut self, bytes: u32, opens: u32) -> Result<(), SpoolError> {
        loop {
            let ahead = self.lane.ahead();
            let left = self.current.as_ref().and_then(|current| current.room().checked_sub(bytes));
            match left {
                Some(left) if ahead.saturating_add(self.folder.closes_in(left)) >= opens => return self.write(bytes),
                // It does not fit, or a segment of a former run is too small.
                None if self.lane.next_holds(&self.folder, bytes, opens) => self.roll()?,
                Some(_) | None => self.lane.make_one(&self.folder, ahead)?,
            }
        }
    }

    fn write(&mut self, bytes: u32) -> Result<(), SpoolError> {
        let Some(current) = self.current.as_mut() else { return Ok(()) };
        let spot = spot(&self.lane, current);
        current.segment.write(self.encoder.stamped(spot), current.offset)?;
        current.offset += bytes;
        self.tally.add(bytes);
        let end = Position { lane: self.lane.number, segment: current.segment.number, offset: current.offset };
        self.lane.publish(end, self.tally);
        if let Some(sync) = &self.sync
            && !self.lane.sync_asked.swap(true, Ordering::SeqCst)
        {
            sync.wake();
        }
        Ok(())
    }

    /// Ends the current segment and goes on to the next, which is made.
    fn roll(&mut self) -> Result<(), SpoolError> {
        if let Some(current) = &self.current {
            current.segment.write(&record::end(spot(&self.lane, current)), current.offset)?;
            self.current = None;
        }
        self.current = self.lane.take_next(&self.folder).map(Current::start);
        self.ahead.wake();
        Ok(())
    }

    /// Ends a lane that nobody appends to any more: what is not used of it goes when its records are ingested.
    pub(crate) fn leave(&mut self) -> Result<(), SpoolError> {
        let Some(current) = &self.current else { return Ok(()) };
        current.segment.write(&record::end(spot(&self.lane, current)), current.offset)?;
        let next = Position::start_of(self.lane.number, current.segment.number.saturating_add(1));
        self.lane.publish(next, self.tally);
        self.current = None;
        while let Some(segment) = self.lane.take_next(&self.folder) {
            disk::remove(&segment.path).map_err(SpoolError::io("remove", &segment.path))?;
            self.folder.gone(segment.bytes.into());
        }
        Ok(())
    }
}

/// Where the next record stands, and what is synced before it.
fn spot(lane: &Lane, current: &Current) -> Spot {
    let Current { segment, offset } = current;
    let synced = if segment.power && lane.durability == Durability::Power {
        let synced = lane.synced();
        Synced::until(if synced.segment == segment.number { synced.offset } else { HEADER_BYTES })
    } else {
        Synced::UNKNOWN
    };
    Spot { seed: segment.seed, offset: *offset, synced }
}

impl Current {
    /// A segment without records.
    pub(crate) const fn start(segment: Segment) -> Self {
        Self { segment, offset: HEADER_BYTES }
    }

    /// Bytes of records that still fit, the end beside them.
    fn room(&self) -> u32 {
        self.segment.bytes.saturating_sub(FRAME_BYTES - HEADER_BYTES).saturating_sub(self.offset)
    }
}

#[cfg(test)]
mod reserve_tests;
#[cfg(test)]
mod tests;
