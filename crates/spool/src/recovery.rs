//! What a start finds in a lane: nothing, records, a torn tail, damage, gaps.
//!
//! A process that dies in an append leaves a torn record with zeros after it: that is cut. Whatever else is not as the
//! writer left it is damage, and named: in a segment that the lane has left, or with an intact record after it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk;
use crate::error::SpoolError;
use crate::lane::{Folder, Lane, Next, Tally};
use crate::position::Position;
use crate::record::{self, Kind, Seed};
use crate::segment::{self, HEADER_BYTES, Segment};
use crate::writer::Current;

/// A torn tail that was cut: no record, or one that its writer never reported as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub file: PathBuf,
    /// Where it was cut.
    pub offset: u32,
    /// How many bytes were zeroed.
    pub bytes: u32,
}

/// Segments that were removed as ingested, or taken away, and that the store does not have: it is older than the spool,
/// after a copy was restored, say. Their events are in neither, but for those of `first` that the store had read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The lane.
    pub lane: u32,
    /// The first segment's number.
    pub first: u32,
    /// The last one's; reading went on with the next.
    pub last: u32,
}

/// A lane as found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) lane: u32,
    /// Its segments, ascending.
    pub(crate) segments: Vec<u32>,
    /// Where ingest stands.
    pub(crate) start: Option<Position>,
    /// It has a writer in this run.
    pub(crate) written: bool,
}

/// A lane made ready.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) lane: Arc<Lane>,
    /// Where its writer goes on; `None` for the next segment.
    pub(crate) current: Option<Current>,
    /// Where its reader goes on.
    pub(crate) from: Position,
    /// The lowest segment that is there.
    pub(crate) lowest: u32,
    pub(crate) cut: Option<Cut>,
    pub(crate) lost: Option<Lost>,
}

/// The segments from where reading goes on until the lane's end.
#[derive(Debug, Default)]
struct Walk {
    tally: Tally,
    /// The last segment with records, if the lane has not left it.
    tail: Option<Tail>,
    /// The empty one after it.
    ahead: Option<Segment>,
    /// The lane began with the first of the segments.
    begins: bool,
}

#[derive(Debug)]
struct Tail {
    segment: Segment,
    offset: u32,
    dirty_until: u32,
}

/// Makes a lane ready for its reader, and for its writer if it has one.
pub(crate) fn recover(folder: &Folder, found: Found) -> Result<Recovered, SpoolError> {
    let Found { lane, mut segments, start, written } = found;
    if let Some(start) = start {
        let ingested = segments.partition_point(|&number| number < start.segment);
        remove(folder, lane, segments.drain(..ingested))?;
    }
    let (Some(&lowest), Some(&last)) = (segments.first(), segments.last()) else {
        return Ok(empty(lane, start.map_or(1, |start| start.segment.saturating_add(1))));
    };
    let after_last = last.saturating_add(1);
    let from = start.filter(|start| start.segment == lowest).unwrap_or(Position::start_of(lane, lowest));
    let Walk { tally, tail, mut ahead, begins } = walk(folder, from, &segments)?;
    let lost = lost(from, start, begins);
    if !written && tally.records == 0 {
        // From the last, so that a crash in between leaves no gap.
        remove(folder, lane, segments.into_iter().rev())?;
        return Ok(Recovered { lost, ..empty(lane, after_last) });
    }
    let cut = tail.as_ref().map(Tail::restore).transpose()?.flatten();
    let (published, current) = match tail {
        Some(Tail { segment, offset, .. }) if written => {
            (Position { lane, segment: segment.number, offset }, Some(Current { segment, offset }))
        }
        Some(Tail { segment, offset, .. }) => {
            segment.write(&record::end(segment.seed, offset), offset)?;
            remove(folder, lane, ahead.take().map(|ahead| ahead.number))?;
            (Position::start_of(lane, segment.number.saturating_add(1)), None)
        }
        None => (Position::start_of(lane, after_last), None),
    };
    folder.found(segment::sizes(&folder.dir, lane, lowest..=last)?);
    let lane = Lane::new(lane, published, tally, Next { made: ahead, number: after_last, begins: false });
    Ok(Recovered { lane: Arc::new(lane), current, from, lowest, cut, lost })
}

/// What is missing between where ingest stands and the first segment, where reading goes on.
fn lost(from: Position, start: Option<Position>, begins: bool) -> Option<Lost> {
    let Position { lane, segment, .. } = from;
    // A lane that lost its folder begins after the segment that ingest stood in.
    let first = match start {
        Some(start) if begins && start.segment.saturating_add(1) == segment => segment,
        Some(start) => start.segment,
        None => 1,
    };
    (first < segment).then(|| Lost { lane, first, last: segment - 1 })
}

