//! One record: a header in its final form, and a payload in postcard.
//!
//! ```text
//! length u32 | crc32c u32 | version u8 | kind u8 | reserved u16 (0) | id 16 bytes | payload (length bytes)
//! ```
//!
//! Integers are little-endian. The checksum covers all of the record but itself, and where it stands (lane, segment,
//! offset): bytes that a caller chose, copied into a payload, never pass for a record. Version 1 includes the payload's
//! form, so a change of [`UsageEvent`] or [`Counts`] needs version 2.

use meter::{Counts, UsageEvent};
use uuid::Uuid;

use crate::error::SpoolError;

/// Of a record's header.
pub(crate) const HEADER_BYTES: u32 = 28;
const HEAD: usize = HEADER_BYTES as usize;
/// The most that a payload may have.
pub const PAYLOAD_BYTES_MAX: u32 = 64 * 1024;
pub(crate) const RECORD_BYTES_MAX: usize = HEAD + PAYLOAD_BYTES_MAX as usize;
const VERSION: u8 = 1;

/// What is appended and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A request that was not opened beforehand: its close without an open, whole in itself.
    Event(UsageEvent),
    /// Requests folded into counts.
    Counts {
        /// Ingest is idempotent by it; a UUIDv7.
        id: Uuid,
        /// The counts; some hundreds fit into one record.
        counts: Vec<Counts>,
    },
}

impl Record {
    /// The id that stands in the header.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        match self {
            Self::Event(event) => event.id.0,
            Self::Counts { id, .. } => *id,
        }
    }
}

/// The codes of kinds. `Open`, `Close` and `Lease` are taken for what later versions write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Open,
    Close,
    Counts,
    Lease,
    Event,
    /// The last record of a segment, without payload: the lane goes on in the next one.
    End,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Close => 2,
            Self::Counts => 3,
            Self::Lease => 4,
            Self::Event => 5,
            Self::End => 255,
        }
    }

    const fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Open),
            2 => Some(Self::Close),
            3 => Some(Self::Counts),
            4 => Some(Self::Lease),
            5 => Some(Self::Event),
            255 => Some(Self::End),
            _ => None,
        }
    }
}

/// Binds checksums to the segment in which a record stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(u32);

impl Seed {
    pub(crate) fn new(lane: u32, segment: u32) -> Self {
        Self(crc32c::crc32c_append(crc32c::crc32c(&lane.to_le_bytes()), &segment.to_le_bytes()))
    }

    /// `rest` is what follows the checksum.
    fn checksum(self, offset: u32, length: [u8; 4], rest: &[u8]) -> u32 {
        let [o0, o1, o2, o3] = offset.to_le_bytes();
        let [l0, l1, l2, l3] = length;
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &[o0, o1, o2, o3, l0, l1, l2, l3]), rest)
    }
}

/// A record about to be written; the buffer is used again and again.
#[derive(Debug)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
    used: usize,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; RECORD_BYTES_MAX], used: 0 }
    }

    /// Encodes all but the checksum; answers how many bytes the record takes.
    pub(crate) fn put(&mut self, record: &Record) -> Result<u32, SpoolError> {
        let too_large = || SpoolError::TooLarge { payload_bytes_max: PAYLOAD_BYTES_MAX };
        let (head, room) = self.bytes.split_first_chunk_mut::<HEAD>().ok_or_else(too_large)?;
        let (kind, payload) = match record {
            Record::Event(event) => (Kind::Event, postcard::to_slice(event, room)),
            Record::Counts { counts, .. } => (Kind::Counts, postcard::to_slice(counts, room)),
        };
        // These types serialize always; what can fail is the room.
        let payload = payload.map_err(|_| too_large())?;
        let length = u32::try_from(payload.len()).map_err(|_| too_large())?;
        *head = header(kind, length, record.id());
        self.used = HEAD + payload.len();
        u32::try_from(self.used).map_err(|_| too_large())
    }

    /// The bytes of the record last put, as they stand at `offset`.
    pub(crate) fn stamped(&mut self, seed: Seed, offset: u32) -> &[u8] {
        let bytes = self.bytes.get_mut(..self.used).unwrap_or_default();
        stamp(bytes, seed, offset);
        bytes
    }
}

