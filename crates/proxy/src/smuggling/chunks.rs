//! A chunked body (RFC 9112, 7.1), followed only to find its end.

use super::bytes::is_control;
use super::fault::Fault;
use super::{CHUNK_DIGITS_MAX, CHUNK_EXTENSIONS_BYTES_MAX};

/// How far a chunked body has come.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    part: ChunkPart,
    size: u64,
    digits: usize,
    extensions_bytes: usize,
    /// Content so far.
    pub(super) content_bytes: u64,
}

#[derive(Debug, Default, Clone, Copy)]
enum ChunkPart {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data(u64),
    DataCr,
    DataLf,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChunkProgress {
    /// So many belong to it, and are well.
    pub(super) used: usize,
    /// Whether the last chunk ended with them: trailers follow.
    pub(super) is_over: bool,
    /// What is wrong with the byte after them.
    pub(super) fault: Option<Fault>,
}

impl Chunks {
    /// Goes on over `bytes`, as far as the last chunk.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> ChunkProgress {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            if let ChunkPart::Data(left) = &mut self.part {
                let step = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                let stepped = u64::try_from(step).unwrap_or(*left);
                *left -= stepped;
                self.content_bytes = self.content_bytes.saturating_add(stepped);
                used += step;
                if *left == 0 {
                    self.part = ChunkPart::DataCr;
                }
                continue;
            }
            let Some(byte) = rest.first() else { break };
            match self.step(*byte) {
                Err(fault) => return ChunkProgress { used, is_over: false, fault: Some(fault) },
                Ok(true) => return ChunkProgress { used: used + 1, is_over: true, fault: None },
                Ok(false) => used += 1,
            }
        }
        ChunkProgress { used, is_over: false, fault: None }
    }

    /// One byte that is not content; answers whether the last chunk is over.
    fn step(&mut self, byte: u8) -> Result<bool, Fault> {
        self.part = match (self.part, byte) {
            (ChunkPart::Size, b'\r') if self.digits > 0 => ChunkPart::SizeLf,
            (ChunkPart::Size, b';') if self.digits > 0 => ChunkPart::Extension,
            (ChunkPart::Size, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(Fault::ChunkSize)?;
                self.digits += 1;
                if self.digits > CHUNK_DIGITS_MAX {
                    return Err(Fault::ChunkSize);
                }
                self.size = self.size * 16 + u64::from(digit);
                ChunkPart::Size
            }
            (ChunkPart::Extension, b'\r') => ChunkPart::SizeLf,
            (ChunkPart::Extension, _) if is_control(byte) && byte != b'\t' => return Err(Fault::ChunkExtension),
            (ChunkPart::Extension, _) => {
                self.extensions_bytes += 1;
                if self.extensions_bytes > CHUNK_EXTENSIONS_BYTES_MAX {
                    return Err(Fault::ChunkExtensionsTooLarge);
                }
                ChunkPart::Extension
            }
            (ChunkPart::SizeLf, b'\n') => {
                self.digits = 0;
                match std::mem::take(&mut self.size) {
                    0 => return Ok(true),
                    size => ChunkPart::Data(size),
                }
            }
            (ChunkPart::DataCr, b'\r') => ChunkPart::DataLf,
            (ChunkPart::DataLf, b'\n') => ChunkPart::Size,
            (ChunkPart::SizeLf | ChunkPart::DataCr | ChunkPart::DataLf | ChunkPart::Data(_), _) => {
                return Err(Fault::ChunkEnd);
            }
        };
        Ok(false)
    }
}
