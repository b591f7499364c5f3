//! Holds the event that has begun until it is known whether it goes on to the caller.

use bytes::Bytes;

/// Longest event that is held; a longer one goes on as it is, also where it came in one piece.
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
            // What was held comes before this push, so nothing of the push went on yet.
            self.out.append(&mut self.held);
            self.start = at;
        }
        self.passed = 0;
    }

    /// One more byte before `at` belongs to the event that ended last.
    pub(super) fn end_tail(&mut self, bytes: &[u8], at: usize) {
        if self.dropped {
            self.skip(bytes, at);
        } else {
            self.start = at;
        }
    }

    /// The push is over: what goes on now.
    pub(super) fn take(&mut self, bytes: &Bytes) -> Bytes {
        let open = bytes.len() - self.start;
        if self.passed > 0 || self.held.len() + open > EVENT_BYTES_MAX {
            self.passed += self.held.len() + open;
            self.out.append(&mut self.held);
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

    /// The stream is over, in the open event: what is left.
    pub(super) fn finish(self, drop: bool) -> Bytes {
        if drop { Bytes::new() } else { self.held.into() }
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
