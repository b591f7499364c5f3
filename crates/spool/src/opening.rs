//! Opening the folder: recovery of every lane, writers and reader, and what was open when the last run died.

use std::collections::{BTreeMap, HashSet};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use meter::UsageEvent;
use uuid::Uuid;

use crate::ahead::Ahead;
use crate::error::SpoolError;
use crate::folder::{Durability, Folder};
use crate::lane::Lane;
use crate::opened::{Interrupted, Opened};
use crate::options::Options;
use crate::position::Position;
use crate::reader::held::Held;
use crate::reader::{Reader, Reading};
use crate::record::Record;
use crate::recovery::{self, Cut, Found, Lost, Matching, Pass, Recovered, Skipped};
use crate::segment;
use crate::sync::Sync as Syncs;
use crate::writer::{Beside, Current, Writer};

/// What a start knows.
pub struct Opening<'a> {
    /// The folder, made where it is missing for this user alone. Only one process may have it open; the caller sees to
    /// that.
    pub dir: &'a Path,
    /// How large the spool is.
    pub options: Options,
    /// What an append survives.
    pub durability: Durability,
    /// Whose folder it is; what another node left in it is refused. `None` asks nobody.
    pub node: Option<Uuid>,
    /// Where reading goes on: the positions that the store committed ([`crate::Batch::positions`]), for good, as the
    /// segments before them are removed. A lane without one is read from its first segment, and so is one whose position
    /// lies before that ([`Spool::lost`]).
    pub ingested: &'a [Position],
    /// The open requests that the store keeps ([`crate::Reader::carried`]), as of these positions.
    pub carried: &'a [Opened],
    /// Shown each record that was not released, those of a lane in order, lanes beside each other on several threads: to
    /// count what the store does not know yet. When opening fails, some may have been shown.
    pub visit: Option<&'a (dyn Fn(&Record) + Sync)>,
    /// Whether damage is left out ([`Spool::skipped`]) instead of refused.
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
    pub cuts: Vec<Cut>,
    /// Segments that are gone and that the store does not have, for the log; told at each start until something that
    /// came after them is ingested.
    pub lost: Vec<Lost>,
    /// Damage that was left out, for the log and for whoever asked for it.
    pub skipped: Vec<Skipped>,
    /// What was open when the last run died and is not closed yet, oldest first: for [`Spool::settle`].
    pub interrupted: Vec<Interrupted>,
    /// Of lanes that have no writer in this run, and requests that are open.
    leftover: Vec<Writer>,
}

impl<'a> Opening<'a> {
    /// Everything else as it is without being asked for.
    #[must_use]
    pub const fn new(dir: &'a Path, options: Options, ingested: &'a [Position]) -> Self {
        let durability = Durability::Process;
        Self { dir, options, durability, node: None, ingested, carried: &[], visit: None, skip_corrupt: false }
    }

    /// Opens the folder and recovers what is in it, in one pass over what was not released.
    ///
    /// # Errors
    /// [`SpoolError::Corrupt`], [`SpoolError::Missing`] or [`SpoolError::Newer`] when events that are not ingested
    /// cannot be read; [`SpoolError::OtherNode`]; [`SpoolError::TooSmall`] or [`SpoolError::SegmentSize`] for the options;
    /// [`SpoolError::Io`], for a folder that cannot be written too.
    pub fn open(self) -> Result<Spool, SpoolError> {
        let Self { dir, options, durability, node, ingested, carried, visit, skip_corrupt } = self;
        options.check()?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(SpoolError::io("create", dir))?;
        let folder = Folder::new(dir.to_path_buf(), options.segment_bytes, options.size_bytes_max, durability);
        let folder = Arc::new(folder);
        folder.check_writable()?;
        if let Some(node) = node {
            folder.claim(node)?;
        }
        let mut segments: BTreeMap<u32, Vec<u32>> = segment::list(dir)?;
        for lane in 0..options.lanes {
            segments.entry(lane).or_default();
        }
        let found = segments.into_iter().map(|(lane, segments)| {
            let start = ingested.iter().copied().filter(|position| position.lane == lane).max();
            Found { lane, segments, start, written: lane < options.lanes }
        });
        let recovered = recovery::all(&folder, found.collect(), Pass { visit, skip_corrupt })?;
        folder.sync()?;
        Spool::of(&folder, options.lanes, recovered, carried)
    }
}

