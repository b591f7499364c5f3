//! Opening the spool: recovers every partition, starts the writers and the reader, and finds interrupted requests.

use std::collections::{BTreeMap, HashSet};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use meter::UsageEvent;
use uuid::Uuid;

use crate::error::SpoolError;
use crate::export_reader::ExportReader;
use crate::folder::{Folder, SpoolDurability};
use crate::open_request::{InterruptedRequest, OpenRequest};
use crate::options::SpoolOptions;
use crate::partition::Partition;
use crate::reader::open_requests::OpenRequests;
use crate::reader::{PartitionReader, Reader};
use crate::records::position::Position;
use crate::records::record::Record;
use crate::records::segment;
use crate::recovery::{
    self, LostSegments, PartitionFiles, RecoveredPartition, RecoveryOptions, RequestMatcher, SkippedDamage,
    TruncatedTail,
};
use crate::retained::{ExportOptions, RetainedSegments};
use crate::threads::allocator::SegmentAllocator;
use crate::threads::sync::Syncer;
use crate::threads::writer::{BackgroundThreads, CurrentSegment, Writer};

/// The arguments of [`SpoolOpener::open`].
pub struct SpoolOpener<'a> {
    /// The folder; it is created with access for this user only. The caller ensures that one process opens it at a
    /// time.
    pub dir: &'a Path,
    /// The sizes and the number of partitions.
    pub options: SpoolOptions,
    /// The failures that an appended record survives.
    pub durability: SpoolDurability,
    /// The node that opens the folder; a folder of another node is refused. `None` skips the check.
    pub node: Option<Uuid>,
    /// The positions that the store has committed durably ([`crate::Batch::positions`]); the segments before them are
    /// removed. A partition without a position is read from its first segment; so is a partition whose position is
    /// before its first segment, which means that segments are lost ([`Spool::lost_segments`]).
    pub ingested: &'a [Position],
    /// The open requests that the store kept at these positions ([`crate::Reader::requests_to_store`]).
    pub stored_requests: &'a [OpenRequest],
    /// Called with each unreleased record, so that the caller can count what the store does not know yet. The records
    /// of one partition come in order; partitions are read on several threads. It may have been called even if opening
    /// fails.
    pub visit: Option<&'a (dyn Fn(&Record) + Sync)>,
    /// Whether damaged records are skipped ([`Spool::skipped_damage`]) instead of refused.
    pub skip_corrupt: bool,
    /// The folder of an export, which reads the spool too. `None` without an export.
    pub export: Option<ExportOptions<'a>>,
}

/// An open spool: its writers and its reader.
#[derive(Debug)]
pub struct Spool {
    /// One writer per partition, in the order of the partitions.
    pub writers: Vec<Writer>,
    /// The reader of all partitions.
    pub reader: Reader,
    /// The reader of the export, if it has a folder.
    pub export: Option<ExportReader>,
    /// Incomplete records at the ends of partitions that were truncated, for the log.
    pub truncated_tails: Vec<TruncatedTail>,
    /// Segments that do not exist and that the store has not ingested, for the log. They are reported at each start
    /// until a record after them is ingested.
    pub lost_segments: Vec<LostSegments>,
    /// Damage that was skipped, for the log.
    pub skipped_damage: Vec<SkippedDamage>,
    /// Requests that were open when the last run died and are not closed yet, oldest first; see [`Spool::settle`].
    pub interrupted: Vec<InterruptedRequest>,
    /// Writers of partitions that no worker writes in this run and that contain open requests.
    leftover_writers: Vec<Writer>,
}

impl<'a> SpoolOpener<'a> {
    /// Returns the default arguments: [`SpoolDurability::Process`], no node, no stored requests, no visitor, no skipping.
    #[must_use]
    pub const fn new(dir: &'a Path, options: SpoolOptions, ingested: &'a [Position]) -> Self {
        let durability = SpoolDurability::Process;
        Self {
            dir,
            options,
            durability,
            node: None,
            ingested,
            stored_requests: &[],
            visit: None,
            skip_corrupt: false,
            export: None,
        }
    }

    /// Opens the folder and recovers its partitions in one pass over the unreleased records.
    ///
    /// # Errors
    /// [`SpoolError::Corrupt`], [`SpoolError::Missing`] or [`SpoolError::Newer`] if records that are not ingested
    /// cannot be read; [`SpoolError::OtherNode`] for the folder of another node; [`SpoolError::TooSmall`] or
    /// [`SpoolError::SegmentSize`] for invalid options; [`SpoolError::Io`], also for a folder that cannot be written.
    pub fn open(self) -> Result<Spool, SpoolError> {
        let Self { dir, options, durability, node, ingested, stored_requests, visit, skip_corrupt, export } = self;
        options.check()?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(SpoolError::io("create", dir))?;
        let mut folder = Folder::new(dir.to_path_buf(), options.segment_bytes, options.size_bytes_max, durability);
        folder.retained = export.map(RetainedSegments::open).transpose()?.map(Arc::new);
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
        let recovered =
            recovery::parallel::all(&folder, partition_files.collect(), RecoveryOptions { visit, skip_corrupt })?;
        folder.sync()?;
        Spool::from_partitions(&folder, options.partitions, recovered, stored_requests)
    }
}

impl Spool {
    /// Opens a spool with the default arguments of [`SpoolOpener::new`].
    ///
    /// # Errors
    /// The errors of [`SpoolOpener::open`].
    pub fn open(dir: &Path, options: SpoolOptions, ingested: &[Position]) -> Result<Self, SpoolError> {
        SpoolOpener::new(dir, options, ingested).open()
    }

    /// Closes each interrupted request with the event that `close` returns. Call it before anything else is appended:
    /// the room is reserved, also in partitions without a writer in this run. After an error the remaining requests
    /// stay in [`Spool::interrupted`], and the call can be repeated when ingest has freed space. A start after a crash
    /// in between finds them again.
    ///
    /// # Errors
    /// The errors of [`Writer::append`].
    pub fn settle(&mut self, mut close: impl FnMut(&InterruptedRequest) -> UsageEvent) -> Result<(), SpoolError> {
        let mut settled = 0;
        let mut appended = Ok(());
        for one in &self.interrupted {
            let record = Record::Close(close(one));
            // The close goes to the partition of its open, so that the open cannot outlive it.
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

    fn from_partitions(
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
        let mut truncated_tails = Vec::new();
        let mut lost_segments = Vec::new();
        let mut skipped_damage = Vec::new();
        let mut own = Vec::new();
        let mut leftover = Vec::new();
        let mut partition_readers = Vec::new();
        // New segments are created only after all existing ones are counted.
        for one in all {
            truncated_tails.extend(one.truncated_tails);
            lost_segments.extend(one.lost_segments);
            skipped_damage.extend(one.skipped_damage);
            let partition = one.partition;
            let mut current = one.current;
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
        let all: Vec<Arc<Partition>> = partition_readers.iter().map(|reader| Arc::clone(reader.partition())).collect();
        let export = ExportReader::new(folder, &all);
        let reader = Reader::new(Arc::clone(folder), threads.clone(), partition_readers, open_requests);
        let mut spool = Self {
            writers,
            reader,
            export,
            truncated_tails,
            lost_segments,
            skipped_damage,
            interrupted,
            leftover_writers,
        };
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

/// Returns the first segment of a partition; `None` while an earlier run's records fill the spool.
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
