//! The task that begins the counters of subjects without a user, when a worker first sees them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use access::exchange::subject_budgets::{BeginError, BeginRequest};
use jobs::Outage;
use store::Store;
use store::sql::SUBJECT_READERS;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::counting::Counting;

/// Maximum time until the store responds: a request waits for it.
const ANSWER: Duration = Duration::from_millis(1_500);

/// Serves the queue until `cancel` is done or all senders are gone. At most [`SUBJECT_READERS`] subjects begin at
/// a time.
pub async fn serve(
    store: Store,
    counting: Arc<Counting>,
    mut queue: mpsc::Receiver<BeginRequest>,
    cancel: impl Future<Output = ()>,
) {
    let mut beginning = JoinSet::new();
    let mut outage = Outage::new("budgets of subjects");
    tokio::pin!(cancel);
    loop {
        let free = beginning.len() < usize::try_from(SUBJECT_READERS).unwrap_or(usize::MAX);
        tokio::select! {
            request = queue.recv(), if free => match request {
                Some(request) => drop(beginning.spawn(begin(store.clone(), counting.clone(), request))),
                None => break,
            },
            Some(begun) = beginning.join_next() => if let Ok(Some(begun)) = begun { outage.note(&begun) },
            () = &mut cancel => break,
        }
    }
}

/// Begins the counters of one request, unless it no longer waits. Returns whether the store responded; `None` if it was
/// not asked, so that requests that no longer wait do not end an outage.
async fn begin(store: Store, counting: Arc<Counting>, request: BeginRequest) -> Option<Result<(), BeginError>> {
    let BeginRequest { budgets, reply } = request;
    if reply.is_closed() {
        return None;
    }
    let begun = timeout(ANSWER, counting.begin(&store, &budgets)).await.unwrap_or(Err(BeginError::Unavailable));
    // An error means that the request no longer waits.
    let _ = reply.send(begun);
    Some(begun).filter(|begun| *begun != Err(BeginError::Full))
}

#[cfg(test)]
mod tests {
    use access::{BudgetId, BudgetScope, SubjectId};
    use meter::Meter;
    use tokio::sync::oneshot;

    use super::*;
    use crate::fixture::Place;

    #[tokio::test]
    async fn a_request_that_no_longer_waits_does_not_end_an_outage() {
        let place = Place::sqlite();
        let store = place.open().await;
        let meter = Arc::new(Meter::default());
        let counting = Arc::new(Counting::new(Some((meter, place.join(&store).await)), |_| Vec::new()));
        let budgets = vec![BudgetId::credits_a_day(BudgetScope::Subject(SubjectId(uuid::Uuid::nil())))];
        let request = || {
            let (reply, answer) = oneshot::channel();
            (BeginRequest { budgets: budgets.clone(), reply }, answer)
        };
        store.close().await;
        let (waiting, answer) = request();
        let begun = begin(store.clone(), counting.clone(), waiting).await;
        assert_eq!((begun, answer.await), (Some(Err(BeginError::Unavailable)), Ok(Err(BeginError::Unavailable))));
        let (abandoned, answer) = request();
        drop(answer);
        assert_eq!(begin(store, counting, abandoned).await, None);
    }
}
