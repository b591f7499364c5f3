//! Segments that the store has ingested and the export has not read yet.
//!
//! Ingest moves such a segment into the folder of the export instead of removing it. The folder has a maximum size: the
//! oldest segments are removed, and their rows are counted as skipped. A file of the same folder has the position of each
//! partition up to which a target has accepted all rows.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::disk;
use crate::error::SpoolError;
use crate::mutex::lock;
use crate::records::position::Position;
use crate::records::segment::{self, CHUNK_BYTES, HEADER_BYTES, Segment};
use crate::records::walk::{rows_of, walk};

/// The file with the positions: a line with partition, segment and offset for each partition.
const POSITIONS: &str = "positions";
const POSITIONS_NEW: &str = "positions.new";

/// The folder of an export.
#[derive(Debug, Clone, Copy)]
pub struct ExportOptions<'a> {
    /// The folder; it is created with access for this user only, on the file system of the spool.
    pub dir: &'a Path,
    /// Maximum size of the segments in it, in bytes.
    pub size_bytes_max: u64,
}

/// The segments in the folder of the export, and its positions.
#[derive(Debug)]
pub(crate) struct RetainedSegments {
    pub(crate) dir: PathBuf,
    size_bytes_max: u64,
    state: Mutex<RetainedState>,
}

/// The counts of an export, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportTotals {
    /// Rows that were removed before a target accepted them.
    pub skipped_rows: u64,
    /// Records, ranges of records and segments that could not be read.
    pub damaged: u64,
    /// Bytes of the segments in the folder of the export.
    pub retained_bytes: u64,
}

#[derive(Debug, Default)]
struct RetainedState {
    places: BTreeMap<u32, ExportPlace>,
    /// The segments, oldest first.
    segments: VecDeque<RetainedSegment>,
    totals: ExportTotals,
}

/// The positions of the export in one partition.
#[derive(Debug, Clone, Copy)]
struct ExportPlace {
    /// The target has accepted all rows before this position.
    confirmed: Position,
    /// All rows before this position were read.
    claimed: Position,
    /// The last segment that was removed before it was read completely.
    dropped: Option<u32>,
    /// The last segment that was not moved into the folder. It may still exist, and is then not counted again.
    unmoved: Option<u32>,
}

#[derive(Debug)]
struct RetainedSegment {
    partition: u32,
    number: u32,
    bytes: u64,
    /// Rows that were not read yet; `None` if they are not counted.
    rows: Option<u64>,
}

impl ExportPlace {
    const fn from_position(position: Position) -> Self {
        Self { confirmed: position, claimed: position, dropped: None, unmoved: None }
    }

    /// Returns the begin of a partition.
    const fn first(partition: u32) -> Self {
        Self::from_position(Position { partition, segment: 0, offset: 0 })
    }

    /// Returns the offset in a segment from which rows were not read; `None` if the whole segment was read.
    const fn unread_from(&self, number: u32) -> Option<u32> {
        if self.claimed.segment > number {
            return None;
        }
        Some(if self.claimed.segment == number { self.claimed.offset } else { HEADER_BYTES })
    }

    /// Returns whether rows of the segment were read, and no target has accepted them yet.
    fn is_in_flight(&self, number: u32) -> bool {
        self.claimed > self.confirmed && self.confirmed.segment <= number && number <= self.claimed.segment
    }
}

impl RetainedSegments {
    /// Opens the folder, and creates it if it is missing.
    pub(crate) fn open(options: ExportOptions<'_>) -> Result<Self, SpoolError> {
        let ExportOptions { dir, size_bytes_max } = options;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(SpoolError::io("create", dir))?;
        let mut state = RetainedState::default();
        for position in read_positions(dir)? {
            state.places.insert(position.partition, ExportPlace::from_position(position));
        }
        let mut found = Vec::new();
        for (partition, numbers) in segment::list(dir)? {
            for number in numbers {
                let path = segment::path(dir, partition, number);
                let metadata = fs::metadata(&path).map_err(SpoolError::io("read", &path))?;
                let of = RetainedSegment { partition, number, bytes: metadata.len(), rows: None };
                found.push((metadata.modified().ok(), partition, number, of));
            }
        }
        found.sort_unstable_by_key(|(modified, partition, number, _)| (*modified, *partition, *number));
        state.segments = found.into_iter().map(|(.., of)| of).collect();
        state.totals.retained_bytes = state.segments.iter().map(|of| of.bytes).sum();
        let retained = Self { dir: dir.to_owned(), size_bytes_max, state: Mutex::new(state) };
        retained.make_room(&mut lock(&retained.state), 0);
        Ok(retained)
    }

