//! An upstream's socket, which counts: from the first byte written a request counts, and before the head of an answer
//! only so much is read.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What HTTP/1.1 may say before an answer's head is whole, 1xx heads included: hyper skips those without an end. More
/// than that is also read where an answer's body comes with its head, at most two of hyper's buffers.
const BEFORE_HEAD_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes that went through a socket.
#[derive(Debug)]
pub(crate) struct Gauge {
    written: Cell<u64>,
    read: Cell<u64>,
    read_max: Cell<u64>,
    wrote_last: Cell<bool>,
    ended: Cell<bool>,
}

/// Says what came of one request on the way to an upstream.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    gauge: Rc<Gauge>,
    written_before: u64,
    read_before: u64,
    /// Where it went to an HTTP/2 connection: whether the upstream refused it.
    refused: Option<Rc<Cell<bool>>>,
}

impl Gauge {
    pub(crate) fn new() -> Rc<Self> {
        let (written, read, read_max) = (Cell::new(0), Cell::new(0), Cell::new(u64::MAX));
        Rc::new(Self { written, read, read_max, wrote_last: Cell::new(false), ended: Cell::new(false) })
    }

    /// A probe of what happens to a request that has the connection for itself, from now on.
    pub(crate) fn probe(self: &Rc<Self>) -> Probe {
        let (written_before, read_before) = (self.written.get(), self.read.get());
        Probe { gauge: self.clone(), written_before, read_before, refused: None }
    }

    /// A probe of what happens to a request on a stream.
    pub(crate) fn probe_stream(self: &Rc<Self>) -> Probe {
        Probe { refused: Some(Rc::default()), ..self.probe() }
    }

    /// Bytes read so far.
    pub(crate) fn read(&self) -> u64 {
        self.read.get()
    }

    /// Bytes were read.
    pub(crate) fn note_read(&self, bytes: u64) {
        self.read.set(self.read.get() + bytes);
        self.wrote_last.set(self.wrote_last.get() && bytes == 0);
    }

    /// Bytes were written.
    pub(crate) fn note_written(&self, bytes: u64) {
        self.written.set(self.written.get() + bytes);
        self.wrote_last.set(self.wrote_last.get() || bytes > 0);
    }

    /// Whether something was written since anything was read.
    pub(crate) fn wrote_last(&self) -> bool {
        self.wrote_last.get()
    }

    /// An answer's head is waited for, and only so much may come before it.
    pub(crate) fn expect_head(&self) {
        self.read_max.set(self.read.get().saturating_add(BEFORE_HEAD_BYTES_MAX));
    }

    /// The head is here.
    pub(crate) fn head_is_here(&self) {
        self.read_max.set(u64::MAX);
    }

    /// Whether more came than may come before a head.
    pub(crate) fn is_flooded(&self) -> bool {
        self.read.get() > self.read_max.get()
    }
}

impl Probe {
    /// Whether anything of the request was, or will be written; to be asked when nobody waits for its answer any more.
    /// What h2 was handed goes out also after its caller left: its HEADERS, then a reset. And nobody knows whose bytes
    /// were written on a connection that many share. So on a stream it is no only where the connection has ended, or
    /// the stream was refused, before another byte was written.
    pub(crate) fn anything_written(&self) -> bool {
        let written = self.gauge.written.get() > self.written_before;
        written || self.refused.as_ref().is_some_and(|refused| !refused.get() && !self.gauge.ended.get())
    }

    /// The upstream refused the stream: nothing more is written of it.
    pub(crate) fn note_refused(&self) {
        if let Some(refused) = &self.refused {
            refused.set(true);
        }
    }

    /// Whether anything came back on the connection since.
    pub(crate) fn anything_read(&self) -> bool {
        self.gauge.read.get() > self.read_before
    }
}

/// What a connection is made of.
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A transport whose bytes are counted.
pub(crate) struct Socket {
    transport: Transport,
    gauge: Rc<Gauge>,
}

impl Socket {
    pub(crate) fn new(transport: Transport, gauge: Rc<Gauge>) -> Self {
        Self { transport, gauge }
    }

    fn note(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &result {
            self.gauge.note_written(u64::try_from(*bytes).unwrap_or(0));
        }
        result
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.gauge.ended.set(true);
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        let gauge = &self.gauge;
        gauge.note_read(u64::try_from(buffer.filled().len() - before).unwrap_or(0));
        if gauge.is_flooded() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "too much before the head of an answer",
            )));
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        };
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
