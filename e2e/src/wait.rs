//! Waiting for what must come, never for a fixed time; and how late the machine itself is, where a time is the claim.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

/// How long what must come is waited for. No claim: on a busy machine everything takes longer, and what never comes still
/// fails. Who claims a time uses a [`Canary`].
pub const SOON: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(25);
/// Between two looks of a canary.
const TICK: Duration = Duration::from_millis(20);
/// Timers are as late as this on an idle machine.
const LATE_MIN: Duration = Duration::from_millis(1);

/// Asks until the answer is `Some`, for at most [`SOON`].
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(SOON, what, ask).await
}

/// Asks until the answer is `Some`; panics with `what` after `limit`.
pub async fn eventually_within<T>(limit: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(STEP).await;
    }
}

/// All of them beside each other, on this thread; a panic of one is one of all.
pub async fn at_once<T, F>(futures: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: 'static,
    F: Future<Output = T> + 'static,
{
    let local = LocalSet::new();
    let mut tasks = JoinSet::new();
    for future in futures {
        tasks.spawn_local_on(future, &local);
    }
    local.run_until(tasks.join_all()).await
}

/// What `future` answers, and how long it took.
pub async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let value = future.await;
    (value, start.elapsed())
}

/// Since when something is claimed, and how much of the time since then the machine kept for itself: a thread that wants to be
/// woken every 20 ms sums how much later it was. Every bound that is a claim grows by that, and by nothing on an idle machine.
#[derive(Debug)]
pub struct Canary {
    since: Instant,
    late_us: Arc<AtomicU64>,
}

impl Canary {
    /// From now on.
    #[must_use]
    pub fn new() -> Self {
        let late_us = Arc::new(AtomicU64::new(0));
        let told = Arc::downgrade(&late_us);
        // Ends with its owner.
        std::thread::spawn(move || {
            while let Some(late_us) = told.upgrade() {
                let began = Instant::now();
                drop(late_us);
                #[expect(clippy::disallowed_methods, reason = "it is a thread of its own that sleeps")]
                std::thread::sleep(TICK);
                let late = began.elapsed().saturating_sub(TICK);
                if let Some(late_us) = told.upgrade().filter(|_| late > LATE_MIN) {
                    late_us.fetch_add(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
                }
            }
        });
        Self { since: Instant::now(), late_us }
    }

    /// How long ago that was.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// `limit`, and what the machine was late since.
    #[must_use]
    pub fn allows(&self, limit: Duration) -> Duration {
        limit + Duration::from_micros(self.late_us.load(Ordering::Relaxed))
    }

    /// Asks until the answer is `Some`. A question that was begun past `limit` (and what the machine was late) must find it:
    /// what is claimed is when it holds, not how long an answer takes.
    pub async fn within<T>(&self, limit: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        loop {
            let began = self.elapsed();
            if let Some(found) = ask().await {
                return found;
            }
            let allowed = self.allows(limit);
            assert!(
                began < allowed,
                "not within {limit:?} (on this machine {allowed:?}), but not yet after {began:?}: {what}"
            );
            tokio::time::sleep(STEP).await;
        }
    }

    /// Waits until `limit`, and what the machine was late, is over.
    pub async fn passes(&self, limit: Duration) {
        loop {
            let left = self.allows(limit).saturating_sub(self.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// # Panics
    /// More than `limit` has passed, and what the machine was late.
    pub fn assert_within(&self, limit: Duration, what: &str) {
        let (elapsed, allowed) = (self.elapsed(), self.allows(limit));
        assert!(elapsed < allowed, "{what} took {elapsed:?}, of {limit:?} (on this machine {allowed:?})");
    }
}

impl Default for Canary {
    fn default() -> Self {
        Self::new()
    }
}
