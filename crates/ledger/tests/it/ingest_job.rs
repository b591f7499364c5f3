//! Runs ingest as servers do, until a future is done.

use std::sync::Arc;
use std::time::Duration;

use jobs::{ClaimEnd, JobSpec, Ownership, OwnershipFuture, Runner};
use ledger::IngestStats;
use ledger::ingest::{Ingest, ReaderSlot, SPEC};
use spool::Reader;
use store::Node;

/// Every node ingests its own spool, so no claim is needed.
struct NoClaims;

impl Ownership for NoClaims {
    fn claim<'a>(&'a self, spec: &'a JobSpec) -> OwnershipFuture<'a> {
        panic!("{} needs a claim", spec.name)
    }

    fn renew<'a>(&'a self, spec: &'a JobSpec) -> OwnershipFuture<'a> {
        panic!("{} needs a claim", spec.name)
    }

    fn finish<'a>(&'a self, spec: &'a JobSpec, _: &'a ClaimEnd) -> OwnershipFuture<'a> {
        panic!("{} needs a claim", spec.name)
    }
}

/// Runs the job until `cancel` is done, and returns the reader.
pub(crate) async fn run(
    node: Node,
    reader: Reader,
    stats: Arc<IngestStats>,
    cancel: impl Future<Output = ()>,
) -> Reader {
    let mut runner = Runner::new(node.store().clock().clone(), Arc::new(NoClaims));
    let slot = ReaderSlot::new(reader);
    let kept = slot.clone();
    runner.add(SPEC, move || Ingest::new(node.clone(), slot.clone(), stats.clone()));
    cancel.await;
    runner.stop(Duration::from_secs(60)).await;
    kept.take().unwrap()
}
