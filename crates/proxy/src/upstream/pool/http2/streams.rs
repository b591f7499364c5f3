//! The assignment of streams to requests: on a connection with room, on a new connection, or after a wait in a queue.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::{Http2Session, NewHttp2Connection, STREAMS_MAX};
use crate::deadlines::task::spawn;

/// Maximum number of HTTP/2 connections to one origin, per worker. It includes connections that accept no further
/// streams, until their last stream ends.
const CONNECTIONS_MAX: usize = 256;
/// Time for which a connection that refused a stream gets no other stream. A retry uses another connection, or waits.
const PASSED_OVER_FOR: Duration = Duration::from_millis(100);

/// The HTTP/2 connections of one worker to one origin, and the queue of requests that wait for a stream.
pub(crate) struct Streams {
    sessions: RefCell<Vec<Rc<Http2Session>>>,
    /// The number of connections that are being opened.
    dialing: Cell<usize>,
    waiting: RefCell<VecDeque<oneshot::Sender<StreamGrant>>>,
    /// The expected number of streams of a new connection: the limit of the connection that last reported its settings.
    expected: Cell<usize>,
    connections_max: usize,
    /// Maximum number of requests that wait for a stream.
    waiting_max: usize,
}

/// The result that a waiting request receives.
pub(crate) enum StreamGrant {
    /// A stream on an open connection.
    Stream(StreamSlot),
    /// Another connection is needed: the request must open it.
    Dial(PendingConnection),
    /// The origin speaks HTTP/1.1.
    Http1,
}

/// The reason why there is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum StreamWaitError {
    #[error("too many requests wait for this upstream")]
    Crowded,
    #[error("no stream became free in time")]
    Late,
    #[error("no connection reported its settings in time")]
    Silent,
}

/// The right to one stream. When it is dropped, another request may get the stream.
pub(crate) struct StreamSlot {
    pub(crate) session: Rc<Http2Session>,
    streams: Rc<Streams>,
    /// Whether another request opened the connection.
    pub(crate) reused: bool,
}

/// A connection that is being opened.
pub(crate) struct PendingConnection(Rc<Streams>);

impl Streams {
    /// Returns no connections yet: at most `connections_max`, and [`CONNECTIONS_MAX`]. At most `waiting_max` requests wait.
    pub(crate) fn new(connections_max: Option<u32>, waiting_max: u32) -> Self {
        let connections_max = connections_max.and_then(|max| usize::try_from(max).ok()).unwrap_or(CONNECTIONS_MAX);
        Self {
            connections_max: connections_max.clamp(1, CONNECTIONS_MAX),
            waiting_max: usize::try_from(waiting_max).unwrap_or(usize::MAX),
            sessions: RefCell::default(),
            dialing: Cell::new(0),
            waiting: RefCell::default(),
            expected: Cell::new(usize::try_from(STREAMS_MAX).unwrap_or(usize::MAX)),
        }
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let session = &self.session;
        session.active.set(session.active.get() - 1);
        if session.active.get() == 0 {
            session.idle_since.set(Instant::now());
        }
        self.streams.release(session);
    }
}

impl Drop for PendingConnection {
    fn drop(&mut self) {
        let dialing = &self.0.dialing;
        dialing.set(dialing.get() - 1);
        self.0.distribute();
    }
}

impl Streams {
    /// Returns whether no request waits for a stream.
    fn is_quiet(&self) -> bool {
        self.waiting.borrow().iter().all(oneshot::Sender::is_closed)
    }

    /// Returns whether another connection is needed for `wanted` requests and may be opened.
    fn may_dial(&self, wanted: usize) -> bool {
        let sessions = self.sessions.borrow();
        let comes = |session: &&Rc<Http2Session>| !session.settled.get() && !session.draining.get();
        let coming = self.dialing.get() + sessions.iter().filter(comes).count();
        // The request that opens a connection uses its first stream.
        let room_coming = coming.saturating_mul(self.expected.get().saturating_sub(1));
        // A drained connection gives way to another, though its last stream may run for long.
        let open = sessions.iter().filter(|session| !session.draining.get()).count();
        let dialing = self.dialing.get();
        let all_max = CONNECTIONS_MAX.min(2 * self.connections_max);
        wanted > room_coming && open + dialing < self.connections_max && sessions.len() + dialing < all_max
    }

    /// Returns the reason why there was no stream in time.
    fn why_late(&self) -> StreamWaitError {
        let is_settled = self.sessions.borrow().iter().any(|session| session.settled.get() && !session.draining.get());
        if is_settled { StreamWaitError::Late } else { StreamWaitError::Silent }
    }

    /// Closes connections that were idle for too long. Returns whether any connection remains.
    pub(crate) fn sweep(&self, idle_for: Duration) -> bool {
        let mut sessions = self.sessions.borrow_mut();
        sessions.retain(|session| {
            let is_idle = session.active.get() == 0;
            !(is_idle && (session.draining.get() || session.idle_since.get().elapsed() >= idle_for))
        });
        !sessions.is_empty()
    }

