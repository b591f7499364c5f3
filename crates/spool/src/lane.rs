//! What the writer, the reader and the thread that makes segments ahead share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::SpoolError;
use crate::position::Position;
use crate::segment::{Plan, Segment};

/// What all lanes share.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) dir: PathBuf,
    pub(crate) segment_bytes: u32,
    size_bytes_max: u64,
    /// Bytes of all segments that are there or being made.
    allocated: AtomicU64,
    trouble: Mutex<Option<SpoolError>>,
}

impl Folder {
    pub(crate) const fn new(dir: PathBuf, segment_bytes: u32, size_bytes_max: u64) -> Self {
        Self { dir, segment_bytes, size_bytes_max, allocated: AtomicU64::new(0), trouble: Mutex::new(None) }
    }

    pub(crate) fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// Counts bytes of segments that were found, whatever the bound.
    pub(crate) fn found(&self, bytes: u64) {
        self.allocated.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes of segments as gone.
    pub(crate) fn gone(&self, bytes: u64) {
        self.allocated.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Makes a segment, if the bound holds it.
    fn create(&self, plan: Plan) -> Result<Segment, SpoolError> {
        let more = |allocated: u64| {
            let next = allocated.saturating_add(plan.bytes.into());
            (next <= self.size_bytes_max).then_some(next)
        };
        self.allocated
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map_err(|_| SpoolError::Full { size_bytes_max: self.size_bytes_max })?;
        Segment::create(&self.dir, plan).inspect_err(|_| self.gone(plan.bytes.into()))
    }

    /// Remembers the last failure of making a segment ahead.
    pub(crate) fn note(&self, error: SpoolError) {
        *lock(&self.trouble) = Some(error);
    }

    pub(crate) fn take_trouble(&self) -> Option<SpoolError> {
        lock(&self.trouble).take()
    }
}

/// One lane: how far it is written, and its next segment.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) number: u32,
    /// Segment and offset up to which records are whole; see [`Position::pack`].
    published: AtomicU64,
    /// Records and their bytes from where this run began to read until `published`.
    records: AtomicU64,
    bytes: AtomicU64,
    next_is_made: AtomicBool,
    next: Mutex<Next>,
}

/// The segment after the one that is written.
#[derive(Debug)]
pub(crate) struct Next {
    /// Made, and not taken yet.
    pub(crate) made: Option<Segment>,
    /// The number of the next one to be made.
    pub(crate) number: u32,
    /// Nothing stands before it.
    pub(crate) begins: bool,
}

/// Records and their bytes, counted from where this run began to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, record_bytes: u32) {
        self.records += 1;
        self.bytes += u64::from(record_bytes);
    }
}

impl Lane {
    pub(crate) fn new(number: u32, published: Position, tally: Tally, next: Next) -> Self {
        Self {
            number,
            published: AtomicU64::new(published.pack()),
            records: AtomicU64::new(tally.records),
            bytes: AtomicU64::new(tally.bytes),
            next_is_made: AtomicBool::new(next.made.is_some()),
            next: Mutex::new(next),
        }
    }

    pub(crate) fn published(&self) -> Position {
        Position::unpack(self.number, self.published.load(Ordering::Acquire))
    }

    /// What is published; it may lag behind [`Lane::published`] or run ahead of it by a record.
    pub(crate) fn tally(&self) -> Tally {
        Tally { records: self.records.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// Shows the reader all that is written before `position`; called by the lane's one writer.
    pub(crate) fn publish(&self, position: Position, tally: Tally) {
        self.records.store(tally.records, Ordering::Relaxed);
        self.bytes.store(tally.bytes, Ordering::Relaxed);
        self.published.store(position.pack(), Ordering::Release);
    }

    pub(crate) fn next_is_made(&self) -> bool {
        self.next_is_made.load(Ordering::Acquire)
    }

    /// The next segment: the one made ahead, else made here and now.
    pub(crate) fn take_next(&self, folder: &Folder) -> Result<Segment, SpoolError> {
        let mut next = lock(&self.next);
        let segment = match next.made.take() {
            Some(segment) => segment,
            None => self.create(&mut next, folder)?,
        };
        self.next_is_made.store(false, Ordering::Release);
        Ok(segment)
    }

    /// Makes the next segment if there is none.
    pub(crate) fn make_next(&self, folder: &Folder) -> Result<(), SpoolError> {
        if self.next_is_made() {
            return Ok(());
        }
        let mut next = lock(&self.next);
        if next.made.is_none() {
            next.made = Some(self.create(&mut next, folder)?);
        }
        self.next_is_made.store(true, Ordering::Release);
        Ok(())
    }

    fn create(&self, next: &mut Next, folder: &Folder) -> Result<Segment, SpoolError> {
        let Next { number, begins, .. } = *next;
        let plan = Plan { lane: self.number, number, bytes: folder.segment_bytes, begins };
        let segment = folder.create(plan)?;
        next.number = number.saturating_add(1);
        next.begins = false;
        Ok(segment)
    }
}

/// What a thread that panicked left is whole: each change under these locks is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
