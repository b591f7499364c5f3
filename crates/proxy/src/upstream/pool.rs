//! The connections of one worker, by origin. The idle connection that was used last is reused first, so that the others
//! reach their maximum idle time.

pub(crate) mod http2;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::{Origin, PoolRules, Scheme};
use http::uri;
use rustc_hash::FxHashMap;
use thiserror::Error;
use tls::UpstreamTls;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::upstream::connection_limit::{ConnectionLimit, IdlePermit, OpeningPermit, PendingRequest, TooManyPending};
use crate::upstream::http1::Http1Connection;
use crate::upstream::outgoing::TargetOrigin;
use crate::upstream::pool::http2::streams::Streams;
use crate::upstream::socket::IdleSocket;

/// Time after a response in which a connection is checked only by the reactor's reports, for a close or a second response of
/// the upstream. Later, its socket is read too, because the reactor may not have reported received bytes yet.
const FRESH_FOR: Duration = Duration::from_millis(10);
const SWEEP_EVERY: Duration = Duration::from_secs(5);

struct IdleConnection {
    link: Box<Http1Connection>,
    since: Instant,
    /// Counts the connection as idle, if connections are limited.
    _idle: Option<IdlePermit>,
}

/// A connection that a request may use.
pub(crate) enum PooledConnection {
    /// An open one, which another request has used.
    Open(Box<Http1Connection>),
    /// One that the request must open, with the right to it if connections are limited.
    New(Option<OpeningPermit>),
}

/// The reason why a request has no connection, where connections are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ConnectionWaitError {
    #[error(transparent)]
    TooManyPending(#[from] TooManyPending),
    #[error("no connection became free in time")]
    Late,
}

/// The protocol of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OriginProtocol {
    /// The first TLS handshake determines the protocol.
    Unknown,
    Http1,
    Http2,
}

/// The connections of one worker to one origin.
pub(crate) struct Pool {
    pub(crate) origin: Origin,
    /// The TLS of connections to it; `None` means that of the worker.
    pub(crate) tls: Option<Arc<UpstreamTls>>,
    /// The parts of the origin that heads of requests have.
    pub(crate) target: Rc<TargetOrigin>,
    pub(crate) streams: Rc<Streams>,
    rules: PoolRules,
    /// The bound of the connections over HTTP/1.1, of all workers.
    limit: Option<Arc<ConnectionLimit>>,
    speaks: Cell<OriginProtocol>,
    idle: RefCell<VecDeque<IdleConnection>>,
    /// The requests of this worker that wait for a connection.
    waiting: RefCell<VecDeque<WaitingRequest>>,
    /// The share of the connections that waiting requests of other workers are still to get, in parts of a connection.
    owed: Cell<u32>,
    /// Whether no upstream has the origin any more: no connection is kept.
    is_retired: Cell<bool>,
}

/// A request of this worker that waits for a connection, unless it has ended.
struct WaitingRequest {
    give: oneshot::Sender<Box<Http1Connection>>,
    pending: Weak<PendingRequest>,
}

/// The bounds of the pool of one worker.
#[derive(Debug, Clone)]
pub(crate) struct PoolBounds {
    pub(crate) rules: PoolRules,
    /// The bound of the connections over HTTP/1.1, of all workers.
    pub(crate) limit: Option<Arc<ConnectionLimit>>,
    /// The number of workers, each of which has its share of the connections over HTTP/2.
    pub(crate) workers: u32,
}

impl PoolBounds {
    /// The bounds of a pool without a limit of connections.
    pub(crate) const UNLIMITED: Self = Self { rules: PoolRules::DEFAULT, limit: None, workers: 1 };
}

