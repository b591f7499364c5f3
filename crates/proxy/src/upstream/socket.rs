//! An upstream's socket, which counts: from the first byte written a request counts.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Bytes that went through a socket.
#[derive(Debug)]
pub(crate) struct Gauge {
    written: Cell<u64>,
    read: Cell<u64>,
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
        let (written, read) = (Cell::new(0), Cell::new(0));
        Rc::new(Self { written, read, wrote_last: Cell::new(false), ended: Cell::new(false) })
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

/// What the socket of an idle connection has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdleSocket {
    /// Nothing: the connection can be used.
    Silent,
    /// The upstream closed the connection, or sent a response that nobody asked for.
    Unusable,
    /// TLS records, which may be of the TLS connection itself.
    Records,
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

    /// Asks the operating system what the socket of an idle connection has received.
    pub(crate) fn look(&self) -> IdleSocket {
        let (stream, is_tls) = match &self.transport {
            Transport::Plain(stream) => (stream, false),
            Transport::Tls(stream) => (stream.get_ref().0, true),
        };
        match SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => IdleSocket::Silent,
            Ok(1..) if is_tls => IdleSocket::Records,
            Ok(_) | Err(_) => IdleSocket::Unusable,
        }
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
        self.gauge.note_read(u64::try_from(buffer.filled().len() - before).unwrap_or(0));
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
