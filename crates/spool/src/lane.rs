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
    made: Mutex<VecDeque<Segment>>,
    /// Held while a segment is made: whoever takes one does not wait for it.
    making: Mutex<Making>,
    /// The thread that makes segments was told that there are too few.
    pub(crate) more_asked: AtomicBool,
    /// The thread that syncs was told that something was written.
    pub(crate) sync_asked: AtomicBool,
    pub(crate) waiting: Waiting,
}

/// The next segment to be made.
#[derive(Debug)]
pub(crate) struct Making {
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
    /// `published` is synced, where that means something; `made` are the segments after the one that is written.
    pub(crate) fn new(
        folder: &Folder,
        published: Position,
        tally: Tally,
        (made, making): (VecDeque<Segment>, Making),
    ) -> Self {
        let ahead = made.iter().map(|segment| folder.closes_in(segment.room())).sum();
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
            made: Mutex::new(made),
            making: Mutex::new(making),
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

    /// Whether what is made holds the closes of what is open, and half a segment more.
    pub(crate) fn has_room_ahead(&self, folder: &Folder) -> bool {
        self.spare() >= folder.closes_in_new().div_ceil(2)
    }

    /// Whether that and a quarter of a segment is made: more is asked for before there is no room.
    pub(crate) fn has_enough_ahead(&self, folder: &Folder) -> bool {
        self.spare() >= folder.closes_in_new().saturating_mul(3).div_ceil(4)
    }

    /// How many closes what is made holds beside those of what is open.
    fn spare(&self) -> u32 {
        self.ahead().saturating_sub(self.opens.load(Ordering::Relaxed))
    }

    /// Whether the made segments, the first of them with a record of `bytes` bytes, hold the closes of `opens` requests.
    pub(crate) fn next_holds(&self, folder: &Folder, bytes: u32, opens: u32) -> bool {
        lock(&self.made).front().is_some_and(|first| {
            let room = first.room();
            let rest = self.ahead().saturating_sub(folder.closes_in(room));
            // One of another run that is too small for the record is left again.
            rest.saturating_add(room.checked_sub(bytes).map_or(0, |left| folder.closes_in(left))) >= opens
        })
    }

    /// The next segment; `None` when none is made.
    pub(crate) fn take_next(&self, folder: &Folder) -> Option<Segment> {
        let mut made = lock(&self.made);
        let segment = made.pop_front()?;
        self.ahead.fetch_sub(folder.closes_in(segment.room()), Ordering::AcqRel);
        Some(segment)
    }

    /// Makes a segment, unless one was made since `ahead` was looked at.
    pub(crate) fn make_one(&self, folder: &Folder, ahead: u32) -> Result<(), SpoolError> {
        let mut making = lock(&self.making);
        if self.ahead() > ahead {
            return Ok(());
        }
        let Making { number, begins } = *making;
        let power = folder.durability == Durability::Power;
        let segment = folder.create(Plan { lane: self.number, number, bytes: folder.segment_bytes, begins, power })?;
        *making = Making { number: number.saturating_add(1), begins: false };
        let mut made = lock(&self.made);
        self.ahead.fetch_add(folder.closes_in(segment.room()), Ordering::AcqRel);
        made.push_back(segment);
        Ok(())
    }

    /// Makes the segments that are missing ahead.
    pub(crate) fn make_next(&self, folder: &Folder) -> Result<(), SpoolError> {
        while !self.has_enough_ahead(folder) {
            self.make_one(folder, self.ahead())?;
        }
        self.more_asked.store(false, Ordering::Release);
        Ok(())
    }
}
