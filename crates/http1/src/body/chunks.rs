//! Chunk framing (RFC 9112, 7.1), up to the end of the last chunk.

use crate::limits::{CHUNK_DIGITS_MAX, CHUNK_EXTENSIONS_BYTES_MAX};
use crate::octets::{is_blank, is_token_octet};
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
    Extension(ExtensionPart),
    SizeLf,
    Data(u64),
    DataCr,
    DataLf,
}

/// The position in the extensions of a chunk: `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
#[derive(Debug, Clone, Copy)]
enum ExtensionPart {
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    /// After a backslash in a quoted string.
    Escaped,
    AfterQuote,
    /// After whitespace that follows a value: another extension follows.
    AfterValue,
}

impl ExtensionPart {
    /// Returns the position after an octet; `None` if it is invalid there.
    fn after(self, octet: u8) -> Option<Self> {
        let is_quotable = is_blank(octet) || octet.is_ascii_graphic();
        match (self, octet) {
            (Self::Quoted, b'"') => Some(Self::AfterQuote),
            (Self::Quoted, b'\\') => Some(Self::Escaped),
            (Self::Quoted | Self::Escaped, _) => is_quotable.then_some(Self::Quoted),
            (Self::Name | Self::AfterName | Self::Value | Self::AfterQuote | Self::AfterValue, b';') => {
                Some(Self::BeforeName)
            }
            (Self::Name | Self::AfterName, b'=') => Some(Self::BeforeValue),
            (Self::BeforeName | Self::BeforeValue, _) if is_blank(octet) => Some(self),
            (Self::Name | Self::AfterName, _) if is_blank(octet) => Some(Self::AfterName),
            (Self::Value | Self::AfterQuote | Self::AfterValue, _) if is_blank(octet) => Some(Self::AfterValue),
            (Self::BeforeValue, b'"') => Some(Self::Quoted),
            (Self::BeforeName | Self::Name, _) if is_token_octet(octet) => Some(Self::Name),
            (Self::BeforeValue | Self::Value, _) if is_token_octet(octet) => Some(Self::Value),
            _ => None,
        }
    }

    /// Whether the extensions may end here.
    const fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Value | Self::AfterQuote)
    }
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
            (Part::Size, b';') if self.digits > 0 => Part::Extension(ExtensionPart::BeforeName),
            (Part::Size, _) => {
                let digit = char::from(octet).to_digit(16).ok_or(Violation::ChunkSize)?;
                if self.digits >= CHUNK_DIGITS_MAX {
                    return Err(Violation::ChunkSize);
                }
                self.digits += 1;
                self.size = self.size * 16 + u64::from(digit);
                Part::Size
            }
            (Part::Extension(part), b'\r') if part.may_end() => Part::SizeLf,
            (Part::Extension(part), _) => {
                let next = part.after(octet).ok_or(Violation::ChunkExtension)?;
                if self.extensions_bytes >= CHUNK_EXTENSIONS_BYTES_MAX {
                    return Err(Violation::ChunkExtensionsTooLarge);
                }
                self.extensions_bytes += 1;
                Part::Extension(next)
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