    /// Moves an ingested segment into the folder if the export needs it. Returns `false` if the caller removes it. A failure
    /// never keeps ingest from continuing: the rows are then counted as skipped.
    pub(crate) fn retain(&self, spool: &Path, partition: u32, number: u32) -> bool {
        let from = segment::path(spool, partition, number);
        let Ok(metadata) = fs::metadata(&from) else { return false };
        let mut state = lock(&self.state);
        let place = state.place(partition);
        if place.confirmed.segment > number || place.unmoved == Some(number) {
            return false;
        }
        // Ingest has just read the file, so the kernel has it in memory.
        let rows = unread_rows(spool, partition, number, &place).ok();
        if rows == Some(0) && !place.is_in_flight(number) {
            return false;
        }
        self.make_room(&mut state, metadata.len());
        let of = RetainedSegment { partition, number, bytes: metadata.len(), rows };
        let fits = state.totals.retained_bytes.saturating_add(of.bytes) <= self.size_bytes_max;
        if !fits || disk::rename(&from, &segment::path(&self.dir, partition, number)).is_err() {
            state.note_dropped(&of).unmoved = Some(number);
            return false;
        }
        state.totals.retained_bytes += of.bytes;
        state.segments.push_back(of);
        true
    }

    /// Removes the oldest segments until `bytes` more fit.
    fn make_room(&self, state: &mut RetainedState, bytes: u64) {
        while state.totals.retained_bytes.saturating_add(bytes) > self.size_bytes_max {
            let Some(mut oldest) = state.segments.pop_front() else { return };
            if oldest.rows.is_none() {
                let place = state.place(oldest.partition);
                oldest.rows = unread_rows(&self.dir, oldest.partition, oldest.number, &place).ok();
            }
            // A file that cannot be removed is found again at the next start.
            let _ = disk::remove(&segment::path(&self.dir, oldest.partition, oldest.number));
            state.totals.retained_bytes = state.totals.retained_bytes.saturating_sub(oldest.bytes);
            state.note_dropped(&oldest);
        }
    }

    /// Returns the position from which a partition is read. A position after the end of the partition belongs to another
    /// spool, and the partition is read from its begin.
    pub(crate) fn begin(&self, partition: u32, end: Option<Position>) -> Position {
        let first = ExportPlace::first(partition);
        let mut state = lock(&self.state);
        let place = state.places.entry(partition).or_insert(first);
        if end.is_some_and(|end| place.claimed > end) {
            *place = first;
        }
        place.claimed
    }

