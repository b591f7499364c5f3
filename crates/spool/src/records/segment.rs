//! A segment: one preallocated file of a partition.
//!
//! ```text
//! magic 8 bytes | version u16 | flags u16 | partition u32 | number u32 | bytes u32 | reserved u32 (0) | crc32c u32 | records
//! ```
//!
//! After the last record, the file contains zeros. A sealed segment ends with `Kind::End`. A segment is created under
//! another name and renamed, so its header is always complete.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::{SpoolError, UnknownFormat};
use crate::records::record::{self, ChecksumSeed, RECORD_BYTES_MAX};

pub(crate) const HEADER_BYTES: u32 = 32;
/// Size of a segment's header and end record.
pub(crate) const FRAME_BYTES: u32 = HEADER_BYTES + record::HEADER_BYTES;
pub(crate) const BYTES_MIN: u32 = 4 * 1024;
pub(crate) const BYTES_MAX: u32 = 64 * 1024 * 1024;
/// The bytes that are read at once.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;
const _: () = assert!(CHUNK_BYTES >= RECORD_BYTES_MAX);
/// Compared with whole blocks, because a new segment has millions of zeros.
pub(crate) const ZEROS: [u8; 4096] = [0; 4096];
const MAGIC: [u8; 8] = *b"TGSPOOL\n";
const VERSION: u16 = 1;
/// Flag: the partition begins with this segment.
const FIRST: u16 = 1;
/// Flag: created under [`crate::SpoolDurability::Power`]. A power cut may leave gaps in the part that is not synced.
const POWER: u16 = 2;
const EXTENSION: &str = "spool";
const EXTENSION_NEW: &str = "new";

/// The open file of a segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    /// Size of the file, header included.
    pub(crate) bytes: u32,
    /// Whether the partition begins with this segment.
    pub(crate) is_first: bool,
    /// Whether its records contain how far they were synced.
    pub(crate) power: bool,
    pub(crate) seed: ChecksumSeed,
    pub(crate) path: PathBuf,
    file: File,
}

/// The properties of a segment that is to be created.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentSpec {
    pub(crate) partition: u32,
    pub(crate) number: u32,
    pub(crate) bytes: u32,
    pub(crate) is_first: bool,
    pub(crate) power: bool,
}

impl Segment {
    /// Creates the file and allocates all of its bytes; after an error no file is left.
    pub(crate) fn create(dir: &Path, spec: SegmentSpec) -> Result<Self, SpoolError> {
        let path = path(dir, spec.partition, spec.number);
        let new = path.with_extension(EXTENSION_NEW);
        let made = Self::create_at(&new, path.clone(), spec).and_then(|segment| {
            if spec.power {
                disk::sync_folder(dir).map_err(SpoolError::io("sync", dir))?;
            }
            Ok(segment)
        });
        if made.is_err() {
            // A file that cannot be removed is replaced by the next try, or found empty at the next start.
            let _ = disk::remove(&new);
            let _ = disk::remove(&path);
        }
        made
    }

    fn create_at(new: &Path, path: PathBuf, spec: SegmentSpec) -> Result<Self, SpoolError> {
        let file = disk::create(new).map_err(SpoolError::io("create", new))?;
        disk::allocate(&file, spec.bytes.into()).map_err(SpoolError::io("allocate", new))?;
        disk::write_at(&file, &header(spec), 0).map_err(SpoolError::io("write", new))?;
        if spec.power {
            disk::sync(&file).map_err(SpoolError::io("sync", new))?;
        }
        disk::rename(new, &path).map_err(SpoolError::io("rename", new))?;
        let SegmentSpec { partition, number, bytes, is_first, power } = spec;
        Ok(Self { number, bytes, is_first, power, seed: ChecksumSeed::new(partition, number), path, file })
    }

    /// Opens an existing segment.
    pub(crate) fn open(dir: &Path, partition: u32, number: u32) -> Result<Self, SpoolError> {
        let path = path(dir, partition, number);
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(SpoolError::io("open", &path))?;
        let mut head = [0; HEADER_BYTES as usize];
        let count = read_full(&file, &mut head, 0).map_err(SpoolError::io("read", &path))?;
        match check(&head, partition, number) {
            Ok(SegmentSpec { bytes, is_first, power, .. }) if count == head.len() => {
                Ok(Self { number, bytes, is_first, power, seed: ChecksumSeed::new(partition, number), path, file })
            }
            Err(HeaderFault::Newer(format)) => Err(SpoolError::Newer { file: path, offset: 0, format }),
            Ok(_) | Err(HeaderFault::Damaged) => Err(SpoolError::Corrupt { file: path, offset: 0 }),
        }
    }

