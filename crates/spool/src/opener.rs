//! Opening the folder: recovery of every lane, writers and reader, and what was open when the last run died.

use std::collections::{BTreeMap, HashSet};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use meter::UsageEvent;
use uuid::Uuid;

use crate::allocator::SegmentAllocator;
use crate::error::SpoolError;
use crate::folder::{Durability, Folder};
use crate::open_request::{InterruptedRequest, OpenRequest};
use crate::options::SpoolOptions;
use crate::partition::Partition;
use crate::position::Position;
use crate::reader::open_requests::OpenRequests;
use crate::reader::{PartitionReader, Reader};
use crate::record::Record;
use crate::recovery::{
    self, LostSegments, PartitionFiles, RecoveredPartition, RecoveryOptions, RequestMatcher, SkippedDamage,
    TruncatedTail,
};
use crate::segment;
use crate::sync::Syncer;
use crate::writer::{BackgroundThreads, CurrentSegment, Writer};

/// What a start knows.
pub struct SpoolOpener<'a> {
    /// The folder, made where it is missing for this user alone. Only one process may have it open; the caller sees to
    /// that.
    pub dir: &'a Path,
    /// How large the spool is.
    pub options: SpoolOptions,
    /// What an append survives.
    pub durability: Durability,
    /// Whose folder it is; what another node left in it is refused. `None` asks nobody.
    pub node: Option<Uuid>,
    /// Where reading goes on: the positions that the store committed ([`crate::Batch::positions`]), for good, as the
    /// segments before them are removed. A lane without one is read from its first segment, and so is one whose position
    /// lies before that ([`Spool::lost_segments`]).
    pub ingested: &'a [Position],
    /// The open requests that the store keeps ([`crate::Reader::requests_to_store`]), as of these positions.
    pub stored_requests: &'a [OpenRequest],
    /// Shown each record that was not released, those of a lane in order, lanes beside each other on several threads: to
    /// count what the store does not know yet. When opening fails, some may have been shown.
    pub visit: Option<&'a (dyn Fn(&Record) + Sync)>,
    /// Whether damage is left out ([`Spool::skipped_damage`]) instead of refused.
    pub skip_corrupt: bool,
}

/// The open spool: its two ends.
#[derive(Debug)]
pub struct Spool {
    /// One a lane, in the order of the lanes.
    pub writers: Vec<Writer>,
    /// The one reader of all lanes.
    pub reader: Reader,
    /// Torn tails that were cut, for the log.
    pub truncated_tails: Vec<TruncatedTail>,
    /// Segments that are gone and that the store does not have, for the log; told at each start until something that
    /// came after them is ingested.
    pub lost_segments: Vec<LostSegments>,
    /// Damage that was left out, for the log and for whoever asked for it.
    pub skipped_damage: Vec<SkippedDamage>,
    /// What was open when the last run died and is not closed yet, oldest first: for [`Spool::settle`].
    pub interrupted: Vec<InterruptedRequest>,
    /// Of lanes that have no writer in this run, and requests that are open.
    leftover_writers: Vec<Writer>,
}

impl<'a> SpoolOpener<'a> {
    /// Everything else as it is without being asked for.
    #[must_use]
    pub const fn new(dir: &'a Path, options: SpoolOptions, ingested: &'a [Position]) -> Self {
        let durability = Durability::Process;
        Self { dir, options, durability, node: None, ingested, stored_requests: &[], visit: None, skip_corrupt: false }
    }

    /// Opens the folder and recovers what is in it, in one pass over what was not released.
    ///
    /// # Errors
    /// [`SpoolError::Corrupt`], [`SpoolError::Missing`] or [`SpoolError::Newer`] when events that are not ingested
    /// cannot be read; [`SpoolError::OtherNode`]; [`SpoolError::TooSmall`] or [`SpoolError::SegmentSize`] for the options;
    /// [`SpoolError::Io`], for a folder that cannot be written too.
    pub fn open(self) -> Result<Spool, SpoolError> {
        let Self { dir, options, durability, node, ingested, stored_requests, visit, skip_corrupt } = self;
        options.check()?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(SpoolError::io("create", dir))?;
        let folder = Folder::new(dir.to_path_buf(), options.segment_bytes, options.size_bytes_max, durability);
        let folder = Arc::new(folder);
        folder.check_writable()?;
        if let Some(node) = node {
            folder.claim(node)?;
        }
        let mut segments: BTreeMap<u32, Vec<u32>> = segment::list(dir)?;
        for partition in 0..options.partitions {
            segments.entry(partition).or_default();
        }
        let partition_files = segments.into_iter().map(|(partition, segments)| {
            let start = ingested.iter().copied().filter(|position| position.partition == partition).max();
            PartitionFiles { partition, segments, start, has_writer: partition < options.partitions }
        });
        let recovered = recovery::all(&folder, partition_files.collect(), RecoveryOptions { visit, skip_corrupt })?;
        folder.sync()?;
        Spool::of(&folder, options.partitions, recovered, stored_requests)
    }
}

