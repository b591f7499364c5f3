//! Heads of requests: the parser, and the head that it returns.

use crate::connection::{ConnectionOptions, Expectation};
use crate::fields::{FieldMemory, FieldTable, Fields, Span};
use crate::framing::{AnnouncedContent, Framing, Version};
use crate::known_name::KnownName;
use crate::limits::{BLANK_LINES_MAX, HeadLimits, TARGET_BYTES_MAX};
use crate::octets::{is_token_octet, token_len};
use crate::section::SectionScan;
use crate::section_kind::SectionKind;
use crate::target::{self, RequestTarget, TargetSpans, is_authority};
use crate::violation::Violation;

/// Parses the heads of the requests of one connection, one after the other.
///
/// The caller appends received bytes to a buffer and calls [`parse`](Self::parse) until a head is complete. Each call
/// continues where the previous one stopped, so the cost of a head does not depend on the pieces in which it arrives.
#[derive(Debug)]
pub struct RequestParser {
    limits: HeadLimits,
    scan: SectionScan,
    blank_lines: usize,
    line: Option<RequestLine>,
    fields: FieldTable,
    violation: Option<Violation>,
}

/// The head of a request: positions in the bytes from which it was parsed. [`RequestHead::over`] joins both.
///
/// The bytes may be copied elsewhere; positions are counted from the first byte that was given to the parser.
#[derive(Debug, Clone)]
pub struct RequestHead {
    line: RequestLine,
    fields: FieldTable,
    announced: AnnouncedContent,
    options: ConnectionOptions,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct RequestLine {
    version: Version,
    method: Span,
    target: Span,
    form: TargetSpans,
}

impl RequestParser {
    /// For heads within these limits.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            scan: SectionScan::default(),
            blank_lines: 0,
            line: None,
            fields: FieldTable::default(),
            violation: None,
        }
    }

    /// Parses the head at the beginning of `bytes`, which must begin with the bytes of the previous call that returned
    /// `None`. Bytes after the head are not looked at. After a head, the parser is ready for the next one.
    ///
    /// # Errors
    /// The first rule that the head breaks, in the order of its bytes; rules about the whole head come last. The result
    /// does not depend on the pieces in which the bytes arrive. Every later call returns the same.
    #[inline]
    pub fn parse(&mut self, bytes: &[u8]) -> Result<Option<RequestHead>, Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        self.step(bytes).inspect_err(|violation| self.violation = Some(*violation))
    }

    /// Takes a head that is no longer needed, and uses its memory for the next one.
    pub fn recycle(&mut self, mut head: RequestHead) {
        self.reuse(head.take_memory());
    }

    /// Uses memory of a head that is no longer needed, unless the parser has some.
    pub fn reuse(&mut self, memory: FieldMemory) {
        self.fields.reuse(memory);
    }

    /// Whether a head has begun to arrive. Empty lines before a request are not a beginning.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.scan.at > self.scan.line || self.line.is_some() || self.violation.is_some()
    }

    /// The method and target of an incomplete or refused head whose request line is valid. `bytes` are those of the last
    /// call of [`parse`](Self::parse).
    #[must_use]
    pub fn line<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        self.line.map(|line| (line.method.slice(bytes), line.target.slice(bytes)))
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Option<RequestHead>, Violation> {
        let within = bytes.get(..bytes.len().min(self.limits.head_bytes_max)).unwrap_or_default();
        let has_line = self.line.is_some() || self.request_line(within)?;
        let end = if has_line { self.scan_fields(within)? } else { None };
        match (end, self.line) {
            (Some(end), Some(line)) => self.finish(within, line, end).map(Some),
            _ if bytes.len() > within.len() => Err(Violation::HeadTooLarge),
            _ => Ok(None),
        }
    }

    #[inline]
    fn scan_fields(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        self.scan.scan(bytes, &mut self.fields, self.limits.fields_max, SectionKind::Request)
    }

    /// Returns whether the request line is complete.
    fn request_line(&mut self, bytes: &[u8]) -> Result<bool, Violation> {
        loop {
            let start = self.scan.line;
            // A peer that speaks another protocol may never end a line.
            if bytes.get(start).is_some_and(|first| !is_token_octet(*first) && !matches!(first, b'\r' | b'\n')) {
                return Err(Violation::Method);
            }
            let Some(end) = self.scan.first_line_end(bytes, self.limits.line_bytes_max, false)? else {
                return Ok(false);
            };
            if end > start {
                self.line = Some(RequestLine::read(bytes, start, end)?);
                self.scan.line = self.scan.at;
                return Ok(true);
            }
            self.blank_lines += 1;
            if self.blank_lines > BLANK_LINES_MAX {
                return Err(Violation::BlankLines);
            }
            self.scan.line = self.scan.at;
        }
    }

    /// Applies the rules that need the whole head.
    fn finish(&mut self, bytes: &[u8], line: RequestLine, len: usize) -> Result<RequestHead, Violation> {
        let fields = self.fields.over(bytes);
        check_host(fields, line, bytes)?;
        let announced = AnnouncedContent::read(fields, line.version)?;
        if matches!(line.form, TargetSpans::Authority(_)) && announced != AnnouncedContent::Nothing {
            return Err(Violation::ConnectContent);
        }
        let options = ConnectionOptions::read(bytes, &mut self.fields)?;
        let fields = std::mem::take(&mut self.fields);
        (self.scan, self.blank_lines, self.line) = (SectionScan::default(), 0, None);
        Ok(RequestHead { line, fields, announced, options, len })
    }
}

