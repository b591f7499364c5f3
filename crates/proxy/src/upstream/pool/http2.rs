//! An HTTP/2 connection to an upstream, and the number of streams that it may carry
//! (docs/decisions/0016-http2-and-retries.md).

pub(crate) mod call;
pub(crate) mod streams;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use tokio::time::{Instant, sleep, sleep_until};

use self::streams::Streams;
use crate::deadlines::probe::Gauge;
use crate::deadlines::task::spawn;
use crate::upstream::HEAD_BYTES_MAX;
use crate::upstream::socket::Socket;

/// Maximum number of bytes of one response that the upstream may send before the client has read them. It is four times
/// the read-ahead of HTTP/1.1, because the next window update takes a round trip.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Maximum number of streams on one connection, if the upstream allows more.
const STREAMS_MAX: u32 = 64;
/// The window of a connection. Every stream may fill its own window, so that a client that does not read blocks no
/// other stream of the connection.
const CONNECTION_WINDOW_BYTES: u32 = STREAMS_MAX * STREAM_WINDOW_BYTES;
/// Size of DATA frames with which all windows may be full. An upstream sends several smaller events in one frame.
const SMALL_FRAME_BYTES: u32 = 32;
/// The bytes that h2 counts for a queued DATA frame with fewer bytes.
const FRAME_COSTS_BYTES: u32 = 256;
/// Maximum memory for small DATA frames beyond the windows: 112 MiB. The connection ends if they need more.
const SMALL_FRAMES_BYTES_MAX: u32 =
    CONNECTION_WINDOW_BYTES / SMALL_FRAME_BYTES * (FRAME_COSTS_BYTES - SMALL_FRAME_BYTES);
/// Maximum number of bytes of a request's body that wait in h2 for the upstream's window, besides the current piece.
const SEND_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Maximum number of streams on which the upstream violated the protocol. The connection ends if there are more.
const BROKEN_STREAMS_MAX: usize = 1024;
/// Maximum number of remembered streams that this side has reset. Frames that were in transit for a remembered stream
/// are no error; a frame for a forgotten stream counts as a protocol violation on it.
const RESET_STREAMS_MAX: usize = 4096;
/// Time for which reset streams are remembered; longer than any frame is in transit.
const RESET_STREAMS_FOR: Duration = Duration::from_secs(10);
/// Number of streams before the upstream's settings arrive. The upstream might refuse more.
const STREAMS_UNTIL_SETTLED: usize = 1;
/// Size of the shortest SETTINGS frame, which is the first frame that an upstream sends (RFC 9113, 3.4).
const SETTINGS_BYTES_MIN: u64 = 9;
/// Time without received bytes after which the upstream gets a PING, if streams are open or the last transfer was a
/// write. The connection ends if the upstream sends nothing within the same time again. If only the answer to a PING
/// was received since, the next PING is sent later.
///
/// This is also the maximum time that an unused connection takes to close.
const QUIET_MAX: Duration = Duration::from_secs(20);
/// Minimum time between PINGs to an upstream that sends only answers to them, as a multiple of [`QUIET_MAX`]: 320 s.
/// Servers of gRPC end a connection with more than one PING in 5 minutes, after [`EARLY_PINGS_MAX`] exceptions.
const PINGS_APART: u32 = 16;
/// Maximum number of PINGs before that time, each of which follows a write.
const EARLY_PINGS_MAX: u32 = 2;
/// Size of the frame that answers a PING (RFC 9113, 6.7).
const PONG_BYTES: u64 = 17;

/// An established connection that no task drives yet.
pub(crate) struct NewHttp2Connection {
    sender: SendRequest<Bytes>,
    connection: Connection<Socket, Bytes>,
    gauge: Rc<Gauge>,
}

/// A connection for requests. When the last reference is dropped, the connection sends GOAWAY and closes.
pub(crate) struct Http2Session {
    sender: RefCell<SendRequest<Bytes>>,
    gauge: Rc<Gauge>,
    /// The number of streams in use.
    active: Cell<usize>,
    /// The maximum number of streams.
    limit: Cell<usize>,
    /// Whether the upstream's settings have arrived.
    settled: Cell<bool>,
    /// When the settings must have arrived.
    settle_by: Instant,
    /// Whether the connection accepts no further streams.
    draining: Cell<bool>,
    /// Whether the connection gets no stream for a moment, because it refused one.
    passed_over: Cell<bool>,
    idle_since: Cell<Instant>,
}

