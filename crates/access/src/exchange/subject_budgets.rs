//! The first use of a subject's budgets: requests over a bounded queue to the task that begins their counters with the
//! amounts that the store contains.

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::limits::budget::BudgetId;

/// The reason why the counters of a subject cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BeginError {
    /// The queue is full.
    #[error("too many subjects begin at the same time")]
    Busy,
    /// The store did not respond.
    #[error("the store is not available")]
    Unavailable,
    /// The process has counters of as many subjects as it may have.
    #[error("too many subjects are in use")]
    Full,
}

/// A request to begin the counters of budgets.
#[derive(Debug)]
pub struct BeginRequest {
    /// The budgets of one subject.
    pub budgets: Vec<BudgetId>,
    /// Receives the result. If it is dropped, the result is [`BeginError::Unavailable`].
    pub reply: oneshot::Sender<Result<(), BeginError>>,
}

/// The sending side of the queue.
#[derive(Debug, Clone)]
pub struct SubjectBudgets(mpsc::Sender<BeginRequest>);

impl SubjectBudgets {
    /// Creates the sending side of `queue`.
    #[must_use]
    pub const fn new(queue: mpsc::Sender<BeginRequest>) -> Self {
        Self(queue)
    }

    /// Begins the counters of `budgets` that do not exist. The future may be cancelled at any point.
    ///
    /// # Errors
    /// [`BeginError`].
    pub async fn begin(&self, budgets: Vec<BudgetId>) -> Result<(), BeginError> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(BeginRequest { budgets, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => BeginError::Busy,
            mpsc::error::TrySendError::Closed(_) => BeginError::Unavailable,
        })?;
        answer.await.unwrap_or(Err(BeginError::Unavailable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_busy_and_a_dropped_reply_means_that_the_store_is_unavailable() {
        let (queue, mut requests) = mpsc::channel(1);
        let budgets = SubjectBudgets::new(queue);
        let (begun, ()) = tokio::join!(budgets.begin(Vec::new()), async {
            let request: BeginRequest = requests.recv().await.unwrap();
            budgets.0.try_send(BeginRequest { budgets: Vec::new(), reply: oneshot::channel().0 }).unwrap();
            assert_eq!(budgets.begin(Vec::new()).await, Err(BeginError::Busy));
            drop(request);
        });
        assert_eq!(begun, Err(BeginError::Unavailable));
        drop(requests);
        assert_eq!(budgets.begin(Vec::new()).await, Err(BeginError::Unavailable));
    }
}