/// RFC 9112, 3.2: one valid `Host`. That of an absolute-form target replaces it (3.2.2); that of CONNECT must be equal.
fn check_host(fields: Fields<'_>, line: RequestLine, bytes: &[u8]) -> Result<(), Violation> {
    if fields.is_repeated(KnownName::Host) {
        return Err(Violation::TwoHosts);
    }
    let Some(host) = fields.get(KnownName::Host) else {
        return if line.version == Version::Http11 { Err(Violation::NoHost) } else { Ok(()) };
    };
    if !is_authority(host) {
        return Err(Violation::Host);
    }
    if let TargetSpans::Authority(authority) = line.form
        && !authority.slice(bytes).eq_ignore_ascii_case(host)
    {
        return Err(Violation::OtherHost);
    }
    Ok(())
}

impl RequestLine {
    /// Reads `bytes[start..end]`, which has no control octet.
    fn read(bytes: &[u8], start: usize, end: usize) -> Result<Self, Violation> {
        let line = bytes.get(start..end).unwrap_or_default();
        let (method, rest) = line.split_at_checked(token_len(line)).ok_or(Violation::Method)?;
        if method.is_empty() || !matches!(rest.first(), None | Some(b' ')) {
            return Err(Violation::Method);
        }
        let (rest, version) = match rest {
            [rest @ .., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] => (rest, Version::of_minor(*minor)?),
            _ => return Err(Violation::Version),
        };
        let target = rest.strip_prefix(b" ").filter(|target| !target.is_empty()).ok_or(Violation::TargetForm)?;
        if target.len() > TARGET_BYTES_MAX {
            return Err(Violation::TargetTooLarge);
        }
        let target_start = start + method.len() + 1;
        let target_end = target_start + target.len();
        let form = target::judge(method, bytes, target_start, target_end)?;
        let method = Span::new(start, start + method.len());
        Ok(Self { version, method, target: Span::new(target_start, target_end), form })
    }
}

impl RequestHead {
    /// The head with its bytes: those from which it was parsed, or a copy of them.
    #[must_use]
    pub const fn over<'a>(&'a self, bytes: &'a [u8]) -> Request<'a> {
        Request { bytes, head: self }
    }

