//! Bounds of heads and of chunked framing.

/// A field name (RFC 9110, 5.1). No name in use comes near it.
pub const NAME_BYTES_MAX: usize = 256;
/// A request target: the longest that the crate `http` can store as a URI. Servers behind a gateway often use it.
pub const TARGET_BYTES_MAX: usize = 65_534;
/// Empty lines before a request line, which old clients send after a body (RFC 9112, 2.2).
pub const BLANK_LINES_MAX: usize = 1;
/// Hexadecimal digits of a chunk size: 2^64 - 1 has 16.
pub const CHUNK_DIGITS_MAX: usize = 16;
/// Extensions of all chunks of one body together.
pub const CHUNK_EXTENSIONS_BYTES_MAX: usize = 8 * 1024;
/// The trailer section of one body, with its final empty line.
pub const TRAILERS_BYTES_MAX: usize = 8 * 1024;
/// Fields of a trailer section.
pub const TRAILERS_MAX: usize = 100;
/// Decimal digits of a `Content-Length`: a number of 19 digits is always less than 2^64.
pub const LENGTH_DIGITS_MAX: usize = 19;
/// Options of all `Connection` fields of a head. Each option is compared with each field name.
pub const CONNECTION_OPTIONS_MAX: usize = 32;
/// Fields that the index of a head can number.
pub(crate) const FIELDS_MAX: usize = 254;
/// Largest head: positions in a head are stored in 32 bits.
const HEAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bounds of one kind of head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    pub(crate) head_bytes_max: usize,
    pub(crate) line_bytes_max: usize,
    pub(crate) fields_max: usize,
}

impl HeadLimits {
    /// - `head_bytes_max`: the head, from its first byte to the end of its empty line; at most 16 MiB.
    /// - `line_bytes_max`: the request line or status line without its CR LF.
    /// - `fields_max`: fields; at most 254.
    ///
    /// A value above its maximum is lowered to it.
    #[must_use]
    pub fn new(head_bytes_max: usize, line_bytes_max: usize, fields_max: usize) -> Self {
        Self {
            head_bytes_max: head_bytes_max.min(HEAD_BYTES_MAX),
            line_bytes_max: line_bytes_max.min(HEAD_BYTES_MAX),
            fields_max: fields_max.min(FIELDS_MAX),
        }
    }
}

impl Default for HeadLimits {
    /// 64 KiB, lines of the same size, 100 fields.
    fn default() -> Self {
        Self::new(64 * 1024, 64 * 1024, 100)
    }
}
