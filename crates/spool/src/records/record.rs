//! One record: a header and a payload.
//!
//! ```text
//! length u32 | crc32c u32 | version u8 | kind u8 | synced u16 | id 16 bytes | payload (length bytes)
//! ```
//!
//! Integers are little-endian. The checksum covers the record and its place (partition, segment, offset), so that bytes
//! from a client inside a payload are never read as a record. `version` is a [`RecordVersion`], `synced` a `SyncMark`.
//! The form of the payload is in `payload`.

mod payload;
mod shared_texts;
mod shorten;

use meter::{Counts, UsageEvent};
use uuid::Uuid;

use crate::error::{SpoolError, UnknownFormat};
use crate::open_request::OpenRequest;
use crate::record_version::RecordVersion;
use payload::{InvalidPayload, PayloadReader, PayloadWriter};

pub(crate) use shared_texts::SharedTexts;
pub(crate) use shorten::shortened;

/// Size of a record's header.
pub(crate) const HEADER_BYTES: u32 = 28;
const HEAD: usize = HEADER_BYTES as usize;
/// Maximum size of a record's payload.
pub const PAYLOAD_BYTES_MAX: u32 = 64 * 1024;
pub(crate) const RECORD_BYTES_MAX: usize = HEAD + PAYLOAD_BYTES_MAX as usize;

/// The content of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A request whose cost is known only at its end. It is appended before the first byte goes to an upstream.
    Open(OpenRequest),
    /// The usage event of an open request, which may have been opened in another partition or run.
    Close(UsageEvent),
    /// The usage event of a request that was not opened.
    Event(UsageEvent),
    /// Aggregated requests of one flush.
    Counts {
        /// A UUIDv7; ingest is idempotent by it.
        id: Uuid,
        /// The counts; a record holds several hundred of them.
        counts: Vec<Counts>,
    },
    /// The close of a pre-logged batch, which was opened as one [`Record::Open`] with this id.
    CloseBatch {
        /// The id of the batch's open record.
        id: Uuid,
        /// The counts of the requests that were sent. They take at most [`crate::CLOSE_BYTES_MAX`] bytes, or the record
        /// is refused where only its reserved room is left.
        counts: Vec<Counts>,
    },
}

impl Record {
    /// Returns the id in the record's header.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        match self {
            Self::Open(opened) => opened.id.0,
            Self::Close(event) | Self::Event(event) => event.id.0,
            Self::Counts { id, .. } | Self::CloseBatch { id, .. } => *id,
        }
    }

    /// Returns the id of the request or batch that this record closes.
    #[must_use]
    pub const fn closes(&self) -> Option<Uuid> {
        match self {
            Self::Close(event) => Some(event.id.0),
            Self::CloseBatch { id, .. } => Some(*id),
            Self::Open(_) | Self::Event(_) | Self::Counts { .. } => None,
        }
    }
}

/// The kinds of records. `Lease` is reserved for later versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Open,
    Close,
    Counts,
    Lease,
    Event,
    CloseBatch,
    /// The last record of a sealed segment, without payload; the next segment continues the partition.
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
            Self::CloseBatch => 6,
            Self::End => 255,
        }
    }

    /// Returns whether records of this kind close the request or batch with their id.
    pub(crate) const fn closes(self) -> bool {
        matches!(self, Self::Close | Self::CloseBatch)
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Open),
            2 => Some(Self::Close),
            3 => Some(Self::Counts),
            4 => Some(Self::Lease),
            5 => Some(Self::Event),
            6 => Some(Self::CloseBatch),
            255 => Some(Self::End),
            _ => None,
        }
    }
}

/// The part of a checksum that depends on partition and segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChecksumSeed(u32);

impl ChecksumSeed {
    pub(crate) fn new(partition: u32, segment: u32) -> Self {
        Self(crc32c::crc32c_append(crc32c::crc32c(&partition.to_le_bytes()), &segment.to_le_bytes()))
    }

    /// Computes the checksum; `rest` is the part of the record after the checksum.
    fn checksum(self, offset: u32, length: [u8; 4], rest: &[u8]) -> u32 {
        let [o0, o1, o2, o3] = offset.to_le_bytes();
        let [l0, l1, l2, l3] = length;
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &[o0, o1, o2, o3, l0, l1, l2, l3]), rest)
    }
}

/// The length of the segment's synced part when a record was written: whole KiB plus one, or 0 under
/// [`crate::SpoolDurability::Process`]. It distinguishes the effects of a power cut from damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyncMark(u16);

impl SyncMark {
    pub(crate) const UNKNOWN: Self = Self(0);

