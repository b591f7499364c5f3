//! Rate limits that nodes share: requests over a bounded queue to the task that counts them.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// Asks whether one more request is within a rate limit. If it is, the request is counted.
#[derive(Debug)]
pub struct RateLimitRequest {
    /// The name of the rate limit.
    pub name: &'static str,
    /// The identity that is counted, such as an address.
    pub key: String,
    /// Maximum number of requests per window.
    pub limit: NonZeroU32,
    /// The length of the window.
    pub window: Duration,
    /// Receives the result. If it is dropped, the result is unknown.
    pub reply: oneshot::Sender<RateLimitResult>,
}

/// The result for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitResult {
    /// Whether the request is within the limit.
    pub allowed: bool,
    /// Time until another request is allowed; zero if this one is.
    pub retry_after: Duration,
}

/// The sending side of the queue.
#[derive(Debug, Clone)]
pub struct SharedLimits(mpsc::Sender<RateLimitRequest>);

impl SharedLimits {
    /// Creates the sending side of `queue`.
    #[must_use]
    pub const fn new(queue: mpsc::Sender<RateLimitRequest>) -> Self {
        Self(queue)
    }

    /// Counts a request of `key` against the rate limit `name`. Returns `None` if the queue is full or the receiver
    /// does not respond. The future may be cancelled at any point; the request may then have been counted.
    pub async fn take(
        &self,
        name: &'static str,
        key: String,
        limit: NonZeroU32,
        window: Duration,
    ) -> Option<RateLimitResult> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(RateLimitRequest { name, key, limit, window, reply }).ok()?;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NonZeroU32 = NonZeroU32::MIN;
    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_request_is_counted_or_its_result_is_unknown() {
        let (queue, mut questions) = mpsc::channel(1);
        let limits = SharedLimits::new(queue);
        let answer = RateLimitResult { allowed: false, retry_after: Duration::from_secs(3) };
        let (result, ()) = tokio::join!(limits.take("a", "x".to_owned(), ONE, MINUTE), async {
            let question = questions.recv().await.unwrap();
            assert_eq!((question.name, &*question.key), ("a", "x"));
            // The queue has one place: a further request is not queued.
            limits.0.try_send(RateLimitRequest { reply: oneshot::channel().0, ..question_like(&question) }).unwrap();
            assert_eq!(limits.take("a", "y".to_owned(), ONE, MINUTE).await, None);
            question.reply.send(answer).unwrap();
        });
        assert_eq!(result, Some(answer));
        drop(questions);
        assert_eq!(limits.take("a", "x".to_owned(), ONE, MINUTE).await, None);
    }

    fn question_like(other: &RateLimitRequest) -> RateLimitRequest {
        let RateLimitRequest { name, key, limit, window, .. } = other;
        RateLimitRequest { name, key: key.clone(), limit: *limit, window: *window, reply: oneshot::channel().0 }
    }
}