impl Spool {
    /// [`SpoolOpener::open`] with what needs no more than positions.
    ///
    /// # Errors
    /// As [`SpoolOpener::open`].
    pub fn open(dir: &Path, options: SpoolOptions, ingested: &[Position]) -> Result<Self, SpoolError> {
        SpoolOpener::new(dir, options, ingested).open()
    }

    /// Closes what was interrupted, each as `close` tells, before anything else is appended: there is room for that, in its
    /// own lane too where that has no writer any more. On an error the rest is still in [`Spool::interrupted`], and can be
    /// tried again when ingest has made room; a start that ends in between finds it again.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn settle(&mut self, mut close: impl FnMut(&InterruptedRequest) -> UsageEvent) -> Result<(), SpoolError> {
        let mut settled = 0;
        let mut appended = Ok(());
        for one in &self.interrupted {
            let record = Record::Close(close(one));
            // In the lane of its open, so that none of the two outlives the other in a way that opens it again.
            let own = |writer: &&mut Writer| one.partition == Some(writer.partition.number);
            let mut writers = self.writers.iter_mut().chain(&mut self.leftover_writers);
            appended = match writers.find(own) {
                Some(writer) => writer.append(&record),
                None => append_anywhere(&mut self.writers, &record),
            };
            if appended.is_err() {
                break;
            }
            settled += 1;
        }
        self.interrupted.drain(..settled);
        appended?;
        self.close_leftover_partitions()
    }

    fn of(
        folder: &Arc<Folder>,
        partitions: u32,
        all: Vec<RecoveredPartition>,
        stored_requests: &[OpenRequest],
    ) -> Result<Self, SpoolError> {
        let open_at_end: Vec<&RequestMatcher> = all.iter().map(|partition| &partition.open_at_end).collect();
        let interrupted = recovery::interrupted_requests(&open_at_end, stored_requests);
        let open_in: HashSet<u32> = interrupted.iter().filter_map(|one| one.partition).collect();
        let open_at_start: Vec<&RequestMatcher> = all.iter().map(|partition| &partition.open_at_start).collect();
        let open_requests = OpenRequests::new(RequestMatcher::still_open(&open_at_start).cloned(), stored_requests);
        let (mut truncated_tails, mut lost_segments, mut skipped_damage) = (Vec::new(), Vec::new(), Vec::new());
        let (mut own, mut leftover, mut partition_readers) = (Vec::new(), Vec::new(), Vec::new());
        // Segments are made only when all that are there are counted.
        for one in all {
            truncated_tails.extend(one.truncated_tails);
            lost_segments.extend(one.lost_segments);
            skipped_damage.extend(one.skipped_damage);
            let (partition, mut current) = (one.partition, one.current);
            if partition.number < partitions {
                if current.is_none() {
                    current = first_segment(folder, &partition)?;
                }
                own.push((Arc::clone(&partition), current));
            } else if open_in.contains(&partition.number) || current.is_some() {
                leftover.push((Arc::clone(&partition), current));
            }
            partition_readers.push(PartitionReader::new(partition, one.from, one.lowest, one.skipped_ranges));
        }
        let to_allocate = own.iter().map(|(partition, _)| Arc::clone(partition)).collect();
        let synced: Vec<Arc<Partition>> =
            own.iter().chain(&leftover).map(|(partition, _)| Arc::clone(partition)).collect();
        let allocator = Arc::new(SegmentAllocator::start(Arc::clone(folder), to_allocate)?);
        let sync = Syncer::start(Arc::clone(folder), &synced)?.map(Arc::new);
        let threads = BackgroundThreads { allocator, sync };
        let writer = |(partition, current)| Writer::new(Arc::clone(folder), partition, threads.clone(), current);
        let writers = own.into_iter().map(writer).collect();
        let leftover_writers = leftover.into_iter().map(writer).collect();
        let reader = Reader::new(Arc::clone(folder), threads.clone(), partition_readers, open_requests);
        let mut spool =
            Self { writers, reader, truncated_tails, lost_segments, skipped_damage, interrupted, leftover_writers };
        if spool.interrupted.is_empty() {
            spool.close_leftover_partitions()?;
        }
        Ok(spool)
    }

    fn close_leftover_partitions(&mut self) -> Result<(), SpoolError> {
        while let Some(writer) = self.leftover_writers.last_mut() {
            writer.close_partition()?;
            self.leftover_writers.pop();
        }
        Ok(())
    }
}

/// A lane's first segment; none while the spool is full of what a former run left.
fn first_segment(folder: &Folder, partition: &Partition) -> Result<Option<CurrentSegment>, SpoolError> {
    match partition.preallocate_one(folder, 0) {
        Ok(()) => Ok(partition.take_preallocated(folder).map(CurrentSegment::start)),
        Err(SpoolError::Full { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn append_anywhere(writers: &mut [Writer], record: &Record) -> Result<(), SpoolError> {
    let mut appended = Err(SpoolError::Full { size_bytes_max: 0 });
    for writer in writers {
        appended = writer.append(record);
        if !matches!(appended, Err(SpoolError::Full { .. } | SpoolError::Io { .. })) {
            break;
        }
    }
    appended
}

#[cfg(test)]
mod tests;
