//! Keeping SQLite's write-ahead log small, off the path of those who write.

use std::time::Duration;

use access::Mono;
use tokio::task::JoinSet;

use crate::dialect::Kind;
use crate::error::StoreError;
use crate::outage::{Trouble, causes};
use crate::store::Store;

/// How often the log is copied into the file: some 8,000 events at the most that ingest writes.
const EVERY: Duration = Duration::from_millis(200);

/// The checkpoints of a loop that writes. One runs beside it; when it is done, a second one copies what came meanwhile while
/// the loop stands still, so that there is a moment when all is copied, and the log begins anew.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    running: JoinSet<Result<(), StoreError>>,
    began: Option<Mono>,
    /// Something was written since.
    due: bool,
    trouble: Trouble,
}

impl Checkpoints {
    /// Between two transactions of the loop, whether the last one `wrote`. What others write alone is a commit's to copy.
    pub(crate) async fn turn(&mut self, store: &Store, wrote: bool) {
        let now = store.clock().mono();
        self.due |= wrote;
        if store.kind() != Kind::Sqlite {
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
                tracing::warn!(%error, cause = causes(&error), "the write-ahead log is not emptied; it is tried again");
            }
        }
        if self.due && self.running.is_empty() && self.began.is_none_or(|began| now.since(began) >= EVERY) {
            (self.began, self.due) = (Some(now), false);
            let store = store.clone();
            self.running.spawn(async move { store.checkpoint().await });
        }
    }
}
