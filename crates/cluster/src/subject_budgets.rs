//! The task that begins the counters of subjects without a user, when a worker first sees them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use access::subject_budgets::{BeginError, BeginRequest};
use jobs::Outage;
use store::Store;
use store::sql::READERS;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::counting::Counting;

/// Maximum time until the store responds: a request waits for it.
const ANSWER: Duration = Duration::from_millis(1_500);

/// Serves the queue until `cancel` is done or all senders are gone. At most [`READERS`] subjects begin at a time.
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
        let free = beginning.len() < usize::try_from(READERS).unwrap_or(usize::MAX);
        tokio::select! {
            request = queue.recv(), if free => match request {
                Some(request) => drop(beginning.spawn(begin(store.clone(), counting.clone(), request))),
                None => break,
            },
            Some(begun) = beginning.join_next() => if let Ok(begun) = begun { outage.note(&begun) },
            () = &mut cancel => break,
        }
    }
}

/// Begins the counters of one request, unless it no longer waits. Returns whether the store responded.
async fn begin(store: Store, counting: Arc<Counting>, request: BeginRequest) -> Result<(), BeginError> {
    let BeginRequest { budgets, reply } = request;
    if reply.is_closed() {
        return Ok(());
    }
    let begun = timeout(ANSWER, counting.begin(&store, &budgets)).await.unwrap_or(Err(BeginError::Unavailable));
    // An error means that the request no longer waits.
    let _ = reply.send(begun);
    if begun == Err(BeginError::Unavailable) { begun } else { Ok(()) }
}
