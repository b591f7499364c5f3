//! The job that reads the shared credentials of the vault for the headers of routes.

use std::sync::Arc;
use std::time::Duration;

use access::UpstreamCredentials;
use jobs::{Job, JobError, JobSpec, NextRun};
use store::{DatabaseError, Store};

use crate::decrypted_credentials::DecryptedCredentials;

/// Each node compares the revision every 250 ms, and queries the store only after a change.
pub const SPEC: JobSpec = JobSpec::every("shared_credentials", Duration::from_millis(250));

/// The job that copies the shared credentials of the current revision. While the store is unavailable, the last ones remain.
#[derive(Debug, Clone)]
pub struct SharedCredentialRead {
    store: Store,
    decrypted: Arc<DecryptedCredentials>,
    credentials: Arc<UpstreamCredentials>,
}

impl SharedCredentialRead {
    /// Returns the job that copies the credentials that `decrypted` reads to `credentials`.
    #[must_use]
    pub const fn new(
        store: Store,
        decrypted: Arc<DecryptedCredentials>,
        credentials: Arc<UpstreamCredentials>,
    ) -> Self {
        Self { store, decrypted, credentials }
    }

    /// Reads the credentials, unless those of the current revision are known.
    ///
    /// # Errors
    /// [`DatabaseError`] if the store is unavailable.
    pub async fn read(&self) -> Result<(), DatabaseError> {
        self.credentials.store(self.decrypted.shared(&self.store).await?);
        Ok(())
    }
}

impl Job for SharedCredentialRead {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        self.read().await?;
        Ok(NextRun::Period)
    }
}
