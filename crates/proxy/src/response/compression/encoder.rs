//! Encoders of content codings. Each compresses the content of one response.

use std::io::{self, Write as _};

use brotli::CompressorWriter;
use bytes::Bytes;
use config::snapshot::ContentCoding;
use flate2::write::GzEncoder;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::capacity::MemoryPermit;

/// The levels at which a coding costs about as much time as it saves on a link of 100 Mbit/s.
const GZIP_LEVEL: u32 = 5;
const ZSTD_LEVEL: i32 = 3;
const BROTLI_QUALITY: u32 = 4;
/// The window of brotli and zstd, as a power of two: 128 KiB bounds the memory of an encoder.
const WINDOW_LOG: u32 = 17;

/// Compresses the content of a response, piece by piece.
pub(crate) struct Encoder {
    codec: Codec,
    /// Counts the memory of the encoder.
    _held: MemoryPermit,
}

enum Codec {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
}

/// Whether more content follows a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PiecePlace {
    /// The piece is flushed, so that the client can decode it before more follows.
    Inner,
    /// The coding ends after the piece.
    Last,
}

impl Encoder {
    /// The memory that counts for an encoder of any coding, in bytes.
    pub(super) const BYTES: usize = 1024 * 1024;

    /// Returns an encoder, whose memory `held` counts.
    pub(super) fn new(coding: ContentCoding, held: MemoryPermit) -> io::Result<Self> {
        let codec = match coding {
            ContentCoding::Gzip => Codec::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL))),
            ContentCoding::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
                Codec::Zstd(encoder)
            }
            ContentCoding::Brotli => {
                Codec::Brotli(Box::new(CompressorWriter::new(Vec::new(), 4096, BROTLI_QUALITY, WINDOW_LOG)))
            }
        };
        Ok(Self { codec, _held: held })
    }

    /// Compresses a piece of the content.
    pub(super) fn encode(&mut self, piece: &[u8], place: PiecePlace) -> io::Result<Bytes> {
        match &mut self.codec {
            Codec::Gzip(encoder) => {
                encoder.write_all(piece)?;
                match place {
                    PiecePlace::Inner => encoder.flush()?,
                    PiecePlace::Last => encoder.try_finish()?,
                }
                Ok(std::mem::take(encoder.get_mut()).into())
            }
            Codec::Zstd(encoder) => {
                encoder.write_all(piece)?;
                match place {
                    PiecePlace::Inner => encoder.flush()?,
                    PiecePlace::Last => encoder.do_finish()?,
                }
                Ok(std::mem::take(encoder.get_mut()).into())
            }
            Codec::Brotli(encoder) => {
                encoder.write_all(piece)?;
                match place {
                    PiecePlace::Inner => encoder.flush()?,
                    PiecePlace::Last => {
                        let next = CompressorWriter::new(Vec::new(), 1, 0, WINDOW_LOG);
                        return Ok(std::mem::replace(&mut **encoder, next).into_inner().into());
                    }
                }
                Ok(std::mem::take(encoder.get_mut()).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Arc;

    use access::Subject;

    use super::*;
    use crate::capacity::Capacity;
    use crate::capacity::tests::CONNECTIONS;

    fn decoded(coding: ContentCoding, content: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        // Content that is not complete ends with an error, after the part that can be decoded.
        let _ = match coding {
            ContentCoding::Gzip => flate2::read::GzDecoder::new(content).read_to_end(&mut text),
            ContentCoding::Zstd => zstd::stream::read::Decoder::new(content).unwrap().read_to_end(&mut text),
            ContentCoding::Brotli => brotli::Decompressor::new(content, 4096).read_to_end(&mut text),
        };
        text
    }

    #[test]
    fn each_piece_can_be_decoded_before_the_next() {
        let capacity: Arc<Capacity> = Capacity::new(CONNECTIONS, 10_000, 1 << 30);
        for coding in [ContentCoding::Zstd, ContentCoding::Brotli, ContentCoding::Gzip] {
            let held = capacity.hold(&Subject::ANONYMOUS);
            let mut encoder = Encoder::new(coding, held).unwrap();
            let mut sent = Vec::new();
            let mut plain = Vec::new();
            for number in 0..5 {
                let piece = format!("piece {number} ").repeat(1 + number * 1000);
                sent.extend_from_slice(&encoder.encode(piece.as_bytes(), PiecePlace::Inner).unwrap());
                plain.extend_from_slice(piece.as_bytes());
                assert_eq!(decoded(coding, &sent), plain, "{coding:?}");
            }
            sent.extend_from_slice(&encoder.encode(b"end", PiecePlace::Last).unwrap());
            plain.extend_from_slice(b"end");
            assert_eq!(decoded(coding, &sent), plain, "{coding:?}");
            assert!(sent.len() < plain.len() / 10, "{coding:?} {}", sent.len());
        }
    }
}
