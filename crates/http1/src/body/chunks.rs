//! Chunk framing (RFC 9112, 7.1), up to the end of the last chunk.

use crate::limits::{CHUNK_DIGITS_MAX, CHUNK_EXTENSIONS_BYTES_MAX};
use crate::octets::is_extension_octet;
use crate::violation::Violation;

/// The position in a chunked body.
#[derive(Debug, Default)]
pub(super) struct ChunkScan {
    part: Part,
    size: u64,
    digits: usize,
    extensions_bytes: usize,
}

#[derive(Debug, Default, Clone, Copy)]
enum Part {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data(u64),
    DataCr,
    DataLf,
}

impl ChunkScan {
    /// Returns how many of the next `bytes` bytes are data of the current chunk, and continues after them.
    #[inline]
    pub(super) fn data(&mut self, bytes: usize) -> usize {
        let Part::Data(left) = self.part else { return 0 };
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(bytes);
        let left = left.saturating_sub(u64::try_from(len).unwrap_or(u64::MAX));
        self.part = if left == 0 { Part::DataCr } else { Part::Data(left) };
        len
    }

    /// Scans framing up to the next data. Returns its length, and whether the last chunk has ended. Valid bytes before an
    /// invalid one are returned first.
    pub(super) fn framing(&mut self, bytes: &[u8]) -> Result<(usize, bool), Violation> {
        for (at, octet) in bytes.iter().enumerate() {
            match self.step(*octet) {
                Ok(true) => return Ok((at + 1, true)),
                Ok(false) if matches!(self.part, Part::Data(_)) => return Ok((at + 1, false)),
                Ok(false) => {}
                Err(violation) if at == 0 => return Err(violation),
                Err(_) => return Ok((at, false)),
            }
        }
        Ok((bytes.len(), false))
    }

    /// Scans one octet of framing, and changes nothing if it is invalid. Returns whether the last chunk has ended.
    fn step(&mut self, octet: u8) -> Result<bool, Violation> {
        self.part = match (self.part, octet) {
            (Part::Size, b'\r') if self.digits > 0 => Part::SizeLf,
            (Part::Size, b';') if self.digits > 0 => Part::Extension,
            (Part::Size, _) => {
                let digit = char::from(octet).to_digit(16).ok_or(Violation::ChunkSize)?;
                if self.digits >= CHUNK_DIGITS_MAX {
                    return Err(Violation::ChunkSize);
                }
                self.digits += 1;
                self.size = self.size * 16 + u64::from(digit);
                Part::Size
            }
            (Part::Extension, b'\r') => Part::SizeLf,
            (Part::Extension, _) if !is_extension_octet(octet) => return Err(Violation::ChunkExtension),
            (Part::Extension, _) => {
                if self.extensions_bytes >= CHUNK_EXTENSIONS_BYTES_MAX {
                    return Err(Violation::ChunkExtensionsTooLarge);
                }
                self.extensions_bytes += 1;
                Part::Extension
            }
            (Part::SizeLf, b'\n') => {
                self.digits = 0;
                match std::mem::take(&mut self.size) {
                    0 => return Ok(true),
                    size => Part::Data(size),
                }
            }
            (Part::DataCr, b'\r') => Part::DataLf,
            (Part::DataLf, b'\n') => Part::Size,
            (Part::SizeLf | Part::DataCr | Part::DataLf | Part::Data(_), _) => return Err(Violation::ChunkEnd),
        };
        Ok(false)
    }
}