/// Starts HTTP/2 on `socket`, without waiting for the upstream's settings.
pub(crate) async fn open(socket: Socket, gauge: Rc<Gauge>) -> Result<NewHttp2Connection, h2::Error> {
    let (sender, connection) = Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .data_frame_budget(usize::try_from(SMALL_FRAMES_BYTES_MAX).unwrap_or(usize::MAX))
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER_BYTES_MAX)
        .max_local_error_reset_streams(Some(BROKEN_STREAMS_MAX))
        .max_concurrent_reset_streams(RESET_STREAMS_MAX)
        .reset_stream_duration(RESET_STREAMS_FOR)
        .initial_max_send_streams(STREAMS_UNTIL_SETTLED)
        .handshake(socket)
        .await?;
    Ok(NewHttp2Connection { sender, connection, gauge })
}

impl Http2Session {
    /// Starts a task that drives the connection until it ends. The upstream's settings must arrive within
    /// `settle_within`.
    pub(crate) fn start(opened: NewHttp2Connection, streams: &Rc<Streams>, settle_within: Duration) -> Rc<Self> {
        let NewHttp2Connection { sender, mut connection, gauge } = opened;
        let pings = connection.ping_pong();
        let session = Rc::new(Self {
            sender: RefCell::new(sender),
            gauge: gauge.clone(),
            active: Cell::new(0),
            limit: Cell::new(STREAMS_UNTIL_SETTLED),
            settled: Cell::new(false),
            settle_by: Instant::now() + settle_within,
            draining: Cell::new(false),
            passed_over: Cell::new(false),
            idle_since: Cell::new(Instant::now()),
        });
        let quiet = SilenceDetector::new(pings, gauge);
        drop(spawn(drive(connection, quiet, Rc::downgrade(&session), Rc::downgrade(streams))));
        session
    }

    /// Returns whether the connection can carry another stream.
    fn has_room(&self) -> bool {
        if self.draining.get() || self.passed_over.get() || self.active.get() >= self.limit.get() {
            return false;
        }
        // The upstream may have sent a GOAWAY that the connection's task has not processed yet.
        let mut cx = Context::from_waker(Waker::noop());
        let usable = matches!(self.sender.borrow_mut().poll_ready(&mut cx), Poll::Ready(Ok(())));
        self.draining.set(!usable);
        usable
    }

    /// Lets the connection accept no further streams. Open streams continue.
    pub(crate) fn drain(&self) {
        self.draining.set(true);
    }

    /// Reads the upstream's settings and state. Returns whether they changed, which matters to requests that wait for a
    /// stream.
    fn look(&self, cx: &mut Context<'_>) -> bool {
        let mut sender = self.sender.borrow_mut();
        let limit = sender.current_max_send_streams().min(usize::try_from(STREAMS_MAX).unwrap_or(usize::MAX));
        let settled = self.gauge.read() >= SETTINGS_BYTES_MIN;
        // No stream may be opened after a GOAWAY.
        let draining = self.draining.get() || matches!(sender.poll_ready(cx), Poll::Ready(Err(_)));
        let changed = (limit, settled, draining) != (self.limit.get(), self.settled.get(), self.draining.get());
        self.limit.set(limit);
        self.settled.set(settled);
        self.draining.set(draining);
        changed
    }
}

/// Detects upstreams that have vanished without closing the connection.
struct SilenceDetector {
    pings: Option<PingPong>,
    gauge: Rc<Gauge>,
    /// The bytes that were read up to the last check.
    read: u64,
    /// Whether a PING was sent and nothing has been received since.
    pinged: bool,
    /// The number of checks since the last PING, if only its answer has been received since.
    checks: Option<u32>,
    /// The number of PINGs before their time, since anything else has been received.
    early_pings: u32,
}

impl SilenceDetector {
    const fn new(pings: Option<PingPong>, gauge: Rc<Gauge>) -> Self {
        Self { pings, gauge, read: 0, pinged: false, checks: None, early_pings: 0 }
    }

