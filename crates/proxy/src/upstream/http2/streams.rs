//! Who gets a stream to an origin: on a connection that has room, on a new one, or after a wait in line.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::{Http2Session, NewHttp2Connection, STREAMS_MAX};
use crate::upstream::pool::Pool;
use crate::worker::spawn;

/// HTTP/2 connections to one origin, a worker; those that drain count.
const CONNECTIONS_MAX: usize = 256;
/// Requests that wait for a stream to one origin, a worker.
const WAITING_MAX: usize = 1024;
/// A connection that refused a stream gets no other one for so long: a request that is sent again goes elsewhere, or later.
const PASSED_OVER_FOR: Duration = Duration::from_millis(100);

/// HTTP/2 connections of one worker to one origin, and who waits for a stream.
pub(crate) struct Streams {
    sessions: RefCell<Vec<Rc<Http2Session>>>,
    dialing: Cell<usize>,
    waiting: RefCell<VecDeque<oneshot::Sender<StreamGrant>>>,
    /// What a new connection will probably carry: what the last one does.
    expected: Cell<usize>,
}

/// What who waits in line gets.
pub(crate) enum StreamGrant {
    /// A stream.
    Stream(StreamSlot),
    /// Another connection is needed: make one.
    Dial(PendingConnection),
    /// The origin speaks HTTP/1.1.
    Http1,
}

/// Why there is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum StreamWaitError {
    #[error("too many requests wait for this upstream")]
    Crowded,
    #[error("no stream became free in time")]
    Late,
    #[error("no connection reported its settings in time")]
    Silent,
}

/// The right to one stream. Dropped, another request may have it.
pub(crate) struct StreamSlot {
    pub(crate) session: Rc<Http2Session>,
    pool: Rc<Pool>,
    /// Whether the connection carried a request before.
    pub(crate) reused: bool,
}

/// A connection in the making.
pub(crate) struct PendingConnection(Rc<Pool>);

impl Default for Streams {
    fn default() -> Self {
        Self {
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
        self.pool.distribute();
    }
}

impl Drop for PendingConnection {
    fn drop(&mut self) {
        let dialing = &self.0.streams.dialing;
        dialing.set(dialing.get() - 1);
        self.0.distribute();
    }
}

impl Streams {
    fn is_quiet(&self) -> bool {
        self.waiting.borrow().iter().all(oneshot::Sender::is_closed)
    }

    /// Whether another connection is needed for `wanted` requests, and may be made.
    fn may_dial(&self, wanted: usize) -> bool {
        let sessions = self.sessions.borrow();
        let comes = |session: &&Rc<Http2Session>| !session.settled.get() && !session.draining.get();
        let coming = self.dialing.get() + sessions.iter().filter(comes).count();
        // Who makes a connection takes its first stream.
        let room_coming = coming.saturating_mul(self.expected.get().saturating_sub(1));
        wanted > room_coming && sessions.len() + self.dialing.get() < CONNECTIONS_MAX
    }

    /// Why there was no stream in time.
    fn why_late(&self) -> StreamWaitError {
        let is_settled = self.sessions.borrow().iter().any(|session| session.settled.get());
        if is_settled { StreamWaitError::Late } else { StreamWaitError::Silent }
    }

    /// Closes what was idle for too long; says whether anything is left.
    pub(crate) fn sweep(&self, idle_for: Duration) -> bool {
        let mut sessions = self.sessions.borrow_mut();
        sessions.retain(|session| {
            let is_idle = session.active.get() == 0;
            !(is_idle && (session.draining.get() || session.idle_since.get().elapsed() >= idle_for))
        });
        !sessions.is_empty()
    }
}

impl Pool {
    /// A stream, or the task to make a connection; waits in line for at most `within`.
    pub(crate) async fn turn(self: &Rc<Self>, within: Duration) -> Result<StreamGrant, StreamWaitError> {
        if self.streams.is_quiet()
            && let Some(turn) = self.turn_now(1)
        {
            return Ok(turn);
        }
        let (give, given) = oneshot::channel();
        {
            let mut waiting = self.streams.waiting.borrow_mut();
            waiting.retain(|waits| !waits.is_closed());
            if waiting.len() >= WAITING_MAX {
                return Err(StreamWaitError::Crowded);
            }
            waiting.push_back(give);
        }
        self.distribute();
        match timeout(within, given).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(self.streams.why_late()),
        }
    }

