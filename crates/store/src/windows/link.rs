//! Whether Redis is there: who asks never waits for it to come back.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use meter::window::counts::{WindowCheck, WindowLevel};
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::redis::{RedisFault, Server};
use crate::outage::Outage;

/// So many late answers in a row, and Redis is away: one may have met a fork or a slow script of somebody else's.
const LATE_MAX: u32 = 3;
/// Between tries to reach it; also the least time for which calls are counted here once it was away.
const AGAIN: Duration = Duration::from_millis(500);
/// Between looks at a Redis that nobody asks.
const LOOK: Duration = Duration::from_secs(1);

/// What is asked to see whether Redis answers and takes what is written.
const PROBE: WindowCheck<'static> =
    WindowCheck { name: "probe", key: "", limit: std::num::NonZeroU32::MIN, window: Duration::from_millis(1) };

/// The way to Redis.
pub(super) struct Link {
    server: Server,
    /// A call waits no longer.
    answer: Duration,
    up: RwLock<Option<Arc<Up>>>,
    cut: Notify,
}

/// A connection that works, as far as is known.
struct Up {
    connection: MultiplexedConnection,
    late: AtomicU32,
    fault: Mutex<Option<RedisFault>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(server: Server, answer: Duration) -> Self {
        Self { server, answer, up: RwLock::default(), cut: Notify::new() }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up().is_some()
    }

    fn up(&self) -> Option<Arc<Up>> {
        self.up.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks Redis; `None` where it is away, refuses or is late.
    pub(super) async fn take(&self, asks: &[WindowCheck<'_>]) -> Option<WindowLevel> {
        let up = self.up()?;
        let taken = self.ask(&up, asks).await;
        taken.map_err(|fault| self.note(&up, fault)).ok()
    }

    async fn ask(&self, up: &Up, asks: &[WindowCheck<'_>]) -> Result<WindowLevel, RedisFault> {
        let mut connection = up.connection.clone();
        let taking = self.server.take(&mut connection, asks);
        let level = timeout(self.answer, taking).await.unwrap_or(Err(RedisFault::Late))?;
        up.late.store(0, Ordering::Relaxed);
        Ok(level)
    }

    /// One late answer is borne; whatever else fails will fail the next one too.
    fn note(&self, failed: &Arc<Up>, fault: RedisFault) {
        if fault == RedisFault::Late && failed.late.fetch_add(1, Ordering::Relaxed) + 1 < LATE_MAX {
            return;
        }
        failed.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.up.write().unwrap_or_else(PoisonError::into_inner).take_if(|up| Arc::ptr_eq(up, failed));
        self.cut.notify_one();
    }

    /// Reaches Redis, once.
    pub(super) async fn raise(&self) -> Result<(), RedisFault> {
        let connection = self.server.connect().await?;
        let up = Arc::new(Up { connection, late: AtomicU32::new(0), fault: Mutex::default() });
        self.ask(&up, &[PROBE]).await?;
        *self.up.write().unwrap_or_else(PoisonError::into_inner) = Some(up);
        Ok(())
    }

    /// Keeps Redis in reach, without end. An outage is told of once, by its first cause: what follows is the same trouble.
    pub(super) async fn keep(&self) {
        let mut outage = Outage::new("rate limits in Redis");
        let mut is_told = false;
        loop {
            let raised = if self.is_up() { Ok(()) } else { self.raise().await };
            let fault = match raised {
                Ok(()) => {
                    outage.note::<_, RedisFault>(&Ok(()));
                    is_told = false;
                    self.broken().await
                }
                Err(fault) => fault,
            };
            if !is_told {
                outage.note::<(), _>(&Err(fault));
                is_told = true;
            }
            sleep(AGAIN).await;
        }
    }

    /// Waits until Redis is away; answers why.
    async fn broken(&self) -> RedisFault {
        let Some(up) = self.up() else { return RedisFault::Late };
        loop {
            tokio::select! {
                () = self.cut.notified() => {}
                () = sleep(LOOK) => {
                    if let Err(fault) = self.ask(&up, &[PROBE]).await {
                        self.note(&up, fault);
                    }
                }
            }
            if !self.up().is_some_and(|now| Arc::ptr_eq(&now, &up)) {
                return up.fault.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(RedisFault::Late);
            }
        }
    }
}
