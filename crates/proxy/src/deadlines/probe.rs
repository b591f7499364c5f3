//! The bytes of a connection to an upstream: a request counts from its first written byte.

use std::cell::Cell;
use std::rc::Rc;

/// Numbers of bytes that passed through a socket.
#[derive(Debug)]
pub(crate) struct Gauge {
    written: Cell<u64>,
    read: Cell<u64>,
    /// Whether anything was written since the last read.
    wrote_last: Cell<bool>,
    /// Whether the socket was dropped.
    ended: Cell<bool>,
}

/// Reports which bytes of a connection were written and read since one request was started on it.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    gauge: Rc<Gauge>,
    written_before: u64,
    read_before: u64,
    /// Whether the upstream refused the request; `None` on HTTP/1.1.
    refused: Option<Rc<Cell<bool>>>,
}

impl Gauge {
    pub(crate) fn new() -> Rc<Self> {
        let written = Cell::new(0);
        let read = Cell::new(0);
        Rc::new(Self { written, read, wrote_last: Cell::new(false), ended: Cell::new(false) })
    }

    /// Returns a probe, from now on, for a request that uses the connection alone.
    pub(crate) fn probe(self: &Rc<Self>) -> Probe {
        let written_before = self.written.get();
        let read_before = self.read.get();
        Probe { gauge: self.clone(), written_before, read_before, refused: None }
    }

    /// Returns a probe for a request on a stream.
    pub(crate) fn probe_stream(self: &Rc<Self>) -> Probe {
        Probe { refused: Some(Rc::default()), ..self.probe() }
    }

    /// Returns the number of bytes read so far.
    pub(crate) fn read(&self) -> u64 {
        self.read.get()
    }

    /// Counts bytes that were read.
    pub(crate) fn note_read(&self, bytes: u64) {
        self.read.set(self.read.get() + bytes);
        self.wrote_last.set(self.wrote_last.get() && bytes == 0);
    }

    /// Counts bytes that were written.
    pub(crate) fn note_written(&self, bytes: u64) {
        self.written.set(self.written.get() + bytes);
        self.wrote_last.set(self.wrote_last.get() || bytes > 0);
    }

    /// Notes that the socket was dropped.
    pub(crate) fn end(&self) {
        self.ended.set(true);
    }

    /// Returns whether anything was written since the last read.
    pub(crate) fn wrote_last(&self) -> bool {
        self.wrote_last.get()
    }
}

impl Probe {
    /// Returns whether any byte of the request was or will be written. The result is valid only once nothing waits for
    /// the response.
    ///
    /// h2 also sends queued HEADERS after their request was dropped, followed by a reset. On a connection with several
    /// streams, it is unknown to which stream the written bytes belong. Therefore the result for a stream is `false`
    /// only if nothing was written before the connection ended or the upstream refused the stream.
    pub(crate) fn anything_written(&self) -> bool {
        let written = self.gauge.written.get() > self.written_before;
        written || self.refused.as_ref().is_some_and(|refused| !refused.get() && !self.gauge.ended.get())
    }

    /// Records that the upstream refused the stream: nothing more of it is written.
    pub(crate) fn note_refused(&self) {
        if let Some(refused) = &self.refused {
            refused.set(true);
        }
    }

    /// Returns whether anything was read from the connection since.
    pub(crate) fn anything_read(&self) -> bool {
        self.gauge.read.get() > self.read_before
    }
}
