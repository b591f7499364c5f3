//! The one pass over what a lane holds.

use std::collections::VecDeque;

use super::matcher::RequestMatcher;
use super::scan::{Remainder, SegmentBytes};
use super::{RecoveryOptions, SkippedDamage, TruncatedTail};
use crate::error::SpoolError;
use crate::folder::Folder;
use crate::partition::RecordTotals;
use crate::position::Position;
use crate::record::{DecodeError, Frame, FrameContent, Kind, Record};
use crate::segment::{self, HEADER_BYTES, Segment};

/// The segments from where reading goes on until the lane's end.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) totals: RecordTotals,
    /// The last segment with records, if the lane has not left it.
    pub(super) tail: Option<Tail>,
    /// The empty ones after it.
    pub(super) preallocated: VecDeque<Segment>,
    /// The last segment that the lane has left or stands in; what is behind those ahead is to be removed.
    pub(super) last: u32,
    /// The lane began with the first of the segments.
    pub(super) is_first: bool,
    pub(super) truncated_tails: Vec<TruncatedTail>,
    pub(super) skipped_damage: Vec<SkippedDamage>,
    pub(super) skipped_ranges: Vec<(Position, Position)>,
    pub(super) open_at_start: RequestMatcher,
    pub(super) open_at_end: RequestMatcher,
}

#[derive(Debug)]
pub(super) struct Tail {
    pub(super) segment: Segment,
    pub(super) offset: u32,
    dirty_until: u32,
}

impl Tail {
    /// Zeros after the last record.
    pub(super) fn restore(&self) -> Result<Option<TruncatedTail>, SpoolError> {
        let Self { segment, offset, dirty_until } = self;
        segment.zero(*offset, *dirty_until)?;
        let bytes = dirty_until.saturating_sub(*offset);
        Ok((bytes > 0).then(|| TruncatedTail { file: segment.path.clone(), offset: *offset, bytes }))
    }
}

struct Replayer<'a> {
    folder: &'a Folder,
    options: RecoveryOptions<'a>,
    from: Position,
    replay: Replay,
}

/// How the records of a segment end.
enum SegmentEnd {
    /// The lane has left it.
    Sealed,
    /// The lane stands there.
    Tail(u32),
}

/// What is wrong with a place.
enum RecordFault {
    Corrupt,
    Newer,
}

