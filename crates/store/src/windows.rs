//! Rate limits over sliding windows, shared between nodes through Redis, or kept in this process.
//!
//! Without Redis, and while it is away, each node has the whole limit to itself. What Redis let in is counted here too, so
//! that a caller who is at its limit stays there when Redis goes.

mod link;
mod redis;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::limits::{Answer, Question};
use access::{Clock, Secret, Timestamp};
use meter::window::counts::{WindowCounts, WindowLevel};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use link::Link;
use redis::Server;

pub use self::redis::RedisFault;
pub use meter::window::counts::{CHECKS_MAX, WindowCheck};

/// How long a call waits for Redis.
pub const ANSWER: Duration = Duration::from_millis(50);

/// Questions of the proxy's that are answered at once; more wait in their queue.
const ANSWERING_MAX: usize = 256;

/// The limits. A clone counts with the others.
#[derive(Debug, Clone)]
pub struct Windows {
    clock: Clock,
    here: Arc<WindowCounts>,
    link: Option<Arc<Link>>,
    fallbacks: Arc<AtomicU64>,
}

/// Where limits are shared.
#[derive(Debug, Clone, Copy)]
pub struct Sharing<'a> {
    /// Redis' URL.
    pub url: &'a Secret,
    /// Keeps products apart that share a Redis: the prefix of their keys.
    pub brand: &'a str,
    /// How long a call waits for Redis; then it is counted here. Default [`ANSWER`].
    pub answer: Duration,
}

/// Whether a call may pass, by the tightest of its limits: the refusing one that lasts longest, else the one with the
/// least left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may; only then it was counted.
    pub allowed: bool,
    /// Which limit that is; empty where none was asked.
    pub name: &'static str,
    /// Calls in a window.
    pub limit: u32,
    /// How many more may pass now.
    pub remaining: u32,
    /// When the window ends; where the call may not pass, not before one may.
    pub reset_at: Timestamp,
    /// Until one may pass; zero where this one may.
    pub retry_after: Duration,
}

impl Windows {
    /// Limits of this process alone.
    #[must_use]
    pub fn here(clock: Clock) -> Self {
        Self { clock, here: Arc::default(), link: None, fallbacks: Arc::default() }
    }

    /// Limits shared through Redis. Tries to reach it once; until it is there ([`keep`] goes on trying) calls are counted
    /// here.
    ///
    /// # Errors
    /// [`RedisFault::Url`].
    pub async fn shared(sharing: Sharing<'_>, clock: Clock) -> Result<Self, RedisFault> {
        let link = Link::new(Server::new(sharing.url, sharing.brand)?, sharing.answer);
        // `keep` tells of it.
        let _ = link.raise().await;
        Ok(Self { link: Some(Arc::new(link)), ..Self::here(clock) })
    }

    /// Counts a call against all of `asks` (at most [`CHECKS_MAX`]; more are not looked at), or where one refuses it
    /// against none. Never fails: without Redis it is counted here. May be cancelled at any point, and is then perhaps
    /// counted.
    pub async fn take(&self, asks: &[WindowCheck<'_>]) -> Verdict {
        let level = self.level(asks.get(..CHECKS_MAX).unwrap_or(asks)).await;
        self.verdict(level)
    }

    /// What [`take`](Self::take) would say now, as far as this process knows; counts nothing and asks nobody. With Redis other nodes
    /// may have counted more: what passes here is to be taken all the same.
    #[must_use]
    pub fn peek(&self, asks: &[WindowCheck<'_>]) -> Verdict {
        self.verdict(self.here.peek(asks, self.clock.mono()))
    }

    fn verdict(&self, level: WindowLevel) -> Verdict {
        Verdict {
            allowed: level.allowed,
            name: level.name,
            limit: level.limit,
            remaining: level.remaining,
            reset_at: self.clock.now().after(level.reset),
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

    /// What is counted in this process, for who cannot wait for Redis.
    #[must_use]
    pub fn tally(&self) -> &Arc<WindowCounts> {
        &self.here
    }

    /// Whether calls are counted in Redis at this moment.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_up())
    }

    /// Whether there is a Redis to count in, in reach or not.
    #[must_use]
    pub const fn has_redis(&self) -> bool {
        self.link.is_some()
    }

    /// Calls that were counted here because Redis did not say.
    #[must_use]
    pub fn fallbacks(&self) -> u64 {
        self.fallbacks.load(Ordering::Relaxed)
    }
}

/// Keeps Redis in reach until `cancel` is done; without one there is nothing to do.
pub async fn keep(windows: Windows, cancel: impl Future<Output = ()>) {
    if let Some(link) = &windows.link {
        tokio::select! { () = link.keep() => (), () = cancel => () }
    }
}

/// Answers what the proxy asks, until `cancel` is done or nobody is left who could ask.
pub async fn serve(windows: Windows, mut questions: mpsc::Receiver<Question>, cancel: impl Future<Output = ()>) {
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

async fn answer(windows: Windows, question: Question) {
    let Question { name, key, limit, window, reply } = question;
    let verdict = windows.take(&[WindowCheck { name, key: &key, limit, window }]).await;
    // Who asked may have gone.
    let _ = reply.send(Answer { allowed: verdict.allowed, retry_after: verdict.retry_after });
}
