//! Configurations that are refused because of the rows of the store.

use std::collections::BTreeSet;

use config::{RunningConfig, Snapshot, redirected};
use store::{Actor, ActorKind};

use super::{ApplyError, CompiledText, Configurator};

impl Configurator {
    /// Refuses a configuration with a provider that costs money, if a listener is public and the store has demo users, as
    /// a start does.
    pub(super) async fn refuse_exposed_demo_keys(&self, new: &Snapshot) -> Result<(), ApplyError> {
        let is_public = self.parts.live.load().process.public_listener().is_some();
        if is_public && new.traffic.costs_money() && self.parts.store.has_demo_users().await? {
            return Err(ApplyError::DemoKeysExposed);
        }
        Ok(())
    }

    /// Refuses a configuration of an admin key that would send requests of a provider or an upstream with stored credentials to
    /// another server, or remove it: the key could not undo that. An admin key may not use the credentials of admins.
    pub(super) async fn refuse_redirected(&self, by: &Actor, compiled: &CompiledText) -> Result<(), ApplyError> {
        if !matches!(by.by, ActorKind::Key { .. }) {
            return Ok(());
        }
        let running = self.running();
        let snapshot = self.parts.live.load_full();
        let has_mock = snapshot.traffic.mock.on;
        let of = RunningConfig { settings: &running.settings, snapshot: &snapshot, has_mock, started_with: &[] };
        let names = redirected(&of, &compiled.loaded);
        if names.is_empty() {
            return Ok(());
        }
        let stored: BTreeSet<String> = self.parts.store.names_with_credentials().await?.into_iter().collect();
        match names.intersection(&stored).next() {
            Some(name) => Err(ApplyError::Redirected { name: name.clone() }),
            None => Ok(()),
        }
    }
}
