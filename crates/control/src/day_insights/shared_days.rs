//! Computed responses of days that servers share through Redis. They are sealed with the master key, so that servers of another
//! installation cannot read or write them. Without Redis, each server computes its own.

use std::time::Duration;

use access::{Fingerprint, ProviderKeyId, SealedCredential, Secret};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::process::day_cache::{DayEndpoint, DayResponse, ResponseKey};
use crate::process::state::State;

/// Returns a response that a server has stored.
pub(crate) async fn find(state: &State, key: &ResponseKey) -> Option<DayResponse> {
    let name = name(state, key);
    let stored = state.windows.response(&name).await?;
    let (master, bytes) = stored.split_first_chunk()?;
    let sealed = SealedCredential { master: Fingerprint(*master), bytes: bytes.to_vec() };
    // A response with another master key, or of another server, is computed again.
    let text = state.vault.open(row(&name), None, &sealed).ok()?;
    DayResponse::read(key.endpoint, text.expose())
}

/// Stores a response for all servers.
pub(crate) async fn keep(state: &State, key: &ResponseKey, response: &DayResponse, ttl: Duration) {
    let name = name(state, key);
    let Some(text) = response.text() else { return };
    // Without random bytes, nothing is stored.
    let Ok(sealed) = state.vault.seal(row(&name), None, &Secret::new(text)) else { return };
    let stored = [sealed.master.0.as_slice(), &sealed.bytes].concat();
    state.windows.keep_response(&name, &stored, ttl).await;
}

/// Returns everything that a response depends on. Servers of another version may write other responses.
fn name(state: &State, key: &ResponseKey) -> String {
    let ResponseKey { endpoint, day, scope, complete, figures_version, settings } = key;
    let endpoint = match endpoint {
        DayEndpoint::Brief => "brief",
        DayEndpoint::Classification => "classification",
        DayEndpoint::Roi => "roi",
    };
    let id = scope.brief_id(*day);
    format!("{} {endpoint} {id} {complete} {figures_version} {settings:x}", state.version)
}

/// Returns the id for which a response is sealed, so that it cannot take the place of another one.
fn row(name: &str) -> ProviderKeyId {
    ProviderKeyId(Sha256::digest(name).first_chunk().map_or(Uuid::nil(), |id| Uuid::from_bytes(*id)))
}
