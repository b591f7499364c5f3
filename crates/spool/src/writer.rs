//! The end of a lane where one worker appends.

use std::sync::Arc;

use crate::ahead::Ahead;
use crate::error::SpoolError;
use crate::lane::{Folder, Lane, Tally};
use crate::position::Position;
use crate::record::{self, Encoder, PAYLOAD_BYTES_MAX, Record};
use crate::segment::{FRAME_BYTES, HEADER_BYTES, Segment};

/// Appends to one lane; owned by one worker's thread. About a microsecond an append: one encoding, one `pwrite`.
#[derive(Debug)]
pub struct Writer {
    pub(crate) folder: Arc<Folder>,
    pub(crate) lane: Arc<Lane>,
    pub(crate) ahead: Arc<Ahead>,
    /// `None` between a segment that ended and the next one, while the spool or the disk is full.
    pub(crate) current: Option<Current>,
    encoder: Encoder,
    tally: Tally,
}

/// The segment that is written, and where the next record goes.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) segment: Segment,
    pub(crate) offset: u32,
}

impl Writer {
    pub(crate) fn new(folder: Arc<Folder>, lane: Arc<Lane>, ahead: Arc<Ahead>, current: Option<Current>) -> Self {
        let tally = lane.tally();
        Self { folder, lane, ahead, current, encoder: Encoder::new(), tally }
    }

    /// Appends; when it answers `Ok`, the record survives the death of the process and the reader will see it.
    ///
    /// # Errors
    /// [`SpoolError::Full`] or [`SpoolError::Io`]: the record is not in the spool, and what may have been written of it
    /// is written over by the next one. [`SpoolError::TooLarge`]: no segment can ever hold it.
    pub fn append(&mut self, record: &Record) -> Result<(), SpoolError> {
        let bytes = self.encoder.put(record)?;
        if bytes > self.folder.segment_bytes.saturating_sub(FRAME_BYTES) {
            return Err(SpoolError::TooLarge { payload_bytes_max: PAYLOAD_BYTES_MAX });
        }
        loop {
            // A segment of a former run may be too small: then another one is taken.
            if let Some(current) = self.current.as_mut().filter(|current| current.room() >= bytes) {
                let Current { segment, offset } = current;
                segment.write(self.encoder.stamped(segment.seed, *offset), *offset)?;
                *offset += bytes;
                self.tally.add(bytes);
                let end = Position { lane: self.lane.number, segment: segment.number, offset: *offset };
                self.lane.publish(end, self.tally);
                return Ok(());
            }
            self.roll()?;
        }
    }

    /// Whether what is admitted now can be recorded when it ends: the next segment is made, or half a segment is free.
    /// That reserve is for what was admitted before the answer was no. Cheap enough to ask at each admission.
    #[must_use]
    pub fn room(&self) -> bool {
        self.lane.next_is_made()
            || self.current.as_ref().is_some_and(|current| current.room() >= self.folder.segment_bytes / 2)
    }

    /// Ends the current segment and goes on to the next.
    fn roll(&mut self) -> Result<(), SpoolError> {
        if let Some(Current { segment, offset }) = &self.current {
            segment.write(&record::end(segment.seed, *offset), *offset)?;
            self.current = None;
        }
        let segment = self.lane.take_next(&self.folder)?;
        self.current = Some(Current { segment, offset: HEADER_BYTES });
        self.ahead.wake();
        Ok(())
    }
}

impl Current {
    /// Bytes of records that still fit, the end beside them.
    fn room(&self) -> u32 {
        self.segment.bytes.saturating_sub(FRAME_BYTES - HEADER_BYTES).saturating_sub(self.offset)
    }
}

#[cfg(test)]
mod tests;