    /// Returns whether the connection must end; called every [`QUIET_MAX`]. The upstream has nothing to send if no
    /// stream is open and nothing was written since the last read.
    fn is_gone(&mut self, cx: &mut Context<'_>, has_streams: bool) -> bool {
        let read = self.gauge.read();
        let received = read - std::mem::replace(&mut self.read, read);
        self.checks = self.checks.map(|checks| checks.saturating_add(1));
        if received > 0 && !(self.pinged && received == PONG_BYTES) {
            (self.checks, self.early_pings) = (None, 0);
        }
        if received > 0 || !(has_streams || self.gauge.wrote_last()) {
            self.pinged = false;
            return false;
        }
        if self.pinged {
            return true;
        }
        if self.checks.is_some_and(|checks| checks < PINGS_APART) {
            if !self.gauge.wrote_last() || self.early_pings >= EARLY_PINGS_MAX {
                return false;
            }
            self.early_pings += 1;
        }
        (self.pinged, self.checks) = (true, Some(0));
        if let Some(pings) = &mut self.pings {
            // The PONG of an earlier PING must be taken before the next PING. Its arrival was already visible in the
            // bytes read.
            let _ = pings.poll_pong(cx);
            let _ = pings.send_ping(Ping::opaque());
        }
        false
    }
}

