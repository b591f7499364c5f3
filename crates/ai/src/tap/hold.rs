//! Holds the event that has begun until it is whole: half of one is of no use to a caller, and cannot be taken back.

use bytes::Bytes;

/// Longest event that is held, or dropped; a longer one goes on as it comes.
const EVENT_BYTES_MAX: usize = 64 * 1024;

/// Where the pushed bytes stand: `from ≤ start ≤` their length.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// The open event's bytes from earlier pushes.
    held: Vec<u8>,
    /// What goes on of this push, and could not stay in place.
    out: Vec<u8>,
    /// What goes on in place begins here.
    from: usize,
    /// The open event begins here.
    start: usize,
    /// Bytes of the open event that went on already.
    passed: usize,
    /// Whether the event before was dropped.
    dropped: bool,
}

impl Hold {
    /// The open event ends before `at`.
    pub(super) fn end(&mut self, bytes: &[u8], at: usize, drop: bool) {
        self.dropped = drop && self.passed == 0 && self.held.len() + (at - self.start) <= EVENT_BYTES_MAX;
        if self.dropped {
            self.held.clear();
            self.skip(bytes, at);
        } else {
            self.pass(at);
        }
    }

    /// What stands before `at` goes on; no event is open there.
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

    /// The push is over: what goes on now.
    pub(super) fn take(&mut self, bytes: Bytes) -> Bytes {
        if self.from == 0 && self.start == bytes.len() && self.out.is_empty() {
            self.start = 0;
            return bytes;
        }
        let open = bytes.len() - self.start;
        if self.passed > 0 || self.held.len() + open > EVENT_BYTES_MAX {
            self.passed += self.held.len() + open;
            self.release();
            self.start = bytes.len();
        }
        self.held.extend_from_slice(bytes.get(self.start..).unwrap_or_default());
        let (from, start) = (std::mem::take(&mut self.from), std::mem::take(&mut self.start));
        if self.out.is_empty() {
            return bytes.slice(from..start);
        }
        self.out.extend_from_slice(bytes.get(from..start).unwrap_or_default());
        std::mem::take(&mut self.out).into()
    }

    /// Whether a part of the open event went on already.
    pub(super) const fn is_passing(&self) -> bool {
        self.passed > 0
    }

    /// The stream is over, in the open event: what is left.
    pub(super) fn finish(self, drop: bool) -> Bytes {
        if drop { Bytes::new() } else { self.held.into() }
    }

    /// What was held goes on. It came before this push, so nothing of the push goes on before it.
    fn release(&mut self) {
        if !self.held.is_empty() {
            self.out = std::mem::take(&mut self.held);
        }
    }

    /// The bytes from `start` to `at` do not go on.
    fn skip(&mut self, bytes: &[u8], at: usize) {
        self.out.extend_from_slice(bytes.get(self.from..self.start).unwrap_or_default());
        (self.from, self.start) = (at, at);
    }
}

#[cfg(test)]
impl Hold {
    pub(super) fn held_bytes(&self) -> usize {
        self.held.capacity() + self.out.capacity()
    }
}
