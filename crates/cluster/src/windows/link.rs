//! Availability of Redis: no request waits for Redis to become available again.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use meter::limiter::GrantedRequests;
use meter::limiter::sharing::{GivenBack, GrantRequest, SharingState, TokenRequest, TokenSettlement};
use meter::window::counts::{WindowCheck, WindowLevel};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::connection::Connection;
use super::redis::{RedisFault, Server};
use super::tokens::TokenScripts;

/// After this number of late responses in a row, Redis counts as unavailable. A single late response may come from a
/// fork or from another client's slow script.
const LATE_MAX: u32 = 3;
/// Interval between attempts to connect; also the minimum time for which requests are counted here after Redis was
/// unavailable.
pub(super) const AGAIN: Duration = Duration::from_millis(500);
/// Interval between checks of an idle Redis.
const LOOK: Duration = Duration::from_secs(1);

/// Number of further timeouts for which a late decision about tokens is awaited, to undo it.
const LATE_FACTOR: u32 = 12;

/// Minimum timeout of a look-up of a key. Without a result its request is refused, so it is longer than that of limits.
const LOOKUP: Duration = Duration::from_millis(500);

/// A probe that checks whether Redis responds and accepts writes.
const PROBE: WindowCheck<'static> =
    WindowCheck { name: "probe", key: "", limit: std::num::NonZeroU32::MIN, window: Duration::from_millis(1) };

/// The connection to Redis, which may be down.
pub(super) struct RedisLink {
    server: Server,
    tokens: TokenScripts,
    /// Timeout of a call to Redis.
    answer: Duration,
    /// The id of this node, if it serves requests.
    node: Option<String>,
    /// The state of Redis as the workers see it.
    state: Arc<SharingState>,
    up: RwLock<Option<Arc<RedisConnection>>>,
    cut: Notify,
}

/// The connection that was available at the last check.
#[derive(Clone, Default)]
pub(super) struct WatchedConnection(Option<Arc<RedisConnection>>);

impl fmt::Debug for WatchedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedConnection").field("is_up", &self.0.is_some()).finish()
    }
}

/// A connection that is assumed to work.
struct RedisConnection {
    connection: Connection,
    late: AtomicU32,
    fault: Mutex<Option<RedisFault>>,
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

impl RedisLink {
    pub(super) fn new(server: Server, answer: Duration, node: Option<String>) -> Self {
        let tokens = TokenScripts::new();
        Self { server, tokens, answer, node, state: Arc::default(), up: RwLock::default(), cut: Notify::new() }
    }

    pub(super) const fn state(&self) -> &Arc<SharingState> {
        &self.state
    }

    pub(super) fn is_up(&self) -> bool {
        self.up().is_some()
    }