/// The record that ends a segment.
pub(crate) fn end(seed: Seed, offset: u32) -> [u8; HEAD] {
    let mut bytes = header(Kind::End, 0, Uuid::nil());
    stamp(&mut bytes, seed, offset);
    bytes
}

fn header(kind: Kind, length: u32, id: Uuid) -> [u8; HEAD] {
    let mut bytes = [0; HEAD];
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[8] = VERSION;
    bytes[9] = kind.code();
    bytes[12..].copy_from_slice(id.as_bytes());
    bytes
}

pub(crate) fn stamp(bytes: &mut [u8], seed: Seed, offset: u32) {
    if let Some(([l0, l1, l2, l3, checksum @ ..], rest)) = bytes.split_first_chunk_mut::<8>() {
        *checksum = seed.checksum(offset, [*l0, *l1, *l2, *l3], rest).to_le_bytes();
    }
}

/// An intact record, not decoded.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    version: u8,
    kind: u8,
    pub(crate) id: Uuid,
    payload: &'a [u8],
}

/// What a frame holds.
#[derive(Debug)]
pub(crate) enum Content {
    Record(Record),
    End,
}

/// Why a frame cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undecodable {
    Newer,
    Damaged,
}

/// The record with which `bytes` begin; `None` when none stands there whole and intact.
pub(crate) fn frame(bytes: &[u8], seed: Seed, offset: u32) -> Option<Frame<'_>> {
    let head = bytes.first_chunk::<HEAD>()?;
    let [l0, l1, l2, l3, c0, c1, c2, c3, version, kind, _, _, id @ ..] = *head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    // Zeros, the usual thing after the last record, are told apart without a checksum.
    if version == 0 || length > PAYLOAD_BYTES_MAX {
        return None;
    }
    let whole = bytes.get(..HEAD + length as usize)?;
    let (_, covered) = whole.split_first_chunk::<8>()?;
    let intact = seed.checksum(offset, [l0, l1, l2, l3], covered) == u32::from_le_bytes([c0, c1, c2, c3]);
    intact.then(|| Frame { version, kind, id: Uuid::from_bytes(id), payload: whole.get(HEAD..).unwrap_or_default() })
}

impl Frame<'_> {
    /// Bytes of header and payload.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(HEAD + self.payload.len()).unwrap_or(u32::MAX)
    }

    /// The kind, if this version knows how to read it.
    pub(crate) fn kind(&self) -> Result<Kind, Undecodable> {
        match Kind::of(self.kind) {
            Some(kind @ (Kind::Counts | Kind::Event | Kind::End)) if self.version == VERSION => Ok(kind),
            Some(Kind::Open | Kind::Close | Kind::Lease | Kind::Counts | Kind::Event | Kind::End) | None => {
                Err(Undecodable::Newer)
            }
        }
    }

    pub(crate) fn decode(&self) -> Result<Content, Undecodable> {
        match self.kind()? {
            Kind::Event => {
                let event: UsageEvent = postcard::from_bytes(self.payload).map_err(|_| Undecodable::Damaged)?;
                if event.id.0 == self.id {
                    Ok(Content::Record(Record::Event(event)))
                } else {
                    Err(Undecodable::Damaged)
                }
            }
            Kind::Counts => {
                let counts = postcard::from_bytes(self.payload).map_err(|_| Undecodable::Damaged)?;
                Ok(Content::Record(Record::Counts { id: self.id, counts }))
            }
            Kind::End => Ok(Content::End),
            Kind::Open | Kind::Close | Kind::Lease => Err(Undecodable::Newer),
        }
    }
}

#[cfg(test)]
mod tests;