    pub(crate) fn write(&self, bytes: &[u8], offset: u32) -> Result<(), SpoolError> {
        disk::write_at(&self.file, bytes, offset.into()).map_err(SpoolError::io("write", &self.path))
    }

    /// Fills `buffer` from `offset` on; returns the number of bytes that the file contained.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u32) -> Result<usize, SpoolError> {
        read_full(&self.file, buffer, offset.into()).map_err(SpoolError::io("read", &self.path))
    }

    /// Replaces `bytes` by those of the file without the zeros at its end, which need no memory: a new segment has nothing else.
    /// A record may end with zeros, but begins with other bytes ([`record::frame`]), so enough zeros for one record are kept.
    /// Returns the size of the file, at most that of the segment.
    pub(crate) fn read_data(&self, bytes: &mut Vec<u8>) -> Result<u32, SpoolError> {
        bytes.clear();
        let mut chunk = vec![0; CHUNK_BYTES.min(self.bytes as usize)];
        let mut at = 0;
        while at < self.bytes {
            let room = chunk.len().min((self.bytes - at) as usize);
            let free = chunk.get_mut(..room).unwrap_or_default();
            let count = self.read(free, at)?;
            let read = chunk.get(..count).unwrap_or_default();
            if !is_zero(read) {
                bytes.resize(at as usize, 0);
                bytes.extend_from_slice(read);
            }
            at += u32::try_from(count).unwrap_or(u32::MAX);
            if count < room {
                break;
            }
        }
        bytes.resize((bytes.len() + RECORD_BYTES_MAX).min(self.bytes as usize), 0);
        Ok(at)
    }

    /// Writes zeros from `from` until `until`.
    pub(crate) fn zero(&self, from: u32, until: u32) -> Result<(), SpoolError> {
        disk::write_zeros(&self.file, from.into(), until.into()).map_err(SpoolError::io("write", &self.path))
    }

    /// Returns the bytes for records in an empty segment, without its end record.
    pub(crate) const fn room(&self) -> u32 {
        self.bytes.saturating_sub(FRAME_BYTES)
    }

    /// Returns when all earlier writes to the segment are on the disk.
    pub(crate) fn sync(&self) -> Result<(), SpoolError> {
        disk::sync(&self.file).map_err(SpoolError::io("sync", &self.path))
    }

    /// Allocates disk space for all of the file's bytes; a truncated file is filled with zeros.
    pub(crate) fn allocate(&self) -> Result<(), SpoolError> {
        disk::allocate(&self.file, self.bytes.into()).map_err(SpoolError::io("allocate", &self.path))
    }

    pub(crate) fn corrupt(&self, offset: u32) -> SpoolError {
        SpoolError::Corrupt { file: self.path.clone(), offset }
    }

    pub(crate) fn newer(&self, offset: u32, format: UnknownFormat) -> SpoolError {
        SpoolError::Newer { file: self.path.clone(), offset, format }
    }

    #[cfg(test)]
    pub(crate) fn replace_file(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }
}

/// Returns the path of a segment.
pub(crate) fn path(dir: &Path, partition: u32, number: u32) -> PathBuf {
    dir.join(format!("{partition:04}-{number:010}.{EXTENSION}"))
}

/// Returns the total size of those segments that exist.
pub(crate) fn sizes(dir: &Path, partition: u32, numbers: impl IntoIterator<Item = u32>) -> Result<u64, SpoolError> {
    let mut bytes = 0;
    for number in numbers {
        let path = path(dir, partition, number);
        match fs::metadata(&path) {
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(SpoolError::io("read", &path)(error)),
        }
    }
    Ok(bytes)
}

/// Returns the existing segments in ascending order, by partition. Incomplete files of an earlier creation are removed.
pub(crate) fn list(dir: &Path) -> Result<BTreeMap<u32, Vec<u32>>, SpoolError> {
    let mut partitions: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(SpoolError::io("list", dir))? {
        let path = entry.map_err(SpoolError::io("list", dir))?.path();
        let Some((partition, number)) = parse(&path) else { continue };
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            partitions.entry(partition).or_default().push(number);
        } else {
            disk::remove(&path).map_err(SpoolError::io("remove", &path))?;
        }
    }
    partitions.values_mut().for_each(|numbers| numbers.sort_unstable());
    Ok(partitions)
}

