//! A caller's connection: served by hyper, watched from outside.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use access::Refusal;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::body::Body;
use crate::drain::{self, Outliving};
use crate::handle::handle;
use crate::strict::{self, Fault, Report, Strict};
use crate::watch::{Order, Watch};
use crate::worker::Worker;

/// What is read and thrown away of a refused body.
const LINGER_BYTES_MAX: u64 = 1 << 20;

/// Where a request came in.
pub(crate) struct At {
    pub(crate) worker: Rc<Worker>,
    pub(crate) watch: Rc<Watch>,
    pub(crate) peer: Peer,
}

/// Who is at the other end.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: IpAddr,
    /// The same, as upstreams are told.
    pub(crate) forwarded_for: HeaderValue,
}

impl Peer {
    fn new(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let text = address.to_string();
        // An address has no character that a header's value must not have.
        let forwarded_for = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("unknown"));
        Self { address, forwarded_for }
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
    let snapshot = worker.snapshot();
    let head_bytes_max = snapshot.sizes.headers_bytes_max;
    let watch = worker.watches.add(&snapshot.timeouts);
    let report = Rc::new(Report::default());
    let caller = CallerIo { stream, watch: watch.clone(), lingered_bytes: 0 };
    let io = TokioIo::new(Strict::new(caller, head_bytes_max, report.clone()));
    let at = Rc::new(At { worker, watch: watch.clone(), peer: Peer::new(peer.ip()) });
    let refusing = report.clone();
    let service = service_fn(move |request| answer(at.clone(), refusing.fault(&request), request));
    let mut connection = std::pin::pin!(strict::http1(head_bytes_max).serve_connection(io, service));
    let mut closes = false;
    poll_fn(|cx| {
        loop {
            // An error is a caller that broke off: what it sent of a request was refused or passed before.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            match watch.take_order(cx.waker()) {
                // hyper takes a connection for idle while a head is on its way.
                None if !closes || report.is_within_head() => return Poll::Pending,
                None => {
                    closes = false;
                    connection.as_mut().graceful_shutdown();
                }
                Some(Order::Look) => {}
                Some(Order::Close) => closes = true,
                Some(Order::Cut) => return Poll::Ready(()),
            }
        }
    })
    .await;
}

/// A head that was refused is answered in its turn; nothing that came after it is read.
async fn answer(
    at: Rc<At>,
    fault: Option<Fault>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let Some(fault) = fault else {
        // Boxed, so that a request that ends with its caller does not carry the room for it.
        return Ok(match drain::is_on(&at.worker) {
            true => Outliving::new(at.clone(), handle(at, request)).await,
            false => handle(at, request).await,
        });
    };
    request.extensions_mut().insert(fault);
    let mut response = handle(at.clone(), request).await;
    at.watch.leave_body_unread();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

/// A caller's socket that notes its progress.
struct CallerIo {
    stream: TcpStream,
    watch: Rc<Watch>,
    lingered_bytes: u64,
}

impl AsyncRead for CallerIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let read = buffer.filled().len().saturating_sub(before);
        let watch = &self.watch;
        watch.read_bytes.set(watch.read_bytes.get() + u64::try_from(read).unwrap_or(0));
        Poll::Ready(result)
    }
}

impl CallerIo {
    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let watch = &self.watch;
        watch.write_blocked.set(written.is_pending());
        if written.is_ready() {
            watch.writes.set(watch.writes.get() + 1);
        }
        written
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let read = u64::try_from(buffer.filled().len()).unwrap_or(0);
            self.lingered_bytes += read;
            if read == 0 || self.lingered_bytes > LINGER_BYTES_MAX {
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
        if !self.watch.lingering.get() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.watch.lingering.set(true);
        }
        if self.watch.has_unread_body() { self.poll_linger(cx) } else { Poll::Ready(Ok(())) }
    }
}