    /// Returns the mark of a segment that is synced up to `offset`.
    pub(crate) fn until(offset: u32) -> Self {
        Self(u16::try_from(offset / 1024).unwrap_or(u16::MAX).saturating_add(1))
    }

    /// Returns whether a power cut may have removed the data at `offset` when the record was written.
    pub(crate) fn may_lose(self, offset: u32) -> bool {
        self.0.checked_sub(1).is_some_and(|kib| u32::from(kib) * 1024 <= offset)
    }
}

/// The place of a record, and the synced part of its segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordLocation {
    pub(crate) seed: ChecksumSeed,
    pub(crate) offset: u32,
    pub(crate) synced: SyncMark,
}

/// Encodes records into one reused buffer.
#[derive(Debug)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
    used: usize,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; RECORD_BYTES_MAX], used: 0 }
    }

    /// Encodes a record without its checksum; returns its size.
    pub(crate) fn encode(&mut self, record: &Record) -> Result<u32, SpoolError> {
        let too_large = || SpoolError::TooLarge { payload_bytes_max: PAYLOAD_BYTES_MAX };
        let (head, room) = self.bytes.split_first_chunk_mut::<HEAD>().ok_or_else(too_large)?;
        let mut writer = PayloadWriter::new(room);
        let (kind, written) = match record {
            Record::Open(opened) => (Kind::Open, payload::write_open(&mut writer, opened)),
            Record::Close(event) => (Kind::Close, payload::write_event(&mut writer, event)),
            Record::Event(event) => (Kind::Event, payload::write_event(&mut writer, event)),
            Record::Counts { counts, .. } => (Kind::Counts, payload::write_counts(&mut writer, counts)),
            Record::CloseBatch { counts, .. } => (Kind::CloseBatch, payload::write_counts(&mut writer, counts)),
        };
        written.map_err(|_| too_large())?;
        let payload_bytes = writer.len();
        let length = u32::try_from(payload_bytes).map_err(|_| too_large())?;
        *head = header(kind, length, record.id());
        self.used = HEAD + payload_bytes;
        u32::try_from(self.used).map_err(|_| too_large())
    }

    /// Returns the bytes of the last encoded record for its location.
    pub(crate) fn stamped(&mut self, location: RecordLocation) -> &[u8] {
        let bytes = self.bytes.get_mut(..self.used).unwrap_or_default();
        stamp_location(bytes, location);
        bytes
    }
}

/// Returns an open request as the store keeps it: the version of the payload, and the payload of its record.
pub(crate) fn to_stored(opened: &OpenRequest) -> Result<Vec<u8>, SpoolError> {
    let too_large = |_| SpoolError::TooLarge { payload_bytes_max: PAYLOAD_BYTES_MAX };
    let mut payload = vec![0; PAYLOAD_BYTES_MAX as usize];
    let mut writer = PayloadWriter::new(&mut payload);
    payload::write_open(&mut writer, opened).map_err(too_large)?;
    let bytes = writer.len();
    let written = payload.iter().take(bytes);
    Ok(std::iter::once(&RecordVersion::CURRENT.to_byte()).chain(written).copied().collect())
}

/// Reads what [`to_stored`] returned, in this or another minor version.
pub(crate) fn from_stored(stored: &[u8]) -> Result<OpenRequest, DecodeError> {
    let Some((&version, payload)) = stored.split_first() else { return Err(DecodeError::Damaged) };
    let version = RecordVersion::from_byte(version);
    match version.is_readable().then(|| payload::read_open(PayloadReader::new(payload))) {
        Some(Ok(opened)) => Ok(opened),
        Some(Err(InvalidPayload)) if !version.is_later_minor() => Err(DecodeError::Damaged),
        // Of another major version, or with a code of a later minor version.
        Some(Err(InvalidPayload)) | None => {
            Err(DecodeError::Newer(UnknownFormat::Record { found: version, known: RecordVersion::CURRENT }))
        }
    }
}

/// Returns the record that ends a segment.
pub(crate) fn end(location: RecordLocation) -> [u8; HEAD] {
    let mut bytes = header(Kind::End, 0, Uuid::nil());
    stamp_location(&mut bytes, location);
    bytes
}

fn stamp_location(bytes: &mut [u8], location: RecordLocation) {
    if let Some(synced) = bytes.get_mut(10..12) {
        synced.copy_from_slice(&location.synced.0.to_le_bytes());
    }
    stamp(bytes, location.seed, location.offset);
}

fn header(kind: Kind, length: u32, id: Uuid) -> [u8; HEAD] {
    let mut bytes = [0; HEAD];
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[8] = RecordVersion::CURRENT.to_byte();
    bytes[9] = kind.code();
    bytes[12..].copy_from_slice(id.as_bytes());
    bytes
}

