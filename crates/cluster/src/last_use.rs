//! The job that writes the times at which keys were last used.

use std::time::Duration;

use jobs::{Job, JobError, JobSpec, NextRun};
use store::Store;

/// Each node checks every second for times to write.
pub const SPEC: JobSpec = JobSpec::every("last_use", Duration::from_secs(1));

/// The job that writes the times at which keys were last used. A process that cannot wait at its end loses some.
#[derive(Debug, Clone)]
pub struct LastUseWriter {
    store: Store,
}

impl LastUseWriter {
    /// Returns the job for the uses that `store` has recorded.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Job for LastUseWriter {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        self.store.write_last_use(false).await?;
        Ok(NextRun::Period)
    }

    async fn stop(&mut self) -> Result<(), JobError> {
        Ok(self.store.write_last_use(true).await?)
    }
}