/// Returns the lowest existing segment of a partition from `from` on.
pub(crate) fn next_number(dir: &Path, partition: u32, from: u32) -> Result<Option<u32>, SpoolError> {
    let mut lowest = None;
    for entry in fs::read_dir(dir).map_err(SpoolError::io("list", dir))? {
        let path = entry.map_err(SpoolError::io("list", dir))?.path();
        let is_complete = path.extension().is_some_and(|extension| extension == EXTENSION);
        if let Some((_, number)) =
            parse(&path).filter(|(of, number)| is_complete && *of == partition && *number >= from)
        {
            lowest = Some(lowest.map_or(number, |lowest: u32| lowest.min(number)));
        }
    }
    Ok(lowest)
}

/// Returns partition and number of a file with a segment's name, complete or not.
fn parse(path: &Path) -> Option<(u32, u32)> {
    let extension = path.extension()?.to_str()?;
    let (partition, number) = path.file_stem()?.to_str()?.split_once('-')?;
    let partition = partition.parse().ok()?;
    let number = number.parse().ok()?;
    let name = format!("{partition:04}-{number:010}.{extension}");
    let ours = matches!(extension, EXTENSION | EXTENSION_NEW) && path.file_name()?.to_str()? == name;
    ours.then_some((partition, number))
}

fn header(spec: SegmentSpec) -> [u8; HEADER_BYTES as usize] {
    let mut bytes = [0; HEADER_BYTES as usize];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    let flags = if spec.is_first { FIRST } else { 0 } | if spec.power { POWER } else { 0 };
    bytes[10..12].copy_from_slice(&flags.to_le_bytes());
    bytes[12..16].copy_from_slice(&spec.partition.to_le_bytes());
    bytes[16..20].copy_from_slice(&spec.number.to_le_bytes());
    bytes[20..24].copy_from_slice(&spec.bytes.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..28]);
    bytes[28..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

enum HeaderFault {
    Newer(UnknownFormat),
    Damaged,
}

/// Returns the properties in the segment's header.
fn check(head: &[u8; HEADER_BYTES as usize], partition: u32, number: u32) -> Result<SegmentSpec, HeaderFault> {
    let word = |at: usize| head.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if head[..8] != MAGIC || crc32c::crc32c(&head[..28]) != word(28) {
        return Err(HeaderFault::Damaged);
    }
    let found = u16::from_le_bytes([head[8], head[9]]);
    if found != VERSION {
        return Err(HeaderFault::Newer(UnknownFormat::Segment { found, known: VERSION }));
    }
    let flags = u16::from_le_bytes([head[10], head[11]]);
    let spec =
        SegmentSpec { partition, number, bytes: word(20), is_first: flags & FIRST != 0, power: flags & POWER != 0 };
    let same = *head == header(spec) && (BYTES_MIN..=BYTES_MAX).contains(&spec.bytes);
    if same { Ok(spec) } else { Err(HeaderFault::Damaged) }
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROS.len()).all(|block| ZEROS.get(..block.len()) == Some(block))
}

fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + count as u64) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_followed_by_zeros_for_a_record_and_no_more() {
        let chunk = u32::try_from(CHUNK_BYTES).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let spec = SegmentSpec { partition: 0, number: 1, bytes: 4 * chunk, is_first: true, power: false };
        let segment = Segment::create(dir.path(), spec).unwrap();
        let header = fs::read(&segment.path).unwrap();
        let mut bytes = vec![1; 7];
        for last in [40, chunk - 1, chunk, 3 * chunk - 1, 3 * chunk, 4 * chunk - 1] {
            let mut written = header.clone();
            written[last as usize] = 1;
            for size in [4 * chunk, last + 1] {
                fs::write(&segment.path, &written[..size as usize]).unwrap();
                let segment = Segment::open(dir.path(), 0, 1).unwrap();
                assert_eq!(segment.read_data(&mut bytes).unwrap(), size);
                assert_eq!(bytes, written[..bytes.len()], "{last} of {size}");
                let data = last as usize + 1;
                let room = (data + RECORD_BYTES_MAX).min(written.len());
                assert!((room..=data + CHUNK_BYTES + RECORD_BYTES_MAX).contains(&bytes.len()), "{last} of {size}");
            }
        }
    }
}
