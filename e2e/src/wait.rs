//! Waiting for what must come, never for a fixed time.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// How long a change in one place may take to show in another: the product's own promise is 1 or 2 s.
pub const SOON: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(25);

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

/// What `future` answers, and how long it took.
pub async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let value = future.await;
    (value, start.elapsed())
}
