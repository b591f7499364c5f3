//! A head, or the trailers of a chunked body, scanned line by line.

use std::ops::Range;

use super::bytes::{control, is_token, token_len};
use super::fault::Fault;
use super::line::{self, Line, is_authority};
use super::scanner::BodyLength;
use super::{BLANK_LINES_MAX, FIELDS_MAX, NAME_BYTES_MAX};

/// 19 digits are always less than 2^64.
const LENGTH_DIGITS_MAX: usize = 19;

/// How far the scan of a head has come, and what it has found. Places are counted from the head's first byte.
#[derive(Debug, Default)]
pub(super) struct Head {
    cursor: Cursor,
    blank_lines: usize,
    fields: usize,
    request: Option<Request>,
    host: Option<Range<usize>>,
    length: Option<u64>,
    chunked: bool,
}

/// Where the scan stands.
#[derive(Debug, Default, Clone, Copy)]
struct Cursor {
    /// The next byte to be looked at.
    at: usize,
    /// Where its line begins.
    line: usize,
    part: HeadPart,
}

#[derive(Debug, Default, Clone, Copy)]
enum HeadPart {
    /// The request line, or a blank line before it.
    #[default]
    Line,
    /// The name of a field, or the blank line that ends the head.
    Name,
    /// The value of the field whose name ends there.
    Value(usize),
}

/// The request line, and where it begins.
#[derive(Debug)]
struct Request {
    begins: usize,
    line: Line,
}

impl Head {
    /// The trailers after a chunked body: fields alone.
    pub(super) fn trailers() -> Self {
        Self { cursor: Cursor { part: HeadPart::Name, ..Cursor::default() }, ..Self::default() }
    }

    /// Goes on where it stopped. `bytes` are the head's from its first on. Answers where it ends, if it does.
    #[inline]
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let mut cursor = self.cursor;
        loop {
            let goes_on = match cursor.part {
                HeadPart::Line => self.scan_line(&mut cursor, bytes)?,
                HeadPart::Name => match bytes.get(cursor.line..) {
                    Some([b'\r', b'\n', ..]) => return self.finish(bytes).map(|()| Some(cursor.line + 2)),
                    Some([b'\r', _, ..]) => return Err(Fault::BareCr),
                    Some([b'\r']) => false,
                    _ => cursor.scan_name(bytes)?,
                },
                HeadPart::Value(name_end) => match cursor.line_end(bytes, true)? {
                    Some(end) => {
                        self.note(bytes, cursor.line..name_end, end)?;
                        (cursor.line, cursor.part) = (cursor.at, HeadPart::Name);
                        true
                    }
                    None => false,
                },
            };
            if !goes_on {
                self.cursor = cursor;
                return Ok(None);
            }
        }
    }

    /// Method, space and target of a request line that was read.
    pub(super) fn method_and_target<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let request = self.request.as_ref()?;
        bytes.get(request.begins..request.begins + request.line.target_end)
    }

    /// What the head says about the body.
    pub(super) fn length(&self) -> BodyLength {
        match self.length {
            _ if self.chunked => BodyLength::Chunked,
            None => BodyLength::Nothing,
            Some(bytes) => BodyLength::Bytes(bytes),
        }
    }

    fn scan_line(&mut self, cursor: &mut Cursor, bytes: &[u8]) -> Result<bool, Fault> {
        // Who speaks something else may never end a line.
        if bytes.get(cursor.line).is_some_and(|first| !is_token(*first) && !matches!(first, b'\r' | b'\n')) {
            return Err(Fault::Method);
        }
        let Some(end) = cursor.line_end(bytes, false)? else { return Ok(false) };
        if end == cursor.line {
            self.blank_lines += 1;
            if self.blank_lines > BLANK_LINES_MAX {
                return Err(Fault::BlankLines);
            }
        } else {
            let line = line::read(bytes.get(cursor.line..end).unwrap_or_default())?;
            self.request = Some(Request { begins: cursor.line, line });
            cursor.part = HeadPart::Name;
        }
        cursor.line = cursor.at;
        Ok(true)
    }

    /// Takes note of a field that says where the message ends or goes; most names' lengths are no such field's.
    #[inline]
    fn note(&mut self, bytes: &[u8], name: Range<usize>, end: usize) -> Result<(), Fault> {
        self.fields += 1;
        if self.fields > FIELDS_MAX {
            return Err(Fault::TooManyFields);
        }
        let value = name.end + 1..end;
        let name = bytes.get(name).unwrap_or_default();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.note_host(bytes, value),
            14 if is_hyphened(name, b"content-length")? => self.note_length(bytes.get(value)),
            17 if is_hyphened(name, b"transfer-encoding")? => self.note_coding(bytes.get(value)),
            _ => Ok(()),
        }
    }

    fn is_trailer(&self) -> bool {
        self.request.is_none()
    }

    fn note_host(&mut self, bytes: &[u8], place: Range<usize>) -> Result<(), Fault> {
        if self.is_trailer() {
            return Err(Fault::Trailer);
        }
        if self.host.is_some() {
            return Err(Fault::TwoHosts);
        }
        let value = bytes.get(place.clone()).unwrap_or_default();
        let begins = place.start + (value.len() - value.trim_ascii_start().len());
        let place = begins..begins + value.trim_ascii().len();
        if !is_authority(bytes.get(place.clone()).unwrap_or_default()) {
            return Err(Fault::Host);
        }
        self.host = Some(place);
        Ok(())
    }

    fn note_length(&mut self, value: Option<&[u8]>) -> Result<(), Fault> {
        if self.is_trailer() {
            return Err(Fault::Trailer);
        }
        if self.length.is_some() {
            return Err(Fault::TwoLengths);
        }
        let digits = value.unwrap_or_default().trim_ascii();
        if digits.is_empty() || digits.len() > LENGTH_DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Fault::Length);
        }
        self.length = Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')));
        Ok(())
    }

    fn note_coding(&mut self, value: Option<&[u8]>) -> Result<(), Fault> {
        if self.is_trailer() {
            return Err(Fault::Trailer);
        }
        if self.chunked || !value.unwrap_or_default().trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(Fault::Coding);
        }
        self.chunked = true;
        Ok(())
    }

    /// What only the whole head shows.
    fn finish(&self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(request) = &self.request else { return Ok(()) };
        if self.chunked && !request.line.is_http11 {
            return Err(Fault::CodingInHttp10);
        }
        if self.chunked && self.length.is_some() {
            return Err(Fault::LengthAndCoding);
        }
        let authority = request.line.authority.as_ref();
        let authority = authority.and_then(|place| bytes.get(request.begins + place.start..request.begins + place.end));
        match (&self.host, authority) {
            (None, _) if request.line.is_http11 => Err(Fault::NoHost),
            (Some(host), Some(authority)) => {
                let is_same = bytes.get(host.clone()).is_some_and(|host| host.eq_ignore_ascii_case(authority));
                if is_same { Ok(()) } else { Err(Fault::OtherHost) }
            }
            (None, _) | (Some(_), None) => Ok(()),
        }
    }
}