async fn drive(
    mut connection: Connection<Socket, Bytes>,
    mut quiet: SilenceDetector,
    session: Weak<Http2Session>,
    streams: Weak<Streams>,
) {
    let settle_by = session.upgrade().map_or_else(Instant::now, |session| session.settle_by);
    let mut is_judged = false;
    loop {
        let driven = poll_fn(|cx| {
            let polled = Pin::new(&mut connection).poll(cx);
            if let Some(session) = session.upgrade()
                && session.look(cx)
                && let Some(streams) = streams.upgrade()
            {
                streams.settle(&session);
            }
            polled
        });
        tokio::select! {
            // Errors reach each request through its own future.
            _ = driven => break,
            // Without settings the connection accepts no further streams: other requests would wait for room on it
            // without a bound.
            () = sleep_until(settle_by), if !is_judged => {
                is_judged = true;
                if let Some(session) = session.upgrade() && let Some(streams) = streams.upgrade() && !session.settled.get() {
                    session.drain();
                    streams.release(&session);
                }
            },
            () = sleep(QUIET_MAX) => match session.upgrade() {
                None => break,
                Some(session) => if poll_fn(|cx| Poll::Ready(quiet.is_gone(cx, session.active.get() > 0))).await {
                    break;
                },
            },
        }
    }
    // The connection's streams end before any request looks for another connection.
    drop(connection);
    if let Some(session) = session.upgrade() {
        session.drain();
        if let Some(streams) = streams.upgrade() {
            streams.forget(&session);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::runtime::{self, LocalOptions};

    use super::*;
    use crate::upstream::socket::Transport;

    /// Returns a function that returns what [`SilenceDetector`] does after the given numbers of written and read bytes.
    fn looks() -> impl FnMut(u64, u64, bool) -> &'static str {
        let gauge = Gauge::new();
        let mut quiet = SilenceDetector::new(None, gauge.clone());
        move |writes, reads, has_streams| {
            for (bytes, note) in [(reads, Gauge::note_read as fn(&Gauge, u64)), (writes, Gauge::note_written)] {
                if bytes > 0 {
                    note(&gauge, bytes);
                }
            }
            if quiet.is_gone(&mut Context::from_waker(Waker::noop()), has_streams) {
                return "end";
            }
            // A PING has no answer yet only at the check that sends it.
            if quiet.pinged { "ping" } else { "nothing" }
        }
    }

    #[test]
    fn silent_upstream_is_pinged_once_and_then_given_up() {
        let mut looks = looks();
        assert_eq!(looks(0, 10, true), "nothing");
        assert_eq!(looks(0, 0, true), "ping");
        assert_eq!(looks(0, 0, true), "end");
    }

    #[test]
    fn upstream_that_answers_pings_only_is_pinged_every_five_minutes() {
        let mut looks = looks();
        assert_eq!(looks(0, 10, true), "nothing");
        for _ in 0..3 {
            assert_eq!(looks(0, 0, true), "ping");
            assert_eq!(looks(0, PONG_BYTES, true), "nothing");
            for _ in 0..14 {
                assert_eq!(looks(0, 0, true), "nothing");
            }
        }
        assert_eq!(looks(0, 0, true), "ping");
        assert_eq!(looks(0, PONG_BYTES + 10, true), "nothing");
        assert_eq!(looks(0, 0, true), "ping", "something else was received");
        assert_eq!(looks(0, 0, true), "end");
    }

    #[test]
    fn writes_are_followed_by_two_early_pings() {
        let mut looks = looks();
        assert_eq!(looks(0, 10, true), "nothing");
        for _ in 0..3 {
            assert_eq!(looks(100, 0, true), "ping");
            assert_eq!(looks(0, PONG_BYTES, true), "nothing");
        }
        assert_eq!(looks(100, 0, true), "nothing", "gRPC servers would end the connection");
        assert_eq!(looks(0, 10, true), "nothing");
        assert_eq!(looks(100, 0, true), "ping");
        assert_eq!(looks(100, 0, true), "end");
    }

    #[test]
    fn upstream_that_swallows_requests_is_given_up_between_them() {
        let mut looks = looks();
        assert_eq!(looks(0, 10, true), "nothing");
        // A request is written, and its client disconnects before the check.
        assert_eq!(looks(100, 0, false), "ping");
        assert_eq!(looks(100, 0, false), "end");
    }

    #[test]
    fn idle_upstream_that_answered_last_is_left_alone() {
        let mut looks = looks();
        assert_eq!(looks(100, 0, true), "ping");
        assert_eq!(looks(0, 10, true), "nothing");
        for _ in 0..3 {
            assert_eq!(looks(0, 0, false), "nothing");
        }
    }

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// Sends responses to all streams but the last as small frames, until their windows are full. Then responds to the
    /// last stream.
    async fn fill_windows(mut stream: TcpStream, frame_bytes: u32) {
        let mut requests = 0;
        let mut head = [0; 9];
        stream.read_exact(&mut [0; 24]).await.unwrap();
        stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        while requests < STREAMS_MAX {
            stream.read_exact(&mut head).await.unwrap();
            let length = u64::from(u32::from_be_bytes([0, head[0], head[1], head[2]]));
            tokio::io::copy(&mut (&mut stream).take(length), &mut tokio::io::sink()).await.unwrap();
            requests += u32::from(head[3] == 1);
        }
        let piece = vec![b'x'; usize::try_from(frame_bytes).unwrap()];
        for stream_no in (0..STREAMS_MAX - 1).map(|number| 2 * number + 1) {
            stream.write_all(&frame(1, 4, stream_no, &[0x88])).await.unwrap();
            let pieces = usize::try_from(STREAM_WINDOW_BYTES / frame_bytes).unwrap();
            if stream.write_all(&frame(0, 0, stream_no, &piece).repeat(pieces)).await.is_err() {
                return;
            }
        }
        let _ = stream.write_all(&frame(1, 5, 2 * STREAMS_MAX - 1, &[0x88])).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }

    /// Returns whether a stream gets its response while the other streams are full of small frames and not read.
    async fn is_answered_beside(frame_bytes: u32) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let serving = spawn(fill_windows(accepted, frame_bytes));
        let gauge = Gauge::new();
        let opened = open(Socket::new(Transport::Plain(stream), gauge.clone()), gauge).await.unwrap();
        let NewHttp2Connection { mut sender, connection, .. } = opened;
        let driving = spawn(connection);
        let mut unread = Vec::new();
        for _ in 0..STREAMS_MAX {
            sender = sender.ready().await.unwrap();
            let mut request = http::Request::new(());
            *request.uri_mut() = "http://x/".parse().unwrap();
            unread.push(sender.send_request(request, true).unwrap().0);
        }
        let answered = unread.pop().unwrap().await.is_ok();
        driving.abort();
        serving.abort();
        answered
    }

    #[test]
    fn windows_may_be_full_of_the_smallest_frames() {
        let runtime = runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            assert!(is_answered_beside(SMALL_FRAME_BYTES).await);
            assert!(!is_answered_beside(SMALL_FRAME_BYTES / 2).await, "the bound is one");
        });
    }
}
