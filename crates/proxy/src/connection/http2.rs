//! A client's HTTP/2 connection. The crate `h2` implements the protocol; each stream is a request for `handle`, as over
//! HTTP/1.1.
//!
//! One task drives the connection and all its streams. `socket` counts the client's frames and records the progress for
//! `deadlines`, `head` makes a request's head, `stream` serves it, and `response` sends the response.

mod frame_budget;
mod head;
mod response;
mod socket;
mod stream;

use std::cell::RefCell;
use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::Reason;
use h2::server::{Builder, Connection};
use http1::HeadLimits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

use self::socket::{Http2Socket, SocketState};
use self::stream::StreamTask;
use crate::account::client_context::ConnectionContext;
use crate::client::head::FIELDS_MAX;
use crate::deadlines::DeadlineAction;

/// Maximum number of streams at a time on one connection; RFC 9113 (6.5.2) recommends at least 100.
const STREAMS_MAX: u32 = 100;
/// Maximum number of bytes of one request that the client may send before they are read.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// The same for all requests of a connection: it bounds the memory that a client can use without a valid request. If the
/// upstreams of 16 large uploads do not read, other uploads on the connection wait.
const CONNECTION_WINDOW_BYTES: u32 = 16 * STREAM_WINDOW_BYTES;
/// Maximum memory for small DATA frames beyond the windows, of which h2 counts each as 256 bytes; the connection ends if
/// they need more. A gRPC client may send each message in one frame: frames of 8 bytes may fill the window of a stream.
const SMALL_FRAMES_BYTES_MAX: u32 = 2 * CONNECTION_WINDOW_BYTES;
/// Maximum number of bytes of one response that wait in h2, besides one piece. With [`STREAMS_MAX`], a client that does
/// not read uses at most 6.4 MB.
const SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// A larger header list gets status 431 from h2, without a code and a log line. It is this multiple of `sizes.headers`, by
/// which the parser of heads refuses with both; h2 also counts 32 bytes for each field.
const HEADER_LIST_PER_HEAD: usize = 2;
/// Maximum number of streams that the client opens and resets before they are accepted (CVE-2023-44487). A client may
/// cancel all its requests at once.
const UNACCEPTED_RESETS_MAX: usize = 100;
/// Maximum number of streams that the gateway resets because of the client's errors, on one connection (CVE-2025-8671).
/// It is not less, because a proxy may pass the errors of many clients on.
const BROKEN_STREAMS_MAX: usize = 1024;
/// Maximum number of remembered streams that the gateway has reset, and the time for which it remembers them; longer than
/// any frame is in transit. A frame for a forgotten stream ends the connection.
const RESET_STREAMS_MAX: usize = 1024;
const RESET_STREAMS_FOR: Duration = Duration::from_secs(10);
/// Time that a client without requests has to acknowledge a GOAWAY. Requests in transit arrive meanwhile.
const GOAWAY_MAX: Duration = Duration::from_secs(1);

/// GOAWAY with PROTOCOL_ERROR, before any stream (RFC 9113, 3.4 and 6.8).
const INVALID_PREFACE: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Serves a connection on which the client speaks HTTP/2, to its end. `received` are the bytes that were already read from
/// `stream`. If `closes` is true, the connection accepts no further streams.
pub(crate) async fn serve<S>(at: Rc<ConnectionContext>, stream: S, received: BytesMut, mut closes: bool)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    at.is_http2.set(true);
    at.deadlines.within_head.set(true);
    let head_bytes_max = at.worker.snapshot().traffic.sizes.headers_bytes_max;
    let stream = Rc::new(RefCell::new(stream));
    let socket = Http2Socket::new(stream.clone(), received, at.deadlines.clone());
    let state = socket.state();
    let mut handshake = pin!(builder(head_bytes_max).handshake::<_, Bytes>(socket));
    let deadlines = at.deadlines.clone();
    let opened = poll_fn(|cx| {
        while let Some(action) = deadlines.take_order(cx.waker()) {
            match action {
                DeadlineAction::Look | DeadlineAction::Announce => {}
                DeadlineAction::Leave | DeadlineAction::Close => closes = true,
                DeadlineAction::Cut => return Poll::Ready(None),
            }
        }
        handshake.as_mut().poll(cx).map(Some)
    });
    let h2 = match opened.await {
        Some(Ok(h2)) => h2,
        Some(Err(error)) if !error.is_io() => {
            // h2 sends no GOAWAY after an invalid preface. Nothing waits for a socket that accepts no bytes.
            let _ =
                poll_fn(|cx| Poll::Ready(Pin::new(&mut *stream.borrow_mut()).poll_write(cx, INVALID_PREFACE))).await;
            return socket::linger(&stream, &deadlines).await;
        }
        // The client sent no preface in time, or has disconnected.
        Some(Err(_)) | None => return,
    };
    let limits = HeadLimits::new(head_bytes_max, head_bytes_max, FIELDS_MAX);
    let mut connection = ServerConnection { h2, streams: FuturesUnordered::new(), at, state, limits, closing: None };
    if closes {
        connection.close();
    }
    let end = poll_fn(|cx| connection.poll(cx)).await;
    // The streams end: their clients have disconnected.
    drop(connection);
    if end == ConnectionEnd::Refused {
        socket::linger(&stream, &deadlines).await;
    }
}