    /// Returns a stream, or the task to open a connection. Waits in the queue for at most `within`.
    pub(crate) async fn turn(self: &Rc<Self>, within: Duration) -> Result<StreamGrant, StreamWaitError> {
        if self.is_quiet()
            && let Some(turn) = self.turn_now(1)
        {
            return Ok(turn);
        }
        let (give, given) = oneshot::channel();
        {
            let mut waiting = self.waiting.borrow_mut();
            waiting.retain(|waits| !waits.is_closed());
            if waiting.len() >= self.waiting_max {
                return Err(StreamWaitError::Crowded);
            }
            waiting.push_back(give);
        }
        self.distribute();
        match timeout(within, given).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(self.why_late()),
        }
    }

    /// Assigns no stream on a connection for [`PASSED_OVER_FOR`], because it refused one.
    pub(crate) fn pass_over(self: &Rc<Self>, session: &Rc<Http2Session>) {
        if session.passed_over.replace(true) {
            return;
        }
        let streams = self.clone();
        let session = session.clone();
        drop(spawn(async move {
            sleep(PASSED_OVER_FOR).await;
            session.passed_over.set(false);
            streams.distribute();
        }));
    }

    /// Assigns streams and new connections to waiting requests, in the order of their arrival.
    pub(crate) fn distribute(self: &Rc<Self>) {
        loop {
            let waiting = {
                let mut waiting = self.waiting.borrow_mut();
                while waiting.front().is_some_and(oneshot::Sender::is_closed) {
                    waiting.pop_front();
                }
                waiting.len()
            };
            if waiting == 0 {
                return;
            }
            let Some(turn) = self.turn_now(waiting) else { return };
            let first = self.waiting.borrow_mut().pop_front();
            // Nothing was awaited since the check, so the request still waits.
            let _ = first.map(|first| first.send(turn));
        }
    }

    /// Ends the wait of all requests, because the origin now speaks HTTP/1.1.
    pub(crate) fn send_to_http1(&self) {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        for waits in waiting {
            // The call fails only if the request has ended.
            let _ = waits.send(StreamGrant::Http1);
        }
    }

    /// Adds a new connection and returns its first stream for the request that opened it. Other requests may use the
    /// connection if its settings arrive within `settle_within`.
    pub(crate) fn add(self: &Rc<Self>, opened: NewHttp2Connection, settle_within: Duration) -> StreamSlot {
        let session = Http2Session::start(opened, self, settle_within);
        session.active.set(1);
        self.sessions.borrow_mut().push(session.clone());
        StreamSlot { session, streams: self.clone(), reused: false }
    }

    /// Applies new settings or the end of a connection to the waiting requests: it accepts more, fewer or no further
    /// streams.
    pub(crate) fn settle(self: &Rc<Self>, session: &Http2Session) {
        if session.settled.get() {
            self.expected.set(session.limit.get().max(1));
        }
        self.distribute();
    }

    /// Removes a connection that has ended or is of no further use. Another one may take its place.
    pub(crate) fn forget(self: &Rc<Self>, session: &Rc<Http2Session>) {
        self.sessions.borrow_mut().retain(|kept| !Rc::ptr_eq(kept, session));
        self.distribute();
    }

    /// Assigns the room that `session` has left: of a stream that has ended, or of the whole connection if it accepts
    /// no further streams and has none.
    pub(crate) fn release(self: &Rc<Self>, session: &Rc<Http2Session>) {
        if session.draining.get() && session.active.get() == 0 {
            self.forget(session);
        } else {
            self.distribute();
        }
    }

    /// Returns a stream or a new connection that is available without a wait.
    fn turn_now(self: &Rc<Self>, wanted: usize) -> Option<StreamGrant> {
        self.slot().map(StreamGrant::Stream).or_else(|| self.may_dial(wanted).then(|| StreamGrant::Dial(self.dial())))
    }

    /// Returns a stream on the first connection with room, so that later connections can become idle.
    fn slot(self: &Rc<Self>) -> Option<StreamSlot> {
        let sessions = self.sessions.borrow();
        let session = sessions.iter().find(|session| session.has_room())?;
        session.active.set(session.active.get() + 1);
        Some(StreamSlot { session: session.clone(), streams: self.clone(), reused: true })
    }

    fn dial(self: &Rc<Self>) -> PendingConnection {
        self.dialing.set(self.dialing.get() + 1);
        PendingConnection(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};
    use tokio::runtime::{Builder, LocalOptions};

    use super::*;
    use crate::deadlines::probe::Gauge;
    use crate::deadlines::task::spawn;
    use crate::upstream::pool::http2;
    use crate::upstream::socket::{Socket, Transport};

    #[test]
    fn connection_that_is_idle_for_too_long_closes_in_good_order() {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        let closed = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            let serving = spawn(async move {
                let mut connection = h2::server::handshake(accepted).await.unwrap();
                connection.accept().await.map(|accepted| accepted.map(drop))
            });
            let gauge = Gauge::new();
            let opened = http2::open(Socket::new(Transport::Plain(stream), gauge.clone()), gauge).await.unwrap();
            let streams = Rc::new(Streams::new(None, 0));
            let slot = streams.add(opened, Duration::from_secs(5));
            // Waits until both sides have exchanged their settings.
            let settled = async {
                while !slot.session.settled.get() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(Duration::from_secs(20), settled).await.unwrap();
            assert!(streams.sweep(Duration::ZERO), "it is in use");
            drop(slot);
            assert!(streams.sweep(Duration::from_secs(60)), "it is not idle for long");
            assert!(!streams.sweep(Duration::ZERO));
            timeout(Duration::from_secs(20), serving).await.unwrap().unwrap()
        });
        // A failed connection would be an error.
        assert!(closed.is_none(), "{closed:?}");
    }
}
