//! Sealed provider credentials for a behaviour. Tests of `cluster` include this file.

use access::{Secret, UserId, Vault};
use store::audit::Actor;
use store::{NewProviderKey, Store, StoredProviderKey};

use crate::world::{World, vault};

pub(crate) fn new(owner: Option<UserId>, label: &str, secret: &str) -> NewProviderKey {
    let label = label.to_owned();
    let secret = Secret::new(secret.to_owned());
    NewProviderKey { owner, provider: "openai".to_owned(), label, secret }
}

/// Opens a store that has admitted the vault.
pub(crate) async fn opened(world: &World) -> (Store, Vault) {
    let store = world.store().await;
    let vault = vault(1);
    store.admit_master_key(&Actor::SYSTEM, &vault).await.unwrap();
    (store, vault)
}

pub(crate) async fn create(store: &Store, vault: &Vault, new: NewProviderKey) -> StoredProviderKey {
    store.create_provider_key(&Actor::COMMAND, vault, new).await.unwrap()
}