    /// Takes the memory of the fields of a head that is no longer needed: the head then has none.
    pub fn take_memory(&mut self) -> FieldMemory {
        self.fields.take_memory()
    }

    /// The length of the head with its final empty line, and with an empty line before it.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a head is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// How the content ends.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.announced.of_request()
    }

    /// What the framing fields announce.
    #[must_use]
    pub const fn announced(&self) -> AnnouncedContent {
        self.announced
    }

    /// Returns the HTTP version of the request.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.line.version
    }

    /// Whether the client wants the connection to persist after the response (RFC 9112, 9.3).
    #[must_use]
    pub const fn persists(&self) -> bool {
        self.options.persists(self.line.version)
    }
}

/// The head of a request with its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    bytes: &'a [u8],
    head: &'a RequestHead,
}

impl<'a> Request<'a> {
    /// The method: a token, case-sensitive (RFC 9110, 9.1).
    #[must_use]
    pub fn method(&self) -> &'a [u8] {
        self.head.line.method.slice(self.bytes)
    }

    /// The target as it was received: visible ASCII, unless it [has a raw query](Self::has_raw_query).
    #[must_use]
    pub fn target_bytes(&self) -> &'a [u8] {
        self.head.line.target.slice(self.bytes)
    }

    /// The target by its form.
    #[must_use]
    pub fn target(&self) -> RequestTarget<'a> {
        self.head.line.form.request_target(self.bytes)
    }

    /// The path, which begins with `/`; that of an absolute-form without a path is `/`. `None` in the forms without a path.
    #[must_use]
    pub fn path(&self) -> Option<&'a [u8]> {
        let (path, _) = self.head.line.form.path_and_query(self.bytes)?;
        Some(if path.is_empty() { b"/" } else { path })
    }

    /// Whether the query has characters outside of ASCII, which must be percent-encoded before it is passed on.
    #[must_use]
    pub const fn has_raw_query(&self) -> bool {
        self.head.line.form.has_raw_query()
    }

    /// The query without its `?`.
    #[must_use]
    pub fn query(&self) -> Option<&'a [u8]> {
        let (_, query) = self.head.line.form.path_and_query(self.bytes)?;
        query.strip_prefix(b"?")
    }

    /// The target as an origin server takes it, in two parts: the origin-form of an absolute-form (RFC 9112, 3.2.1), and
    /// for OPTIONS of a whole server `*` (3.2.4). Other forms are returned as they were received.
    #[must_use]
    pub fn origin_target(&self) -> [&'a [u8]; 2] {
        match self.target() {
            RequestTarget::Absolute { path_and_query: [], .. } if self.method() == b"OPTIONS" => [b"*", b""],
            RequestTarget::Absolute { path_and_query, .. } if path_and_query.first() != Some(&b'/') => {
                [b"/", path_and_query]
            }
            RequestTarget::Absolute { path_and_query, .. } => [path_and_query, b""],
            RequestTarget::Origin { .. } | RequestTarget::Authority(_) | RequestTarget::Asterisk => {
                [self.target_bytes(), b""]
            }
        }
    }

    /// The host with an optional port, of the target or of the `Host` header; an HTTP/1.0 request may have neither.
    #[must_use]
    pub fn authority(&self) -> Option<&'a [u8]> {
        match self.head.line.form.authority() {
            Some(authority) => Some(authority.slice(self.bytes)),
            None => self.fields().get(KnownName::Host),
        }
    }

    /// Returns the fields of the head.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        self.head.fields.over(self.bytes)
    }

    /// What the client expects before it sends the content.
    #[must_use]
    pub fn expectation(&self) -> Expectation {
        Expectation::read(self.fields(), self.head.line.version)
    }

    /// The value of the first `Upgrade` field, if the client asks for another protocol (RFC 9110, 7.8).
    #[must_use]
    pub fn upgrade(&self) -> Option<&'a [u8]> {
        self.head.options.upgrade(self.fields(), self.head.line.version)
    }
}