impl Pool {
    pub(crate) fn new(origin: &Origin, tls: Option<Arc<UpstreamTls>>, bounds: PoolBounds) -> Self {
        let PoolBounds { rules, limit, workers } = bounds;
        let (scheme, speaks) = match origin.scheme {
            Scheme::Http => (uri::Scheme::HTTP, OriginProtocol::Http1),
            Scheme::H2c => (uri::Scheme::HTTP, OriginProtocol::Http2),
            Scheme::Https => (uri::Scheme::HTTPS, OriginProtocol::Unknown),
        };
        // The authority is part of a URL that was parsed.
        let authority = origin.authority.parse().unwrap_or(uri::Authority::from_static("unknown"));
        Self {
            origin: origin.clone(),
            tls,
            target: Rc::new(TargetOrigin { path: origin.path.clone(), authority, scheme }),
            streams: Rc::new(Streams::new(rules.max_connections.map(|max| max / workers), rules.pending)),
            rules,
            limit,
            speaks: Cell::new(speaks),
            idle: RefCell::default(),
            waiting: RefCell::default(),
            owed: Cell::new(0),
            is_retired: Cell::new(false),
        }
    }

    /// Returns the protocol of the last new connection.
    pub(crate) fn speaks(&self) -> OriginProtocol {
        self.speaks.get()
    }

    /// Records the protocol of a new connection.
    pub(crate) fn has_spoken(&self, speaks: OriginProtocol) {
        self.speaks.set(speaks);
        if speaks == OriginProtocol::Http1 {
            self.streams.send_to_http1();
        }
    }

    /// Returns an idle connection that is still usable; `now` is the current time. For a request that cannot be sent
    /// again, `is_repeatable` is false: its connection is checked more thoroughly.
    pub(crate) async fn take(&self, now: Instant, is_repeatable: bool) -> Option<Box<Http1Connection>> {
        loop {
            let IdleConnection { mut link, since, .. } = self.idle.borrow_mut().pop_back()?;
            let idle_for = now.saturating_duration_since(since);
            if idle_for >= self.rules.idle_timeout {
                continue;
            }
            let is_fresh = is_repeatable && idle_for < FRESH_FOR;
            let is_usable = match link.look(is_fresh) {
                IdleSocket::Silent => true,
                IdleSocket::Unusable => false,
                IdleSocket::Records => link.is_usable_after_records().await,
            };
            if is_usable {
                link.reused = true;
                return Some(link);
            }
        }
    }

    /// Returns the right to a connection, or one that another request has ended. Where connections are limited, it waits in
    /// turn for at most `within`.
    pub(crate) async fn connection(&self, within: Duration) -> Result<PooledConnection, ConnectionWaitError> {
        let Some(limit) = &self.limit else { return Ok(PooledConnection::New(None)) };
        if let Some(permit) = limit.try_open() {
            return Ok(PooledConnection::New(Some(permit)));
        }
        // Boxed, because few requests wait.
        Box::pin(self.wait(limit, within)).await
    }

    async fn wait(
        &self,
        limit: &Arc<ConnectionLimit>,
        within: Duration,
    ) -> Result<PooledConnection, ConnectionWaitError> {
        let pending = Rc::new(limit.wait()?);
        let deadline = Instant::now() + within;
        loop {
            let (give, given) = oneshot::channel();
            {
                let mut waiting = self.waiting.borrow_mut();
                // A backend that ends all connections gives none back, so nothing else removes the requests that have ended.
                waiting.retain(|request| request.pending.strong_count() > 0 && !request.give.is_closed());
                waiting.push_back(WaitingRequest { give, pending: Rc::downgrade(&pending) });
            }
            let opened = limit.open();
            tokio::select! {
                biased;
                Ok(mut link) = given => {
                    link.reused = true;
                    // The backend may have closed it meanwhile.
                    if link.look(false) == IdleSocket::Silent {
                        return Ok(PooledConnection::Open(link));
                    }
                    pending.wait_again();
                }
                permit = opened => return Ok(PooledConnection::New(permit)),
                () = sleep_until(deadline) => return Err(ConnectionWaitError::Late),
            }
        }
    }

    /// Keeps a connection whose request and response are complete, or gives it to the first request that waits for one.
    pub(crate) fn give_back(&self, link: Box<Http1Connection>, now: Instant) {
        let Some(link) = self.hand_over(link) else { return };
        if self.is_retired.get() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() < usize::try_from(self.rules.idle).unwrap_or(usize::MAX) {
            let permit = self.limit.as_ref().map(ConnectionLimit::rest);
            idle.push_back(IdleConnection { link, since: now, _idle: permit });
        }
        drop(idle);
        // A request of another worker that began to wait meanwhile has not seen the idle connection.
        self.close_for_others();
    }

