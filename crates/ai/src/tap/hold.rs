//! Holds an incomplete event until it is whole: half an event is useless to a client and cannot be taken back.

use bytes::Bytes;

/// Longest event that is held or dropped, in bytes; a longer one is forwarded as it arrives.
const EVENT_BYTES_MAX: usize = 64 * 1024;

/// Positions in the pushed bytes: `from ≤ start ≤` their length.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// The open event's bytes from earlier pushes.
    buffered: Vec<u8>,
    /// Bytes of this push that are forwarded but had to be copied.
    out: Vec<u8>,
    /// The first byte of this push that is forwarded without a copy.
    from: usize,
    /// The first byte of the open event.
    start: usize,
    /// Number of bytes of the open event that were forwarded already.
    passed: usize,
    /// Whether the previous event was dropped.
    dropped: bool,
    /// Whether nothing of the open event is forwarded or held, however long it is.
    discards: bool,
}

impl Hold {
    /// Ends the open event before `at`.
    pub(super) fn end(&mut self, bytes: &[u8], at: usize, drop: bool) {
        self.dropped = drop && self.passed == 0 && self.buffered.len() + (at - self.start) <= EVENT_BYTES_MAX;
        if self.dropped {
            self.buffered.clear();
            self.skip(bytes, at);
        } else {
            self.pass(at);
        }
    }

    /// Ends the open event before `at`, of which nothing was forwarded, and forwards `with` in its place.
    pub(super) fn replace(&mut self, bytes: &[u8], at: usize, with: &[u8]) {
        self.dropped = true;
        self.discards = false;
        self.buffered.clear();
        self.skip(bytes, at);
        self.out.extend_from_slice(with);
    }

    /// Returns the open event up to `at`; `None` if a part of it was forwarded or discarded.
    pub(super) fn open(&self, bytes: &[u8], at: usize) -> Option<Vec<u8>> {
        let begun = bytes.get(self.start..at).unwrap_or_default();
        (self.passed == 0 && !self.discards).then(|| [&self.buffered, begun].concat())
    }

    /// Whether the open event is too long to be held up to `at`, and nothing of it was forwarded.
    pub(super) const fn overflows(&self, at: usize) -> bool {
        self.passed == 0 && self.buffered.len() + at.saturating_sub(self.start) > EVENT_BYTES_MAX
    }

    /// Neither forwards nor holds the open event.
    pub(super) const fn discard(&mut self) {
        self.discards = true;
    }

    /// Whether the open event is discarded.
    pub(super) const fn is_discarding(&self) -> bool {
        self.discards
    }

    /// Forwards the bytes before `at`; no event is open there.
    pub(super) fn pass(&mut self, at: usize) {
        self.release();
        self.start = at;
        self.passed = 0;
    }

    /// One more byte before `at` belongs to the event that ended last.
    pub(super) fn end_tail(&mut self, bytes: &[u8], at: usize) {
        if self.dropped {
            self.skip(bytes, at);
        } else {
            self.pass(at);
        }
    }

    /// Ends the push: returns the bytes to forward now.
    pub(super) fn take(&mut self, bytes: Bytes) -> Bytes {
        if self.from == 0 && self.start == bytes.len() && self.out.is_empty() {
            self.start = 0;
            return bytes;
        }
        let open = if self.discards { 0 } else { bytes.len() - self.start };
        if self.discards {
            self.buffered.clear();
        } else if self.passed > 0 || self.buffered.len() + open > EVENT_BYTES_MAX {
            self.passed += self.buffered.len() + open;
            self.release();
            self.start = bytes.len();
        }
        if !self.discards {
            self.buffered.extend_from_slice(bytes.get(self.start..).unwrap_or_default());
        }
        let from = std::mem::take(&mut self.from);
        let start = std::mem::take(&mut self.start);
        if self.out.is_empty() {
            return bytes.slice(from..start);
        }
        self.out.extend_from_slice(bytes.get(from..start).unwrap_or_default());
        std::mem::take(&mut self.out).into()
    }

    /// Whether a part of the open event was forwarded already.
    pub(super) const fn is_passing(&self) -> bool {
        self.passed > 0
    }

    /// Whether the open event has begun, and nothing of it was forwarded.
    pub(super) const fn is_holding(&self) -> bool {
        self.discards || (self.passed == 0 && !self.buffered.is_empty())
    }

    /// Ends the stream inside the open event: returns the held bytes.
    pub(super) fn finish(self, drop: bool) -> Bytes {
        if drop { Bytes::new() } else { self.buffered.into() }
    }

    /// Forwards the held bytes. They arrived before this push, so no byte of the push is forwarded before them.
    fn release(&mut self) {
        if !self.buffered.is_empty() {
            self.out = std::mem::take(&mut self.buffered);
        }
    }

    /// Drops the bytes from `start` to `at`.
    fn skip(&mut self, bytes: &[u8], at: usize) {
        self.out.extend_from_slice(bytes.get(self.from..self.start).unwrap_or_default());
        (self.from, self.start) = (at, at);
    }
}

#[cfg(test)]
impl Hold {
    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffered.capacity() + self.out.capacity()
    }
}
