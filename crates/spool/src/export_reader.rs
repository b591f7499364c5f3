//! The reader of the export: a second reader of all partitions, with separate positions.
//!
//! It reads segments in the folder of the spool until ingest has stored them, and in the folder of the export from then on. It
//! never delays ingest: a segment that it needs is moved, not kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::SpoolError;
use crate::folder::Folder;
use crate::partition::Partition;
use crate::records::position::Position;
use crate::records::record::{FrameContent, Record, SharedTexts};
use crate::records::segment::{self, CHUNK_BYTES, HEADER_BYTES, Segment};
use crate::records::walk::{rows_of, walk};
use crate::retained::{ExportTotals, RetainedSegments};

/// Bytes after which a batch ends; the record that reaches this size is its last.
const BATCH_BYTES_MAX: u64 = 1024 * 1024;

/// Reads every partition for the export. [`ExportReader::next_batch`] returns each record once; the caller keeps a batch until a
/// target has accepted it.
#[derive(Debug)]
pub struct ExportReader {
    folder: Arc<Folder>,
    retained: Arc<RetainedSegments>,
    partitions: Vec<ExportPartition>,
    /// The partition that the next batch begins with.
    turn: usize,
    buffer: Vec<u8>,
    texts: SharedTexts,
}

/// The position of the export in one partition.
#[derive(Debug)]
struct ExportPartition {
    number: u32,
    /// The partition's end; `None` if only segments in the folder of the export are left of it.
    shared: Option<Arc<Partition>>,
    at: Position,
    open: Option<Segment>,
    /// The last segment whose header could not be read; it is counted once.
    unreadable: Option<u32>,
}

/// Records for a target.
#[derive(Debug, Default)]
pub struct ExportBatch {
    /// The records that contain usage.
    pub records: Vec<Record>,
    /// The number of rows in the records.
    pub rows: u64,
    begins: Vec<Position>,
    ends: Vec<Position>,
}

/// The counts of an export, readable at any time and from any thread.
#[derive(Debug, Clone)]
pub struct ExportCounter(Arc<RetainedSegments>);

impl ExportCounter {
    /// Returns the current counts.
    #[must_use]
    pub fn totals(&self) -> ExportTotals {
        self.0.totals()
    }
}

impl ExportBatch {
    /// Returns whether the batch has no records and changes no position.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.records.is_empty() && self.ends.is_empty()
    }
}

impl ExportReader {
    pub(crate) fn new(folder: &Arc<Folder>, partitions: &[Arc<Partition>]) -> Option<Self> {
        let retained = Arc::clone(folder.retained.as_ref()?);
        let mut all: BTreeMap<u32, Option<Arc<Partition>>> =
            retained.partitions().into_iter().map(|number| (number, None)).collect();
        all.extend(partitions.iter().map(|partition| (partition.number, Some(Arc::clone(partition)))));
        let partition = |(number, shared): (u32, Option<Arc<Partition>>)| {
            let at = retained.begin(number, shared.as_ref().map(|shared| shared.published()));
            ExportPartition { number, shared, at, open: None, unreadable: None }
        };
        Some(Self {
            folder: Arc::clone(folder),
            partitions: all.into_iter().map(partition).collect(),
            retained,
            turn: 0,
            buffer: vec![0; CHUNK_BYTES],
            texts: SharedTexts::default(),
        })
    }

    /// Returns a handle to the counts.
    #[must_use]
    pub fn counter(&self) -> ExportCounter {
        ExportCounter(Arc::clone(&self.retained))
    }

    /// Returns the next records, with at most about `rows_max` rows or 1 MiB. This call reads files and may block.
    ///
    /// # Errors
    /// [`SpoolError::Io`] if no record of any partition could be read; the same call can be repeated. Damaged records are
    /// skipped and counted.
    pub fn next_batch(&mut self, rows_max: u64) -> Result<ExportBatch, SpoolError> {
        let mut batch = ExportBatch::default();
        let count = self.partitions.len();
        let mut bytes_left = BATCH_BYTES_MAX;
        let mut failed = None;
        for nth in 0..count {
            let index = (self.turn + nth) % count;
            let began = self.position(index);
            if let Err(error) = self.read(index, &mut batch, rows_max, &mut bytes_left) {
                failed.get_or_insert(error);
            }
            // The batch contains the records that were read before an error.
            batch.ends.extend(self.position(index).filter(|end| Some(*end) != began));
        }
        self.turn = (self.turn + 1).checked_rem(count).unwrap_or(0);
        match failed {
            Some(error) if batch.is_nothing() => Err(error),
            _ => Ok(batch),
        }
    }

    fn position(&self, index: usize) -> Option<Position> {
        self.partitions.get(index).map(|partition| partition.at)
    }

