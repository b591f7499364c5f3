//! Purges of stored responses: the store records each, and the proxy of each process applies them in their order.

use std::sync::Arc;

use store::{Actor, DatabaseError, Store, StoredPurge};
use telemetry::{BackendBoard, CachePurge, PurgeTarget};
use tokio::sync::Mutex;

/// The purges of a store, and the proxy of this process, which applies them.
#[derive(Debug)]
pub struct CachePurges {
    store: Store,
    board: Arc<BackendBoard>,
    /// One caller at a time applies purges, so that each is applied once.
    turn: Mutex<()>,
}

impl CachePurges {
    /// Returns the purges of `store`, which the proxy of `board` applies, if it has one.
    #[must_use]
    pub fn new(store: Store, board: Arc<BackendBoard>) -> Self {
        Self { store, board, turn: Mutex::default() }
    }

    /// Records a purge by this author and applies it. Returns the number of responses of this process that it concerns.
    ///
    /// # Errors
    /// Database errors of any kind; the purge may then be recorded, and is applied later.
    pub async fn add(&self, by: &Actor, target: &PurgeTarget, soft: bool) -> Result<u64, DatabaseError> {
        let _turn = self.turn.lock().await;
        let (kind, text) = target.stored();
        let number = self.store.add_cache_purge(by, kind, text, soft).await?;
        self.apply(number).await
    }

    /// Applies the purges that other processes have recorded.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn follow(&self) -> Result<(), DatabaseError> {
        let _turn = self.turn.lock().await;
        self.apply(u64::MAX).await.map(drop)
    }

    /// Applies new purges, and returns the number of responses of the purge `number`.
    async fn apply(&self, number: u64) -> Result<u64, DatabaseError> {
        let Some(last) = self.board.last_purge() else { return Ok(0) };
        let purges = self.store.cache_purges_after(last).await?.into_iter();
        let applied = purges.map(|stored| {
            let purge = purge(stored);
            (purge.number, self.board.purge(&purge).unwrap_or_default())
        });
        Ok(applied.filter(|(of, _)| *of == number).map(|(_, responses)| responses).sum())
    }
}

fn purge(StoredPurge { id, number, kind, text, soft }: StoredPurge) -> CachePurge {
    CachePurge { number, id: id.into_bytes(), target: PurgeTarget::from_word(&kind, text), soft }
}
