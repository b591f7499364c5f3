//! What a start finds in a lane: nothing, records, a torn tail, damage, gaps, requests that were open.
//!
//! A process that dies in an append leaves a torn record with zeros after it: that is cut. So is what a power cut left behind
//! the place that was synced, where segments say how far that was. Whatever else is not as the writer left it is damage, and
//! named: in a segment that the lane has left, or with an intact record after it.

mod lanes;
mod matching;
mod scan;
mod walk;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk;
use crate::error::SpoolError;
use crate::folder::{Durability, Folder};
use crate::lane::{Lane, Making, Tally};
use crate::position::Position;
use crate::record::{self, Record, Spot, Synced};
use crate::segment::{self, Segment};
use crate::writer::Current;
pub(crate) use lanes::all;
pub(crate) use matching::{Matching, interrupted};
use walk::{Walk, walk};

/// A torn tail that was cut: no record, or one that its writer never reported as written, or as synced where it does that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub file: PathBuf,
    /// Where it was cut.
    pub offset: u32,
    /// How many bytes were zeroed, or removed with the file.
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

/// Damage that was left out ([`crate::Opening::skip_corrupt`]). How many records stood there nobody knows. The bytes stay as they
/// are until the segment is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The segment.
    pub file: PathBuf,
    /// Where the damage begins.
    pub from: u32,
    /// Where reading goes on, or the file's size.
    pub to: u32,
}

/// How a start reads.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    /// Shown each record that was not released, those of a lane in order.
    pub(crate) visit: Option<&'a (dyn Fn(&Record) + Sync)>,
    pub(crate) skip_corrupt: bool,
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
    pub(crate) cuts: Vec<Cut>,
    pub(crate) lost: Option<Lost>,
    pub(crate) skipped: Vec<Skipped>,
    /// See [`crate::reader::Reading`].
    pub(crate) skips: Vec<(Position, Position)>,
    /// The requests that are open where its reader goes on, as far as this lane knows.
    pub(crate) before: Matching,
    /// The same at its end.
    pub(crate) after: Matching,
}

/// Makes a lane ready for its reader, and for its writer if it has one, or needs one to close what is open in it.
pub(crate) fn recover(folder: &Folder, found: Found, pass: Pass<'_>) -> Result<Recovered, SpoolError> {
    let Found { lane, mut segments, start, written } = found;
    if let Some(start) = start {
        let ingested = segments.partition_point(|&number| number < start.segment);
        remove(folder, lane, segments.drain(..ingested))?;
    }
    let Some(&lowest) = segments.first() else {
        return Ok(empty(folder, lane, start.map_or(1, |start| start.segment.saturating_add(1))));
    };
    let from = start.filter(|start| start.segment == lowest).unwrap_or(Position::start_of(lane, lowest));
    let mut walked = walk(folder, from, &segments, pass)?;
    let lost = lost(from, start, walked.begins);
    let last = walked.last;
    if !written && walked.tally.records == 0 && walked.after.open.is_empty() {
        // From the last, so that a crash in between leaves no gap.
        remove(folder, lane, segments.into_iter().rev())?;
        let Walk { cuts, skipped, before, after, .. } = walked;
        return Ok(Recovered { lost, cuts, skipped, before, after, ..empty(folder, lane, last.saturating_add(1)) });
    }
    // From the last here too: these come behind a cut.
    let kept = walked.ahead.back().map_or(last, |ahead| ahead.number);
    let behind = segments.partition_point(|&number| number <= kept);
    remove(folder, lane, segments.drain(behind..).rev())?;
    let goes_on = written || !walked.after.open.is_empty();
    let (published, current) = end_of(folder, &mut walked, goes_on, lane)?;
    if folder.durability == Durability::Power {
        for number in lowest..=last {
            sync(folder, lane, number)?;
        }
    }
    let Walk { tally, ahead, cuts, skipped, skips, before, after, .. } = walked;
    let number = ahead.back().map_or(last, |ahead| ahead.number).saturating_add(1);
    folder.found(segment::sizes(&folder.dir, lane, lowest..number)?);
    let lane = Lane::new(folder, published, tally, (ahead, Making { number, begins: false }));
    Ok(Recovered { lane: Arc::new(lane), current, from, lowest, cuts, lost, skipped, skips, before, after })
}

/// Cuts the tail, and says where the lane ends and its writer goes on.
fn end_of(
    folder: &Folder,
    walked: &mut Walk,
    goes_on: bool,
    lane: u32,
) -> Result<(Position, Option<Current>), SpoolError> {
    let power = folder.durability == Durability::Power;
    // A lane that promises to survive power cuts goes on in segments that say how far they are synced.
    let fits = |segment: &Segment| goes_on && (segment.power || !power);
    if !walked.ahead.iter().all(fits) {
        let made = walked.ahead.drain(..).rev().map(|ahead| ahead.number);
        remove(folder, lane, made)?;
    }
    let Some(tail) = walked.tail.take() else {
        return Ok((Position::start_of(lane, walked.last.saturating_add(1)), None));
    };
    walked.cuts.extend(tail.restore()?);
    let walk::Tail { segment, offset, .. } = tail;
    if fits(&segment) {
        return Ok((Position { lane, segment: segment.number, offset }, Some(Current { segment, offset })));
    }
    segment.write(&record::end(Spot { seed: segment.seed, offset, synced: Synced::UNKNOWN }), offset)?;
    Ok((Position::start_of(lane, segment.number.saturating_add(1)), None))
}

fn sync(folder: &Folder, lane: u32, number: u32) -> Result<(), SpoolError> {
    match Segment::open(&folder.dir, lane, number) {
        Ok(segment) => segment.sync(),
        // Left out already.
        Err(SpoolError::Corrupt { .. }) => Ok(()),
        Err(error) => Err(error),
    }
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
fn empty(folder: &Folder, lane: u32, number: u32) -> Recovered {
    let from = Position::start_of(lane, number);
    let lane = Lane::new(folder, from, Tally::default(), (VecDeque::new(), Making { number, begins: true }));
    Recovered {
        lane: Arc::new(lane),
        current: None,
        from,
        lowest: number,
        cuts: Vec::new(),
        lost: None,
        skipped: Vec::new(),
        skips: Vec::new(),
        before: Matching::default(),
        after: Matching::default(),
    }
}

pub(crate) fn remove(folder: &Folder, lane: u32, numbers: impl IntoIterator<Item = u32>) -> Result<(), SpoolError> {
    for number in numbers {
        let path = segment::path(&folder.dir, lane, number);
        disk::remove(&path).map_err(SpoolError::io("remove", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod interrupted_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
