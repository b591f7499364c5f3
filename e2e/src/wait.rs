//! Waiting for a condition instead of a fixed time, and measurement of the machine's own delays for tests that assert
//! times.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

/// Maximum wait for a condition. It asserts no duration: a busy machine is slow, and a condition that never becomes
/// true still fails. Tests that assert a duration use a [`Canary`].
pub const SOON: Duration = Duration::from_secs(20);
/// The first pause between two questions. Most conditions are true soon.
const PAUSE_MIN: Duration = Duration::from_millis(3);
const PAUSE_MAX: Duration = Duration::from_millis(25);
/// Sleep of a canary between two measurements.
const TICK: Duration = Duration::from_millis(20);
/// Timers are up to this late on an idle machine.
const LATE_MIN: Duration = Duration::from_millis(1);

/// The pauses between questions: each takes twice as long as the one before, up to a maximum.
struct Pauses(Duration);

impl Pauses {
    const fn new() -> Self {
        Self(PAUSE_MIN)
    }

    async fn pass(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSE_MAX);
    }
}

/// Calls `ask` until it returns `Some`, for at most [`SOON`].
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(SOON, what, ask).await
}

/// Calls `ask` until it returns `Some`; panics with `what` after `limit`.
pub async fn eventually_within<T>(limit: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    let mut pauses = Pauses::new();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        pauses.pass().await;
    }
}

/// Calls `ask` until it returns `Ok`. An `Err` contains the progress so far; panics with `what` if it stays the same for
/// [`SOON`]. The total wait is unlimited: a busy machine may need long, but always makes progress.
pub async fn with_progress<T, P: PartialEq + std::fmt::Debug>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<T, P>,
) -> T {
    let mut last = None;
    let mut since = Instant::now();
    let mut pauses = Pauses::new();
    loop {
        let progress = match ask().await {
            Ok(found) => return found,
            Err(progress) => Some(progress),
        };
        if progress != last {
            (last, since) = (progress, Instant::now());
        }
        assert!(since.elapsed() < SOON, "no progress for {SOON:?} after {last:?}: {what}");
        pauses.pass().await;
    }
}

/// Runs all futures concurrently on this thread; a panic of one is propagated.
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

/// Returns the result of `future` and its duration.
pub async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let value = future.await;
    (value, start.elapsed())
}

/// A start time and the delay that the machine caused since then.
///
/// A thread sleeps 20 ms again and again and sums how much later it wakes up. Each asserted bound is extended by this
/// sum, which is zero on an idle machine.
#[derive(Debug)]
pub struct Canary {
    since: Instant,
    late_us: Arc<AtomicU64>,
}

impl Canary {
    /// Starts the measurement at the current time.
    #[must_use]
    pub fn new() -> Self {
        let late_us = Arc::new(AtomicU64::new(0));
        let reported = Arc::downgrade(&late_us);
        // The thread ends when the canary is dropped.
        std::thread::spawn(move || {
            while let Some(late_us) = reported.upgrade() {
                let began = Instant::now();
                drop(late_us);
                #[expect(clippy::disallowed_methods, reason = "a separate thread sleeps")]
                std::thread::sleep(TICK);
                let late = began.elapsed().saturating_sub(TICK);
                if late > LATE_MIN
                    && let Some(late_us) = reported.upgrade()
                {
                    late_us.fetch_add(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
                }
            }
        });
        Self { since: Instant::now(), late_us }
    }

    /// Returns the time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// Returns `limit` plus the delay of the machine since the start.
    #[must_use]
    pub fn allows(&self, limit: Duration) -> Duration {
        limit + Duration::from_micros(self.late_us.load(Ordering::Relaxed))
    }

    /// Calls `ask` until it returns `Some`. A call that begins after `limit` plus the machine's delay must succeed:
    /// the bound applies to the condition, not to the duration of the call.
    pub async fn within<T>(&self, limit: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let mut pauses = Pauses::new();
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
            pauses.pass().await;
        }
    }

    /// Waits until `limit` plus the machine's delay has passed.
    pub async fn passes(&self, limit: Duration) {
        loop {
            let left = self.allows(limit).saturating_sub(self.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// Asserts that at most `limit` plus the machine's delay has passed.
    ///
    /// # Panics
    /// More time has passed.
    pub fn assert_within(&self, limit: Duration, what: &str) {
        let elapsed = self.elapsed();
        let allowed = self.allows(limit);
        assert!(elapsed < allowed, "{what} took {elapsed:?}, of {limit:?} (on this machine {allowed:?})");
    }
}

impl Default for Canary {
    fn default() -> Self {
        Self::new()
    }
}
