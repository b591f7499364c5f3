//! The one pass over what a lane holds.

use std::collections::VecDeque;

use super::matching::Matching;
use super::scan::{Behind, Bytes};
use super::{Cut, Pass, Skipped};
use crate::error::SpoolError;
use crate::folder::Folder;
use crate::lane::Tally;
use crate::position::Position;
use crate::record::{Content, Frame, Kind, Record, Undecodable};
use crate::segment::{self, HEADER_BYTES, Segment};

/// The segments from where reading goes on until the lane's end.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) tally: Tally,
    /// The last segment with records, if the lane has not left it.
    pub(super) tail: Option<Tail>,
    /// The empty ones after it.
    pub(super) ahead: VecDeque<Segment>,
    /// The last segment that the lane has left or stands in; what is behind those ahead is to be removed.
    pub(super) last: u32,
    /// The lane began with the first of the segments.
    pub(super) begins: bool,
    pub(super) cuts: Vec<Cut>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) skips: Vec<(Position, Position)>,
    pub(super) before: Matching,
    pub(super) after: Matching,
}

#[derive(Debug)]
pub(super) struct Tail {
    pub(super) segment: Segment,
    pub(super) offset: u32,
    dirty_until: u32,
}

impl Tail {
    /// Zeros after the last record.
    pub(super) fn restore(&self) -> Result<Option<Cut>, SpoolError> {
        let Self { segment, offset, dirty_until } = self;
        segment.zero(*offset, *dirty_until)?;
        let bytes = dirty_until.saturating_sub(*offset);
        Ok((bytes > 0).then(|| Cut { file: segment.path.clone(), offset: *offset, bytes }))
    }
}

struct Walking<'a> {
    folder: &'a Folder,
    pass: Pass<'a>,
    from: Position,
    walk: Walk,
}

/// How the records of a segment end.
enum Ending {
    /// The lane has left it.
    Left,
    /// The lane stands there.
    Tail(u32),
}

/// What is wrong with a place.
enum Wrong {
    Corrupt,
    Newer,
}

pub(super) fn walk(folder: &Folder, from: Position, segments: &[u32], pass: Pass<'_>) -> Result<Walk, SpoolError> {
    let mut walking = Walking { folder, pass, from, walk: Walk::default() };
    let mut bytes = Vec::new();
    for (index, (&number, expected)) in segments.iter().zip(from.segment..).enumerate() {
        if number != expected {
            return Err(SpoolError::Missing { file: segment::path(&folder.dir, from.lane, expected) });
        }
        walking.walk.last = number;
        let later = segments.get(index + 1..).unwrap_or_default();
        let segment = match Segment::open(&folder.dir, from.lane, number) {
            Err(SpoolError::Corrupt { file, offset: 0 }) if pass.skip_corrupt => {
                walking.skip_whole(file, number);
                continue;
            }
            opened => opened?,
        };
        read(&segment, &mut bytes)?;
        if let Ending::Tail(offset) = walking.segment(&segment, &bytes, later)? {
            let dirty_until = Bytes::new(&bytes, segment.seed).dirty_until();
            walking.walk.tail = Some(Tail { segment, offset, dirty_until });
            walking.ahead(later, &mut bytes)?;
            break;
        }
    }
    Ok(walking.walk)
}

/// All of the segment's bytes.
fn read(segment: &Segment, bytes: &mut Vec<u8>) -> Result<(), SpoolError> {
    bytes.clear();
    bytes.resize(segment.bytes as usize, 0);
    if segment.read(bytes, 0)? < bytes.len() {
        // A file that was cut short is as if zeros followed, for the reader too.
        segment.allocate()?;
    }
    Ok(())
}

