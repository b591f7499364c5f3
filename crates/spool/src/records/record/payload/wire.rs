//! The parts of payloads: values in postcard, entries with a length, and fields with a tag.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::records::record::SharedTexts;

/// Maximum number of entries for which memory is reserved before they are read.
const CAPACITY_MAX: usize = 16;
/// Maximum size of a length.
const LENGTH_BYTES_MAX: usize = 5;
/// Maximum size of an unsigned number.
const NUMBER_BYTES_MAX: usize = 10;

/// The payload does not fit into its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::records::record) struct NoRoom;

/// The payload violates the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::records::record) struct InvalidPayload;

/// Writes a payload into a buffer.
#[derive(Debug)]
pub(in crate::records::record) struct PayloadWriter<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl<'a> PayloadWriter<'a> {
    pub(in crate::records::record) const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, used: 0 }
    }

    /// Returns the size of the written part.
    pub(in crate::records::record) const fn len(&self) -> usize {
        self.used
    }

    /// Writes one value in postcard.
    pub(super) fn value(&mut self, value: &impl Serialize) -> Result<(), NoRoom> {
        let free = self.buffer.get_mut(self.used..).ok_or(NoRoom)?;
        // Serializing a payload's structs fails only if the buffer is too small.
        self.used += postcard::to_slice(value, free).map_err(|_| NoRoom)?.len();
        Ok(())
    }

    /// Writes a list of entries.
    pub(super) fn list<T>(
        &mut self,
        entries: &[T],
        mut write: impl FnMut(&mut Self, &T) -> Result<(), NoRoom>,
    ) -> Result<(), NoRoom> {
        self.value(&u32::try_from(entries.len()).map_err(|_| NoRoom)?)?;
        entries.iter().try_for_each(|entry| self.sized(|writer| write(writer, entry)))
    }

    /// Writes a field, if it has a value. The tag must be greater than the previous one.
    pub(super) fn field(&mut self, tag: u32, value: Option<impl Serialize>) -> Result<(), NoRoom> {
        let Some(value) = value else { return Ok(()) };
        self.value(&tag)?;
        self.sized(|writer| writer.value(&value))
    }

    /// Writes the length of what `write` writes before it.
    fn sized(&mut self, write: impl FnOnce(&mut Self) -> Result<(), NoRoom>) -> Result<(), NoRoom> {
        let start = self.used;
        // Most lengths take one byte. Content with a longer length is moved.
        self.value(&0_u8)?;
        write(self)?;
        let content = self.used - start - 1;
        let length = u32::try_from(content).map_err(|_| NoRoom)?;
        let mut prefix = [0; LENGTH_BYTES_MAX];
        let prefix = postcard::to_slice(&length, &mut prefix).map_err(|_| NoRoom)?;
        let end = start + prefix.len() + content;
        let whole = self.buffer.get_mut(start..end).ok_or(NoRoom)?;
        if prefix.len() > 1 {
            whole.copy_within(1..=content, prefix.len());
        }
        whole.get_mut(..prefix.len()).ok_or(NoRoom)?.copy_from_slice(prefix);
        self.used = end;
        Ok(())
    }
}

/// Reads a payload, or one entry of a list. The functions for one type of value read what serde and postcard write: code
/// that serde derives takes twice as many instructions, and ingest reads each event.
#[derive(Debug, Clone, Copy)]
pub(in crate::records::record) struct PayloadReader<'a> {
    rest: &'a [u8],
    texts: Option<&'a SharedTexts>,
}