pub(super) fn replay(
    folder: &Folder,
    from: Position,
    segments: &[u32],
    options: RecoveryOptions<'_>,
) -> Result<Replay, SpoolError> {
    let mut replayer = Replayer { folder, options, from, replay: Replay::default() };
    let mut bytes = Vec::new();
    for (index, (&number, expected)) in segments.iter().zip(from.segment..).enumerate() {
        if number != expected {
            return Err(SpoolError::Missing { file: segment::path(&folder.dir, from.partition, expected) });
        }
        replayer.replay.last = number;
        let later = segments.get(index + 1..).unwrap_or_default();
        let segment = match Segment::open(&folder.dir, from.partition, number) {
            Err(SpoolError::Corrupt { file, offset: 0 }) if options.skip_corrupt => {
                replayer.skip_whole(file, number);
                continue;
            }
            opened => opened?,
        };
        read(&segment, &mut bytes)?;
        if let SegmentEnd::Tail(offset) = replayer.segment(&segment, &bytes, later)? {
            let dirty_until = SegmentBytes::new(&bytes, segment.seed).dirty_until();
            replayer.replay.tail = Some(Tail { segment, offset, dirty_until });
            replayer.keep_preallocated(later, &mut bytes)?;
            break;
        }
    }
    Ok(replayer.replay)
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

impl Replayer<'_> {
    fn segment(&mut self, segment: &Segment, bytes: &[u8], later: &[u32]) -> Result<SegmentEnd, SpoolError> {
        let bytes = SegmentBytes::new(bytes, segment.seed);
        let mut at = HEADER_BYTES;
        if segment.number == self.from.segment {
            self.replay.is_first = segment.is_first;
            if self.from.offset < HEADER_BYTES || self.from.offset > segment.bytes {
                return Err(segment.corrupt(self.from.offset));
            }
            self.collect_ingested(bytes);
            self.replay.open_at_start = self.replay.open_at_end.clone();
            at = self.from.offset;
        }
        loop {
            let Some(frame) = bytes.frame(at) else {
                match self.gap(segment, bytes, at, later)? {
                    Some(ending) => return Ok(ending),
                    None => {
                        // Left out, up to the next record.
                        let Some(next) = bytes.next(at) else { return Ok(SegmentEnd::Sealed) };
                        at = next;
                        continue;
                    }
                }
            };
            let place = Position { partition: self.from.partition, segment: segment.number, offset: at + frame.len() };
            match self.process(&frame, place) {
                Ok(Kind::End) => return Ok(SegmentEnd::Sealed),
                Ok(_) => self.replay.totals.add(frame.len()),
                Err(RecordFault::Newer) => return Err(segment.newer(at)),
                Err(RecordFault::Corrupt) if self.options.skip_corrupt => self.skip(segment, at, place),
                Err(RecordFault::Corrupt) => return Err(segment.corrupt(at)),
            }
            at += frame.len();
        }
    }

    /// The opens and closes before the place where reading goes on. Their records are ingested: what cannot be read of them is
    /// nobody's loss, but for an open, whose reservation is then forgotten.
    fn collect_ingested(&mut self, bytes: SegmentBytes<'_>) {
        let Position { partition, segment, offset: until } = self.from;
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
                Ok(FrameContent::Record(Record::Open(opened))) => {
                    self.replay.open_at_end.opened(Position { partition, segment, offset: at }, opened);
                }
                Ok(FrameContent::Record(record)) => {
                    if let Some(id) = record.closes() {
                        self.replay.open_at_end.closed(id);
                    }
                }
                Ok(FrameContent::End) | Err(_) => {}
            }
        }
    }

    /// One intact record, before `place`.
    fn process(&mut self, frame: &Frame<'_>, place: Position) -> Result<Kind, RecordFault> {
        let fault = |why| match why {
            DecodeError::Newer => RecordFault::Newer,
            DecodeError::Damaged => RecordFault::Corrupt,
        };
        let kind = frame.kind().map_err(fault)?;
        // Closes are known by their headers.
        let decodes = kind == Kind::Open || self.options.visit.is_some() || self.options.skip_corrupt;
        if decodes && let FrameContent::Record(record) = frame.decode().map_err(fault)? {
            if let Some(visit) = self.options.visit {
                visit(&record);
            }
            if let Record::Open(opened) = record {
                self.replay.open_at_end.opened(place, opened);
            }
        }
        if kind.closes() {
            self.replay.open_at_end.closed(frame.id);
        }
        Ok(kind)
    }

    /// No record stands at `at`: the lane's end, which may be torn; or damage.
    fn gap(
        &mut self,
        segment: &Segment,
        bytes: SegmentBytes<'_>,
        at: u32,
        later: &[u32],
    ) -> Result<Option<SegmentEnd>, SpoolError> {
        let here = bytes.remainder(at);
        let there = self.remainder(later)?;
        // Rests of a torn record in this segment are what an append leaves; in another one they are not.
        let whole = Remainder { has_data: false, ..here }.and(there);
        if !whole.has_records && !whole.has_data {
            return Ok(Some(SegmentEnd::Tail(at)));
        }
        if segment.power && !whole.was_synced {
            return Ok(Some(SegmentEnd::Tail(at)));
        }
        if !self.options.skip_corrupt {
            return Err(segment.corrupt(at));
        }
        let next = bytes.next(at);
        let partition = self.from.partition;
        let after = match next {
            Some(offset) => Position { partition, segment: segment.number, offset },
            None => Position::start_of(partition, segment.number.saturating_add(1)),
        };
        self.skip(segment, at, after);
        Ok(None)
    }

    /// What stands in the segments behind the one that is read.
    fn remainder(&self, later: &[u32]) -> Result<Remainder, SpoolError> {
        let mut remainder = Remainder::default();
        let mut bytes = Vec::new();
        for &number in later {
            let segment = match Segment::open(&self.folder.dir, self.from.partition, number) {
                Ok(segment) => segment,
                Err(SpoolError::Corrupt { .. }) => {
                    remainder = remainder.and(Remainder::UNREADABLE);
                    continue;
                }
                Err(error) => return Err(error),
            };
            read(&segment, &mut bytes)?;
            remainder = remainder.and(SegmentBytes::new(&bytes, segment.seed).whole());
        }
        Ok(remainder)
    }

    /// Behind the tail: empty segments are kept, up to the first that a power cut has left something in.
    fn keep_preallocated(&mut self, later: &[u32], bytes: &mut Vec<u8>) -> Result<(), SpoolError> {
        let mut clean = true;
        for &number in later {
            let segment = Segment::open(&self.folder.dir, self.from.partition, number)?;
            read(&segment, bytes)?;
            let dirty_until = SegmentBytes::new(bytes, segment.seed).dirty_until();
            clean &= dirty_until <= HEADER_BYTES;
            if clean && self.replay.last.saturating_add(1 + self.preallocated_count()) == number {
                self.replay.preallocated.push_back(segment);
            } else if dirty_until > HEADER_BYTES {
                let (file, offset) = (segment.path, HEADER_BYTES);
                self.replay.truncated_tails.push(TruncatedTail { file, offset, bytes: dirty_until - HEADER_BYTES });
            }
        }
        Ok(())
    }

    fn preallocated_count(&self) -> u32 {
        u32::try_from(self.replay.preallocated.len()).unwrap_or(u32::MAX)
    }

    fn skip(&mut self, segment: &Segment, at: u32, after: Position) {
        let place = Position { partition: self.from.partition, segment: segment.number, offset: at };
        let to = if after.segment == segment.number { after.offset } else { segment.bytes };
        self.replay.skipped_ranges.push((place, after));
        self.replay.skipped_damage.push(SkippedDamage { file: segment.path.clone(), from: at, to });
    }

    /// A segment whose header is not one.
    fn skip_whole(&mut self, file: std::path::PathBuf, number: u32) {
        let partition = self.from.partition;
        let at = if number == self.from.segment { self.from } else { Position::start_of(partition, number) };
        self.replay.skipped_ranges.push((at, Position::start_of(partition, number.saturating_add(1))));
        let to = std::fs::metadata(&file).map_or(0, |metadata| u32::try_from(metadata.len()).unwrap_or(u32::MAX));
        self.replay.skipped_damage.push(SkippedDamage { file, from: 0, to });
    }
}