    fn up(&self) -> Option<Arc<RedisConnection>> {
        self.up.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls Redis; `None` if it is unavailable, refuses, or responds too late.
    pub(super) async fn take(&self, asks: &[WindowCheck<'_>]) -> Option<WindowLevel> {
        let up = self.up()?;
        let taken = self.ask(&up, asks).await;
        taken.map_err(|fault| self.note(&up, fault)).ok()
    }

    async fn ask(&self, up: &RedisConnection, asks: &[WindowCheck<'_>]) -> Result<WindowLevel, RedisFault> {
        let mut connection = up.connection.clone();
        self.in_time(up, self.server.take(&mut connection, asks)).await
    }

    /// Calls Redis over the connection; `None` if it is unavailable, refuses, or responds too late.
    pub(super) async fn call<T, F>(&self, call: impl FnOnce(Connection) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, RedisFault>>,
    {
        let up = self.up()?;
        let called = self.in_time(&up, call(up.connection.clone())).await;
        called.map_err(|fault| self.note(&up, fault)).ok()
    }

    /// Asks for requests of one key; `None` if Redis is unavailable, refuses, or responds too late.
    pub(super) async fn grant(&self, request: &GrantRequest) -> Option<GrantedRequests> {
        let up = self.up()?;
        let mut connection = up.connection.clone();
        let granted = self.in_time(&up, self.server.grant(&mut connection, request)).await;
        granted.map_err(|fault| self.note(&up, fault)).ok()
    }

    /// Returns the value of a name, of which at most one byte more than `bytes_max` is read; empty if it does not exist.
    /// If Redis refuses, the connection remains.
    pub(super) async fn value(&self, name: &str, bytes_max: usize) -> Result<Vec<u8>, RedisFault> {
        let up = self.up().ok_or(RedisFault::Late)?;
        let mut connection = up.connection.clone();
        let reading = self.server.value(&mut connection, name, bytes_max);
        self.unless_refused(&up, within(self.answer.max(LOOKUP), &up, reading).await)
    }

    /// Returns a response that nodes share, of which at most one byte more than `bytes_max` is read; empty if it does not exist.
    pub(super) async fn response(&self, name: &str, bytes_max: usize) -> Result<Vec<u8>, RedisFault> {
        let up = self.up().ok_or(RedisFault::Late)?;
        let mut connection = up.connection.clone();
        let name = self.server.response_name(name);
        let reading = self.server.value(&mut connection, &name, bytes_max);
        self.unless_refused(&up, self.in_time(&up, reading).await)
    }

    /// Stores a response that nodes share. If Redis refuses, for example without memory, the connection remains.
    pub(super) async fn keep_response(&self, name: &str, response: &[u8], ttl: Duration) -> Result<(), RedisFault> {
        let up = self.up().ok_or(RedisFault::Late)?;
        let mut connection = up.connection.clone();
        let name = self.server.response_name(name);
        let writing = self.server.keep(&mut connection, &name, response, ttl);
        self.unless_refused(&up, self.in_time(&up, writing).await)
    }

    /// Records a failure, unless it is a refusal, which the connection survives.
    fn unless_refused<T>(&self, up: &Arc<RedisConnection>, result: Result<T, RedisFault>) -> Result<T, RedisFault> {
        if let Err(fault) = &result
            && !matches!(fault, RedisFault::Refused(_))
        {
            self.note(up, fault.clone());
        }
        result
    }

    /// Uncounts a request. If Redis is unavailable, the request still counts there.
    pub(super) async fn give_back(&self, back: &GivenBack) {
        let Some(up) = self.up() else { return };
        let mut connection = up.connection.clone();
        if let Err(fault) = self.in_time(&up, self.server.give_back(&mut connection, back)).await {
            self.note(&up, fault);
        }
    }

    /// Lets Redis decide about the tokens of a call, which gets no result if Redis is unavailable or refuses. A decision that
    /// arrives after the call has stopped waiting is undone, over the same connection, as Redis may count as unavailable by then.
    pub(super) async fn take_tokens(&self, request: TokenRequest) {
        let Some(up) = self.up() else { return };
        let decision = {
            let name = self.server.rate_name(&request.key.name, request.key.terms.span().is_some());
            let mut taking = pin!(self.tokens.take(up.connection.clone(), name, &request));
            match self.in_time(&up, taking.as_mut()).await {
                Ok(decision) => Some(decision),
                Err(RedisFault::Late) => {
                    self.note(&up, RedisFault::Late);
                    timeout(self.answer * LATE_FACTOR, taking).await.ok().and_then(Result::ok)
                }
                Err(fault) => {
                    self.note(&up, fault);
                    None
                }
            }
        };
        if let Some(decision) = decision
            && let Some(back) = request.decided(decision)
        {
            self.settle_over(&up, &back).await;
        }
    }

    /// Settles the tokens of a call. If Redis is unavailable, its reservation remains counted there.
    pub(super) async fn settle_tokens(&self, settlement: &TokenSettlement) {
        match self.up() {
            Some(up) => self.settle_over(&up, settlement).await,
            None => self.state.lose_settlement(),
        }
    }

    async fn settle_over(&self, up: &Arc<RedisConnection>, settlement: &TokenSettlement) {
        let name = self.server.rate_name(&settlement.key.name, settlement.key.terms.span().is_some());
        let settling = self.tokens.settle(up.connection.clone(), name, settlement);
        if let Err(fault) = self.in_time(up, settling).await {
            self.note(up, fault);
            self.state.lose_settlement();
        }
    }

    /// Logs the settlements that were lost since the last check.
    fn report_lost_settlements(&self) {
        let count = self.state.take_lost_settlements();
        if count > 0 {
            tracing::warn!(count, "usage of tokens did not reach Redis, so that estimates remain counted in its place");
        }
    }

    /// Checks whether Redis responds and accepts writes. A node that serves requests also notes that it does. `is_new`
    /// means that the connection was just opened.
    async fn probe(&self, up: &RedisConnection, is_new: bool) -> Result<(), RedisFault> {
        match &self.node {
            Some(node) => {
                let mut connection = up.connection.clone();
                let nodes = self.in_time(up, self.server.beat(&mut connection, node)).await?;
                // After an outage, the other nodes have not reported again yet.
                self.state.set_nodes(if is_new { nodes.max(self.state.nodes().get()) } else { nodes });
            }
            None => drop(self.ask(up, &[PROBE]).await?),
        }
        Ok(())
    }

    async fn in_time<T>(
        &self,
        up: &RedisConnection,
        call: impl Future<Output = Result<T, RedisFault>>,
    ) -> Result<T, RedisFault> {
        within(self.answer, up, call).await
    }

    /// Records a failure. Single late responses are tolerated; any other failure will recur.
    fn note(&self, failed: &Arc<RedisConnection>, fault: RedisFault) {
        if fault == RedisFault::Late && failed.late.fetch_add(1, Ordering::Relaxed) + 1 < LATE_MAX {
            return;
        }
        failed.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        let mut up = self.up.write().unwrap_or_else(PoisonError::into_inner);
        if up.take_if(|up| Arc::ptr_eq(up, failed)).is_some() {
            self.state.set_up(false);
        }
        drop(up);
        self.cut.notify_one();
    }

    /// Tries once to connect to Redis.
    pub(super) async fn raise(&self) -> Result<(), RedisFault> {
        let connection = self.server.connect().await?;
        let up = Arc::new(RedisConnection { connection, late: AtomicU32::new(0), fault: Mutex::default() });
        self.probe(&up, true).await?;
        let mut current = self.up.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(up);
        self.state.set_up(true);
        Ok(())
    }

    /// Connects to Redis, or waits for up to [`LOOK`] and checks the connection.
    pub(super) async fn check(&self, watched: &mut WatchedConnection) -> Result<(), RedisFault> {
        let Some(up) = watched.0.take() else {
            if !self.is_up() {
                self.raise().await?;
            }
            watched.0 = Some(self.up().ok_or(RedisFault::Late)?);
            return Ok(());
        };
        tokio::select! {
            () = self.cut.notified() => {}
            () = sleep(LOOK) => {
                if let Err(fault) = self.probe(&up, false).await {
                    self.note(&up, fault);
                }
            }
        }
        if self.up().is_some_and(|now| Arc::ptr_eq(&now, &up)) {
            self.report_lost_settlements();
            watched.0 = Some(up);
            return Ok(());
        }
        Err(up.fault.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(RedisFault::Late))
    }
}

/// Returns the result of a call that ends in time.
async fn within<T>(
    time: Duration,
    up: &RedisConnection,
    call: impl Future<Output = Result<T, RedisFault>>,
) -> Result<T, RedisFault> {
    let result = timeout(time, call).await.unwrap_or(Err(RedisFault::Late))?;
    up.late.store(0, Ordering::Relaxed);
    Ok(result)
}