impl<'a> PayloadReader<'a> {
    pub(in crate::records::record) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, texts: None }
    }

    /// Returns a reader whose texts share the memory of `texts`.
    pub(in crate::records::record) const fn sharing(self, texts: Option<&'a SharedTexts>) -> Self {
        Self { texts, ..self }
    }

    /// Returns a text that many records contain.
    pub(super) fn text(&self, text: &str) -> Arc<str> {
        self.texts.map_or_else(|| text.into(), |texts| texts.get(text))
    }

    /// Reads one value in postcard.
    pub(super) fn value<T: Deserialize<'a>>(&mut self) -> Result<T, InvalidPayload> {
        let (value, rest) = postcard::take_from_bytes(self.rest).map_err(|_| InvalidPayload)?;
        self.rest = rest;
        Ok(value)
    }

    /// Reads an unsigned number: seven bits per byte, the lowest first.
    #[inline]
    pub(super) fn number(&mut self) -> Result<u64, InvalidPayload> {
        let mut number = 0;
        for (nth, byte) in (0_u32..).zip(self.rest.iter().take(NUMBER_BYTES_MAX)) {
            number |= u64::from(byte & 0x7f) << (7 * nth);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(nth as usize + 1..).unwrap_or_default();
                // The tenth byte has one bit of the number.
                return if nth == 9 && *byte > 1 { Err(InvalidPayload) } else { Ok(number) };
            }
        }
        Err(InvalidPayload)
    }

    /// Reads an unsigned number of a smaller type.
    #[inline]
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, InvalidPayload> {
        T::try_from(self.number()?).map_err(|_| InvalidPayload)
    }

    /// Reads a signed number: its lowest bit is its sign.
    #[inline]
    pub(super) fn signed(&mut self) -> Result<i64, InvalidPayload> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// Reads one byte, such as a code.
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, InvalidPayload> {
        let (byte, rest) = self.rest.split_first().ok_or(InvalidPayload)?;
        self.rest = rest;
        Ok(*byte)
    }

    /// Reads a byte that is 0 or 1.
    #[inline]
    pub(super) fn flag(&mut self) -> Result<bool, InvalidPayload> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(InvalidPayload),
        }
    }

    /// Reads an optional value.
    #[inline]
    pub(super) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, InvalidPayload>,
    ) -> Result<Option<T>, InvalidPayload> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    /// Reads a text without a copy.
    #[inline]
    pub(super) fn str(&mut self) -> Result<&'a str, InvalidPayload> {
        str::from_utf8(self.bytes()?).map_err(|_| InvalidPayload)
    }

    /// Reads a text that many records contain.
    pub(super) fn name(&mut self) -> Result<Arc<str>, InvalidPayload> {
        let bytes = self.bytes()?;
        match self.texts.and_then(|texts| texts.known(bytes)) {
            Some(known) => Ok(known),
            None => str::from_utf8(bytes).map(|name| self.text(name)).map_err(|_| InvalidPayload),
        }
    }

    /// Reads the id of a request or plan.
    pub(super) fn uuid(&mut self) -> Result<Uuid, InvalidPayload> {
        Uuid::from_slice(self.bytes()?).map_err(|_| InvalidPayload)
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'a [u8], InvalidPayload> {
        let (bytes, rest) = usize::try_from(self.number()?)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length))
            .ok_or(InvalidPayload)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads a list of entries.
    pub(super) fn list<T>(
        &mut self,
        read: impl Fn(PayloadReader<'a>) -> Result<T, InvalidPayload>,
    ) -> Result<Vec<T>, InvalidPayload> {
        let count: u32 = self.small()?;
        let mut entries = Vec::with_capacity(CAPACITY_MAX.min(count as usize));
        for _ in 0..count {
            entries.push(read(self.sized()?)?);
        }
        Ok(entries)
    }

    /// Reads the fields of the tail.
    pub(super) const fn fields(self) -> Fields<'a> {
        Fields { reader: self, last_tag: 0 }
    }

    fn sized(&mut self) -> Result<PayloadReader<'a>, InvalidPayload> {
        let length: u32 = self.small()?;
        let (bytes, rest) = self.rest.split_at_checked(length as usize).ok_or(InvalidPayload)?;
        self.rest = rest;
        Ok(PayloadReader { rest: bytes, ..*self })
    }
}

/// The fields of a tail, in the order of their tags.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    reader: PayloadReader<'a>,
    last_tag: u32,
}

impl<'a> Fields<'a> {
    /// Returns the next field; `None` at the end of the tail.
    pub(super) fn next(&mut self) -> Result<Option<Field<'a>>, InvalidPayload> {
        if self.reader.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.reader.value()?;
        if tag <= self.last_tag {
            return Err(InvalidPayload);
        }
        self.last_tag = tag;
        Ok(Some(Field { tag, content: self.reader.sized()? }))
    }

    /// Skips the remaining fields, which are of a later minor version.
    pub(super) fn skip(mut self) -> Result<(), InvalidPayload> {
        while self.next()?.is_some() {}
        Ok(())
    }
}

/// One field of a tail.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) tag: u32,
    content: PayloadReader<'a>,
}

impl<'a> Field<'a> {
    /// Returns the value, which must fill the field.
    pub(super) fn value<T: Deserialize<'a>>(mut self) -> Result<T, InvalidPayload> {
        let value = self.content.value()?;
        if self.content.rest.is_empty() { Ok(value) } else { Err(InvalidPayload) }
    }
}