    /// A connection refused a stream: for a moment it gets no other one.
    pub(crate) fn pass_over(self: &Rc<Self>, session: &Rc<Http2Session>) {
        if session.passed_over.replace(true) {
            return;
        }
        let (pool, session) = (self.clone(), session.clone());
        drop(spawn(async move {
            sleep(PASSED_OVER_FOR).await;
            session.passed_over.set(false);
            pool.distribute();
        }));
    }

    /// Gives turns to who waits, first come first served.
    pub(crate) fn distribute(self: &Rc<Self>) {
        loop {
            let waiting = {
                let mut waiting = self.streams.waiting.borrow_mut();
                while waiting.front().is_some_and(oneshot::Sender::is_closed) {
                    waiting.pop_front();
                }
                waiting.len()
            };
            if waiting == 0 {
                return;
            }
            let Some(turn) = self.turn_now(waiting) else { return };
            let first = self.streams.waiting.borrow_mut().pop_front();
            // Nothing was awaited since, so it still waits.
            let _ = first.map(|first| first.send(turn));
        }
    }

    /// The origin speaks HTTP/1.1 now: nobody waits for a stream any more.
    pub(crate) fn send_to_http1(&self) {
        let waiting = std::mem::take(&mut *self.streams.waiting.borrow_mut());
        for waits in waiting {
            // Who is gone needs nothing.
            let _ = waits.send(StreamGrant::Http1);
        }
    }

    /// A connection stands; its first stream is for who made it. Others get room on it if it settles within
    /// `settle_within`.
    pub(crate) fn add(self: &Rc<Self>, opened: NewHttp2Connection, settle_within: Duration) -> StreamSlot {
        let session = Http2Session::start(opened, self, settle_within);
        session.active.set(1);
        self.streams.sessions.borrow_mut().push(session.clone());
        StreamSlot { session, pool: self.clone(), reused: false }
    }

    /// A connection takes more streams, or fewer, or no more.
    pub(crate) fn settle(self: &Rc<Self>, session: &Http2Session) {
        if session.settled.get() {
            self.streams.expected.set(session.limit.get().max(1));
        }
        self.distribute();
    }

    /// A connection has ended.
    pub(crate) fn forget(self: &Rc<Self>, session: &Rc<Http2Session>) {
        self.streams.sessions.borrow_mut().retain(|kept| !Rc::ptr_eq(kept, session));
        self.distribute();
    }

    fn turn_now(self: &Rc<Self>, wanted: usize) -> Option<StreamGrant> {
        self.slot()
            .map(StreamGrant::Stream)
            .or_else(|| self.streams.may_dial(wanted).then(|| StreamGrant::Dial(self.dial())))
    }

    /// The first connection with room: later ones get time to be idle.
    fn slot(self: &Rc<Self>) -> Option<StreamSlot> {
        let sessions = self.streams.sessions.borrow();
        let session = sessions.iter().find(|session| session.has_room())?;
        session.active.set(session.active.get() + 1);
        Some(StreamSlot { session: session.clone(), pool: self.clone(), reused: true })
    }

    fn dial(self: &Rc<Self>) -> PendingConnection {
        self.streams.dialing.set(self.streams.dialing.get() + 1);
        PendingConnection(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use config::snapshot::Origin;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::runtime::{Builder, LocalOptions};

    use super::*;
    use crate::upstream::http2;
    use crate::upstream::socket::{Gauge, Socket, Transport};
    use crate::worker::spawn;

    #[test]
    fn connection_that_is_idle_for_too_long_closes_in_good_order() {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        let closed = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            let serving = spawn(async move {
                let mut connection = h2::server::handshake(accepted).await.unwrap();
                connection.accept().await.map(|asked| asked.map(drop))
            });
            let gauge = Gauge::new();
            let opened = http2::open(Socket::new(Transport::Plain(stream), gauge.clone()), gauge).await.unwrap();
            let pool = Rc::new(Pool::new(&Origin::parse("h2c://127.0.0.1").unwrap()));
            let slot = pool.add(opened, Duration::from_secs(5));
            // Both sides have said what they take.
            let settled = async {
                while !slot.session.settled.get() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(Duration::from_secs(20), settled).await.unwrap();
            assert!(pool.streams.sweep(Duration::ZERO), "it is in use");
            drop(slot);
            assert!(pool.streams.sweep(Duration::from_secs(60)), "it is not idle for long");
            assert!(!pool.streams.sweep(Duration::ZERO));
            timeout(Duration::from_secs(20), serving).await.unwrap().unwrap()
        });
        // A connection that breaks would be an error.
        assert!(closed.is_none(), "{closed:?}");
    }
}
