//! The counter that every change to users, keys and plans raises, and the loop that watches it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Revision};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::dialect::Transaction;
use crate::error::StoreError;
use crate::outage::Outage;
use crate::statement::{statements, unsigned};
use crate::store::Store;

/// A change by another process is seen within this time and one read.
const EVERY: Duration = Duration::from_millis(250);
/// The id of the table's one row.
const ROW: Uuid = Uuid::max();

statements! {
    RAISE = "INSERT INTO revision (id, value, created_at, updated_at) VALUES ($1, 1, $2, $2)
        ON CONFLICT (id) DO UPDATE SET value = revision.value + 1, updated_at = excluded.updated_at";
    READ = "SELECT coalesce(max(value), 0) FROM revision";
}

/// Raises the revision within the transaction of a change.
pub(crate) async fn raise(transaction: &mut Transaction, now: i64) -> Result<(), StoreError> {
    sqlx::query(RAISE).bind(ROW).bind(now).execute(&mut **transaction).await?;
    Ok(())
}

impl Store {
    /// How often users, keys and plans were changed, by whichever process.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revision(&self) -> Result<u64, StoreError> {
        Ok(unsigned(sqlx::query_scalar(READ).fetch_one(self.readers()).await?))
    }
}

/// Copies the store's revision to `revision` every 250 ms until `cancel` is done. While the store is away nothing is
/// confirmed, so that its age grows.
pub async fn poll(store: Store, revision: Arc<Revision>, clock: Clock, cancel: impl Future<Output = ()>) {
    let mut outage = Outage::new("revision");
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = async {
        loop {
            ticks.tick().await;
            let asked_at = clock.mono();
            let read = store.revision().await;
            outage.note(&read);
            if let Ok(value) = read {
                revision.confirm(value, asked_at);
            }
        }
    };
    tokio::select! {
        () = watch => {}
        () = cancel => {}
    }
}
