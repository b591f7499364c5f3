//! Opening the folder: options, recovery of every lane, writers and reader.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use crate::ahead::Ahead;
use crate::error::SpoolError;
use crate::lane::{Folder, Lane};
use crate::position::Position;
use crate::reader::{Reader, Reading};
use crate::recovery::{self, Cut, Lost, Recovered};
use crate::segment::{self, HEADER_BYTES};
use crate::writer::{Current, Writer};

/// The usual size of a segment.
pub const SEGMENT_BYTES: u32 = 16 * 1024 * 1024;
/// Smaller ones would not hold a record of any size.
const SEGMENT_BYTES_USUAL_MIN: u32 = 256 * 1024;

/// How large the spool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bound of all segments together, in bytes; at least two segments a lane.
    pub size_bytes_max: u64,
    /// Size of the segments made from now on, 4 KiB to 64 MiB.
    pub segment_bytes: u32,
    /// How many writers; one a worker.
    pub lanes: u32,
}

impl Options {
    /// Segments of [`SEGMENT_BYTES`], smaller where the bound would not hold four a lane.
    #[must_use]
    pub fn new(size_bytes_max: u64, lanes: u32) -> Self {
        let share = size_bytes_max / (u64::from(lanes.max(1)) * 4);
        let segment_bytes = u32::try_from(share).unwrap_or(u32::MAX).clamp(SEGMENT_BYTES_USUAL_MIN, SEGMENT_BYTES);
        Self { size_bytes_max, segment_bytes, lanes }
    }

    fn check(self) -> Result<(), SpoolError> {
        let Self { size_bytes_max, segment_bytes, lanes } = self;
        let (min, max) = (segment::BYTES_MIN, segment::BYTES_MAX);
        if !(min..=max).contains(&segment_bytes) {
            return Err(SpoolError::SegmentSize { segment_bytes, min, max });
        }
        let needed_bytes = u64::from(lanes) * 2 * u64::from(segment_bytes);
        if needed_bytes > size_bytes_max {
            return Err(SpoolError::TooSmall { lanes, needed_bytes, size_bytes_max });
        }
        Ok(())
    }
}

/// The open spool: its two ends.
#[derive(Debug)]
pub struct Spool {
    /// One a lane, in the order of the lanes.
    pub writers: Vec<Writer>,
    /// The one reader of all lanes.
    pub reader: Reader,
    /// Torn tails that were cut, for the log.
    pub cuts: Vec<Cut>,
    /// Segments that are gone and that the store does not have, for the log; told at each start until something that
    /// came after them is ingested.
    pub lost: Vec<Lost>,
}

impl Spool {
    /// Opens the folder, made where it is missing for this user alone, and recovers what is in it. `ingested` says where
    /// reading goes on: the positions that the store committed ([`crate::Batch::positions`]), for good, as the segments
    /// before them are removed. A lane without one is read from its first segment, and so is one whose position lies
    /// before that ([`Spool::lost`]). Only one process may have a folder open; the caller sees to that.
    ///
    /// # Errors
    /// [`SpoolError::Corrupt`], [`SpoolError::Missing`] or [`SpoolError::Newer`] when events that are not ingested
    /// cannot be read; [`SpoolError::TooSmall`] or [`SpoolError::SegmentSize`] for the options; [`SpoolError::Io`].
    pub fn open(dir: &Path, options: Options, ingested: &[Position]) -> Result<Self, SpoolError> {
        options.check()?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(SpoolError::io("create", dir))?;
        let folder = Arc::new(Folder::new(dir.to_path_buf(), options.segment_bytes, options.size_bytes_max));
        let mut found: BTreeMap<u32, Vec<u32>> = segment::list(dir)?;
        for lane in 0..options.lanes {
            found.entry(lane).or_default();
        }
        let (mut recovered, mut cuts, mut all_lost) = (Vec::new(), Vec::new(), Vec::new());
        for (lane, segments) in found {
            let start = ingested.iter().copied().filter(|position| position.lane == lane).max();
            let found = recovery::Found { lane, segments, start, written: lane < options.lanes };
            recovered.push(recovery::recover(&folder, found)?);
        }
        // Segments are made only when all that are there are counted.
        let (mut own, mut readings) = (Vec::new(), Vec::new());
        for Recovered { lane, mut current, from, lowest, cut, lost } in recovered {
            cuts.extend(cut);
            all_lost.extend(lost);
            if lane.number < options.lanes {
                if current.is_none() {
                    current = first(&folder, &lane)?;
                }
                own.push((Arc::clone(&lane), current));
            }
            readings.push(Reading::new(lane, from, lowest));
        }
        let lanes = own.iter().map(|(lane, _)| Arc::clone(lane)).collect();
        let ahead = Arc::new(Ahead::start(Arc::clone(&folder), lanes)?);
        let writer = |(lane, current)| Writer::new(Arc::clone(&folder), lane, Arc::clone(&ahead), current);
        let writers = own.into_iter().map(writer).collect();
        Ok(Self { writers, reader: Reader::new(folder, ahead, readings), cuts, lost: all_lost })
    }
}

/// A lane's first segment; none while the spool is full of what a former run left.
fn first(folder: &Folder, lane: &Lane) -> Result<Option<Current>, SpoolError> {
    match lane.take_next(folder) {
        Ok(segment) => Ok(Some(Current { segment, offset: HEADER_BYTES })),
        Err(SpoolError::Full { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
