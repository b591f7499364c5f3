//! The fields of a head: positions of names and values, with an index of the well-known ones.

use crate::known_name::{KnownName, KnownNames, NameMatch};
use crate::octets::is_blank;
use crate::section_kind::SectionKind;
use crate::violation::Violation;

/// Room for the fields of a usual head.
const FIELDS_USUAL: usize = 16;

/// A range of a head. Positions are counted from the first byte that was given to the parser.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// Heads have at most 16 MiB, so that positions fit.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    /// The bytes of the range; empty if `bytes` are not those of the head.
    #[inline]
    pub(crate) fn slice(self, bytes: &[u8]) -> &[u8] {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        bytes.get(place(self.start)..place(self.end)).unwrap_or_default()
    }
}

/// The positions of one field line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldSpans {
    /// The line with its CR LF.
    pub(crate) line: Span,
    pub(crate) name_end: u32,
    /// The value without optional whitespace.
    pub(crate) value: Span,
    pub(crate) known: NameMatch,
    /// Whether the line is written as `name:value` or `name: value`, without other whitespace.
    pub(crate) is_plain: bool,
    /// Whether a `Connection` field names the field (RFC 9110, 7.6.1).
    pub(crate) is_named_by_connection: bool,
}

/// The fields in the order in which they were received, with the sets of the well-known names that they have.
///
/// Most look-ups are for names that a head lacks. A table of positions would be moved with each head.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldTable {
    pub(crate) list: Vec<FieldSpans>,
    present: KnownNames,
    /// The names of more than one field.
    repeated: KnownNames,
}

impl FieldTable {
    /// Forgets the fields and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        (self.present, self.repeated) = (KnownNames::EMPTY, KnownNames::EMPTY);
    }

    /// Takes the memory of the fields, which are forgotten.
    pub(crate) fn take_memory(&mut self) -> FieldMemory {
        self.clear();
        FieldMemory(std::mem::take(&mut self.list))
    }

    /// Uses memory that was taken, unless the table has its own.
    pub(crate) fn reuse(&mut self, memory: FieldMemory) {
        if self.list.capacity() == 0 {
            self.list = memory.0;
        }
    }

    /// Adds the field whose line is `bytes[start..line_end]` and whose name ends at `name_end`.
    #[inline]
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        line: FieldLine,
        fields_max: usize,
        kind: SectionKind,
    ) -> Result<(), Violation> {
        if self.list.len() >= fields_max {
            return Err(Violation::TooManyFields);
        }
        match line.known {
            NameMatch::Exact(name) => self.index(name),
            NameMatch::Lookalike(KnownName::ContentLength | KnownName::TransferEncoding)
                if kind != SectionKind::ResponseTrailers =>
            {
                return Err(Violation::Underscore);
            }
            NameMatch::Lookalike(_) | NameMatch::Unknown => {}
        }
        let is_blank_at = |at: usize| bytes.get(at).is_some_and(|octet| is_blank(*octet));
        let mut start = line.name_end + 1;
        let mut end = line.end;
        let is_spaced = kind != SectionKind::Request && bytes.get(line.name_end) != Some(&b':');
        if is_spaced {
            // Only whitespace precedes the colon.
            start += bytes.get(start - 1..end).and_then(|rest| memchr::memchr(b':', rest)).unwrap_or_default();
        }
        let value_start = start;
        let has_space = bytes.get(start) == Some(&b' ');
        while start < end && is_blank_at(start) {
            start += 1;
        }
        while start < end && is_blank_at(end - 1) {
            end -= 1;
        }
        let blanks = start - value_start;
        let is_plain = end == line.end && !is_spaced && (blanks == 0 || (blanks == 1 && has_space));
        if self.list.capacity() == 0 {
            self.list.reserve(FIELDS_USUAL);
        }
        self.list.push(FieldSpans {
            line: Span::new(line.start, line.end + 2),
            name_end: u32::try_from(line.name_end).unwrap_or(u32::MAX),
            value: Span::new(start, end),
            known: line.known,
            is_plain,
            is_named_by_connection: false,
        });
        Ok(())
    }

    /// Notes a field of a well-known name.
    #[inline]
    fn index(&mut self, name: KnownName) {
        if self.present.contains(name) {
            self.repeated = self.repeated.with(name);
        } else {
            self.present = self.present.with(name);
        }
    }

    /// Removes every field for which `is_kept` returns false.
    pub(crate) fn retain(&mut self, is_kept: impl FnMut(&FieldSpans) -> bool) {
        let mut list = std::mem::take(&mut self.list);
        list.retain(is_kept);
        self.clear();
        for field in &list {
            if let NameMatch::Exact(name) = field.known {
                self.index(name);
            }
        }
        self.list = list;
    }

    #[inline]
    pub(crate) fn first(&self, name: KnownName) -> Option<&FieldSpans> {
        self.candidates(name).first()
    }

    /// The fields from the first one of this name on; only that one if the name is not repeated.
    #[inline]
    fn candidates(&self, name: KnownName) -> &[FieldSpans] {
        if !self.present.contains(name) {
            return &[];
        }
        let first = self.list.iter().position(|field| field.known == NameMatch::Exact(name));
        let rest = first.and_then(|first| self.list.get(first..)).unwrap_or_default();
        let len = if self.is_repeated(name) { rest.len() } else { rest.len().min(1) };
        rest.get(..len).unwrap_or_default()
    }

    #[inline]
    pub(crate) const fn is_repeated(&self, name: KnownName) -> bool {
        self.repeated.contains(name)
    }

    pub(crate) fn over<'a>(&'a self, bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes, table: self }
    }
}

