//! An upstream's socket, which counts its bytes: a request counts from its first written byte.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

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
        let (written, read) = (Cell::new(0), Cell::new(0));
        Rc::new(Self { written, read, wrote_last: Cell::new(false), ended: Cell::new(false) })
    }

    /// Returns a probe, from now on, for a request that uses the connection alone.
    pub(crate) fn probe(self: &Rc<Self>) -> Probe {
        let (written_before, read_before) = (self.written.get(), self.read.get());
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

/// The transport of a connection: TCP, with or without TLS.
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The bytes that the socket of an idle connection has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdleSocket {
    /// Nothing was received: the connection is usable.
    Silent,
    /// The upstream closed the connection, or sent a response without a request.
    Unusable,
    /// TLS records were received, which may belong to the TLS connection itself.
    Records,
}

/// A transport that counts its bytes.
pub(crate) struct Socket {
    transport: Transport,
    gauge: Rc<Gauge>,
}

impl Socket {
    pub(crate) fn new(transport: Transport, gauge: Rc<Gauge>) -> Self {
        Self { transport, gauge }
    }

    /// Returns what the socket of an idle connection has received, without removing it. `is_fresh`: the connection was
    /// used a moment ago; then the operating system is asked only if the reactor has reported received bytes.
    pub(crate) fn look(&self, is_fresh: bool) -> IdleSocket {
        let (stream, is_tls) = match &self.transport {
            Transport::Plain(stream) => (stream, false),
            Transport::Tls(stream) => (stream.get_ref().0, true),
        };
        let peek = || SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]);
        match if is_fresh { stream.try_io(Interest::READABLE, peek) } else { peek() } {
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