/// A lane that begins with segment `number`.
fn empty(lane: u32, number: u32) -> Recovered {
    let from = Position::start_of(lane, number);
    let lane = Lane::new(lane, from, Tally::default(), Next { made: None, number, begins: true });
    Recovered { lane: Arc::new(lane), current: None, from, lowest: number, cut: None, lost: None }
}

fn remove(folder: &Folder, lane: u32, numbers: impl IntoIterator<Item = u32>) -> Result<(), SpoolError> {
    for number in numbers {
        let path = segment::path(&folder.dir, lane, number);
        disk::remove(&path).map_err(SpoolError::io("remove", &path))?;
    }
    Ok(())
}

fn walk(folder: &Folder, from: Position, segments: &[u32]) -> Result<Walk, SpoolError> {
    let (mut walk, mut bytes) = (Walk::default(), Vec::new());
    for (&number, expected) in segments.iter().zip(from.segment..) {
        if number != expected {
            return Err(SpoolError::Missing { file: segment::path(&folder.dir, from.lane, expected) });
        }
        let segment = Segment::open(&folder.dir, from.lane, number)?;
        walk.begins |= number == from.segment && segment.begins;
        bytes.clear();
        bytes.resize(segment.bytes as usize, 0);
        if segment.read(&mut bytes, 0)? < bytes.len() {
            // A file that was cut short is as if zeros followed, for the reader too.
            segment.allocate()?;
        }
        let offset = if number == from.segment { from.offset } else { HEADER_BYTES };
        let scan = scan(&bytes, offset, segment.seed).map_err(|damage| match damage {
            Damage::Corrupt(offset) => segment.corrupt(offset),
            Damage::Newer(offset) => segment.newer(offset),
        })?;
        walk.add(segment, &scan)?;
    }
    Ok(walk)
}

impl Walk {
    fn add(&mut self, segment: Segment, scan: &Scan) -> Result<(), SpoolError> {
        let Scan { tally, end, ended, dirty_until } = *scan;
        if let Some(tail) = &self.tail {
            // The lane goes on only after it has ended a segment.
            if ended || tally.records > 0 || dirty_until > end {
                return Err(tail.segment.corrupt(tail.offset));
            }
            self.ahead.get_or_insert(segment);
        } else {
            self.tally.records += tally.records;
            self.tally.bytes += tally.bytes;
            self.tail = (!ended).then_some(Tail { segment, offset: end, dirty_until });
        }
        Ok(())
    }
}

impl Tail {
    /// Zeros after the last record.
    fn restore(&self) -> Result<Option<Cut>, SpoolError> {
        let Self { segment, offset, dirty_until } = self;
        segment.zero(*offset, *dirty_until)?;
        let bytes = dirty_until.saturating_sub(*offset);
        Ok((bytes > 0).then(|| Cut { file: segment.path.clone(), offset: *offset, bytes }))
    }
}

/// What one segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scan {
    tally: Tally,
    /// After the last record.
    end: u32,
    /// The lane has left the segment.
    ended: bool,
    /// After the last byte that is not zero; at most `end` when the tail is clean.
    dirty_until: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Corrupt(u32),
    Newer(u32),
}

/// Reads a segment's `bytes` from the record at `from` on.
fn scan(bytes: &[u8], from: u32, seed: Seed) -> Result<Scan, Damage> {
    let rest = |at: u32| bytes.get(at as usize..).unwrap_or_default();
    if from < HEADER_BYTES || from as usize > bytes.len() {
        return Err(Damage::Corrupt(from));
    }
    let (mut tally, mut at) = (Tally::default(), from);
    while let Some(frame) = record::frame(rest(at), seed, at) {
        if frame.kind().map_err(|_| Damage::Newer(at))? == Kind::End {
            return Ok(Scan { tally, end: at, ended: true, dirty_until: at });
        }
        tally.add(frame.len());
        at += frame.len();
    }
    let zeros = rest(at).iter().rev().take_while(|&&byte| byte == 0).count();
    let dirty_until = u32::try_from(bytes.len() - zeros).unwrap_or(u32::MAX);
    if (at..dirty_until).skip(1).any(|later| record::frame(rest(later), seed, later).is_some()) {
        return Err(Damage::Corrupt(at));
    }
    Ok(Scan { tally, end: at, ended: false, dirty_until })
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