/// The memory of the fields of a head, which a parser uses for another head.
#[derive(Debug, Default)]
pub struct FieldMemory(Vec<FieldSpans>);

/// Positions of a field line that was scanned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldLine {
    pub(crate) start: usize,
    pub(crate) name_end: usize,
    /// The end of the line without CR LF.
    pub(crate) end: usize,
    /// What the name matches.
    pub(crate) known: NameMatch,
}

/// The fields of a head or a trailer section.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) table: &'a FieldTable,
}

/// One field of a head or trailer section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as it was received; a token.
    pub name: &'a [u8],
    /// The value without whitespace at its ends. It has no control octet except tabs, and may have octets from 128 on.
    pub value: &'a [u8],
    /// The well-known name, if it is one.
    pub known: Option<KnownName>,
}

impl<'a> Fields<'a> {
    /// The value of the first field of a well-known name. A name that the head lacks costs one look-up.
    /// [`KnownName::XForwardedOther`] finds the first field of all its names.
    #[must_use]
    #[inline]
    pub fn get(&self, name: KnownName) -> Option<&'a [u8]> {
        self.table.first(name).map(|field| field.value.slice(self.bytes))
    }

    /// Whether there is more than one field of this name, by one look-up.
    #[must_use]
    pub const fn is_repeated(&self, name: KnownName) -> bool {
        self.table.is_repeated(name)
    }

    /// The values of all fields of a well-known name, in order.
    pub fn all(&self, name: KnownName) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        let same = move |field: &&FieldSpans| field.known == NameMatch::Exact(name);
        self.table.candidates(name).iter().filter(same).map(move |field| field.value.slice(bytes))
    }

    /// The values of all fields of a name in any case, in order. It compares every name.
    pub fn named<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let bytes = self.bytes;
        self.table.list.iter().map(move |field| field.over(bytes))
    }

    /// The number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.list.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.list.is_empty()
    }
}

impl FieldSpans {
    /// The field with its bytes.
    #[inline]
    pub(crate) fn over(self, bytes: &[u8]) -> Field<'_> {
        let known = match self.known {
            NameMatch::Exact(known) => Some(known),
            NameMatch::Lookalike(_) | NameMatch::Unknown => None,
        };
        Field { name: self.name(bytes), value: self.value.slice(bytes), known }
    }

    pub(crate) fn name(self, bytes: &[u8]) -> &[u8] {
        Span { start: self.line.start, end: self.name_end }.slice(bytes)
    }
}
