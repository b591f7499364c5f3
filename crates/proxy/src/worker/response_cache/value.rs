//! The parts of a value in Redis: numbers, and texts with their lengths.

use bytes::Bytes;

/// A value that is written.
#[derive(Debug, Default)]
pub(super) struct ValueWriter(Vec<u8>);

impl ValueWriter {
    /// Returns a value that begins with these octets.
    pub(super) fn beginning(octets: &[u8], capacity: usize) -> Self {
        let mut value = Vec::with_capacity(octets.len() + capacity);
        value.extend_from_slice(octets);
        Self(value)
    }

    pub(super) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        self.number(u64::try_from(text.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(text);
    }

    /// Writes the number of texts, and each of them.
    pub(super) fn texts<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.number(u64::try_from(texts.len()).unwrap_or(u64::MAX));
        texts.for_each(|text| self.text(text));
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A value that is read. Each part is `None` if the value ends before it.
#[derive(Debug)]
pub(super) struct ValueReader(Bytes);

impl ValueReader {
    pub(super) const fn new(value: Bytes) -> Self {
        Self(value)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let octets = self.octets(size_of::<u64>())?;
        Some(u64::from_be_bytes(octets.as_ref().try_into().ok()?))
    }

    pub(super) fn text(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.number()?).ok()?;
        self.octets(length)
    }

    /// Reads a number of texts, and each of them.
    pub(super) fn texts(&mut self) -> Option<Vec<Bytes>> {
        let count = self.number()?;
        // Each text has at least its length, so a false number ends with the value.
        (0..count).map(|_| self.text()).collect()
    }

    /// Whether the value has no further part.
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn octets(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }
}