    /// Gives a connection to a waiting request. If requests of other workers wait too, these get their share: the connection
    /// is then closed, so that they may open another. Returns the connection if no request waits.
    fn hand_over(&self, link: Box<Http1Connection>) -> Option<Box<Http1Connection>> {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|request| request.pending.strong_count() > 0);
        let Some(all) = self.limit.as_ref().map(|limit| limit.waiting()).filter(|waiting| *waiting > 0) else {
            return Some(link);
        };
        let others = all.saturating_sub(u32::try_from(waiting.len()).unwrap_or(u32::MAX));
        let owed = self.owed.get() + others;
        if owed >= all {
            self.owed.set(owed - all);
            return None;
        }
        self.owed.set(owed);
        let Some(WaitingRequest { give, pending }) = waiting.pop_front() else { return Some(link) };
        if let Some(pending) = pending.upgrade() {
            pending.serve();
        }
        give.send(link).err()
    }

    /// Closes an idle connection for each request that waits for one.
    fn close_for_others(&self) {
        let waiting = self.limit.as_ref().map_or(0, |limit| limit.waiting());
        let mut idle = self.idle.borrow_mut();
        let closed = usize::try_from(waiting).unwrap_or(usize::MAX).min(idle.len());
        idle.drain(..closed);
    }

    /// Closes the idle connections, and keeps no others: no upstream has the origin any more.
    pub(crate) fn retire(&self) {
        self.is_retired.set(true);
        self.sweep();
    }

    /// Closes connections that were idle for too long. Returns whether any connection remains.
    fn sweep(&self) -> bool {
        let idle_for = if self.is_retired.get() { Duration::ZERO } else { self.rules.idle_timeout };
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| idle.since.elapsed() < idle_for && idle.link.look(false) != IdleSocket::Unusable);
        let streams = self.streams.sweep(idle_for);
        // Waiting requests may open connections in place of those that were closed.
        self.streams.distribute();
        streams || !idle.is_empty()
    }
}

/// The pools of one worker.
#[derive(Default)]
pub(crate) struct Pools(RefCell<FxHashMap<PoolKey, Rc<Pool>>>);

/// Upstreams with different TLS or different bounds share no connection, even to the same origin. Addresses are those of
/// values that the pool keeps alive.
#[derive(PartialEq, Eq, Hash)]
struct PoolKey {
    origin: Origin,
    tls_address: Option<usize>,
    rules: PoolRules,
    limit_address: Option<usize>,
}

impl Pools {
    /// Returns the pool of connections to `origin` with this TLS and these bounds.
    pub(crate) fn pool_for(&self, origin: &Origin, tls: Option<&Arc<UpstreamTls>>, bounds: &PoolBounds) -> Rc<Pool> {
        let tls_address = tls.map(|tls| Arc::as_ptr(tls).addr());
        let limit_address = bounds.limit.as_ref().map(|limit| Arc::as_ptr(limit).addr());
        let key = PoolKey { origin: origin.clone(), tls_address, rules: bounds.rules, limit_address };
        let mut pools = self.0.borrow_mut();
        let pool = pools.entry(key).or_insert_with(|| Rc::new(Pool::new(origin, tls.cloned(), bounds.clone())));
        pool.is_retired.set(false);
        pool.clone()
    }
}

/// Closes connections that were idle for too long, or that other workers want, and removes unused pools, until the worker
/// ends.
pub(crate) async fn sweep_forever(pools: &Pools, wanted: &Notify) {
    let mut next_sweep = Instant::now() + SWEEP_EVERY;
    loop {
        // A request that begins to wait after this line wakes the worker.
        let mut notified = pin!(wanted.notified());
        notified.as_mut().enable();
        pools.0.borrow().values().for_each(|pool| pool.close_for_others());
        tokio::select! {
            () = notified => {}
            () = sleep_until(next_sweep) => {
                let is_used = |pool: &Rc<Pool>| Rc::strong_count(pool) > 1 || Rc::strong_count(&pool.streams) > 1;
                pools.0.borrow_mut().retain(|_, pool| pool.sweep() || is_used(pool));
                next_sweep = Instant::now() + SWEEP_EVERY;
            }
        }
    }
}

#[cfg(test)]
mod tests;
