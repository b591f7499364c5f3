//! The configuration in a key of etcd, which each node applies.

use std::sync::Arc;

use store::{Actor, ConfigurationSource};

use super::key::{ConfigurationKey, KeyReading};
use super::result::{ApplyError, ConfigurationResult};
use super::running::{FileText, RunningText, digest};
use super::{CandidateText, Configurator};

impl Configurator {
    /// Applies what the key of etcd has, as [`apply`](Self::apply) does. A text that is in force changes nothing, so that each
    /// node may call this.
    ///
    /// # Errors
    /// The reason why the running configuration stays. It is logged, except for errors of the store.
    pub async fn apply_key(&self, reading: &KeyReading) -> Result<(), ApplyError> {
        let _changing = self.changing.lock().await;
        let running = self.running();
        let result = match &reading.text {
            Ok(text) if digest(text) == running.digest => {
                self.note_applied(text);
                return Ok(());
            }
            Ok(text) => self.apply_key_over(text, running.file.clone(), &running).await,
            Err(fault) => Err(ApplyError::Key { fault: fault.clone() }),
        };
        if !matches!(result, Err(ApplyError::Database(_))) {
            self.report("etcd", &result);
        }
        result.map(|_| ())
    }

    /// Applies the text of the key over a file, which is new unless it is that of `running`.
    pub(super) async fn apply_key_over(
        &self,
        text: &Arc<str>,
        file: FileText,
        running: &RunningText,
    ) -> Result<ConfigurationResult, ApplyError> {
        let stored = self.parts.store.configuration_over(&file.digest, self.parts.node).await?;
        let result = if let Some(stored) = stored.filter(|stored| stored.digest == digest(text)) {
            // Another node has applied it.
            self.apply_stored(stored, file).await?
        } else {
            let name = self.key().map(ConfigurationKey::source_name).unwrap_or_default();
            let accepted = Some(vec![running.text.clone(), file.text.clone()]);
            let source = ConfigurationSource::Etcd;
            let candidate = CandidateText { name, text: text.to_string(), file, source, accepted };
            self.apply_locked(&Actor::SYSTEM, candidate, None).await?
        };
        self.note_applied(text);
        Ok(result)
    }

    fn note_applied(&self, text: &Arc<str>) {
        if let Some(key) = self.key() {
            key.set_applied(text.clone());
        }
    }
}