/// The way in which a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionEnd {
    /// The client closed it, or has sent nothing for long.
    Closed,
    /// The gateway ended it because of what the client sends, and the client may still send.
    Refused,
}

fn builder(head_bytes_max: usize) -> Builder {
    let header_list = head_bytes_max.saturating_mul(HEADER_LIST_PER_HEAD);
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .data_frame_budget(usize::try_from(SMALL_FRAMES_BYTES_MAX).unwrap_or(usize::MAX))
        .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER_BYTES_MAX)
        .max_pending_accept_reset_streams(UNACCEPTED_RESETS_MAX)
        .max_local_error_reset_streams(Some(BROKEN_STREAMS_MAX))
        .max_concurrent_reset_streams(RESET_STREAMS_MAX)
        .reset_stream_duration(RESET_STREAMS_FOR);
    builder
}

/// A client's HTTP/2 connection after its preface.
struct ServerConnection<S> {
    h2: Connection<Http2Socket<S>, Bytes>,
    streams: FuturesUnordered<StreamTask>,
    at: Rc<ConnectionContext>,
    state: Rc<SocketState>,
    limits: HeadLimits,
    /// The time after which a connection without streams ends, if it accepts no more of them.
    closing: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ServerConnection<S> {
    /// Serves the streams. Ready when the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionEnd> {
        while let Some(action) = self.at.deadlines.take_order(cx.waker()) {
            match action {
                DeadlineAction::Look | DeadlineAction::Announce => {}
                DeadlineAction::Leave | DeadlineAction::Close => self.close(),
                DeadlineAction::Cut => {
                    let has_settings = self.state.has_settings.get();
                    self.end(cx, if has_settings { Reason::NO_ERROR } else { Reason::SETTINGS_TIMEOUT });
                    return Poll::Ready(ConnectionEnd::Closed);
                }
            }
            // `Close` also replaces a `Look` that was not taken.
            self.streams.iter().for_each(StreamTask::wake);
        }
        loop {
            match self.h2.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.state.accepted.set(self.state.accepted.get() + 1);
                    self.streams.push(StreamTask::begin(&self.at, request, respond, self.limits));
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(peer = %self.at.peer.address, %error, "an HTTP/2 connection of a client failed");
                    return Poll::Ready(ConnectionEnd::Refused);
                }
                Poll::Ready(None) => return Poll::Ready(ConnectionEnd::Closed),
                Poll::Pending => break,
            }
        }
        if self.state.is_flooded.get() {
            tracing::debug!(peer = %self.at.peer.address, "a client sent too many HTTP/2 control frames or resets");
            self.end(cx, Reason::ENHANCE_YOUR_CALM);
            return Poll::Ready(ConnectionEnd::Refused);
        }
        // Frames that the streams pass to h2 wake this task, which then writes them. h2 has streams until it has written
        // the end of their responses.
        while let Poll::Ready(Some(())) = self.streams.poll_next_unpin(cx) {}
        if let Some(closing) = &mut self.closing
            && closing.as_mut().poll(cx).is_ready()
            && self.streams.is_empty()
            && !self.h2.has_streams()
        {
            self.end(cx, Reason::NO_ERROR);
            return Poll::Ready(ConnectionEnd::Closed);
        }
        Poll::Pending
    }

    /// Lets the connection accept no streams, except those that are in transit.
    fn close(&mut self) {
        if self.closing.is_none() {
            self.h2.graceful_shutdown();
            self.closing = Some(Box::pin(sleep(GOAWAY_MAX)));
        }
    }

    /// Ends the connection at once, after a GOAWAY if the socket accepts it.
    fn end(&mut self, cx: &mut Context<'_>, reason: Reason) {
        self.h2.abrupt_shutdown(reason);
        // Nothing waits for a socket that accepts no bytes.
        let _ = self.h2.poll_closed(cx);
    }
}
