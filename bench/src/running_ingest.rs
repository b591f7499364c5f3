//! Ingest, as a server runs it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cluster::JobClaims;
use jobs::Runner;
use ledger::ingest::{Ingest, IngestStats, ReaderSlot};
use spool::Reader;
use store::Node;

/// Maximum duration of the last batch.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// A running ingest. Dropped, it ends without its last batch.
pub(crate) struct RunningIngest {
    runner: Runner,
    slot: ReaderSlot,
}

impl RunningIngest {
    /// Starts ingest of this spool.
    pub(crate) fn start(node: &Node, reader: Reader, stats: &Arc<IngestStats>) -> Self {
        let mut runner = Runner::new(node.store().clock().clone(), Arc::new(JobClaims::new(node.clone())));
        let slot = ReaderSlot::new(reader);
        let (node, place, stats) = (node.clone(), slot.clone(), stats.clone());
        runner.add(ledger::ingest::SPEC, move || Ingest::new(node.clone(), place.clone(), stats.clone()));
        Self { runner, slot }
    }

    /// Starts other jobs beside ingest.
    pub(crate) fn runner(&mut self) -> &mut Runner {
        &mut self.runner
    }

    /// Ends it after its last batch. Returns the reader of the spool.
    pub(crate) async fn stop(self) -> anyhow::Result<Reader> {
        self.runner.stop(STOP_WITHIN).await;
        self.slot.take().context("ingest did not end")
    }
}
