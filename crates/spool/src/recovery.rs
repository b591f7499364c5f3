//! Recovery of a partition at startup: incomplete records, damage, missing segments and open requests.
//!
//! A process that dies while it appends leaves an incomplete record followed by zeros; such a tail is truncated. After
//! a power cut, everything behind the synced part is truncated, if the segments record how far they were synced. Any
//! other deviation is damage and is reported: in a sealed segment, or with an intact record after it.

mod matcher;
pub(crate) mod parallel;
mod replay;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk;
use crate::error::SpoolError;
use crate::folder::{Folder, SpoolDurability};
use crate::partition::{NextSegment, Partition, PartitionStart, RecordTotals};
use crate::records::position::Position;
use crate::records::record::{self, Record, RecordLocation, SyncMark};
use crate::records::segment::{self, Segment};
use crate::threads::writer::CurrentSegment;
pub(crate) use matcher::{RequestMatcher, interrupted_requests};
use replay::{Replay, replay};

/// The truncated end of a partition. It contained no record, or one that its writer never reported as written or, under
/// [`SpoolDurability::Power`], as synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruncatedTail {
    /// The path of the segment.
    pub file: PathBuf,
    /// The offset at which it was truncated.
    pub offset: u32,
    /// Bytes that were overwritten with zeros, or removed with the file.
    pub bytes: u32,
}

/// Segments that do not exist and that the store has not ingested, for example after an old copy of the store was
/// restored. Their events are lost, except those of `first` that the store had ingested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostSegments {
    /// The number of the partition.
    pub partition: u32,
    /// The number of the first lost segment.
    pub first: u32,
    /// The number of the last lost segment; reading continues with the next one.
    pub last: u32,
}

/// Damage that was skipped ([`crate::SpoolOpener::skip_corrupt`]). The number of affected records is unknown. The bytes
/// stay unchanged until the segment is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedDamage {
    /// The path of the segment.
    pub file: PathBuf,
    /// The offset at which the damage begins.
    pub from: u32,
    /// The offset at which reading continues, or the file's size.
    pub to: u32,
}

/// The options of recovery.
#[derive(Clone, Copy)]
pub(crate) struct RecoveryOptions<'a> {
    /// Called with each unreleased record, in the order of its partition.
    pub(crate) visit: Option<&'a (dyn Fn(&Record) + Sync)>,
    pub(crate) skip_corrupt: bool,
}

/// The segments of a partition that exist at startup.
#[derive(Debug)]
pub(crate) struct PartitionFiles {
    pub(crate) partition: u32,
    /// The numbers of the segments, ascending.
    pub(crate) segments: Vec<u32>,
    /// The position that the store has ingested.
    pub(crate) start: Option<Position>,
    /// Whether a worker writes the partition in this run.
    pub(crate) has_writer: bool,
}

/// The state of a recovered partition.
#[derive(Debug)]
pub(crate) struct RecoveredPartition {
    pub(crate) partition: Arc<Partition>,
    /// The segment that the writer continues; `None` for a new segment.
    pub(crate) current: Option<CurrentSegment>,
    /// The position at which the reader continues.
    pub(crate) from: Position,
    /// The lowest segment that exists.
    pub(crate) lowest: u32,
    pub(crate) truncated_tails: Vec<TruncatedTail>,
    pub(crate) lost_segments: Option<LostSegments>,
    pub(crate) skipped_damage: Vec<SkippedDamage>,
    /// The ranges that [`crate::reader::PartitionReader`] skips.
    pub(crate) skipped_ranges: Vec<(Position, Position)>,
    /// The open requests at the reader's position, as far as this partition knows.
    pub(crate) open_at_start: RequestMatcher,
    /// The open requests at the partition's end.
    pub(crate) open_at_end: RequestMatcher,
}

/// Recovers a partition for its reader, and for a writer if a worker writes it or its open requests need closes.
pub(crate) fn recover(
    folder: &Folder,
    files: PartitionFiles,
    options: RecoveryOptions<'_>,
) -> Result<RecoveredPartition, SpoolError> {
    let PartitionFiles { partition, mut segments, start, has_writer } = files;
    if let Some(start) = start {
        let ingested = segments.partition_point(|&number| number < start.segment);
        for number in segments.drain(..ingested) {
            folder.remove_ingested(partition, number)?;
        }
    }
    let Some(&lowest) = segments.first() else {
        return Ok(empty(folder, partition, start.map_or(1, |start| start.segment.saturating_add(1))));
    };
    let from = start.filter(|start| start.segment == lowest).unwrap_or(Position::start_of(partition, lowest));
    let mut replay = replay(folder, from, &segments, options)?;
    let lost_segments = lost_segments(from, start, replay.is_first);
    let last = replay.last;
    if !has_writer && replay.totals.records == 0 && replay.open_at_end.open.is_empty() {
        // Segments are removed in descending order, so that a crash leaves no gap.
        for number in segments.into_iter().rev() {
            folder.remove_ingested(partition, number)?;
        }
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
    // These segments follow a truncated tail; they are also removed in descending order.
    let last_kept = replay.preallocated.back().map_or(last, |preallocated| preallocated.number);
    let first_removed = segments.partition_point(|&number| number <= last_kept);
    remove(folder, partition, segments.drain(first_removed..).rev())?;
    let continues = has_writer || !replay.open_at_end.open.is_empty();
    let (published, current) = end_of(folder, &mut replay, continues, partition)?;
    if folder.durability == SpoolDurability::Power {
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

/// Truncates the tail; returns the partition's end and the segment that its writer continues.
fn end_of(
    folder: &Folder,
    replay: &mut Replay,
    continues: bool,
    partition: u32,
) -> Result<(Position, Option<CurrentSegment>), SpoolError> {
    let power = folder.durability == SpoolDurability::Power;
    // Under power durability, a writer continues only segments that record how far they are synced.
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
        // The damage was skipped before.
        Err(SpoolError::Corrupt { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns the segments that are missing between the ingested position and the first existing segment.
fn lost_segments(from: Position, start: Option<Position>, is_first: bool) -> Option<LostSegments> {
    let Position { partition, segment, .. } = from;
    // A partition whose folder was lost begins after the segment of the ingested position.
    let first = match start {
        Some(start) if is_first && start.segment.saturating_add(1) == segment => segment,
        Some(start) => start.segment,
        None => 1,
    };
    (first < segment).then(|| LostSegments { partition, first, last: segment - 1 })
}

/// Returns a partition that begins with segment `number`.
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
#[cfg(test)]
mod version_tests;
