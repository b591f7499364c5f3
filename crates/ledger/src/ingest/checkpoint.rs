//! Checkpoints keep SQLite's write-ahead log small without delaying writers.

use std::time::Duration;

use access::Mono;
use jobs::{RepeatedProblem, causes};
use store::sql::StoreKind;
use store::{DatabaseError, Store};
use tokio::task::JoinSet;

/// Interval between checkpoints; ingest writes at most about 8,000 events in it.
const EVERY: Duration = Duration::from_millis(200);

/// Checkpoints of a writing loop. One runs concurrently with the loop. When it is done, a second one copies the rest
/// while the loop pauses; at that moment everything is copied, and the log restarts from its beginning.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    running: JoinSet<Result<(), DatabaseError>>,
    began: Option<Mono>,
    /// Whether the loop has written since the last checkpoint.
    due: bool,
    trouble: RepeatedProblem,
}

impl Checkpoints {
    /// Runs between two transactions of the loop; `wrote` says whether the last one wrote. If only other tasks write,
    /// their commits copy the log themselves.
    pub(crate) async fn turn(&mut self, store: &Store, wrote: bool) {
        let now = store.clock().mono();
        self.due |= wrote;
        if store.kind() != StoreKind::Sqlite {
            return;
        }
        if let Some(Ok(copied)) = self.running.try_join_next() {
            let done = match copied {
                Ok(()) => store.begin_log_anew().await,
                failed => failed,
            };
            if let Err(error) = done
                && self.trouble.is_news(now)
            {
                tracing::warn!(%error, cause = causes(&error), "cannot empty SQLite's write-ahead log, which grows; retrying");
            }
        }
        if self.due && self.running.is_empty() && self.began.is_none_or(|began| now.since(began) >= EVERY) {
            (self.began, self.due) = (Some(now), false);
            let store = store.clone();
            self.running.spawn(async move { store.checkpoint().await });
        }
    }
}
