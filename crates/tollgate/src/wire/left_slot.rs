//! The slot of a data folder whose process has ended: its remaining usage is ingested, and its leases are returned.
//!
//! A process that drains leaves nothing. One that is killed meanwhile leaves the records of its spool, and requests that it had
//! not finished.

use std::time::Duration;

use cluster::Cluster;
use config::snapshot::Process;
use ledger::IngestStats;
use store::Store;

use super::ServeOptions;
use super::export::{self, ExportPlace};
use super::spooled::{CLOSING_MAX, SPOOL_FOLDER, SpoolPlace};
use crate::failure;
use crate::lock::Lock;
use crate::slot::Slot;

/// Interval at which the end of a predecessor is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause after the first attempt that failed.
const REPEAT_AFTER: Duration = Duration::from_secs(10);
/// Pause after each later one.
const REPEAT_AFTER_MAX: Duration = Duration::from_mins(1);

/// What the settling of a slot depends on.
#[derive(Debug, Clone)]
pub(crate) struct LeftSlot {
    store: Store,
    process: Process,
    slot: Slot,
    workers: usize,
    skip_corrupt: bool,
}

impl LeftSlot {
    /// Returns the slot that this process does not use.
    pub(super) fn new(store: &Store, process: &Process, options: &ServeOptions) -> Self {
        Self {
            store: store.clone(),
            process: process.clone(),
            slot: options.slot.other(),
            workers: options.workers,
            skip_corrupt: options.skip_corrupt,
        }
    }

    /// Returns the slot of this process, in which an earlier process may have left a spool.
    pub(super) fn own(store: &Store, process: &Process, options: &ServeOptions) -> Self {
        Self { slot: options.slot, ..Self::new(store, process, options) }
    }

    /// Returns a slot of a stopped server, whose data folder the caller has locked.
    pub(crate) fn of_stopped(store: &Store, process: &Process, slot: Slot) -> Self {
        Self { store: store.clone(), process: process.clone(), slot, workers: 1, skip_corrupt: false }
    }

    /// Settles the slot before this process admits requests, unless another process uses it. On SQLite, waits until that one
    /// has stored all usage and no longer admits requests.
    ///
    /// # Errors
    /// Those of [`Self::settle`], and of the connection to that process.
    pub(super) async fn settle_before(&self, options: &ServeOptions) -> anyhow::Result<()> {
        let lock = match &options.predecessor {
            // The lock of the whole folder shows that no other process uses it.
            None => None,
            Some(_) if self.store.is_shared() => return Ok(()),
            Some(predecessor) => match predecessor.request_store(&self.process.data).await? {
                None => return Ok(()),
                ended => ended,
            },
        };
        Box::pin(self.settle()).await?;
        drop(lock);
        Ok(())
    }

    /// Settles the slot, whose lock the caller has. A slot without a spool needs nothing.
    ///
    /// # Errors
    /// The records cannot be read or stored; they remain in the slot.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let Self { store, process, slot, workers, skip_corrupt } = self;
        let data = slot.folder(&process.data);
        let folder = data.join(SPOOL_FOLDER);
        if !folder.is_dir() {
            return Ok(());
        }
        let joined = store.join(&data, env!("CARGO_PKG_VERSION")).await;
        let node = joined.map_err(|error| failure::of_store(process, error))?;
        let workers = *workers;
        let skip_corrupt = *skip_corrupt;
        let stats = IngestStats::default();
        let export = ExportPlace::new(process, &data);
        let at = SpoolPlace { node: &node, process, folder, workers, skip_corrupt, export };
        let (mut spool, gathered) = at.open().await?;
        let interrupted = spool.interrupted.len();
        at.settle(&mut spool, gathered, &stats).await?;
        let drained = ledger::ingest::drain(&node, &mut spool.reader, &stats).await;
        drained.map_err(|error| failure::of_ingest(process, &at.folder, error))?;
        Box::pin(export::drain_left(process, &node, spool.export.take())).await;
        let cluster = Cluster::new(store.clone());
        let closing = tokio::time::timeout(CLOSING_MAX, cluster.close_unreported_leases(&node, process.lease.ttl));
        if store.is_shared() && !matches!(closing.await, Ok(Ok(()))) {
            tracing::warn!("leases of an earlier process are not returned yet; other nodes return them");
        }
        node.leave(true).await.map_err(|error| failure::of_store(process, error))?;
        if interrupted > 0 {
            tracing::warn!(
                interrupted,
                slot = slot.word(),
                "an earlier process of an upgrade ended without settling requests; their reservations count as used"
            );
        }
        Ok(())
    }

    /// Waits until the process of the slot has ended, and settles the slot. It may be cancelled; the next start settles it then.
    pub(super) async fn settle_after_its_process(self) {
        let slot = self.slot.word();
        until_settled(slot, || {
            let left = self.clone();
            async move {
                let Ok(_lock) = Lock::take_slot(&left.process.data, left.slot) else { return Ok(false) };
                Box::pin(left.settle()).await.map(|()| true)
            }
        })
        .await;
        tracing::info!(slot, "the process before the upgrade has ended");
    }
}

/// Repeats `settle` until it returns true: the process of the slot may still run, or the store may not respond.
async fn until_settled<F>(slot: &str, mut settle: impl FnMut() -> F)
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let mut pause = LOOK_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        match settle().await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                pause = if pause == LOOK_EVERY { REPEAT_AFTER } else { REPEAT_AFTER_MAX };
                tracing::error!(
                    error = format!("{error:#}"),
                    slot,
                    repeated_in_seconds = pause.as_secs(),
                    "the usage of the process before the upgrade is not in the store yet"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slot_that_cannot_be_settled_is_settled_later() {
        let begun = tokio::time::Instant::now();
        let mut tries = Vec::new();
        until_settled("next", || {
            tries.push(begun.elapsed().as_secs());
            std::future::ready(match tries.len() {
                1 | 2 => Ok(false),
                3..=5 => Err(anyhow::anyhow!("the store does not respond")),
                _ => Ok(true),
            })
        })
        .await;
        assert_eq!(tries, [1, 2, 3, 13, 73, 133]);
    }
}
