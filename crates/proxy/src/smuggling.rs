//! What a caller sends, before hyper reads it: each head is scanned once and passes as a whole, or is refused.
//!
//! hyper forgives what other servers read differently (docs/decisions/0015-request-smuggling-checks.md), and its own refusals have no
//! code. So `CheckedIo` stands between the socket and hyper: a [`Scanner`] finds where each message begins and ends, in place
//! and without a copy unless a head comes in pieces. In place of a head that is refused hyper gets a stand-in: its method and
//! target, HTTP/1.1, and no `Host`, which no head that passes can be. It is served like any request, in its turn, and
//! `admit` answers it with the [`Fault`]; nothing that came after it passes.
//!
//! Read in this order: `scanner`, `head`, `line`, `chunks`, `fault`, `bytes`. [`judge`] holds it against hyper.

mod bytes;
mod chunks;
mod fault;
mod head;
pub mod judge;
mod line;
mod scanner;

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::{Version, header};
use hyper::server::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use fault::Fault;
pub use scanner::{BodyLength, ScanEvent, ScanRefusal, Scanner, Step};

/// Fields of a head, and of trailers; hyper's own bound, for which it needs no allocation.
pub const FIELDS_MAX: usize = 100;
/// A field's name; `http` takes 64 KiB.
const NAME_BYTES_MAX: usize = 256;
/// A request's target; hyper takes no longer one.
const TARGET_BYTES_MAX: usize = 65_534;
/// Blank lines before a request, which old clients send after a body (RFC 9112, 2.2).
const BLANK_LINES_MAX: usize = 1;
/// Digits of a chunk's size: 2^64 - 1 has 16.
const CHUNK_DIGITS_MAX: usize = 16;
/// Extensions of all chunks of a body; hyper takes twice as much.
const CHUNK_EXTENSIONS_BYTES_MAX: usize = 8 * 1024;
/// Trailers of a body.
const TRAILERS_BYTES_MAX: usize = 8 * 1024;
/// hyper takes no smaller buffer.
const BUFFER_BYTES_MIN: usize = 16 * 1024;
/// Stands in for a request line that cannot be read.
const UNREADABLE: &[u8] = b"- *";

/// How hyper serves what passes: its own bounds, which answer without a code, are above those that hold here.
pub(crate) fn http1(head_bytes_max: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_header_size(head_bytes_max + 1).max_buf_size(head_bytes_max.saturating_add(1024).max(BUFFER_BYTES_MIN));
    builder
}

/// A connection's scan, as whoever serves the connection sees it.
#[derive(Debug, Default)]
pub(crate) struct ScanReport {
    fault: Cell<Option<Fault>>,
}

impl ScanReport {
    /// Why the request is refused, if hyper read it from a stand-in: a head without `Host` never passes in HTTP/1.1.
    pub(crate) fn fault<B>(&self, request: &http::Request<B>) -> Option<Fault> {
        let fault = self.fault.get()?;
        (request.version() == Version::HTTP_11 && !request.headers().contains_key(header::HOST)).then_some(fault)
    }
}

/// A caller's connection, of which only what can be read in one way is read.
#[derive(Debug)]
pub(crate) struct CheckedIo<Io> {
    io: Io,
    scanner: Scanner,
    report: Rc<ScanReport>,
    /// What passed and is still to be read: a head that came in pieces and what came with its end, or a stand-in.
    queue: Vec<u8>,
    queue_read: usize,
}

impl<Io> CheckedIo<Io> {
    pub(crate) fn new(io: Io, head_bytes_max: usize, report: Rc<ScanReport>) -> Self {
        Self { io, scanner: Scanner::new(head_bytes_max), report, queue: Vec::new(), queue_read: 0 }
    }

    fn read_queue(&mut self, buffer: &mut ReadBuf<'_>) {
        let left = self.queue.get(self.queue_read..).unwrap_or_default();
        let step = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..step).unwrap_or_default());
        self.queue_read += step;
        if self.queue_read >= self.queue.len() {
            (self.queue, self.queue_read) = (Vec::new(), 0);
        }
    }

    /// Scans what came. Answers how many bytes, from the first on, may be read where they are; what else may be read is in
    /// the queue.
    fn sift(&mut self, bytes: &[u8]) -> usize {
        let (mut used, mut in_place) = (0, 0);
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            let step = self.scanner.push(rest);
            used += step.used;
            match step.found {
                ScanEvent::Held => {}
                ScanEvent::Head(_) | ScanEvent::Body { .. } => {
                    let held = self.scanner.take_held();
                    if !held.is_empty() {
                        self.queue = held;
                    } else if self.queue.is_empty() {
                        in_place = used;
                    } else {
                        self.queue.extend_from_slice(rest.get(..step.used).unwrap_or_default());
                    }
                }
                ScanEvent::Refused(ScanRefusal::Head(fault)) => {
                    self.report.fault.set(Some(fault));
                    let line = self.scanner.refused_line();
                    self.queue.extend_from_slice(if line.is_empty() { UNREADABLE } else { line });
                    self.queue.extend_from_slice(b" HTTP/1.1\r\n\r\n");
                    break;
                }
                ScanEvent::Refused(ScanRefusal::Body(_)) => break,
            }
        }
        in_place
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for CheckedIo<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.queue.is_empty() {
                self.read_queue(buffer);
                return Poll::Ready(Ok(()));
            }
            match self.scanner.refused() {
                // The answer to the stand-in closes the connection; an end seen before would break that answer off.
                Some(ScanRefusal::Head(_)) => return Poll::Pending,
                Some(ScanRefusal::Body(fault)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
                }
                None => {}
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
            let bytes = buffer.filled().get(before..).unwrap_or_default();
            if bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let in_place = self.sift(bytes);
            buffer.set_filled(before + in_place);
            if in_place > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for CheckedIo<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