impl Spool {
    /// [`Opening::open`] with what needs no more than positions.
    ///
    /// # Errors
    /// As [`Opening::open`].
    pub fn open(dir: &Path, options: Options, ingested: &[Position]) -> Result<Self, SpoolError> {
        Opening::new(dir, options, ingested).open()
    }

    /// Closes what was interrupted, each as `close` tells, before anything else is appended: there is room for that, in its
    /// own lane too where that has no writer any more. On an error the rest is still in [`Spool::interrupted`], and can be
    /// tried again when ingest has made room; a start that ends in between finds it again.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn settle(&mut self, mut close: impl FnMut(&Interrupted) -> UsageEvent) -> Result<(), SpoolError> {
        let mut settled = 0;
        let mut appended = Ok(());
        for one in &self.interrupted {
            let record = Record::Close(close(one));
            // In the lane of its open, so that none of the two outlives the other in a way that opens it again.
            let own = |writer: &&mut Writer| one.lane == Some(writer.lane.number);
            let mut writers = self.writers.iter_mut().chain(&mut self.leftover);
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
        self.leave()
    }

    fn of(folder: &Arc<Folder>, lanes: u32, all: Vec<Recovered>, carried: &[Opened]) -> Result<Self, SpoolError> {
        let afters: Vec<&Matching> = all.iter().map(|lane| &lane.after).collect();
        let interrupted = recovery::interrupted(&afters, carried);
        let open_in: HashSet<u32> = interrupted.iter().filter_map(|one| one.lane).collect();
        let befores: Vec<&Matching> = all.iter().map(|lane| &lane.before).collect();
        let held = Held::new(Matching::still_open(&befores).cloned(), carried);
        let (mut cuts, mut lost, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        let (mut own, mut left, mut readings) = (Vec::new(), Vec::new(), Vec::new());
        // Segments are made only when all that are there are counted.
        for one in all {
            cuts.extend(one.cuts);
            lost.extend(one.lost);
            skipped.extend(one.skipped);
            let (lane, mut current) = (one.lane, one.current);
            if lane.number < lanes {
                if current.is_none() {
                    current = first(folder, &lane)?;
                }
                own.push((Arc::clone(&lane), current));
            } else if open_in.contains(&lane.number) || current.is_some() {
                left.push((Arc::clone(&lane), current));
            }
            readings.push(Reading::new(lane, one.from, one.lowest, one.skips));
        }
        let ahead = own.iter().map(|(lane, _)| Arc::clone(lane)).collect();
        let synced: Vec<Arc<Lane>> = own.iter().chain(&left).map(|(lane, _)| Arc::clone(lane)).collect();
        let ahead = Arc::new(Ahead::start(Arc::clone(folder), ahead)?);
        let sync = Syncs::start(Arc::clone(folder), &synced)?.map(Arc::new);
        let beside = Beside { ahead, sync };
        let writer = |(lane, current)| Writer::new(Arc::clone(folder), lane, beside.clone(), current);
        let writers = own.into_iter().map(writer).collect();
        let leftover = left.into_iter().map(writer).collect();
        let reader = Reader::new(Arc::clone(folder), beside.clone(), readings, held);
        let mut spool = Self { writers, reader, cuts, lost, skipped, interrupted, leftover };
        if spool.interrupted.is_empty() {
            spool.leave()?;
        }
        Ok(spool)
    }

    fn leave(&mut self) -> Result<(), SpoolError> {
        while let Some(writer) = self.leftover.last_mut() {
            writer.leave()?;
            self.leftover.pop();
        }
        Ok(())
    }
}

/// A lane's first segment; none while the spool is full of what a former run left.
fn first(folder: &Folder, lane: &Lane) -> Result<Option<Current>, SpoolError> {
    match lane.make_one(folder, 0) {
        Ok(()) => Ok(lane.take_next(folder).map(Current::start)),
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
