//! What the store lacks of the configuration in force, because it did not respond or a client cancelled the change.

use std::sync::atomic::{AtomicBool, Ordering};

use access::Timestamp;
use store::{Actor, ConfigurationSource, DatabaseError, NewConfiguration};

use super::Configurator;
use super::running::RunningText;

/// The parts that the store may lack. Plans are stored at the next reload, or after the next change of the store's revision;
/// the other parts by [`Configurator::store_again`] too.
#[derive(Debug, Default)]
pub(super) struct UnstoredParts {
    /// Plans and their prices.
    pub(super) plans: AtomicBool,
    /// A new revision for changed budgets: cached keys have the earlier ones.
    revision: AtomicBool,
    /// The entry of the file in the history, which ends a configuration of the API.
    file: AtomicBool,
    /// Whether the store also lacks an earlier file, which may have ended an earlier configuration over the running one.
    earlier_file: AtomicBool,
}

impl UnstoredParts {
    /// Records that plans and budgets in force may have changed.
    pub(super) fn note(&self, plans: bool, budgets: bool) {
        self.plans.fetch_or(plans, Ordering::Relaxed);
        self.revision.fetch_or(budgets, Ordering::Relaxed);
    }
}

impl Configurator {
    /// Stores what the store lacks of the configuration in force, or applies the one that has followed it. A job calls this again
    /// and again.
    pub async fn store_again(&self) {
        if [&self.unstored.revision, &self.unstored.file].iter().any(|lacks| lacks.load(Ordering::Relaxed)) {
            let _changing = self.changing.lock().await;
            let _ = Box::pin(self.follow_locked()).await;
        }
    }

    /// Stores what the store lacks, during a change. Failures were logged when they occurred first.
    pub(super) async fn store_rest(&self) {
        let _ = self.raise_revision().await;
        if self.unstored.file.load(Ordering::Relaxed) {
            let running = self.running();
            // A configuration of the API that is in force over the file must not end.
            if running.stored.is_some() || self.has_added_file(&running).await.unwrap_or(false) {
                self.unstored.file.store(false, Ordering::Relaxed);
                self.unstored.earlier_file.store(false, Ordering::Relaxed);
            }
        }
    }

    /// Adds the file, unless a configuration over it is to be applied: another process has stored it since, or before this
    /// process had the file.
    async fn has_added_file(&self, running: &RunningText) -> Result<bool, DatabaseError> {
        let lacks_earlier = self.unstored.earlier_file.load(Ordering::Relaxed);
        self.add_file(running, true, lacks_earlier.then_some(running.applied_at)).await
    }

    /// Raises the store's revision if budgets may have changed.
    pub(super) async fn raise_revision(&self) -> Result<(), DatabaseError> {
        if self.unstored.revision.load(Ordering::Relaxed) {
            self.parts.store.raise_revision().await?;
            self.unstored.revision.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Records that the file is in force, where another configuration was.
    pub(super) async fn record_file(&self) {
        let lacks_earlier = self.unstored.file.swap(true, Ordering::Relaxed);
        self.unstored.earlier_file.fetch_or(lacks_earlier, Ordering::Relaxed);
        self.store_rest().await;
        if self.unstored.file.load(Ordering::Relaxed) {
            tracing::warn!("the configuration is in force, but not in the history of the store yet");
        }
    }

    /// Records the file with which the process has started, unless the store knows it.
    pub async fn record_start(&self) {
        let running = self.running();
        // The stored value of the key would end with the entry of the file.
        if running.refused.is_some() {
            return;
        }
        let is_known = self.parts.store.knows_configuration_file(&running.file.digest, self.parts.node).await;
        if running.stored.is_none()
            && matches!(is_known, Ok(false))
            && let Err(error) = self.add_file(&running, false, None).await
        {
            tracing::warn!(%error, "the configuration is in force, but not in the history of the store");
        }
    }

    async fn add_file(
        &self,
        running: &RunningText,
        is_change: bool,
        ended_before: Option<Timestamp>,
    ) -> Result<bool, DatabaseError> {
        let new = NewConfiguration {
            source: ConfigurationSource::File,
            node: self.parts.node,
            file_digest: &running.file.digest,
            digest: &running.digest,
            text: (!running.has_literal_secrets).then_some(&*running.text),
            is_change,
        };
        self.parts.store.add_file_configuration(&Actor::SYSTEM, new, ended_before).await
    }
}
