//! Rate limits, which servers share through Redis if it is configured.

use access::exchange::limits::SharedLimits;
use cluster::windows::grants;
use cluster::windows::{self, RedisKeeper, Sharing, Windows};
use config::snapshot::Process;
use meter::limiter::sharing::LimitSharing;
use proxy::UnauthenticatedClients;
use telemetry::metrics;
use tokio::sync::mpsc;

use super::durable_state::DurableState;
use super::parts::{ServerContext, Services};
use crate::cli::Role;
use crate::failure::StartFault;

/// Maximum number of requests of the proxy, over all workers, that wait for Redis.
const QUESTIONS_MAX: usize = 1024;

/// Opens the rate limits of this process. An unavailable Redis does not delay the start.
pub(super) async fn open(process: &Process, durable: &DurableState, role: Role) -> Result<Windows, StartFault> {
    let clock = durable.clock.clone();
    let node = durable.node.id().to_string();
    let Some(url) = &process.redis else {
        return Ok(Windows::here(clock));
    };
    // A process that only runs control serves no requests, and gets no share of a limit.
    let node = (role != Role::Control).then_some(node.as_str());
    let sharing = Sharing { url, brand: &process.brand.key_prefix, answer: windows::ANSWER, node };
    Windows::shared(sharing, clock).await.map_err(StartFault::Redis)
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

    /// Returns the limits that nodes share, if Redis is configured, and starts the task that asks Redis.
    pub(super) fn sharing(&mut self, base: &ServerContext) -> Option<LimitSharing> {
        let state = base.windows.sharing_state()?;
        let (sender, queue) = mpsc::channel(QUESTIONS_MAX);
        self.spawn(grants::serve(base.windows.clone(), queue, self.stopped()));
        Some(LimitSharing::new(sender, state))
    }
}
