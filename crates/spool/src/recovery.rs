//! What a start finds in a lane: nothing, records, a torn tail, damage, gaps, requests that were open.
//!
//! A process that dies in an append leaves a torn record with zeros after it: that is cut. So is what a power cut left behind
//! the place that was synced, where segments say how far that was. Whatever else is not as the writer left it is damage, and
//! named: in a segment that the lane has left, or with an intact record after it.

mod matcher;
mod parallel;
mod replay;
mod scan;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk;
use crate::error::SpoolError;
use crate::folder::{Durability, Folder};
use crate::partition::{NextSegment, Partition, PartitionStart, RecordTotals};
use crate::position::Position;
use crate::record::{self, Record, RecordLocation, SyncMark};
use crate::segment::{self, Segment};
use crate::writer::CurrentSegment;
pub(crate) use matcher::{RequestMatcher, interrupted_requests};
pub(crate) use parallel::all;
use replay::{Replay, replay};

/// A torn tail that was cut: no record, or one that its writer never reported as written, or as synced where it does that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruncatedTail {
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
pub struct LostSegments {
    /// The lane.
    pub partition: u32,
    /// The first segment's number.
    pub first: u32,
    /// The last one's; reading went on with the next.
    pub last: u32,
}

/// Damage that was left out ([`crate::SpoolOpener::skip_corrupt`]). How many records stood there nobody knows. The bytes stay as they
/// are until the segment is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedDamage {
    /// The segment.
    pub file: PathBuf,
    /// Where the damage begins.
    pub from: u32,
    /// Where reading goes on, or the file's size.
    pub to: u32,
}

/// How a start reads.
#[derive(Clone, Copy)]
pub(crate) struct RecoveryOptions<'a> {
    /// Shown each record that was not released, those of a lane in order.
    pub(crate) visit: Option<&'a (dyn Fn(&Record) + Sync)>,
    pub(crate) skip_corrupt: bool,
}

/// A lane as found.
#[derive(Debug)]
pub(crate) struct PartitionFiles {
    pub(crate) partition: u32,
    /// Its segments, ascending.
    pub(crate) segments: Vec<u32>,
    /// Where ingest stands.
    pub(crate) start: Option<Position>,
    /// It has a writer in this run.
    pub(crate) has_writer: bool,
}

/// A lane made ready.
#[derive(Debug)]
pub(crate) struct RecoveredPartition {
    pub(crate) partition: Arc<Partition>,
    /// Where its writer goes on; `None` for the next segment.
    pub(crate) current: Option<CurrentSegment>,
    /// Where its reader goes on.
    pub(crate) from: Position,
    /// The lowest segment that is there.
    pub(crate) lowest: u32,
    pub(crate) truncated_tails: Vec<TruncatedTail>,
    pub(crate) lost_segments: Option<LostSegments>,
    pub(crate) skipped_damage: Vec<SkippedDamage>,
    /// See [`crate::reader::PartitionReader`].
    pub(crate) skipped_ranges: Vec<(Position, Position)>,
    /// The requests that are open where its reader goes on, as far as this lane knows.
    pub(crate) open_at_start: RequestMatcher,
    /// The same at its end.
    pub(crate) open_at_end: RequestMatcher,
}

