//! The bytes of one push with their edits: nothing is copied unless a value is replaced or held.

use bytes::Bytes;

/// The edited bytes so far.
#[derive(Debug, Default)]
pub(super) struct EditedOutput {
    /// Bytes that had to be copied. They precede the rest of this push.
    copied: Vec<u8>,
    /// The first byte of this push that is not in `copied`.
    from: usize,
    /// The first byte of this push that is held; it and all behind it are not forwarded.
    held_from: Option<usize>,
}

impl EditedOutput {
    /// Replaces a range of this push.
    pub(super) fn replace(&mut self, bytes: &[u8], range: std::ops::Range<usize>, with: &[u8]) {
        self.copied.extend_from_slice(bytes.get(self.from..range.start).unwrap_or_default());
        self.copied.extend_from_slice(with);
        self.from = range.end;
    }

    /// Lets a held string pass, of which `earlier` arrived before this push.
    pub(super) fn release(&mut self, earlier: &[u8]) {
        self.copied.extend_from_slice(earlier);
        self.held_from = None;
    }

    /// Holds the bytes of this push from `at`.
    pub(super) const fn hold_from(&mut self, at: usize) {
        self.held_from = Some(at);
    }

    /// Ends the push: returns the bytes to forward, and adds those that are held to `held`.
    pub(super) fn take(&mut self, bytes: Bytes, held: &mut Vec<u8>) -> Bytes {
        let from = std::mem::take(&mut self.from);
        let until = self.held_from.take().unwrap_or(bytes.len());
        held.extend_from_slice(bytes.get(until..).unwrap_or_default());
        if self.copied.is_empty() {
            return if from == 0 && until == bytes.len() { bytes } else { bytes.slice(from.min(until)..until) };
        }
        self.copied.extend_from_slice(bytes.get(from..until).unwrap_or_default());
        std::mem::take(&mut self.copied).into()
    }
}
