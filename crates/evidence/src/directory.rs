//! Reads the directory and the files of a zip that this crate wrote.

use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;
use sha2::{Digest, Sha256};

use crate::layout::{
    CENTRAL, CENTRAL_BYTES, COMMENT_BYTES, END, END_BYTES, FILES_MAX, LOCAL, LOCAL_BYTES, NAME_BYTES_MAX,
};

/// A file of the zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZippedFile {
    pub(crate) name: String,
    offset: u64,
    compressed: u64,
    size: u64,
}

/// Reads the files that the directory lists; `None` if it is damaged. `length` is that of the whole zip.
pub(crate) fn read(from: &mut (impl Read + Seek), length: u64) -> io::Result<Option<Vec<ZippedFile>>> {
    let tail = u64::try_from(END_BYTES + COMMENT_BYTES).unwrap_or(u64::MAX);
    let Some(end_at) = length.checked_sub(tail) else { return Ok(None) };
    let mut end = [0; END_BYTES];
    from.seek(SeekFrom::Start(end_at))?;
    from.read_exact(&mut end)?;
    let size = u64::from(field32(&end, 12));
    let offset = u64::from(field32(&end, 16));
    let size_max = u64::try_from(FILES_MAX * (CENTRAL_BYTES + NAME_BYTES_MAX)).unwrap_or(u64::MAX);
    if field32(&end, 0) != END || offset + size != end_at || size > size_max {
        return Ok(None);
    }
    let mut directory = vec![0; usize::try_from(size).unwrap_or(0)];
    from.seek(SeekFrom::Start(offset))?;
    from.read_exact(&mut directory)?;
    Ok(entries(&directory, offset).filter(|files| files.len() == usize::from(field16(&end, 10))))
}

/// Parses the entries of the directory, which begins at `end`.
fn entries(mut rest: &[u8], end: u64) -> Option<Vec<ZippedFile>> {
    let mut files = Vec::new();
    while !rest.is_empty() {
        let (fixed, after) = rest.split_at_checked(CENTRAL_BYTES)?;
        let (name, after) = after.split_at_checked(field16(fixed, 28).into())?;
        let has_more = field16(fixed, 30) > 0 || field16(fixed, 32) > 0;
        if field32(fixed, 0) != CENTRAL || has_more || files.len() >= FILES_MAX {
            return None;
        }
        let file = ZippedFile {
            name: String::from_utf8(name.to_vec()).ok()?,
            offset: field32(fixed, 42).into(),
            compressed: field32(fixed, 20).into(),
            size: field32(fixed, 24).into(),
        };
        if file.offset + file.compressed > end {
            return None;
        }
        files.push(file);
        rest = after;
    }
    Some(files)
}

impl ZippedFile {
    /// Returns the SHA-256 digest and the number of the file's bytes; `None` if they cannot be read or are more than the
    /// directory says.
    pub(crate) fn digest(&self, from: &mut (impl Read + Seek)) -> io::Result<Option<([u8; 32], u64)>> {
        let mut digest = Sha256::new();
        let mut size = 0;
        let read = self.read(from, |bytes| {
            digest.update(bytes);
            size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        })?;
        Ok(read.then(|| (digest.finalize().into(), size)))
    }

    /// Returns the bytes of a file; `None` if they cannot be read, or are more than `bytes_max`.
    pub(crate) fn bytes(&self, from: &mut (impl Read + Seek), bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        if self.size > bytes_max {
            return Ok(None);
        }
        let mut all = Vec::new();
        let read = self.read(from, |bytes| all.extend_from_slice(bytes))?;
        Ok(read.then_some(all))
    }

    /// Passes the bytes of the file to `take`; `false` if they cannot be read.
    pub(crate) fn read(&self, from: &mut (impl Read + Seek), mut take: impl FnMut(&[u8])) -> io::Result<bool> {
        let Some(mut inflate) = self.open(from)? else { return Ok(false) };
        let mut buffer = [0; 16 * 1024];
        let mut total = 0;
        loop {
            match inflate.read(&mut buffer) {
                Ok(0) => return Ok(total == self.size),
                Ok(count) => {
                    total += u64::try_from(count).unwrap_or(u64::MAX);
                    take(buffer.get(..count).unwrap_or_default());
                }
                // Damaged data is not an error of the disk.
                Err(error) if is_damage(error.kind()) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the bytes of the file, and at most one byte more than the directory says; `None` if its header is damaged.
    pub(crate) fn open<R: Read + Seek>(&self, mut from: R) -> io::Result<Option<Inflated<R>>> {
        let mut header = [0; LOCAL_BYTES];
        from.seek(SeekFrom::Start(self.offset))?;
        from.read_exact(&mut header)?;
        if field32(&header, 0) != LOCAL || usize::from(field16(&header, 26)) != self.name.len() {
            return Ok(None);
        }
        let data = self.offset + u64::try_from(LOCAL_BYTES + self.name.len()).unwrap_or(u64::MAX);
        from.seek(SeekFrom::Start(data))?;
        Ok(Some(DeflateDecoder::new(from.take(self.compressed)).take(self.size + 1)))
    }
}

/// The bytes of a file of the zip before compression.
pub(crate) type Inflated<R> = io::Take<DeflateDecoder<io::Take<R>>>;

/// Whether an error means that the data is damaged.
pub(crate) fn is_damage(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn field16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|field| field.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn field32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).map_or(0, u32::from_le_bytes)
}
