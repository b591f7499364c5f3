//! A caller's connection: served by hyper, watched from outside.
//!
//! Timers inside a response body do not fire while the caller's socket is full, because nobody polls the body then.
//! So the socket keeps a record of its progress, and the connection's own task looks at it.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use access::Refusal;
use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use crate::drain::{Phase, reached};
use crate::handle::handle;
use crate::worker::Worker;

/// From the first byte of a head to its last.
const HEAD_MAX: Duration = Duration::from_secs(15);
/// After an answer to a request whose body was not read: so long the rest of it is taken and thrown away, because a
/// close with unread bytes resets the connection and may destroy the answer (RFC 9112, 9.6).
const LINGER_MAX: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: u64 = 1 << 20;
/// Fields of a head.
const HEADERS_MAX: usize = 128;
/// hyper takes no smaller buffer.
const BUFFER_BYTES_MIN: usize = 16 * 1024;
/// How often a connection looks at its progress: a fraction of what is allowed, within these bounds.
const CHECKS_PER_DEADLINE: u32 = 4;
const CHECK_MIN: Duration = Duration::from_millis(20);
const CHECK_MAX: Duration = Duration::from_secs(5);

/// What a connection's socket has seen.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    read_bytes: Cell<u64>,
    progress: Cell<u64>,
    write_blocked: Cell<bool>,
    exchange: Cell<bool>,
    exchanges: Cell<u64>,
    read_bytes_at_end: Cell<u64>,
    body_unread: Cell<bool>,
    linger_bytes: Cell<u64>,
    closing: Cell<bool>,
    ending: Cell<bool>,
}

/// Where a request came in.
pub(crate) struct At {
    pub(crate) worker: Rc<Worker>,
    pub(crate) watch: Rc<Watch>,
    pub(crate) peer: Rc<Peer>,
}

/// Marks that a request is being answered; dropped, the connection waits for the next.
#[derive(Debug)]
pub(crate) struct Busy(Rc<Watch>);

/// Who is at the other end.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its address, as upstreams are told.
    pub(crate) forwarded_for: HeaderValue,
}

impl Peer {
    fn new(address: IpAddr) -> Rc<Self> {
        let text = address.to_canonical().to_string();
        // An address has no character that a header's value must not have.
        let forwarded_for = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("unknown"));
        Rc::new(Self { forwarded_for })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// For the next request.
    Idle,
    /// For the rest of a head.
    Head,
    /// For the exchange, which has deadlines of its own.
    Exchange,
    /// For the caller to read.
    Caller,
    /// For the rest of a refused body.
    Lingering,
}

impl Watch {
    pub(crate) fn begin(self: &Rc<Self>) -> Busy {
        self.exchange.set(true);
        self.exchanges.set(self.exchanges.get() + 1);
        Busy(self.clone())
    }

    /// The answer goes out before the request's body was read.
    pub(crate) fn leave_body_unread(&self) {
        self.body_unread.set(true);
    }

