//! Lines of a head or trailer section, scanned once: each call continues where the last one stopped.

use crate::fields::{FieldLine, FieldTable};
use crate::known_name::{KnownName, NameMatch};
use crate::limits::NAME_BYTES_MAX;
use crate::octets::{before_colon, control, is_blank, is_token, token_len};
use crate::section_kind::SectionKind;
use crate::violation::Violation;

/// The length of names that are looked for as a whole first.
const SHORT_NAME: usize = 64;

/// The scan of a field section, with its final empty line. Positions are those of the bytes that are given.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct SectionScan {
    /// The next octet to look at.
    pub(crate) at: usize,
    /// The beginning of its line.
    pub(crate) line: usize,
    /// The end of the name and its match, while its value is scanned.
    name: Option<(usize, NameMatch)>,
}

impl SectionScan {
    /// Scans field lines of `bytes`, which begin with the bytes of the previous call. Returns the end of the section, or
    /// `None` if it is incomplete.
    #[inline]
    pub(crate) fn scan(
        &mut self,
        bytes: &[u8],
        fields: &mut FieldTable,
        fields_max: usize,
        kind: SectionKind,
    ) -> Result<Option<usize>, Violation> {
        // A copy stays in registers; it is stored only where the input ends.
        let mut scan = *self;
        loop {
            let continues = match scan.name {
                None => match bytes.get(scan.line..) {
                    Some([b'\r', b'\n', ..]) => return Ok(Some(scan.line + 2)),
                    Some([b'\r', _, ..]) => return Err(Violation::BareCr),
                    Some([b'\r']) => false,
                    Some(line) if scan.short_name(line) => true,
                    _ => scan.name(bytes, kind)?,
                },
                Some((name_end, known)) => match scan.line_end(bytes, true)? {
                    Some(end) => {
                        let line = FieldLine { start: scan.line, name_end, end, known };
                        fields.push(bytes, line, fields_max, kind)?;
                        (scan.line, scan.name) = (scan.at, None);
                        true
                    }
                    None => false,
                },
            };
            if !continues {
                *self = scan;
                return Ok(None);
            }
        }
    }

    /// Scans a short name with its colon, from the beginning of its line. A name without control octets that equals a
    /// well-known one is a token: its octets need no look-up. Returns false if there is no such name; [`Self::name`] says why.
    #[inline]
    fn short_name(&mut self, line: &[u8]) -> bool {
        let Some(name) = before_colon(line.get(..SHORT_NAME).unwrap_or(line)) else { return false };
        let known = NameMatch::from_name(name);
        let is_whole = matches!(known, NameMatch::Exact(known) if known != KnownName::XForwardedOther);
        if !is_whole && !is_token(name) {
            return false;
        }
        let end = self.line + name.len();
        (self.at, self.name) = (end + 1, Some((end, known)));
        true
    }

    /// Scans a field name and its colon. Returns whether both are complete.
    #[inline]
    fn name(&mut self, bytes: &[u8], kind: SectionKind) -> Result<bool, Violation> {
        let window = bytes.get(self.at..bytes.len().min(self.line + NAME_BYTES_MAX + 1)).unwrap_or_default();
        let end = self.at + token_len(window);
        if end == self.at + window.len() {
            self.at = end;
            return if end > self.line + NAME_BYTES_MAX { Err(Violation::NameTooLarge) } else { Ok(false) };
        }
        match bytes.get(end) {
            Some(b':') if end > self.line => {
                let known = NameMatch::from_name(bytes.get(self.line..end).unwrap_or_default());
                (self.at, self.name) = (end + 1, Some((end, known)));
                Ok(true)
            }
            Some(b' ' | b'\t') if end == self.line => Err(Violation::Fold),
            Some(b' ' | b'\t') if kind == SectionKind::Request => Err(Violation::SpaceBeforeColon),
            Some(b' ' | b'\t') => self.spaced_colon(bytes, end),
            Some(b'\n') => Err(Violation::BareLf),
            Some(b'\r') => Err(Violation::NoColon),
            _ => Err(Violation::FieldName),
        }
    }

    /// Scans the whitespace between a name, which ends at `name_end`, and its colon. Returns whether the colon has arrived.
    #[cold]
    fn spaced_colon(&mut self, bytes: &[u8], name_end: usize) -> Result<bool, Violation> {
        let window = bytes.get(name_end..bytes.len().min(self.line + NAME_BYTES_MAX + 1)).unwrap_or_default();
        let Some(blanks) = window.iter().position(|octet| !is_blank(*octet)) else {
            self.at = name_end;
            let is_full = name_end + window.len() > self.line + NAME_BYTES_MAX;
            return if is_full { Err(Violation::NameTooLarge) } else { Ok(false) };
        };
        if window.get(blanks) != Some(&b':') {
            return Err(Violation::SpaceBeforeColon);
        }
        let known = NameMatch::from_name(bytes.get(self.line..name_end).unwrap_or_default());
        (self.at, self.name) = (name_end + blanks + 1, Some((name_end, known)));
        Ok(true)
    }

    /// Returns the end of the current line without CR LF, or `None` if it is incomplete. The scan continues after CR LF.
    #[inline(always)]
    pub(crate) fn line_end(&mut self, bytes: &[u8], may_have_tabs: bool) -> Result<Option<usize>, Violation> {
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
                (Some(b'\t'), _) => return Err(Violation::Spaces),
                (Some(b'\r'), _) => return Err(Violation::BareCr),
                (Some(b'\n'), _) => return Err(Violation::BareLf),
                _ => return Err(Violation::ControlOctet),
            }
        }
    }

    /// Scans the first line of a head as [`SectionScan::line_end`], within `line_bytes_max`.
    pub(crate) fn first_line_end(
        &mut self,
        bytes: &[u8],
        line_bytes_max: usize,
        may_have_tabs: bool,
    ) -> Result<Option<usize>, Violation> {
        let window_end = (self.line + line_bytes_max + 2).min(bytes.len());
        let window = bytes.get(..window_end).unwrap_or_default();
        match self.line_end(window, may_have_tabs)? {
            None if window_end == self.line + line_bytes_max + 2 => Err(Violation::LineTooLarge),
            found => Ok(found),
        }
    }
}