impl Walking<'_> {
    fn segment(&mut self, segment: &Segment, bytes: &[u8], later: &[u32]) -> Result<Ending, SpoolError> {
        let bytes = Bytes::new(bytes, segment.seed);
        let mut at = HEADER_BYTES;
        if segment.number == self.from.segment {
            self.walk.begins = segment.begins;
            if self.from.offset < HEADER_BYTES || self.from.offset > segment.bytes {
                return Err(segment.corrupt(self.from.offset));
            }
            self.ingested(bytes);
            self.walk.before = self.walk.after.clone();
            at = self.from.offset;
        }
        loop {
            let Some(frame) = bytes.frame(at) else {
                match self.hole(segment, bytes, (at, later))? {
                    Some(ending) => return Ok(ending),
                    None => {
                        // Left out, up to the next record.
                        let Some(next) = bytes.next(at) else { return Ok(Ending::Left) };
                        at = next;
                        continue;
                    }
                }
            };
            let place = Position { lane: self.from.lane, segment: segment.number, offset: at + frame.len() };
            match self.take(&frame, place) {
                Ok(Kind::End) => return Ok(Ending::Left),
                Ok(_) => self.walk.tally.add(frame.len()),
                Err(Wrong::Newer) => return Err(segment.newer(at)),
                Err(Wrong::Corrupt) if self.pass.skip_corrupt => self.skip(segment, at, place),
                Err(Wrong::Corrupt) => return Err(segment.corrupt(at)),
            }
            at += frame.len();
        }
    }

    /// The opens and closes before the place where reading goes on. Their records are ingested: what cannot be read of them is
    /// nobody's loss, but for an open, whose reservation is then forgotten.
    fn ingested(&mut self, bytes: Bytes<'_>) {
        let Position { lane, segment, offset: until } = self.from;
        let mut at = HEADER_BYTES;
        while let Some(next) = bytes.next(at).filter(|&next| next < until)
            && let Some(frame) = bytes.frame(next)
        {
            at = next + frame.len();
            if at > until {
                at = next + 1;
                continue;
            }
            match frame.decode() {
                Ok(Content::Record(Record::Open(opened))) => {
                    self.walk.after.opened(Position { lane, segment, offset: at }, opened);
                }
                Ok(Content::Record(record)) => {
                    if let Some(id) = record.closes() {
                        self.walk.after.closed(id);
                    }
                }
                Ok(Content::End) | Err(_) => {}
            }
        }
    }

    /// One intact record, before `place`.
    fn take(&mut self, frame: &Frame<'_>, place: Position) -> Result<Kind, Wrong> {
        let wrong = |why| match why {
            Undecodable::Newer => Wrong::Newer,
            Undecodable::Damaged => Wrong::Corrupt,
        };
        let kind = frame.kind().map_err(wrong)?;
        // Closes are known by their headers.
        let decodes = kind == Kind::Open || self.pass.visit.is_some() || self.pass.skip_corrupt;
        if decodes && let Content::Record(record) = frame.decode().map_err(wrong)? {
            if let Some(visit) = self.pass.visit {
                visit(&record);
            }
            if let Record::Open(opened) = record {
                self.walk.after.opened(place, opened);
            }
        }
        if kind.closes() {
            self.walk.after.closed(frame.id);
        }
        Ok(kind)
    }

    /// No record stands at `at`: the lane's end, which may be torn; or damage.
    fn hole(
        &mut self,
        segment: &Segment,
        bytes: Bytes<'_>,
        (at, later): (u32, &[u32]),
    ) -> Result<Option<Ending>, SpoolError> {
        let here = bytes.behind(at);
        let there = self.behind(later)?;
        // Rests of a torn record in this segment are what an append leaves; in another one they are not.
        let whole = Behind { dirty: false, ..here }.and(there);
        if !whole.records && !whole.dirty {
            return Ok(Some(Ending::Tail(at)));
        }
        if segment.power && !whole.after_sync {
            return Ok(Some(Ending::Tail(at)));
        }
        if !self.pass.skip_corrupt {
            return Err(segment.corrupt(at));
        }
        let next = bytes.next(at);
        let lane = self.from.lane;
        let after = match next {
            Some(offset) => Position { lane, segment: segment.number, offset },
            None => Position::start_of(lane, segment.number.saturating_add(1)),
        };
        self.skip(segment, at, after);
        Ok(None)
    }

    /// What stands in the segments behind the one that is read.
    fn behind(&self, later: &[u32]) -> Result<Behind, SpoolError> {
        let mut behind = Behind::default();
        let mut bytes = Vec::new();
        for &number in later {
            let segment = match Segment::open(&self.folder.dir, self.from.lane, number) {
                Ok(segment) => segment,
                Err(SpoolError::Corrupt { .. }) => {
                    behind = behind.and(Behind::UNREADABLE);
                    continue;
                }
                Err(error) => return Err(error),
            };
            read(&segment, &mut bytes)?;
            behind = behind.and(Bytes::new(&bytes, segment.seed).whole());
        }
        Ok(behind)
    }

    /// Behind the tail: empty segments are kept, up to the first that a power cut has left something in.
    fn ahead(&mut self, later: &[u32], bytes: &mut Vec<u8>) -> Result<(), SpoolError> {
        let mut clean = true;
        for &number in later {
            let segment = Segment::open(&self.folder.dir, self.from.lane, number)?;
            read(&segment, bytes)?;
            let dirty_until = Bytes::new(bytes, segment.seed).dirty_until();
            clean &= dirty_until <= HEADER_BYTES;
            if clean && self.walk.last.saturating_add(1 + self.made()) == number {
                self.walk.ahead.push_back(segment);
            } else if dirty_until > HEADER_BYTES {
                let (file, offset) = (segment.path, HEADER_BYTES);
                self.walk.cuts.push(Cut { file, offset, bytes: dirty_until - HEADER_BYTES });
            }
        }
        Ok(())
    }

    fn made(&self) -> u32 {
        u32::try_from(self.walk.ahead.len()).unwrap_or(u32::MAX)
    }

    fn skip(&mut self, segment: &Segment, at: u32, after: Position) {
        let place = Position { lane: self.from.lane, segment: segment.number, offset: at };
        let to = if after.segment == segment.number { after.offset } else { segment.bytes };
        self.walk.skips.push((place, after));
        self.walk.skipped.push(Skipped { file: segment.path.clone(), from: at, to });
    }

    /// A segment whose header is not one.
    fn skip_whole(&mut self, file: std::path::PathBuf, number: u32) {
        let lane = self.from.lane;
        let at = if number == self.from.segment { self.from } else { Position::start_of(lane, number) };
        self.walk.skips.push((at, Position::start_of(lane, number.saturating_add(1))));
        let to = std::fs::metadata(&file).map_or(0, |metadata| u32::try_from(metadata.len()).unwrap_or(u32::MAX));
        self.walk.skipped.push(Skipped { file, from: 0, to });
    }
}
