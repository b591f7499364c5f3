//! Chunk framing for content whose bytes change on their way (RFC 9112, 7.1).

use crate::field_writer::write_field;
use crate::known_name::NameMatch;
use crate::trailer_name::is_forbidden_as_trailer;

/// Follows the data of each chunk.
pub const CHUNK_END: &[u8] = b"\r\n";
/// The last chunk and an empty trailer section.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Digits of 2^64 - 1, CR and LF.
const PREFIX_BYTES_MAX: usize = 18;

/// The size line of a chunk, for a vectored write before the data and [`CHUNK_END`].
#[derive(Debug, Clone, Copy)]
pub struct ChunkPrefix {
    bytes: [u8; PREFIX_BYTES_MAX],
    start: usize,
}

impl ChunkPrefix {
    /// Creates the size line for this number of bytes of data. `None` for no data: a chunk of size 0 would end the
    /// content.
    #[must_use]
    pub fn new(data_bytes: usize) -> Option<Self> {
        let mut bytes = [b'0'; PREFIX_BYTES_MAX];
        let mut start = PREFIX_BYTES_MAX - CHUNK_END.len();
        bytes.get_mut(start..)?.copy_from_slice(CHUNK_END);
        let mut left = data_bytes;
        while left > 0 {
            start -= 1;
            let digit = u32::try_from(left % 16).ok().and_then(|digit| char::from_digit(digit, 16))?;
            *bytes.get_mut(start)? = u8::try_from(digit).ok()?;
            left /= 16;
        }
        (data_bytes > 0).then_some(Self { bytes, start })
    }

    /// The size in hexadecimal digits, and CR LF.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// Writes one chunk; nothing if there is no data.
pub fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if let Some(prefix) = ChunkPrefix::new(data.len()) {
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(CHUNK_END);
    }
}

/// Writes the last chunk and a trailer section, without the fields that must not be trailers (RFC 9110, 6.5.1) or whose
/// name or value is invalid.
pub fn write_trailers<'a>(out: &mut Vec<u8>, trailers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        if !is_forbidden_as_trailer(name, NameMatch::from_name(name)) {
            // An invalid field is not written: a part of it could end the section.
            let _ = write_field(out, name, value);
        }
    }
    out.extend_from_slice(CHUNK_END);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BodyScanner, Framing, Piece};

    #[test]
    fn chunk_sizes_are_hexadecimal_and_never_zero() {
        for (size, line) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (4096, "1000\r\n")] {
            assert_eq!(ChunkPrefix::new(size).unwrap().as_bytes(), line.as_bytes());
        }
        assert_eq!(ChunkPrefix::new(usize::MAX).unwrap().as_bytes(), b"ffffffffffffffff\r\n");
        assert!(ChunkPrefix::new(0).is_none());
        let mut out = Vec::new();
        write_chunk(&mut out, b"");
        assert!(out.is_empty());
    }

    #[test]
    fn written_chunks_and_trailers_are_read_back() {
        let mut out = Vec::new();
        write_chunk(&mut out, b"hello");
        write_chunk(&mut out, &[b'x'; 300]);
        write_trailers(&mut out, [(&b"grpc-status"[..], &b"0"[..]), (b"X-Sum", b"")]);
        let mut scanner = BodyScanner::new(Framing::Chunked);
        let mut rest = &out[..];
        let mut content = Vec::new();
        while let Some(piece) = scanner.next(rest).unwrap() {
            let (bytes, after) = rest.split_at(piece.len());
            if let Piece::Content(_) = piece {
                content.extend_from_slice(bytes);
            }
            if let Piece::Trailers(_) = piece {
                let fields = scanner.trailers(bytes).unwrap();
                assert_eq!(fields.named(b"GRPC-Status").collect::<Vec<_>>(), [b"0"]);
                assert_eq!(fields.len(), 2);
            }
            rest = after;
        }
        assert!(scanner.has_ended() && rest.is_empty());
        assert_eq!((content.len(), scanner.content_bytes()), (305, 305));
    }

    #[test]
    fn trailers_that_could_change_the_message_are_not_written() {
        let mut out = Vec::new();
        let trailers = [
            ("Content-Length", "5"),
            ("a", "1"),
            ("transfer_encoding", "chunked"),
            ("a b", ""),
            ("", "x"),
            ("b", "c\r\nd: e"),
            ("f", "\0"),
            ("grpc-status", ""),
        ];
        write_trailers(&mut out, trailers.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        assert_eq!(out, b"0\r\na: 1\r\ngrpc-status: \r\n\r\n");
        out.clear();
        write_trailers(&mut out, []);
        assert_eq!(out, LAST_CHUNK);
    }
}
