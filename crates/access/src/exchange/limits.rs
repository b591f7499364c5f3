//! Rate limits of unauthenticated clients, which nodes share: requests over a bounded queue to the task that counts them.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// The name of the limit of requests without a valid key, in metrics and in Redis.
pub const UNAUTHENTICATED: &str = "strangers";

/// Asks whether one more request is within rate limits. If it is within all of them, it is counted in all of them.
#[derive(Debug)]
pub struct RateLimitRequest {
    /// The limits; at least one and at most four.
    pub checks: Vec<RateLimitCheck>,
    /// Receives the result. If it is dropped, the result is unknown.
    pub reply: oneshot::Sender<RateLimitResult>,
}

/// One rate limit of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitCheck {
    /// The name of the rate limit.
    pub name: &'static str,
    /// The identity that is counted, such as an address.
    pub key: String,
    /// Maximum number of requests per window.
    pub limit: NonZeroU32,
    /// The length of the window.
    pub window: Duration,
}

/// The result for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitResult {
    /// Whether the request is within the limits.
    pub allowed: bool,
    /// The number of the check with the longest wait; of a request that is allowed, that with the fewest remaining
    /// requests.
    pub check: usize,
    /// The number of further requests that this check allows now.
    pub remaining: u32,
    /// The time until its window ends.
    pub reset: Duration,
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

    /// Counts a request against all of `checks` or none. Returns `None` if the queue is full or the receiver does not
    /// respond. The future may be cancelled at any point; the request may then have been counted.
    pub async fn take(&self, checks: Vec<RateLimitCheck>) -> Option<RateLimitResult> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(RateLimitRequest { checks, reply }).ok()?;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(key: &str) -> Vec<RateLimitCheck> {
        let limit = NonZeroU32::MIN;
        let window = Duration::from_secs(60);
        vec![RateLimitCheck { name: "a", key: key.to_owned(), limit, window }]
    }

    #[tokio::test]
    async fn a_request_is_counted_or_its_result_is_unknown() {
        let (queue, mut questions) = mpsc::channel(1);
        let limits = SharedLimits::new(queue);
        let retry_after = Duration::from_secs(3);
        let answer = RateLimitResult { allowed: false, check: 0, remaining: 0, reset: retry_after, retry_after };
        let (result, ()) = tokio::join!(limits.take(checks("x")), async {
            let question: RateLimitRequest = questions.recv().await.unwrap();
            assert_eq!(question.checks, checks("x"));
            // The queue has one place: a further request is not queued.
            limits.0.try_send(RateLimitRequest { checks: checks("z"), reply: oneshot::channel().0 }).unwrap();
            assert_eq!(limits.take(checks("y")).await, None);
            question.reply.send(answer).unwrap();
        });
        assert_eq!(result, Some(answer));
        drop(questions);
        assert_eq!(limits.take(checks("x")).await, None);
    }
}