pub(crate) fn stamp(bytes: &mut [u8], seed: ChecksumSeed, offset: u32) {
    if let Some(([l0, l1, l2, l3, checksum @ ..], rest)) = bytes.split_first_chunk_mut::<8>() {
        *checksum = seed.checksum(offset, [*l0, *l1, *l2, *l3], rest).to_le_bytes();
    }
}

/// An intact record that is not decoded.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    version: RecordVersion,
    kind: u8,
    pub(crate) synced: SyncMark,
    pub(crate) id: Uuid,
    payload: &'a [u8],
}

/// The decoded content of a frame.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one value exists at a time, and the smaller variant is rare")]
pub(crate) enum FrameContent {
    Record(Record),
    End,
}

/// The reason why a frame cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeError {
    Newer(UnknownFormat),
    Damaged,
}

impl From<InvalidPayload> for DecodeError {
    fn from(InvalidPayload: InvalidPayload) -> Self {
        Self::Damaged
    }
}

/// Returns the record at the beginning of `bytes`, if it is complete and intact.
pub(crate) fn frame(bytes: &[u8], seed: ChecksumSeed, offset: u32) -> Option<Frame<'_>> {
    let head = bytes.first_chunk::<HEAD>()?;
    let [l0, l1, l2, l3, c0, c1, c2, c3, version, kind, s0, s1, id @ ..] = *head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    // Zeros usually follow the last record; they are recognized without a checksum. No record begins with them, on which
    // `Segment::read_data` relies.
    if version == 0 || length > PAYLOAD_BYTES_MAX {
        return None;
    }
    let whole = bytes.get(..HEAD + length as usize)?;
    let (_, covered) = whole.split_first_chunk::<8>()?;
    let intact = seed.checksum(offset, [l0, l1, l2, l3], covered) == u32::from_le_bytes([c0, c1, c2, c3]);
    intact.then(|| Frame {
        version: RecordVersion::from_byte(version),
        kind,
        synced: SyncMark(u16::from_le_bytes([s0, s1])),
        id: Uuid::from_bytes(id),
        payload: whole.get(HEAD..).unwrap_or_default(),
    })
}

impl Frame<'_> {
    /// Returns the size of header and payload.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(HEAD + self.payload.len()).unwrap_or(u32::MAX)
    }

    /// Returns the kind, if this release can read it.
    pub(crate) fn kind(&self) -> Result<Kind, DecodeError> {
        if !self.version.is_readable() {
            let found = self.version;
            let known = RecordVersion::CURRENT;
            return Err(DecodeError::Newer(UnknownFormat::Record { found, known }));
        }
        match Kind::from_code(self.kind) {
            Some(kind) if kind != Kind::Lease => Ok(kind),
            Some(_) | None => Err(self.unknown_kind()),
        }
    }

    /// Decodes the payload. A later minor version may contain a code that this release does not know. The checksum is
    /// valid, so such a record is not damaged.
    pub(crate) fn decode(&self) -> Result<FrameContent, DecodeError> {
        self.decode_with(None)
    }

    /// Decodes the payload as [`decode`](Self::decode) does, with the texts that earlier records contained.
    pub(crate) fn decode_with(&self, texts: Option<&SharedTexts>) -> Result<FrameContent, DecodeError> {
        match self.decode_known(texts) {
            Err(DecodeError::Damaged) if self.version.is_later_minor() => {
                let found = self.version;
                let known = RecordVersion::CURRENT;
                Err(DecodeError::Newer(UnknownFormat::Record { found, known }))
            }
            decoded => decoded,
        }
    }

    fn decode_known(&self, texts: Option<&SharedTexts>) -> Result<FrameContent, DecodeError> {
        let payload = PayloadReader::new(self.payload).sharing(texts);
        let record = match self.kind()? {
            Kind::Open => Record::Open(payload::read_open(payload)?),
            Kind::Close => Record::Close(payload::read_event(payload)?),
            Kind::Event => Record::Event(payload::read_event(payload)?),
            Kind::Counts => Record::Counts { id: self.id, counts: payload::read_counts(payload)? },
            Kind::CloseBatch => Record::CloseBatch { id: self.id, counts: payload::read_counts(payload)? },
            Kind::End => return Ok(FrameContent::End),
            Kind::Lease => return Err(self.unknown_kind()),
        };
        if record.id() == self.id { Ok(FrameContent::Record(record)) } else { Err(DecodeError::Damaged) }
    }

    const fn unknown_kind(&self) -> DecodeError {
        DecodeError::Newer(UnknownFormat::Kind { kind: self.kind, version: self.version })
    }
}

#[cfg(test)]
mod tests;
