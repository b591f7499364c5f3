//! The job that polls the revision of the store.

use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Revision};
use jobs::{Job, JobError, JobSpec, NextRun};
use store::Store;

/// Each node polls every 250 ms. A change by another process is detected within this time plus two reads.
pub const SPEC: JobSpec = JobSpec::every("revision", Duration::from_millis(250));

/// The job that copies the store's revision. While the store is unavailable, the revision is not confirmed, so that its
/// age grows.
#[derive(Debug, Clone)]
pub struct RevisionPoll {
    store: Store,
    revision: Arc<Revision>,
    clock: Clock,
}

impl RevisionPoll {
    /// Returns the job that copies the revision of `store` to `revision`.
    #[must_use]
    pub const fn new(store: Store, revision: Arc<Revision>, clock: Clock) -> Self {
        Self { store, revision, clock }
    }
}

impl Job for RevisionPoll {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let asked_at = self.clock.mono();
        self.revision.confirm(self.store.revision().await?, asked_at);
        Ok(NextRun::Period)
    }
}
