//! Limits that nodes share: questions over a bounded queue that the store's loop answers.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// Whether one more call may pass; if so, it is counted. The answer goes to `reply`.
#[derive(Debug)]
pub struct Question {
    /// Which limit.
    pub name: &'static str,
    /// Who is counted.
    pub key: String,
    /// Calls in a window.
    pub limit: NonZeroU32,
    /// How long the window is.
    pub window: Duration,
    /// Dropped, it means that nobody knows.
    pub reply: oneshot::Sender<Answer>,
}

/// What was said of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Whether it may pass.
    pub allowed: bool,
    /// Until one may; zero where this one may.
    pub retry_after: Duration,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct SharedLimits(mpsc::Sender<Question>);

impl SharedLimits {
    /// Questions go to `queue`.
    #[must_use]
    pub const fn new(queue: mpsc::Sender<Question>) -> Self {
        Self(queue)
    }

    /// Counts a call of `key` against the limit of this name; `None` where the queue is full or nobody answers. It may be
    /// cancelled at any point, and is then perhaps counted.
    pub async fn take(
        &self,
        name: &'static str,
        key: String,
        (limit, window): (NonZeroU32, Duration),
    ) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Question { name, key, limit, window, reply }).ok()?;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: (NonZeroU32, Duration) = (NonZeroU32::MIN, Duration::from_secs(60));

    #[tokio::test]
    async fn a_question_is_answered_or_nobody_knows() {
        let (queue, mut questions) = mpsc::channel(1);
        let limits = SharedLimits::new(queue);
        let answer = Answer { allowed: false, retry_after: Duration::from_secs(3) };
        let (told, ()) = tokio::join!(limits.take("a", "x".to_owned(), MINUTE), async {
            let question = questions.recv().await.unwrap();
            assert_eq!((question.name, &*question.key), ("a", "x"));
            // The queue holds one, and this one too many is not waited for.
            limits.0.try_send(Question { reply: oneshot::channel().0, ..question_like(&question) }).unwrap();
            assert_eq!(limits.take("a", "y".to_owned(), MINUTE).await, None);
            question.reply.send(answer).unwrap();
        });
        assert_eq!(told, Some(answer));
        drop(questions);
        assert_eq!(limits.take("a", "x".to_owned(), MINUTE).await, None);
    }

    fn question_like(other: &Question) -> Question {
        let Question { name, key, limit, window, .. } = other;
        Question { name, key: key.clone(), limit: *limit, window: *window, reply: oneshot::channel().0 }
    }
}
