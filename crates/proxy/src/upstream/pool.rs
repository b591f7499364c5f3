//! The connections of one worker, by origin. The idle connection that was used last is reused first, so that the others
//! reach their maximum idle time.

pub(crate) mod http2;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::{Origin, Scheme};
use http::uri;
use rustc_hash::FxHashMap;
use tls::UpstreamTls;
use tokio::time::{Instant, sleep};

use crate::upstream::http1::Http1Connection;
use crate::upstream::outgoing::TargetOrigin;
use crate::upstream::pool::http2::streams::Streams;
use crate::upstream::socket::IdleSocket;

/// Maximum number of idle connections to one origin, per worker.
const IDLE_MAX: usize = 256;
/// Time after which an idle connection is closed. Most servers keep idle connections for 60 s or more.
const IDLE_FOR: Duration = Duration::from_secs(50);
/// Time after a response in which a connection is checked only by the reactor's reports, for a close or a second response of
/// the upstream. Later, its socket is read too, because the reactor may not have reported received bytes yet.
const FRESH_FOR: Duration = Duration::from_millis(10);
const SWEEP_EVERY: Duration = Duration::from_secs(5);

struct IdleConnection {
    link: Box<Http1Connection>,
    since: Instant,
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
    pub(crate) streams: Streams,
    speaks: Cell<OriginProtocol>,
    idle: RefCell<VecDeque<IdleConnection>>,
}

impl Pool {
    pub(crate) fn new(origin: &Origin, tls: Option<Arc<UpstreamTls>>) -> Self {
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
            streams: Streams::default(),
            speaks: Cell::new(speaks),
            idle: RefCell::default(),
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
            self.send_to_http1();
        }
    }

    /// Returns an idle connection that is still usable; `now` is the current time. For a request that cannot be sent
    /// again, `is_repeatable` is false: its connection is checked more thoroughly.
    pub(crate) async fn take(&self, now: Instant, is_repeatable: bool) -> Option<Box<Http1Connection>> {
        loop {
            let IdleConnection { mut link, since } = self.idle.borrow_mut().pop_back()?;
            let is_fresh = is_repeatable && now.saturating_duration_since(since) < FRESH_FOR;
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

    /// Stores a connection whose request and response are complete.
    pub(crate) fn give_back(&self, link: Box<Http1Connection>, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX {
            idle.push_back(IdleConnection { link, since: now });
        }
    }

    /// Closes connections that were idle for too long. Returns whether any connection remains.
    fn sweep(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| idle.since.elapsed() < IDLE_FOR && idle.link.look(false) != IdleSocket::Unusable);
        let streams = self.streams.sweep(IDLE_FOR);
        streams || !idle.is_empty()
    }
}

/// The pools of one worker.
#[derive(Default)]
pub(crate) struct Pools(RefCell<FxHashMap<PoolKey, Rc<Pool>>>);

/// Upstreams with different TLS share no connection, even to the same origin. The address is that of the TLS, which the
/// pool keeps alive.
#[derive(PartialEq, Eq, Hash)]
struct PoolKey {
    origin: Origin,
    tls_address: Option<usize>,
}

impl Pools {
    /// Returns the pool of connections to `origin` with this TLS.
    pub(crate) fn of(&self, origin: &Origin, tls: Option<&Arc<UpstreamTls>>) -> Rc<Pool> {
        let tls_address = tls.map(|tls| Arc::as_ptr(tls).addr());
        let key = PoolKey { origin: origin.clone(), tls_address };
        let mut pools = self.0.borrow_mut();
        pools.entry(key).or_insert_with(|| Rc::new(Pool::new(origin, tls.cloned()))).clone()
    }
}

/// Closes connections that were idle for too long and removes unused pools, until the worker ends.
pub(crate) async fn sweep_forever(pools: &Pools) {
    loop {
        sleep(SWEEP_EVERY).await;
        pools.0.borrow_mut().retain(|_, pool| pool.sweep() || Rc::strong_count(pool) > 1);
    }
}
