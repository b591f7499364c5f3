//! The content of a message: where it ends, and which bytes are data.

mod chunks;

use crate::fields::{FieldTable, Fields};
use crate::framing::Framing;
use crate::known_name::KnownName;
use crate::limits::{TRAILERS_BYTES_MAX, TRAILERS_MAX};
use crate::section::SectionScan;
use crate::section_kind::SectionKind;
use crate::trailer_name::is_forbidden_as_trailer;
use crate::violation::Violation;
use chunks::ChunkScan;

/// Follows the content of one message, in whatever pieces it arrives.
///
/// A caller that passes bytes on unchanged, chunk framing included, calls [`take`](Self::take). A caller that needs the
/// data calls [`next`](Self::next). Bytes that were not taken must be at the beginning of the next call. Only an incomplete
/// trailer section is not taken at once, so a buffer of [`TRAILERS_BYTES_MAX`] bytes is always large enough.
#[derive(Debug)]
pub struct BodyScanner {
    state: State,
    /// The kind of the trailer section.
    trailers: SectionKind,
    content_bytes: u64,
    violation: Option<Violation>,
}

#[derive(Debug)]
enum State {
    Length(u64),
    Chunks(ChunkScan),
    /// After the last chunk. Usually only the empty line follows, for which nothing is allocated.
    LastChunk,
    Trailers(Box<TrailerScan>),
    UntilClose,
    Ended(Option<Box<TrailerScan>>),
}

#[derive(Debug, Default)]
struct TrailerScan {
    scan: SectionScan,
    fields: FieldTable,
}

/// What the first bytes of the content are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// This number of bytes of data.
    Content(usize),
    /// This number of bytes of chunk framing.
    Framing(usize),
    /// This number of bytes are the trailer section with its final empty line; the content has ended.
    Trailers(usize),
}

impl Piece {
    /// The number of bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a piece is never empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Content(len) | Self::Framing(len) | Self::Trailers(len) => len,
        }
    }
}

impl BodyScanner {
    /// Creates a scanner for the content of a request with this framing, or for other content without trailers. To [`Framing::Tunnel`], every byte belongs until the connection
    /// closes.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Ended(None),
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunked => State::Chunks(ChunkScan::default()),
            Framing::UntilClose | Framing::Tunnel => State::UntilClose,
        };
        Self { state, trailers: SectionKind::Request, content_bytes: 0, violation: None }
    }

    /// Creates a scanner for the content of a response. A trailer that must not be one is dropped, and the response is
    /// whole (RFC 9112, 7.1.2): all recipients agree where it ends.
    #[must_use]
    pub fn of_response(framing: Framing) -> Self {
        Self { trailers: SectionKind::ResponseTrailers, ..Self::new(framing) }
    }

    /// Returns how many of `bytes` belong to the message and may be passed on; the bytes after them belong to the next
    /// message if the content [has ended](Self::has_ended), and otherwise need more bytes.
    ///
    /// # Errors
    /// The chunk framing or a trailer breaks a rule. Valid bytes before it are returned first; every later call fails.
    #[inline]
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let mut taken = 0;
        loop {
            match self.next(bytes.get(taken..).unwrap_or_default()) {
                Ok(Some(piece)) => taken += piece.len(),
                Err(violation) if taken == 0 => return Err(violation),
                Ok(None) | Err(_) => return Ok(taken),
            }
        }
    }

    /// Returns what the first of `bytes` are, and continues after them. `None` means that the content has ended, or needs
    /// more bytes.
    ///
    /// # Errors
    /// The chunk framing or a trailer breaks a rule. Every later call fails.
    #[inline]
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<Piece>, Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        self.step(bytes).inspect_err(|violation| self.violation = Some(*violation))
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Option<Piece>, Violation> {
        match &mut self.state {
            State::Ended(_) => Ok(None),
            State::UntilClose => Ok(Some(self.content(bytes.len()))),
            State::Length(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left = left.saturating_sub(u64::try_from(len).unwrap_or(u64::MAX));
                if *left == 0 {
                    self.state = State::Ended(None);
                }
                Ok(Some(self.content(len)))
            }
            State::Chunks(chunks) => {
                let len = chunks.data(bytes.len());
                if len > 0 {
                    return Ok(Some(self.content(len)));
                }
                let (len, is_last) = chunks.framing(bytes)?;
                if is_last {
                    self.state = State::LastChunk;
                }
                Ok(Some(Piece::Framing(len)))
            }
            State::LastChunk => match bytes {
                [b'\r', b'\n', ..] => {
                    self.state = State::Ended(None);
                    Ok(Some(Piece::Trailers(2)))
                }
                [b'\r'] => Ok(None),
                _ => {
                    self.state = State::Trailers(Box::default());
                    self.step(bytes)
                }
            },
            State::Trailers(trailers) => {
                let len = trailers.scan(bytes, self.trailers)?;
                if len.is_some() {
                    self.state = State::Ended(Some(std::mem::take(trailers)));
                }
                Ok(len.map(Piece::Trailers))
            }
        }
    }

    fn content(&mut self, len: usize) -> Piece {
        self.content_bytes = self.content_bytes.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        Piece::Content(len)
    }

    /// Whether the content has ended.
    #[must_use]
    #[inline]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// Bytes of data so far, without chunk framing.
    #[must_use]
    pub const fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Ends the content at the end of the connection.
    ///
    /// # Errors
    /// [`Violation::Truncated`]: the content is incomplete.
    pub fn close(&mut self) -> Result<(), Violation> {
        match &self.state {
            State::UntilClose | State::Ended(_) => {
                if !self.has_ended() {
                    self.state = State::Ended(None);
                }
                Ok(())
            }
            State::Length(_) | State::Chunks(_) | State::LastChunk | State::Trailers(_) => Err(Violation::Truncated),
        }
    }

    /// The trailer fields, if chunked content has ended with some. `bytes` begin with those of [`Piece::Trailers`].
    ///
    /// Fields that must not be trailers (RFC 9110, 6.5.1) are not among them.
    #[must_use]
    pub fn trailers<'a>(&'a self, bytes: &'a [u8]) -> Option<Fields<'a>> {
        match &self.state {
            State::Ended(Some(trailers)) if !trailers.fields.list.is_empty() => Some(trailers.fields.over(bytes)),
            State::Ended(_)
            | State::Length(_)
            | State::Chunks(_)
            | State::LastChunk
            | State::Trailers(_)
            | State::UntilClose => None,
        }
    }
}

impl TrailerScan {
    /// Returns the length of the section if it is complete. Fields that are dropped count for its bounds.
    fn scan(&mut self, bytes: &[u8], kind: SectionKind) -> Result<Option<usize>, Violation> {
        let within = bytes.get(..bytes.len().min(TRAILERS_BYTES_MAX)).unwrap_or_default();
        let judged = self.fields.list.len();
        let scanned = self.scan.scan(within, &mut self.fields, TRAILERS_MAX, kind);
        let mut known = self.fields.list.iter().skip(judged).filter_map(|field| field.known.known());
        if kind == SectionKind::Request && known.any(KnownName::is_refused_as_trailer) {
            return Err(Violation::Trailer);
        }
        let end = scanned?;
        match end {
            None if bytes.len() > within.len() => return Err(Violation::HeadTooLarge),
            None => {}
            Some(_) => self.fields.retain(|field| !is_forbidden_as_trailer(field.name(bytes), field.known)),
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests;
