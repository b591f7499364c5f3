//! Lines of a head or trailer section, scanned once: each call continues where the last one stopped.

use crate::fields::{FieldLine, FieldTable};
use crate::limits::NAME_BYTES_MAX;
use crate::octets::{control, token_len};
use crate::violation::Violation;

/// The scan of a field section, with its final empty line. Positions are those of the bytes that are given.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct SectionScan {
    /// The next octet to look at.
    pub(crate) at: usize,
    /// The beginning of its line.
    pub(crate) line: usize,
    /// The end of the name, while its value is scanned.
    name_end: Option<usize>,
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
    ) -> Result<Option<usize>, Violation> {
        // A copy stays in registers; it is stored only where the input ends.
        let mut scan = *self;
        loop {
            let continues = match scan.name_end {
                None => match bytes.get(scan.line..) {
                    Some([b'\r', b'\n', ..]) => return Ok(Some(scan.line + 2)),
                    Some([b'\r', _, ..]) => return Err(Violation::BareCr),
                    Some([b'\r']) => false,
                    _ => scan.name(bytes)?,
                },
                Some(name_end) => match scan.line_end(bytes, true)? {
                    Some(end) => {
                        fields.push(bytes, FieldLine { start: scan.line, name_end, end }, fields_max)?;
                        (scan.line, scan.name_end) = (scan.at, None);
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

    /// Scans a field name and its colon. Returns whether both are complete.
    #[inline]
    fn name(&mut self, bytes: &[u8]) -> Result<bool, Violation> {
        let window = bytes.get(self.at..bytes.len().min(self.line + NAME_BYTES_MAX + 1)).unwrap_or_default();
        let end = self.at + token_len(window);
        if end == self.at + window.len() {
            self.at = end;
            return if end > self.line + NAME_BYTES_MAX { Err(Violation::NameTooLarge) } else { Ok(false) };
        }
        match bytes.get(end) {
            Some(b':') if end > self.line => {
                (self.at, self.name_end) = (end + 1, Some(end));
                Ok(true)
            }
            Some(b' ' | b'\t') if end == self.line => Err(Violation::Fold),
            Some(b' ' | b'\t') => Err(Violation::SpaceBeforeColon),
            Some(b'\n') => Err(Violation::BareLf),
            Some(b'\r') => Err(Violation::NoColon),
            _ => Err(Violation::FieldName),
        }
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
