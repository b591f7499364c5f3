//! One pass over the records of a partition.

use std::collections::VecDeque;

use super::matcher::RequestMatcher;
use super::{RecoveryOptions, SkippedDamage, TruncatedTail};
use crate::error::SpoolError;
use crate::folder::Folder;
use crate::partition::RecordTotals;
use crate::records::position::Position;
use crate::records::record::{DecodeError, Frame, FrameContent, Kind, Record};
use crate::records::segment::{self, HEADER_BYTES, Segment};
use crate::records::segment_bytes::{Remainder, SegmentBytes};

/// The result of a replay, from the reader's position to the partition's end.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) totals: RecordTotals,
    /// The last segment with records, if it is not sealed.
    pub(super) tail: Option<Tail>,
    /// The empty segments after it.
    pub(super) preallocated: VecDeque<Segment>,
    /// The last segment that is sealed or contains the partition's end. Segments after the preallocated ones are
    /// removed.
    pub(super) last: u32,
    /// Whether the partition begins with the first of the segments.
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
    /// Overwrites everything after the last record with zeros.
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

/// The end of a segment's records.
enum SegmentEnd {
    /// The segment is sealed: the partition continues in the next one.
    Sealed,
    /// The partition ends at this offset. `later_are_empty` means that no segment after it has data.
    Tail { offset: u32, later_are_empty: bool },
}

/// An offset without an intact record, and the segments after its segment.
#[derive(Clone, Copy)]
struct Gap<'a> {
    at: u32,
    later: &'a [u32],
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
        if let SegmentEnd::Tail { offset, later_are_empty } = replayer.segment(&segment, &bytes, later)? {
            let dirty_until = SegmentBytes::new(&bytes, segment.seed).dirty_until();
            replayer.replay.tail = Some(Tail { segment, offset, dirty_until });
            replayer.keep_preallocated(later, later_are_empty)?;
            break;
        }
    }
    Ok(replayer.replay)
}

/// Reads the records of the segment.
fn read(segment: &Segment, bytes: &mut Vec<u8>) -> Result<(), SpoolError> {
    if segment.read_data(bytes)? < segment.bytes {
        // The missing end of a truncated file is read as zeros, by the reader too.
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
            self.collect_ingested(segment, bytes)?;
            self.replay.open_at_start = self.replay.open_at_end.clone();
            at = self.from.offset;
        }
        loop {
            let Some(frame) = bytes.frame(at) else {
                match self.gap(segment, bytes, Gap { at, later })? {
                    Some(ending) => return Ok(ending),
                    None => {
                        // The damage is skipped up to the next record.
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
                Err(DecodeError::Newer(format)) => return Err(segment.newer(at, format)),
                Err(DecodeError::Damaged) if self.options.skip_corrupt => self.skip(segment, at, place),
                Err(DecodeError::Damaged) => return Err(segment.corrupt(at)),
            }
            at += frame.len();
        }
    }

    /// Collects the opens and closes before the reader's position. Their records are ingested, so damage there is
    /// ignored; the reservation of a damaged open is lost. An unknown version is refused: a later version may have left
    /// a request open there.
    fn collect_ingested(&mut self, segment: &Segment, bytes: SegmentBytes<'_>) -> Result<(), SpoolError> {
        let Position { partition, offset: until, .. } = self.from;
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
                    self.replay.open_at_end.opened(Position { partition, segment: segment.number, offset: at }, opened);
                }
                Ok(FrameContent::Record(record)) => {
                    if let Some(id) = record.closes() {
                        self.replay.open_at_end.closed(id);
                    }
                }
                Err(DecodeError::Newer(format)) => return Err(segment.newer(next, format)),
                Ok(FrameContent::End) | Err(DecodeError::Damaged) => {}
            }
        }
        Ok(())
    }

    /// Processes one intact record, which ends at `place`.
    fn process(&mut self, frame: &Frame<'_>, place: Position) -> Result<Kind, DecodeError> {
        let kind = frame.kind()?;
        // The header is sufficient for a close.
        let decodes = kind == Kind::Open || self.options.visit.is_some() || self.options.skip_corrupt;
        if decodes && let FrameContent::Record(record) = frame.decode()? {
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

    /// Handles an offset without an intact record: the partition's end, which may be incomplete, or damage.
    fn gap(
        &mut self,
        segment: &Segment,
        bytes: SegmentBytes<'_>,
        gap: Gap<'_>,
    ) -> Result<Option<SegmentEnd>, SpoolError> {
        let Gap { at, later } = gap;
        let here = bytes.remainder(at);
        let there = self.remainder(later)?;
        let tail = SegmentEnd::Tail { offset: at, later_are_empty: !there.has_data };
        // An append may leave an incomplete record in this segment, but no data in later segments.
        let whole = Remainder { has_data: false, ..here }.and(there);
        if !whole.has_records && !whole.has_data {
            return Ok(Some(tail));
        }
        if segment.power && !whole.was_synced {
            return Ok(Some(tail));
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

    /// Describes the data in the segments after the current one.
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

    /// Keeps the empty segments after the tail, up to the first one in which a power cut has left data. If all are known to be
    /// empty, they are not read again.
    fn keep_preallocated(&mut self, later: &[u32], are_empty: bool) -> Result<(), SpoolError> {
        let mut clean = true;
        let mut bytes = Vec::new();
        for &number in later {
            let segment = Segment::open(&self.folder.dir, self.from.partition, number)?;
            let dirty_until = if are_empty {
                HEADER_BYTES
            } else {
                read(&segment, &mut bytes)?;
                SegmentBytes::new(&bytes, segment.seed).dirty_until()
            };
            clean &= dirty_until <= HEADER_BYTES;
            if clean && self.replay.last.saturating_add(1 + self.preallocated_count()) == number {
                self.replay.preallocated.push_back(segment);
            } else if dirty_until > HEADER_BYTES {
                let file = segment.path;
                let offset = HEADER_BYTES;
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

    /// Skips a segment whose header is damaged.
    fn skip_whole(&mut self, file: std::path::PathBuf, number: u32) {
        let partition = self.from.partition;
        let at = if number == self.from.segment { self.from } else { Position::start_of(partition, number) };
        self.replay.skipped_ranges.push((at, Position::start_of(partition, number.saturating_add(1))));
        let to = std::fs::metadata(&file).map_or(0, |metadata| u32::try_from(metadata.len()).unwrap_or(u32::MAX));
        self.replay.skipped_damage.push(SkippedDamage { file, from: 0, to });
    }
}