impl Cursor {
    #[inline]
    fn scan_name(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        let window = bytes.get(self.at..bytes.len().min(self.line + NAME_BYTES_MAX + 1)).unwrap_or_default();
        let end = self.at + token_len(window);
        if end == self.at + window.len() {
            self.at = end;
            return if end > self.line + NAME_BYTES_MAX { Err(Fault::NameTooLarge) } else { Ok(false) };
        }
        match bytes.get(end) {
            Some(b':') if end > self.line => {
                (self.at, self.part) = (end + 1, HeadPart::Value(end));
                Ok(true)
            }
            Some(b' ' | b'\t') if end == self.line => Err(Fault::Fold),
            Some(b' ' | b'\t') => Err(Fault::SpaceBeforeColon),
            Some(b'\n') => Err(Fault::BareLf),
            Some(b'\r') => Err(Fault::NoColon),
            _ => Err(Fault::Name),
        }
    }

    /// Where the line ends, if it does; what comes next is after its CR LF.
    #[inline(always)]
    fn line_end(&mut self, bytes: &[u8], may_have_tabs: bool) -> Result<Option<usize>, Fault> {
        loop {
            let Some(place) = bytes.get(self.at..).and_then(control) else {
                self.at = bytes.len();
                return Ok(None);
            };
            let end = self.at + place;
            match (bytes.get(end), bytes.get(end + 1)) {
                (Some(b'\r'), Some(b'\n')) => {
                    self.at = end + 2;
                    return Ok(Some(end));
                }
                (Some(b'\r'), None) => {
                    self.at = end;
                    return Ok(None);
                }
                (Some(b'\t'), _) if may_have_tabs => self.at = end + 1,
                (Some(b'\t'), _) => return Err(Fault::Spaces),
                (Some(b'\r'), _) => return Err(Fault::BareCr),
                (Some(b'\n'), _) => return Err(Fault::BareLf),
                _ => return Err(Fault::Control),
            }
        }
    }
}

/// Whether `name` is `known`, which has one hyphen; an error where an underscore stands in its place.
fn is_hyphened(name: &[u8], known: &[u8]) -> Result<bool, Fault> {
    let is_equal = |(one, other): (&u8, &u8)| one.eq_ignore_ascii_case(other) || (*one == b'_' && *other == b'-');
    if !name.iter().zip(known).all(is_equal) {
        return Ok(false);
    }
    if name.contains(&b'_') { Err(Fault::Underscore) } else { Ok(true) }
}
