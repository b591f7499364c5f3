//! Rate limits over sliding windows, shared between nodes through Redis, or kept in this process.
//!
//! Without Redis, and while it is unavailable, each node applies the whole limit alone. Requests that Redis admitted
//! are counted here too, so that a client at its limit stays there when Redis fails. [`grants`] serves the limits of the
//! proxy, of which a node applies its share while Redis is unavailable, and `tokens` those of LLM calls. [`keys`] looks up keys over the same connection, and
//! `computed` shares responses of the API. [`responses`] stores responses of the proxy over another connection, which large
//! values do not delay.

mod computed;
mod connection;
pub mod grants;
pub mod keys;
mod link;
mod redis;
pub mod responses;
mod tokens;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::exchange::limits::{RateLimitRequest, RateLimitResult};
use access::{Clock, Secret, Timestamp};
use jobs::{Job, JobError, JobSpec, NextRun};
use meter::limiter::sharing::SharingState;
use meter::window::counts::{WindowCounts, WindowLevel};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use link::{RedisLink, WatchedConnection};
use redis::Server;

pub use self::computed::RESPONSE_BYTES_MAX;
pub use self::redis::RedisFault;
pub use meter::window::counts::{CHECKS_MAX, WindowCheck};

/// Default timeout of a call to Redis.
pub const ANSWER: Duration = Duration::from_millis(20);

/// Maximum number of the proxy's questions that are answered concurrently; further ones wait in their queue.
const ANSWERING_MAX: usize = 256;

/// The rate limits. Clones share their counts.
#[derive(Debug, Clone)]
pub struct Windows {
    clock: Clock,
    here: Arc<WindowCounts>,
    link: Option<Arc<RedisLink>>,
    fallbacks: Arc<AtomicU64>,
}

/// How limits are shared between nodes.
#[derive(Debug, Clone, Copy)]
pub struct Sharing<'a> {
    /// URL of the Redis server.
    pub url: &'a Secret,
    /// Prefix of the keys in Redis, which separates products that share a Redis.
    pub brand: &'a str,
    /// Timeout of a call to Redis; after it the request is counted here. Default [`ANSWER`].
    pub answer: Duration,
    /// The id of this node if it serves requests. Limits are divided among such nodes.
    pub node: Option<&'a str>,
}

/// Whether a request may pass, according to its tightest limit: the refusing limit with the latest end, otherwise the
/// limit with the least remaining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowVerdict {
    /// Whether the request may pass; only then it was counted.
    pub allowed: bool,
    /// Name of that limit; empty if no limit applies.
    pub name: &'static str,
    /// Number of its check.
    pub check: usize,
    /// Maximum number of requests per window.
    pub limit: u32,
    /// Number of further requests that may pass now.
    pub remaining: u32,
    /// End of the window; for a refused request, not before one may pass.
    pub reset_at: Timestamp,
    /// Time until the window ends.
    pub reset: Duration,
    /// Time until a request may pass; zero if this one may.
    pub retry_after: Duration,
}

impl Windows {
    /// Creates limits of this process alone.
    #[must_use]
    pub fn here(clock: Clock) -> Self {
        Self { clock, here: Arc::default(), link: None, fallbacks: Arc::default() }
    }

    /// Creates limits that Redis shares. Tries to connect once; until Redis is available ([`RedisKeeper`] continues to try),
    /// requests are counted here.
    ///
    /// # Errors
    /// [`RedisFault::Url`] if the URL is invalid.
    pub async fn shared(sharing: Sharing<'_>, clock: Clock) -> Result<Self, RedisFault> {
        let link =
            RedisLink::new(Server::new(sharing.url, sharing.brand)?, sharing.answer, sharing.node.map(str::to_owned));
        // `keep` reports the error.
        let _ = link.raise().await;
        Ok(Self { link: Some(Arc::new(link)), ..Self::here(clock) })
    }

