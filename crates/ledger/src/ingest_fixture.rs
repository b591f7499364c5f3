//! Ingest as a job, for unit tests and integration tests, which include this file.

use std::sync::Arc;
use std::time::Duration;

use jobs::{ClaimEnd, JobSpec, Ownership, OwnershipFuture, Runner};
use ledger::IngestStats;
use ledger::ingest::{Ingest, ReaderSlot};
use spool::Reader;
use store::Node;

/// Ownership of jobs that every node runs.
struct NoClaims;

impl Ownership for NoClaims {
    fn claim<'a>(&'a self, _: &'a JobSpec) -> OwnershipFuture<'a> {
        unreachable!("every node runs ingest")
    }

    fn renew<'a>(&'a self, _: &'a JobSpec) -> OwnershipFuture<'a> {
        unreachable!("every node runs ingest")
    }

    fn finish<'a>(&'a self, _: &'a JobSpec, _: &'a ClaimEnd) -> OwnershipFuture<'a> {
        unreachable!("every node runs ingest")
    }
}

/// Runs ingest until `stopped` is ready. Returns the reader of the spool.
pub(crate) async fn run_ingest(
    node: Node,
    reader: Reader,
    stats: Arc<IngestStats>,
    stopped: impl Future<Output = ()>,
) -> Reader {
    let mut runner = Runner::new(node.store().clock().clone(), Arc::new(NoClaims));
    let slot = ReaderSlot::new(reader);
    let place = slot.clone();
    runner.add(ledger::ingest::SPEC, move || Ingest::new(node.clone(), place.clone(), stats.clone()));
    stopped.await;
    runner.stop(Duration::from_secs(60)).await;
    slot.take().expect("ingest has ended")
}
