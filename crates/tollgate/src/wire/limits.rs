//! Rate limits with sliding windows, which Redis shares between servers if it is configured.

use access::Clock;
use access::limits::SharedLimits;
use cluster::windows::{self, RedisKeeper, Sharing, Windows};
use config::snapshot::Process;
use proxy::UnauthenticatedClients;
use telemetry::metrics;
use tokio::sync::mpsc;

use super::parts::{ServerContext, Services};
use crate::failure::StartFault;

/// Maximum number of requests of the proxy, over all workers, that wait for Redis.
const QUESTIONS_MAX: usize = 1024;

/// Opens the rate limits of this process. An unavailable Redis does not delay the start.
pub(super) async fn open(process: &Process, clock: &Clock) -> Result<Windows, StartFault> {
    let Some(url) = &process.redis else {
        return Ok(Windows::here(clock.clone()));
    };
    let sharing = Sharing { url, brand: &process.brand.key_prefix, answer: windows::ANSWER };
    Windows::shared(sharing, clock.clone()).await.map_err(StartFault::Redis)
}

impl Services {
    /// Starts the job that maintains the connection to Redis, if Redis is configured.
    pub(super) fn limits(&mut self, base: &ServerContext) {
        let counted = base.windows.clone();
        base.metrics.on_scrape(Box::new(move |all| {
            all.limits.shared.set(i64::from(counted.is_shared()));
            metrics::set_total(&all.limits.fallbacks, counted.fallbacks());
        }));
        if base.windows.has_redis() {
            let windows = base.windows.clone();
            self.jobs.add(windows::SPEC, move || RedisKeeper::new(&windows));
        }
    }

    /// Returns the rate limits of unauthenticated clients. Redis is used only if it is configured, through a queue.
    pub(super) fn unauthenticated(&mut self, base: &ServerContext) -> UnauthenticatedClients {
        let shared = base.windows.has_redis().then(|| {
            let (limits, questions) = mpsc::channel(QUESTIONS_MAX);
            self.spawn(windows::serve(base.windows.clone(), questions, self.stopped()));
            SharedLimits::new(limits)
        });
        UnauthenticatedClients::new(base.windows.tally().clone(), shared)
    }
}