    /// Returns the partitions of the segments in the folder.
    pub(crate) fn partitions(&self) -> Vec<u32> {
        let mut partitions: Vec<u32> = lock(&self.state).segments.iter().map(|of| of.partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        partitions
    }

    /// Returns the lowest segment of a partition in the folder from `number` on.
    pub(crate) fn next_number(&self, partition: u32, number: u32) -> Option<u32> {
        let state = lock(&self.state);
        let of = state.segments.iter().filter(|of| of.partition == partition && of.number >= number);
        of.map(|of| of.number).min()
    }

    /// Claims the rows of one segment that were read up to `until`. Returns `false` if the segment was removed meanwhile: its
    /// rows are counted as skipped, and must not be exported.
    pub(crate) fn claim(&self, number: u32, until: Position, rows: u64) -> bool {
        let mut state = lock(&self.state);
        let partition = until.partition;
        let Some(place) = state.places.get_mut(&partition) else { return false };
        if place.dropped.is_some_and(|dropped| dropped >= number) {
            return false;
        }
        place.claimed = until;
        let mut segments = state.segments.iter_mut();
        if let Some(of) = segments.find(|of| of.partition == partition && of.number == number) {
            of.rows = of.rows.map(|unread| unread.saturating_sub(rows));
        }
        true
    }

    /// Returns whether a segment was removed before the target accepted its rows.
    pub(crate) fn is_dropped(&self, position: Position) -> bool {
        let state = lock(&self.state);
        let dropped = state.places.get(&position.partition).and_then(|place| place.dropped);
        dropped.is_some_and(|dropped| dropped >= position.segment)
    }

    /// Stores that the target has accepted all rows before the positions, and removes segments before them.
    pub(crate) fn confirm(&self, ends: &[Position]) -> Result<(), SpoolError> {
        let text = {
            let mut state = lock(&self.state);
            for end in ends {
                if let Some(place) = state.places.get_mut(&end.partition) {
                    place.confirmed = place.confirmed.max(*end);
                }
            }
            let line = |Position { partition, segment, offset }| format!("{partition} {segment} {offset}\n");
            state.places.values().map(|place| line(place.confirmed)).collect::<String>()
        };
        self.write_positions(&text)?;
        let mut state = lock(&self.state);
        let places = state.places.clone();
        let is_done =
            |of: &RetainedSegment| places.get(&of.partition).is_some_and(|place| place.confirmed.segment > of.number);
        let (done, kept): (VecDeque<_>, VecDeque<_>) = state.segments.drain(..).partition(is_done);
        state.segments = kept;
        state.totals.retained_bytes = state.segments.iter().map(|of| of.bytes).sum();
        drop(state);
        for of in done {
            let path = segment::path(&self.dir, of.partition, of.number);
            disk::remove(&path).map_err(SpoolError::io("remove", &path))?;
        }
        Ok(())
    }

    /// Replaces the file of the positions. Without it, rows are exported again.
    fn write_positions(&self, text: &str) -> Result<(), SpoolError> {
        let new = self.dir.join(POSITIONS_NEW);
        let path = self.dir.join(POSITIONS);
        let file = disk::create(&new).map_err(SpoolError::io("create", &new))?;
        disk::write_at(&file, text.as_bytes(), 0).map_err(SpoolError::io("write", &new))?;
        disk::sync(&file).map_err(SpoolError::io("sync", &new))?;
        disk::rename(&new, &path).map_err(SpoolError::io("rename", &new))
    }

    pub(crate) fn note_damage(&self, damaged: u64) {
        lock(&self.state).totals.damaged += damaged;
    }

    pub(crate) fn note_skipped(&self, rows: u64) {
        lock(&self.state).totals.skipped_rows += rows;
    }

    pub(crate) fn totals(&self) -> ExportTotals {
        lock(&self.state).totals
    }
}

impl RetainedState {
    fn place(&self, partition: u32) -> ExportPlace {
        self.places.get(&partition).copied().unwrap_or(ExportPlace::first(partition))
    }

    /// Counts the rows of a segment, and returns the place of its partition.
    fn note_dropped(&mut self, of: &RetainedSegment) -> &mut ExportPlace {
        self.totals.skipped_rows += of.rows.unwrap_or(0);
        let place = self.places.entry(of.partition).or_insert(ExportPlace::first(of.partition));
        place.dropped = place.dropped.max(Some(of.number));
        place
    }
}

/// Returns the positions in the file; none without a valid file.
fn read_positions(dir: &Path) -> Result<Vec<Position>, SpoolError> {
    let path = dir.join(POSITIONS);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().filter_map(parse).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(SpoolError::io("read", &path)(error)),
    }
}

fn parse(line: &str) -> Option<Position> {
    let mut numbers = line.split(' ').map(str::parse);
    let position =
        Position { partition: numbers.next()?.ok()?, segment: numbers.next()?.ok()?, offset: numbers.next()?.ok()? };
    numbers.next().is_none().then_some(position)
}

/// Counts the rows of a segment that were not read yet.
fn unread_rows(dir: &Path, partition: u32, number: u32, place: &ExportPlace) -> Result<u64, SpoolError> {
    let Some(from) = place.unread_from(number) else { return Ok(0) };
    let segment = Segment::open(dir, partition, number)?;
    let mut rows = 0;
    walk(&segment, from..segment.bytes, &mut vec![0; CHUNK_BYTES], |frame| {
        rows += rows_of(frame);
        true
    })?;
    Ok(rows)
}

/// Removes the folder of an export that is no longer configured. Returns whether it had segments.
///
/// # Errors
/// [`SpoolError::Io`].
pub fn discard_export(dir: &Path) -> Result<bool, SpoolError> {
    if !dir.is_dir() {
        return Ok(false);
    }
    let had_segments = !segment::list(dir)?.is_empty();
    fs::remove_dir_all(dir).map_err(SpoolError::io("remove", dir))?;
    Ok(had_segments)
}
