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
use crate::deadlines::{ConnectionDeadlines, DeadlineAction};
use crate::drain::{self, Outliving};
use crate::handle::handle;
use crate::smuggling::{self, CheckedIo, Fault, ScanReport};
use crate::worker::Worker;

/// What is read and thrown away of a refused body.
const LINGER_BYTES_MAX: u64 = 1 << 20;

/// Where a request came in.
pub(crate) struct ConnectionContext {
    pub(crate) worker: Rc<Worker>,
    pub(crate) deadlines: Rc<ConnectionDeadlines>,
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
    let Ok(_permit) = worker.shared.capacity.connect(peer.ip()) else {
        worker.handles.refused(Refusal::Overloaded);
        // The caller may be gone already, which is as good.
        let _ = stream.write_all(crate::answer::TOO_MANY_CONNECTIONS).await;
        return;
    };
    let snapshot = worker.snapshot();
    let head_bytes_max = snapshot.traffic.sizes.headers_bytes_max;
    let deadlines = worker.deadlines.add(&snapshot.traffic.timeouts);
    let report = Rc::new(ScanReport::default());
    let caller = CallerIo { stream, deadlines: deadlines.clone(), lingered_bytes: 0 };
    let io = TokioIo::new(CheckedIo::new(caller, head_bytes_max, report.clone()));
    let at = Rc::new(ConnectionContext { worker, deadlines: deadlines.clone(), peer: Peer::new(peer.ip()) });
    let refusing = report.clone();
    let service = service_fn(move |request| answer(at.clone(), refusing.fault(&request), request));
    let mut connection = std::pin::pin!(smuggling::http1(head_bytes_max).serve_connection(io, service));
    let mut closes = false;
    poll_fn(|cx| {
        loop {
            // An error is a caller that broke off: what it sent of a request was refused or passed before.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            match deadlines.take_order(cx.waker()) {
                // hyper takes a connection for idle while a head is on its way.
                None if !closes || report.is_within_head() => return Poll::Pending,
                None => {
                    closes = false;
                    connection.as_mut().graceful_shutdown();
                }
                Some(DeadlineAction::Look) => {}
                Some(DeadlineAction::Close) => closes = true,
                Some(DeadlineAction::Cut) => return Poll::Ready(()),
            }
        }
    })
    .await;
}

/// A head that was refused is answered in its turn; nothing that came after it is read.
async fn answer(
    at: Rc<ConnectionContext>,
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
    at.deadlines.leave_body_unread();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

/// A caller's socket that notes its progress.
struct CallerIo {
    stream: TcpStream,
    deadlines: Rc<ConnectionDeadlines>,
    lingered_bytes: u64,
}

impl AsyncRead for CallerIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let read = buffer.filled().len().saturating_sub(before);
        let deadlines = &self.deadlines;
        deadlines.read_bytes.set(deadlines.read_bytes.get() + u64::try_from(read).unwrap_or(0));
        Poll::Ready(result)
    }
}

impl CallerIo {
    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let deadlines = &self.deadlines;
        deadlines.write_blocked.set(written.is_pending());
        if written.is_ready() {
            deadlines.writes.set(deadlines.writes.get() + 1);
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
        if !self.deadlines.lingering.get() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.deadlines.lingering.set(true);
        }
        if self.deadlines.has_unread_body() { self.poll_linger(cx) } else { Poll::Ready(Ok(())) }
    }
}
