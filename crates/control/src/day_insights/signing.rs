//! The key that signs exports. All nodes of a store share it.

use access::credentials::vault;
use access::{ProviderKeyId, Refusal, VaultError};
use evidence::SigningKey;
use store::{Actor, StoreSigningKeyError, StoredSigningKey};
use uuid::Uuid;

use crate::message::problem::Problem;
use crate::process::state::State;

/// Returns the key that signs exports. The first export creates it, and so does the first one after the master key that sealed
/// it was lost.
///
/// # Errors
/// `unavailable` if the server has no master key, or without random bytes; `internal` for a damaged key.
pub(crate) async fn key(state: &State) -> Result<SigningKey, Problem> {
    let stored = match state.store.signing_key().await? {
        None => create(state, None).await?,
        Some(stored) => match state.vault.open(ProviderKeyId(stored.id), None, &stored.sealed) {
            Ok(seed) => return SigningKey::of_seed(&seed).map_err(Problem::fault),
            Err(VaultError::OtherKey { .. } | VaultError::Altered) => create(state, Some(stored.id)).await?,
            Err(error @ VaultError::Random) => return Err(Problem::fault(error)),
        },
    };
    // Another node may have been faster, with the same master key.
    let seed = state.vault.open(ProviderKeyId(stored.id), None, &stored.sealed).map_err(Problem::fault)?;
    SigningKey::of_seed(&seed).map_err(Problem::fault)
}

async fn create(state: &State, retired: Option<Uuid>) -> Result<StoredSigningKey, Problem> {
    let seed = vault::random_text().map_err(Problem::fault)?;
    let public_key = SigningKey::of_seed(&seed).map_err(Problem::fault)?.public_key();
    let id = state.store.new_id();
    let sealed = state.vault.seal(ProviderKeyId(id), None, &seed).map_err(Problem::fault)?;
    let added = state.store.add_signing_key(&Actor::SYSTEM, StoredSigningKey { id, public_key, sealed }, retired).await;
    added.map_err(|error| match error {
        StoreSigningKeyError::MasterKeyRetired(_) => {
            let message = "this server has no master key that may sign; use a server with the current master key";
            Problem::new(Refusal::Unavailable, message)
        }
        StoreSigningKeyError::Database(error) => error.into(),
    })
}
