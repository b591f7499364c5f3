//! Heads of responses, judged as those of requests, except what a proxy corrects (RFC 9112, 5.1 and 6.3).

use crate::connection::ConnectionOptions;
use crate::fields::{FieldMemory, FieldTable, Fields, Span};
use crate::framing::{AnnouncedContent, Framing, ResponseTo, Version};
use crate::limits::HeadLimits;
use crate::section::SectionScan;
use crate::section_kind::SectionKind;
use crate::violation::Violation;

/// Each status line begins with it.
const PREFIX: &[u8] = b"HTTP/1.";

/// Parses the heads of the responses of one connection, one after the other; see
/// [`RequestParser`](crate::RequestParser), which has the same contract.
#[derive(Debug)]
pub struct ResponseParser {
    limits: HeadLimits,
    scan: SectionScan,
    line: Option<StatusLine>,
    fields: FieldTable,
    violation: Option<Violation>,
}

/// The head of a response: positions in the bytes from which it was parsed. [`ResponseHead::over`] joins both.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    line: StatusLine,
    fields: FieldTable,
    announced: AnnouncedContent,
    options: ConnectionOptions,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct StatusLine {
    version: Version,
    status: u16,
    reason: Span,
}

impl ResponseParser {
    /// For heads within these limits.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, scan: SectionScan::default(), line: None, fields: FieldTable::default(), violation: None }
    }

    /// Parses the head at the beginning of `bytes`, which must begin with the bytes of the previous call that returned
    /// `None`. Bytes after the head are not looked at. After a head, the parser is ready for the next one.
    ///
    /// # Errors
    /// The first rule that the head breaks, in the order of its bytes; rules about the whole head come last. The result
    /// does not depend on the pieces in which the bytes arrive. Every later call returns the same.
    #[inline]
    pub fn parse(&mut self, bytes: &[u8]) -> Result<Option<ResponseHead>, Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        self.step(bytes).inspect_err(|violation| self.violation = Some(*violation))
    }

    /// Uses memory of a head that is no longer needed, unless the parser has some.
    pub fn reuse(&mut self, memory: FieldMemory) {
        self.fields.reuse(memory);
    }

    /// Whether a head has begun to arrive.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.scan.at > 0 || self.violation.is_some()
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Option<ResponseHead>, Violation> {
        let within = bytes.get(..bytes.len().min(self.limits.head_bytes_max)).unwrap_or_default();
        let has_line = self.line.is_some() || self.status_line(within)?;
        let end = if has_line { self.scan_fields(within)? } else { None };
        match (end, self.line) {
            (Some(end), Some(line)) => self.finish(within, line, end).map(Some),
            _ if bytes.len() > within.len() => Err(Violation::HeadTooLarge),
            _ => Ok(None),
        }
    }

    #[inline]
    fn scan_fields(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        self.scan.scan(bytes, &mut self.fields, self.limits.fields_max, SectionKind::ResponseHead)
    }

    /// Returns whether the status line is complete. No empty line may precede it.
    fn status_line(&mut self, bytes: &[u8]) -> Result<bool, Violation> {
        // HTTP/0.9 has no head: its first bytes show it, and a line may never end.
        if bytes.iter().zip(PREFIX).any(|(octet, expected)| octet != expected) {
            return Err(Violation::StatusLine);
        }
        let Some(end) = self.scan.first_line_end(bytes, self.limits.line_bytes_max, true)? else { return Ok(false) };
        self.line = Some(StatusLine::read(bytes, end)?);
        self.scan.line = self.scan.at;
        Ok(true)
    }

    /// Applies the rules that need the whole head.
    fn finish(&mut self, bytes: &[u8], line: StatusLine, len: usize) -> Result<ResponseHead, Violation> {
        let announced = AnnouncedContent::read(self.fields.over(bytes), line.version);
        // Responses of these statuses end at the empty line, whatever they announce (RFC 9112, 6.3, item 1). A server that
        // announces content there may send some, so the connection serves no other request.
        let (announced, may_have_surplus) = match line.status {
            100..=199 | 204 => (
                AnnouncedContent::Nothing,
                !matches!(announced, Ok(AnnouncedContent::Nothing | AnnouncedContent::Length(0))),
            ),
            304 => (announced.unwrap_or_default(), announced.is_err()),
            _ => (announced?, false),
        };
        let mut options = ConnectionOptions::read(bytes, &mut self.fields)?;
        options.close |= may_have_surplus;
        let fields = std::mem::take(&mut self.fields);
        (self.scan, self.line) = (SectionScan::default(), None);
        Ok(ResponseHead { line, fields, announced, options, len })
    }
}

