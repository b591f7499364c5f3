//! Responses in Redis: the look-up of a request that fills its key, and invalidations.

use std::sync::Arc;
use std::time::Duration;

use access::exchange::shared_responses::SharedResponseResult;
use tokio::time::timeout;

use super::request::CachedRequest;
use crate::account::RequestAccount;
use crate::worker::response_cache::fill::RunningFill;
use crate::worker::response_cache::shared_slot::{SharedKey, SharedSlot, name_of};
use crate::worker::response_cache::stored::StoredResponse;

/// Maximum time for which a request waits for Redis.
const WAITS_MAX: Duration = Duration::from_millis(10);

/// Returns the response of another node, if the route shares its responses and the client accepts it. Otherwise the request
/// continues to fill the key.
pub(super) async fn found(
    request: &CachedRequest,
    account: &RequestAccount,
    mut fill: RunningFill,
) -> Result<Arc<StoredResponse>, RunningFill> {
    let memories = &account.request.worker().shared.responses;
    let Some(scope) = &request.rules.shared_scope else { return Err(fill) };
    // Before the first purge, which each store has, no response can be compared with purges.
    let Some(shared) = memories.shared() else { return Err(fill) };
    let Some(purge) = memories.last_purge() else { return Err(fill) };
    let key = SharedKey { scope, key: &request.key, purge };
    let looked_up = timeout(WAITS_MAX, SharedSlot::find(shared, key, &account.request.head)).await;
    account.request.read_clock();
    let Some((slot, found)) = looked_up.ok().flatten() else {
        shared.count(SharedResponseResult::Unavailable);
        return Err(fill);
    };
    fill.share(slot);
    let now = account.request.wall_at();
    let found = found.filter(|found| {
        let response = &found.response;
        u64::try_from(response.content.len()).is_ok_and(|bytes| bytes <= request.entry_bytes_max())
            && request.accepts(response, now)
            && shared.may_use(response.freshness().received_at())
            && memories.keeps(&request.key, found)
            && !fill.is_void()
    });
    shared.count(if found.is_some() { SharedResponseResult::Hit } else { SharedResponseResult::Miss });
    match found {
        Some(found) => Ok(fill.adopt(found.response)),
        None => Err(fill),
    }
}

/// Ends the use of the responses of these URLs in Redis, by all nodes. Nodes that have them in memory keep them.
pub(super) async fn invalidate(account: &RequestAccount, urls: &[Vec<u8>]) {
    let memories = &account.request.worker().shared.responses;
    let mut scopes = account.request.snapshot.traffic.shared_scopes.clone();
    // Other nodes may have another configuration, which this process has had too.
    scopes.extend(memories.rules().iter().filter_map(|rules| rules.shared_scope));
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return;
    }
    let Some(shared) = memories.shared() else { return };
    let invalidating = async {
        for (scope, url) in scopes.iter().flat_map(|scope| urls.iter().map(move |url| (scope, url))) {
            if !shared.invalidate(name_of(scope, url)).await {
                return false;
            }
        }
        true
    };
    let is_done = timeout(WAITS_MAX, invalidating).await.unwrap_or(false);
    account.request.read_clock();
    if !is_done {
        shared.lose(account.request.wall_at());
    }
}
