//! What the writer, the reader and the threads beside them share of one lane.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::error::SpoolError;
use crate::folder::{Durability, Folder, lock};
use crate::position::Position;
use crate::segment::{Plan, Segment};
use crate::sync::Waiting;

/// One lane: how far it is written, and the segments after the one that is.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) number: u32,
    pub(crate) durability: Durability,
    /// Segment and offset up to which records are whole; see [`Position::pack`].
    published: AtomicU64,
    /// The same of what survives a power cut; meaningless where nothing is synced.
    synced: AtomicU64,
    /// Records and their bytes from where this run began to read until `published`.
    records: AtomicU64,
    bytes: AtomicU64,
    /// The same of what is released.
    released_records: AtomicU64,
    released_bytes: AtomicU64,
    /// Requests whose close is still to come, by this lane's writer.
    opens: AtomicU32,
    /// How many closes the segments that are made hold.
    ahead: AtomicU32,
    next: Mutex<Next>,
    /// The thread that makes segments was told that there are too few.
    pub(crate) more_asked: AtomicBool,
    /// The thread that syncs was told that something was written.
    pub(crate) sync_asked: AtomicBool,
    pub(crate) waiting: Waiting,
}

/// The segments after the one that is written.
#[derive(Debug)]
pub(crate) struct Next {
    /// Made, and not taken yet.
    pub(crate) made: VecDeque<Segment>,
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
    /// `published` is synced, where that means something.
    pub(crate) fn new(folder: &Folder, published: Position, tally: Tally, next: Next) -> Self {
        let ahead = next.made.iter().map(|segment| folder.closes_in(segment.room())).sum();
        Self {
            number: published.lane,
            durability: folder.durability,
            published: AtomicU64::new(published.pack()),
            synced: AtomicU64::new(published.pack()),
            records: AtomicU64::new(tally.records),
            bytes: AtomicU64::new(tally.bytes),
            released_records: AtomicU64::new(0),
            released_bytes: AtomicU64::new(0),
            opens: AtomicU32::new(0),
            ahead: AtomicU32::new(ahead),
            next: Mutex::new(next),
            more_asked: AtomicBool::new(false),
            sync_asked: AtomicBool::new(false),
            waiting: Waiting::default(),
        }
    }

    pub(crate) fn published(&self) -> Position {
        Position::unpack(self.number, self.published.load(Ordering::Acquire))
    }

    pub(crate) fn synced(&self) -> Position {
        Position::unpack(self.number, self.synced.load(Ordering::Acquire))
    }

    /// Up to where the reader may read: what it hands out must be there after whatever the lane promises to survive.
    pub(crate) fn readable(&self) -> Position {
        match self.durability {
            Durability::Process => self.published(),
            Durability::Power => self.synced(),
        }
    }

    /// What is published; it may lag behind [`Lane::published`] or run ahead of it by a record.
    pub(crate) fn tally(&self) -> Tally {
        Tally { records: self.records.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// What is published and not released.
    pub(crate) fn waiting(&self) -> Tally {
        let released = [&self.released_records, &self.released_bytes].map(|word| word.load(Ordering::Acquire));
        let Tally { records, bytes } = self.tally();
        Tally { records: records.saturating_sub(released[0]), bytes: bytes.saturating_sub(released[1]) }
    }

    pub(crate) fn note_released(&self, tally: Tally) {
        self.released_records.store(tally.records, Ordering::Release);
        self.released_bytes.store(tally.bytes, Ordering::Release);
    }

    /// Shows the reader all that is written before `position`; called by the lane's one writer.
    pub(crate) fn publish(&self, position: Position, tally: Tally) {
        self.records.store(tally.records, Ordering::Relaxed);
        self.bytes.store(tally.bytes, Ordering::Relaxed);
        self.published.store(position.pack(), Ordering::Release);
    }

    /// All before `position` is on the disk.
    pub(crate) fn note_synced(&self, position: Position) {
        self.synced.fetch_max(position.pack(), Ordering::AcqRel);
    }

    pub(crate) fn note_opens(&self, opens: u32) {
        self.opens.store(opens, Ordering::Relaxed);
    }

    /// How many closes the segments that are made hold.
    pub(crate) fn ahead(&self) -> u32 {
        self.ahead.load(Ordering::Acquire)
    }

    /// Whether half a segment or more is made beside what the open requests' closes may need.
    pub(crate) fn next_is_made(&self, folder: &Folder) -> bool {
        let spare = folder.closes_in_new().div_ceil(2);
        self.ahead() >= self.opens.load(Ordering::Relaxed).saturating_add(spare)
    }

    /// Whether the made segments, the first of them with a record of `bytes` bytes, hold the closes of `opens` requests.
    pub(crate) fn next_holds(&self, folder: &Folder, bytes: u32, opens: u32) -> bool {
        let next = lock(&self.next);
        next.made.front().is_some_and(|first| {
            let room = first.room();
            let rest = self.ahead().saturating_sub(folder.closes_in(room));
            // One of another run that is too small for the record is left again.
            rest.saturating_add(room.checked_sub(bytes).map_or(0, |left| folder.closes_in(left))) >= opens
        })
    }

    /// The next segment; `None` when none is made.
    pub(crate) fn take_next(&self, folder: &Folder) -> Option<Segment> {
        let mut next = lock(&self.next);
        let segment = next.made.pop_front()?;
        self.ahead.fetch_sub(folder.closes_in(segment.room()), Ordering::AcqRel);
        Some(segment)
    }

    /// Makes a segment, unless one was made since `ahead` was looked at.
    pub(crate) fn make_one(&self, folder: &Folder, ahead: u32) -> Result<(), SpoolError> {
        let mut next = lock(&self.next);
        if self.ahead() > ahead { Ok(()) } else { self.create(&mut next, folder) }
    }

    /// Makes the segments that are missing ahead.
    pub(crate) fn make_next(&self, folder: &Folder) -> Result<(), SpoolError> {
        while !self.next_is_made(folder) {
            self.make_one(folder, self.ahead())?;
        }
        self.more_asked.store(false, Ordering::Release);
        Ok(())
    }

    fn create(&self, next: &mut Next, folder: &Folder) -> Result<(), SpoolError> {
        let Next { number, begins, .. } = *next;
        let power = folder.durability == Durability::Power;
        let segment = folder.create(Plan { lane: self.number, number, bytes: folder.segment_bytes, begins, power })?;
        next.number = number.saturating_add(1);
        next.begins = false;
        self.ahead.fetch_add(folder.closes_in(segment.room()), Ordering::AcqRel);
        next.made.push_back(segment);
        Ok(())
    }
}
