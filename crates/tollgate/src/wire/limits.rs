//! Rate limits over sliding windows: shared through Redis where there is one.

use access::Clock;
use access::limits::SharedLimits;
use config::Snapshot;
use proxy::Strangers;
use store::windows::{self, Sharing, Windows};
use telemetry::metrics;
use tokio::sync::mpsc;

use super::parts::{Base, Services};
use crate::failure::StartFault;

/// Questions of the proxy's that wait for Redis, over all workers.
const QUESTIONS_MAX: usize = 1024;

/// The limits of this process. A Redis that is away does not hold up the start.
pub(super) async fn open(snapshot: &Snapshot, clock: &Clock) -> Result<Windows, StartFault> {
    let Some(url) = &snapshot.redis else {
        return Ok(Windows::here(clock.clone()));
    };
    let sharing = Sharing { url, brand: &snapshot.brand.key_prefix, answer: windows::ANSWER };
    Windows::shared(sharing, clock.clone()).await.map_err(StartFault::Redis)
}

impl Services {
    /// Keeps Redis in reach.
    pub(super) fn limits(&mut self, base: &Base) {
        let counted = base.windows.clone();
        base.metrics.on_scrape(Box::new(move |all| {
            all.limits.shared.set(i64::from(counted.is_shared()));
            metrics::set_total(&all.limits.fallbacks, counted.fallbacks());
        }));
        self.spawn(windows::keep(base.windows.clone(), self.stopped()));
    }

    /// What the proxy counts callers without a valid key by: Redis is asked by message, and only where there is one.
    pub(super) fn strangers(&mut self, base: &Base) -> Strangers {
        let shared = base.windows.has_redis().then(|| {
            let (limits, questions) = mpsc::channel(QUESTIONS_MAX);
            self.spawn(windows::serve(base.windows.clone(), questions, self.stopped()));
            SharedLimits::new(limits)
        });
        Strangers::new(base.windows.tally().clone(), shared)
    }
}