    /// The shutdown's time is over: what is in flight ends now. Whoever waits inside the connection is polled when
    /// this changes, because the connection is.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.get()
    }

    fn waiting(&self) -> Waiting {
        if self.closing.get() {
            Waiting::Lingering
        } else if self.write_blocked.get() {
            Waiting::Caller
        } else if self.exchange.get() {
            Waiting::Exchange
        } else if self.read_bytes.get() > self.read_bytes_at_end.get() {
            Waiting::Head
        } else {
            Waiting::Idle
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.exchange.set(false);
        self.0.read_bytes_at_end.set(self.0.read_bytes.get());
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(worker: Rc<Worker>, mut stream: TcpStream, peer: SocketAddr) {
    let Ok(_seat) = worker.shared.gate.connect(peer.ip()) else {
        worker.handles.refused(Refusal::Overloaded);
        // The caller may be gone already, which is as good.
        let _ = stream.write_all(crate::answer::TOO_MANY_CONNECTIONS).await;
        return;
    };
    let snapshot = worker.shared.live.load();
    let (idle_max, head_bytes_max) = (snapshot.timeouts.idle, snapshot.sizes.headers_bytes_max);
    drop(snapshot);
    let watch = Rc::new(Watch::default());
    let io = TokioIo::new(CallerIo { stream, watch: watch.clone() });
    let at = Rc::new(At { worker: worker.clone(), watch: watch.clone(), peer: Peer::new(peer.ip()) });
    let service = service_fn(move |request| {
        let at = at.clone();
        async move { Ok::<_, Infallible>(handle(at, request).await) }
    });
    // Heads over the configured bound get a coded answer from `admit`; hyper's own bound, twice that, a bare 431.
    let connection = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_header_size(head_bytes_max.saturating_mul(2))
        .max_buf_size(head_bytes_max.saturating_mul(2).max(BUFFER_BYTES_MIN))
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let mut closing = std::pin::pin!(reached(worker.shared.drain.follow(), Phase::Closing));
    let mut ending = std::pin::pin!(reached(worker.shared.drain.follow(), Phase::Ending));
    let mut is_closing = false;
    let mut check = std::pin::pin!(Check::new(&watch, idle_max).run());
    loop {
        tokio::select! {
            biased;
            // An error is a caller that broke off or spoke no HTTP: hyper has answered what can be answered.
            _ = connection.as_mut() => break,
            () = &mut closing, if !is_closing => {
                is_closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut ending, if is_closing && !watch.is_ending() => watch.ending.set(true),
            () = &mut check => break,
        }
    }
}

/// Ends when the connection has waited too long for one thing.
struct Check<'a> {
    watch: &'a Watch,
    idle_max: Duration,
}

impl<'a> Check<'a> {
    fn new(watch: &'a Watch, idle_max: Duration) -> Self {
        Self { watch, idle_max }
    }

    async fn run(self) {
        let pause = (self.idle_max.min(HEAD_MAX) / CHECKS_PER_DEADLINE).clamp(CHECK_MIN, CHECK_MAX);
        let mut seen = self.look();
        let mut since = Instant::now();
        loop {
            sleep_until(Instant::now() + pause).await;
            let now = self.look();
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() >= self.limit(now.0) {
                return;
            }
        }
    }

    /// What the connection waits for, and a number that moves whenever that wait begins anew.
    fn look(&self) -> (Waiting, u64) {
        let waiting = self.watch.waiting();
        let number = match waiting {
            Waiting::Caller | Waiting::Exchange => self.watch.progress.get(),
            // A head that trickles in makes no progress: it has one deadline.
            Waiting::Idle | Waiting::Head | Waiting::Lingering => self.watch.exchanges.get(),
        };
        (waiting, number)
    }

    const fn limit(&self, waiting: Waiting) -> Duration {
        match waiting {
            Waiting::Idle | Waiting::Caller => self.idle_max,
            Waiting::Head => HEAD_MAX,
            Waiting::Lingering => LINGER_MAX,
            Waiting::Exchange => Duration::MAX,
        }
    }
}

/// A caller's socket that notes its progress.
struct CallerIo {
    stream: TcpStream,
    watch: Rc<Watch>,
}

impl AsyncRead for CallerIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let read = buffer.filled().len().saturating_sub(before);
        let watch = &self.watch;
        watch.read_bytes.set(watch.read_bytes.get() + u64::try_from(read).unwrap_or(0));
        watch.progress.set(watch.progress.get() + 1);
        Poll::Ready(result)
    }
}

impl CallerIo {
    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let watch = &self.watch;
        watch.write_blocked.set(written.is_pending());
        if written.is_ready() {
            watch.progress.set(watch.progress.get() + 1);
        }
        written
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let read = u64::try_from(buffer.filled().len()).unwrap_or(0);
            let total = self.watch.linger_bytes.get() + read;
            self.watch.linger_bytes.set(total);
            if read == 0 || total > LINGER_BYTES_MAX {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for CallerIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.watch.closing.get() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.watch.closing.set(true);
        }
        if self.watch.body_unread.get() { self.poll_linger(cx) } else { Poll::Ready(Ok(())) }
    }
}