    /// Counts a request against all of `asks` (at most [`CHECKS_MAX`]; further ones are ignored), or against none if one
    /// refuses it. Never fails: without Redis the request is counted here. The future may be cancelled at any point;
    /// the request may then be counted.
    pub async fn take(&self, asks: &[WindowCheck<'_>]) -> WindowVerdict {
        let level = self.level(asks.get(..CHECKS_MAX).unwrap_or(asks)).await;
        self.verdict(level)
    }

    /// Returns what [`take`](Self::take) would return now, as far as this process knows; counts nothing and does not
    /// call Redis. With Redis, other nodes may have counted more, so a request that passes here must still be taken.
    #[must_use]
    pub fn peek(&self, asks: &[WindowCheck<'_>]) -> WindowVerdict {
        self.verdict(self.here.peek(asks, self.clock.mono()))
    }

    fn verdict(&self, level: WindowLevel) -> WindowVerdict {
        WindowVerdict {
            allowed: level.allowed,
            name: level.name,
            check: level.check,
            limit: level.limit,
            remaining: level.remaining,
            reset_at: self.clock.now().after(level.reset),
            reset: level.reset,
            retry_after: level.retry_after,
        }
    }

    async fn level(&self, asks: &[WindowCheck<'_>]) -> WindowLevel {
        if let Some(link) = &self.link
            && !asks.is_empty()
        {
            if let Some(level) = link.take(asks).await {
                if level.allowed {
                    self.here.note(asks, self.clock.mono());
                }
                return level;
            }
            self.fallbacks.fetch_add(1, Ordering::Relaxed);
        }
        self.here.take(asks, self.clock.mono())
    }

    /// Returns the counts of this process, for code that cannot wait for Redis.
    #[must_use]
    pub fn tally(&self) -> &Arc<WindowCounts> {
        &self.here
    }

    /// Whether requests are counted in Redis at this moment.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_up())
    }

    /// Whether Redis is configured, available or not.
    #[must_use]
    pub const fn has_redis(&self) -> bool {
        self.link.is_some()
    }

    /// Returns the number of requests that were counted here because Redis did not respond.
    #[must_use]
    pub fn fallbacks(&self) -> u64 {
        let of_proxy = self.link.as_ref().map_or(0, |link| link.state().fallbacks());
        self.fallbacks.load(Ordering::Relaxed).saturating_add(of_proxy)
    }

    /// Returns the state of Redis for the workers of the proxy, if Redis is configured.
    #[must_use]
    pub fn sharing_state(&self) -> Option<Arc<SharingState>> {
        self.link.as_ref().map(|link| link.state().clone())
    }
}

/// A run is one check of the connection to Redis, which waits for up to a second.
pub const SPEC: JobSpec = JobSpec::every("redis", link::AGAIN);

/// The job that keeps the connection to Redis.
#[derive(Debug, Clone)]
pub struct RedisKeeper {
    link: Option<Arc<RedisLink>>,
    watched: WatchedConnection,
    /// The first cause of an outage: later errors have the same cause.
    cause: Option<RedisFault>,
}

impl RedisKeeper {
    /// Returns the job; it does nothing if Redis is not configured.
    #[must_use]
    pub fn new(windows: &Windows) -> Self {
        Self::from_link(windows.link.clone())
    }

    fn from_link(link: Option<Arc<RedisLink>>) -> Self {
        Self { link, watched: WatchedConnection::default(), cause: None }
    }
}

impl Job for RedisKeeper {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let Some(link) = &self.link else { return Ok(NextRun::Period) };
        match link.check(&mut self.watched).await {
            Ok(()) => {
                self.cause = None;
                Ok(NextRun::Now)
            }
            Err(fault) => Err(self.cause.get_or_insert(fault).clone().into()),
        }
    }
}

/// Answers the proxy's questions, until `cancel` is done or all senders are gone.
pub async fn serve(
    windows: Windows,
    mut questions: mpsc::Receiver<RateLimitRequest>,
    cancel: impl Future<Output = ()>,
) {
    let mut answering = JoinSet::new();
    tokio::pin!(cancel);
    loop {
        tokio::select! {
            question = questions.recv(), if answering.len() < ANSWERING_MAX => match question {
                Some(question) => drop(answering.spawn(answer(windows.clone(), question))),
                None => break,
            },
            Some(_) = answering.join_next() => {}
            () = &mut cancel => break,
        }
    }
}

async fn answer(windows: Windows, question: RateLimitRequest) {
    let checks: Vec<WindowCheck<'_>> = question
        .checks
        .iter()
        .map(|check| WindowCheck { name: check.name, key: &check.key, limit: check.limit, window: check.window })
        .collect();
    let WindowVerdict { allowed, check, remaining, reset, retry_after, .. } = windows.take(&checks).await;
    // The sender may have stopped waiting.
    let _ = question.reply.send(RateLimitResult { allowed, check, remaining, reset, retry_after });
}