    /// Reads one partition into the batch.
    fn read(
        &mut self,
        index: usize,
        batch: &mut ExportBatch,
        rows_max: u64,
        bytes_left: &mut u64,
    ) -> Result<(), SpoolError> {
        let Self { folder, retained, partitions, buffer, texts, .. } = self;
        let Some(partition) = partitions.get_mut(index) else { return Ok(()) };
        while batch.rows < rows_max && *bytes_left > 0 {
            let readable = partition.shared.as_ref().map(|shared| shared.readable());
            if readable.is_some_and(|readable| partition.at >= readable) {
                break;
            }
            if !partition.open_next(folder, retained)? {
                break;
            }
            let Some(segment) = &partition.open else { break };
            let number = segment.number;
            let at = partition.at.offset.max(HEADER_BYTES);
            let end = readable.filter(|readable| readable.segment == number);
            let until = end.map_or(segment.bytes, |end| end.offset);
            let mut records = Vec::new();
            let mut rows = 0;
            let mut damaged = 0;
            let walked = walk(segment, at..until, buffer, |frame| {
                if batch.rows + rows >= rows_max || *bytes_left == 0 {
                    return false;
                }
                *bytes_left = bytes_left.saturating_sub(frame.len().into());
                let count = rows_of(frame);
                if count > 0 {
                    match frame.decode_with(Some(texts)) {
                        Ok(FrameContent::Record(record)) => {
                            rows += count;
                            records.push(record);
                        }
                        Ok(FrameContent::End) => {}
                        Err(_) => damaged += 1,
                    }
                }
                true
            })?;
            let is_last = end.is_some();
            let next = if !is_last && (walked.is_sealed || walked.offset >= until) {
                Position::start_of(partition.number, number.saturating_add(1))
            } else {
                // Without a record before the end, everything up to the end is damaged.
                let offset = if walked.is_sealed { until } else { walked.offset };
                Position { partition: partition.number, segment: number, offset }
            };
            retained.note_damage(damaged + walked.damaged);
            partition.at = next;
            if retained.claim(number, next, rows) {
                if batch.begins.iter().all(|begin| begin.partition != partition.number) {
                    batch.begins.push(Position { partition: partition.number, segment: number, offset: at });
                }
                batch.rows += rows;
                batch.records.append(&mut records);
            } else {
                partition.at = Position::start_of(partition.number, number.saturating_add(1));
            }
        }
        Ok(())
    }

    /// Stores that a target has accepted the batch: a later start continues after it.
    ///
    /// # Errors
    /// [`SpoolError::Io`]; the call can be repeated.
    pub fn confirm(&mut self, batch: &ExportBatch) -> Result<(), SpoolError> {
        self.retained.confirm(&batch.ends)
    }

    /// Returns whether segments of the batch were removed because the target did not accept it in time.
    #[must_use]
    pub fn is_abandoned(&self, batch: &ExportBatch) -> bool {
        batch.begins.iter().any(|begin| self.retained.is_dropped(*begin))
    }

    /// Counts the rows of a batch that will not be exported, and continues after it.
    ///
    /// # Errors
    /// Those of [`ExportReader::confirm`].
    pub fn skip(&mut self, batch: &ExportBatch) -> Result<(), SpoolError> {
        self.retained.confirm(&batch.ends)?;
        self.retained.note_skipped(batch.rows);
        Ok(())
    }
}

impl ExportPartition {
    /// Opens the segment at the position, or moves to the next one that exists. Returns `false` without any.
    fn open_next(&mut self, folder: &Folder, retained: &RetainedSegments) -> Result<bool, SpoolError> {
        let number = self.at.segment;
        let known = self.open.take().filter(|open| open.number == number);
        let mut opened = match known {
            Some(open) => Some(open),
            None => self.open_at(folder, retained, number)?,
        };
        while opened.is_none() {
            let later = self.at.segment.saturating_add(1);
            let moved = retained.next_number(self.number, later);
            let live = segment::next_number(&folder.dir, self.number, later)?;
            let Some(next) = moved.into_iter().chain(live).min() else { return Ok(false) };
            self.at = Position::start_of(self.number, next);
            opened = self.open_at(folder, retained, next)?;
        }
        self.open = opened;
        Ok(true)
    }

    /// Opens a segment in one of both folders. Ingest may move it meanwhile, in one direction only.
    fn open_at(
        &mut self,
        folder: &Folder,
        retained: &RetainedSegments,
        number: u32,
    ) -> Result<Option<Segment>, SpoolError> {
        for dir in [&retained.dir, &folder.dir, &retained.dir] {
            match Segment::open(dir, self.number, number) {
                Ok(segment) => return Ok(Some(segment)),
                Err(SpoolError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(SpoolError::Corrupt { .. } | SpoolError::Newer { .. }) => {
                    if self.unreadable.replace(number) != Some(number) {
                        retained.note_damage(1);
                    }
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