/// Makes a lane ready for its reader, and for its writer if it has one, or needs one to close what is open in it.
pub(crate) fn recover(
    folder: &Folder,
    files: PartitionFiles,
    options: RecoveryOptions<'_>,
) -> Result<RecoveredPartition, SpoolError> {
    let PartitionFiles { partition, mut segments, start, has_writer } = files;
    if let Some(start) = start {
        let ingested = segments.partition_point(|&number| number < start.segment);
        remove(folder, partition, segments.drain(..ingested))?;
    }
    let Some(&lowest) = segments.first() else {
        return Ok(empty(folder, partition, start.map_or(1, |start| start.segment.saturating_add(1))));
    };
    let from = start.filter(|start| start.segment == lowest).unwrap_or(Position::start_of(partition, lowest));
    let mut replay = replay(folder, from, &segments, options)?;
    let lost_segments = lost_segments(from, start, replay.is_first);
    let last = replay.last;
    if !has_writer && replay.totals.records == 0 && replay.open_at_end.open.is_empty() {
        // From the last, so that a crash in between leaves no gap.
        remove(folder, partition, segments.into_iter().rev())?;
        let Replay { truncated_tails, skipped_damage, open_at_start, open_at_end, .. } = replay;
        return Ok(RecoveredPartition {
            lost_segments,
            truncated_tails,
            skipped_damage,
            open_at_start,
            open_at_end,
            ..empty(folder, partition, last.saturating_add(1))
        });
    }
    // From the last here too: these come behind a cut.
    let last_kept = replay.preallocated.back().map_or(last, |preallocated| preallocated.number);
    let first_removed = segments.partition_point(|&number| number <= last_kept);
    remove(folder, partition, segments.drain(first_removed..).rev())?;
    let continues = has_writer || !replay.open_at_end.open.is_empty();
    let (published, current) = end_of(folder, &mut replay, continues, partition)?;
    if folder.durability == Durability::Power {
        for number in lowest..=last {
            sync(folder, partition, number)?;
        }
    }
    let Replay {
        totals,
        preallocated,
        truncated_tails,
        skipped_damage,
        skipped_ranges,
        open_at_start,
        open_at_end,
        ..
    } = replay;
    let number = preallocated.back().map_or(last, |preallocated| preallocated.number).saturating_add(1);
    folder.add_existing(segment::sizes(&folder.dir, partition, lowest..number)?);
    let next_segment = NextSegment { number, is_first: false };
    let partition = Partition::new(folder, PartitionStart { published, totals, preallocated, next_segment });
    Ok(RecoveredPartition {
        partition: Arc::new(partition),
        current,
        from,
        lowest,
        truncated_tails,
        lost_segments,
        skipped_damage,
        skipped_ranges,
        open_at_start,
        open_at_end,
    })
}

/// Cuts the tail, and says where the lane ends and its writer goes on.
fn end_of(
    folder: &Folder,
    replay: &mut Replay,
    continues: bool,
    partition: u32,
) -> Result<(Position, Option<CurrentSegment>), SpoolError> {
    let power = folder.durability == Durability::Power;
    // A lane that promises to survive power cuts goes on in segments that say how far they are synced.
    let fits = |segment: &Segment| continues && (segment.power || !power);
    if !replay.preallocated.iter().all(fits) {
        let made = replay.preallocated.drain(..).rev().map(|preallocated| preallocated.number);
        remove(folder, partition, made)?;
    }
    let Some(tail) = replay.tail.take() else {
        return Ok((Position::start_of(partition, replay.last.saturating_add(1)), None));
    };
    replay.truncated_tails.extend(tail.restore()?);
    let replay::Tail { segment, offset, .. } = tail;
    if fits(&segment) {
        return Ok((Position { partition, segment: segment.number, offset }, Some(CurrentSegment { segment, offset })));
    }
    segment.write(&record::end(RecordLocation { seed: segment.seed, offset, synced: SyncMark::UNKNOWN }), offset)?;
    Ok((Position::start_of(partition, segment.number.saturating_add(1)), None))
}

fn sync(folder: &Folder, partition: u32, number: u32) -> Result<(), SpoolError> {
    match Segment::open(&folder.dir, partition, number) {
        Ok(segment) => segment.sync(),
        // Left out already.
        Err(SpoolError::Corrupt { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What is missing between where ingest stands and the first segment, where reading goes on.
fn lost_segments(from: Position, start: Option<Position>, is_first: bool) -> Option<LostSegments> {
    let Position { partition, segment, .. } = from;
    // A lane that lost its folder begins after the segment that ingest stood in.
    let first = match start {
        Some(start) if is_first && start.segment.saturating_add(1) == segment => segment,
        Some(start) => start.segment,
        None => 1,
    };
    (first < segment).then(|| LostSegments { partition, first, last: segment - 1 })
}

/// A lane that begins with segment `number`.
fn empty(folder: &Folder, partition: u32, number: u32) -> RecoveredPartition {
    let from = Position::start_of(partition, number);
    let start = PartitionStart {
        published: from,
        totals: RecordTotals::default(),
        preallocated: VecDeque::new(),
        next_segment: NextSegment { number, is_first: true },
    };
    let partition = Partition::new(folder, start);
    RecoveredPartition {
        partition: Arc::new(partition),
        current: None,
        from,
        lowest: number,
        truncated_tails: Vec::new(),
        lost_segments: None,
        skipped_damage: Vec::new(),
        skipped_ranges: Vec::new(),
        open_at_start: RequestMatcher::default(),
        open_at_end: RequestMatcher::default(),
    }
}

pub(crate) fn remove(
    folder: &Folder,
    partition: u32,
    numbers: impl IntoIterator<Item = u32>,
) -> Result<(), SpoolError> {
    for number in numbers {
        let path = segment::path(&folder.dir, partition, number);
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