impl StatusLine {
    /// Reads `bytes[..end]`, which has no control octet except tabs. The space after the status may be missing where there
    /// is no reason: many servers leave it out.
    fn read(bytes: &[u8], end: usize) -> Result<Self, Violation> {
        let line = bytes.get(..end).unwrap_or_default();
        let (version, rest) = match line.strip_prefix(PREFIX) {
            Some([minor, rest @ ..]) => (Version::of_minor(*minor)?, rest),
            Some([]) | None => return Err(Violation::Version),
        };
        let [b' ', hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = rest else {
            return Err(Violation::StatusLine);
        };
        let digit = |octet: &u8| u16::from(octet - b'0');
        let status = 100 * digit(hundreds) + 10 * digit(tens) + digit(ones);
        let reason = match rest {
            [] => rest,
            [b' ', reason @ ..] => reason,
            _ => return Err(Violation::StatusLine),
        };
        Ok(Self { version, status, reason: Span::new(end - reason.len(), end) })
    }
}

impl ResponseHead {
    /// The head with its bytes: those from which it was parsed, or a copy of them.
    #[must_use]
    pub const fn over<'a>(&'a self, bytes: &'a [u8]) -> Response<'a> {
        Response { bytes, head: self }
    }

    /// Takes the memory of the fields of a head that is no longer needed: the head then has none.
    pub fn take_memory(&mut self) -> FieldMemory {
        self.fields.take_memory()
    }

    /// The length of the head with its final empty line.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a head is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The status, from 100 to 999.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.line.status
    }

    /// Whether another response to the same request follows: status 1xx except 101 (RFC 9110, 15.2).
    #[must_use]
    pub const fn is_interim(&self) -> bool {
        matches!(self.line.status, 100 | 102..=199)
    }

    /// How the content ends, in a response to such a request.
    #[must_use]
    pub const fn framing(&self, request: ResponseTo) -> Framing {
        self.announced.of_response(self.line.status, request)
    }

    /// What the framing fields announce, also in responses to HEAD and of status 304, which have no content.
    #[must_use]
    pub const fn announced(&self) -> AnnouncedContent {
        self.announced
    }

    /// Returns the HTTP version of the response.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.line.version
    }

    /// Whether the connection persists after a response to such a request (RFC 9112, 9.3).
    #[must_use]
    pub const fn persists(&self, request: ResponseTo) -> bool {
        let has_end = !matches!(self.framing(request), Framing::UntilClose | Framing::Tunnel);
        has_end && self.options.persists(self.line.version)
    }
}

/// The head of a response with its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    bytes: &'a [u8],
    head: &'a ResponseHead,
}

impl<'a> Response<'a> {
    /// The reason phrase, which may be empty and may have octets from 128 on.
    #[must_use]
    pub fn reason(&self) -> &'a [u8] {
        self.head.line.reason.slice(self.bytes)
    }

    /// Returns the fields of the head.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        self.head.fields.over(self.bytes)
    }

    /// The value of the first `Upgrade` field, if the server changes the protocol (RFC 9110, 7.8).
    #[must_use]
    pub fn upgrade(&self) -> Option<&'a [u8]> {
        self.head.options.upgrade(self.fields(), self.head.line.version)
    }
}
