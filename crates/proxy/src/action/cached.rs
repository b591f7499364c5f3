//! The action of a cached route: a stored response, or one of the upstream, which is stored if it may be.

mod arrival;
mod filling;
mod invalidation;
mod refresh;
mod request;
mod response;
mod shared_lookup;

use access::Refusal;
use meter::Outcome;
use tokio::time::timeout_at;

use super::ActionResponse;
use super::forward::{ForwardedRoute, forward_to};
use super::limit::limit_free;
use crate::account::RequestAccount;
use crate::account::cache_result::CacheResult;
use crate::account::client::Client;
use crate::action::cached::filling::Filling;
use crate::action::cached::invalidation::invalidate;
pub(crate) use crate::action::cached::invalidation::may_change_stored;
use crate::action::cached::request::{CachedRequest, cached_request, is_whole};
use crate::action::cached::response::{arriving_response, response_of, status_field};
use crate::body::IncomingBody;
use crate::forward::unwritable;
use crate::refusal::problem::Problem;
use crate::upstream::response_head::RelayedHead;
use crate::worker::response_cache::fill::{FillRole, RunningFill};
use crate::worker::response_cache::fill_state::{FillState, arrival};
use crate::worker::response_cache::stored::{ArrivingResponse, StoredResponse};

use std::sync::Arc;

/// How often a request waits for the fill of its key: `Vary` may distinguish the requests, and a client may abort a fill.
const WAITS_MAX: usize = 4;

/// The response that a request to a cached route gets.
enum CacheAnswer {
    /// A complete response, and the part of the cache in it.
    Stored(Arc<StoredResponse>, CacheResult),
    /// A response that another request has caused, as it arrives.
    Arriving(Arc<ArrivingResponse>),
    /// A stale response, while the gateway revalidates it.
    Refreshing(Arc<StoredResponse>, RunningFill),
    /// The upstream's response, which may be stored in place of the stale one.
    Filling(RunningFill, Option<Arc<StoredResponse>>),
    /// The upstream's response, which is not stored.
    Forwarded,
    /// No stored response may be used, and the client wants no other.
    Missing,
}

/// Responds from the cache, or forwards the request.
pub(crate) async fn respond(
    to: ForwardedRoute<'_>,
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    client: Option<&Client>,
) -> Result<ActionResponse, Problem> {
    let Some(request) = cached_request(&to, account, body) else {
        return forward_uncached(to, account, body, client).await;
    };
    match answer(&request, account).await {
        CacheAnswer::Stored(stored, result) => hit(account, client, &stored, result).await,
        CacheAnswer::Arriving(arriving) => {
            let admission = limit_free(account, client).await?;
            match arriving.content.reader() {
                Some(reader) => arriving_response(account, &arriving.response, reader, admission),
                // The content has become too large for others, or was aborted.
                None => forward_uncached(to, account, body, client).await,
            }
        }
        CacheAnswer::Refreshing(stale, fill) => {
            let response = hit(account, client, &stale, CacheResult::Stale).await?;
            refresh::begin(account, to.route, Filling { request, fill, stale: Some(stale), place: None });
            Ok(response)
        }
        CacheAnswer::Filling(fill, stale) => {
            Filling { request, fill, stale, place: None }.forward(to, account, body, client).await
        }
        CacheAnswer::Forwarded => forward_uncached(to, account, body, client).await,
        CacheAnswer::Missing => {
            account.cache = Some(CacheResult::Miss);
            limit_free(account, client).await?;
            let message = "no response is stored, and the request permits no other (`only-if-cached`)";
            let mut problem = Problem::new(Refusal::UpstreamTimeout, message);
            problem.outcome = Outcome::Completed;
            Err(problem)
        }
    }
}

/// Returns what a request gets. It waits for the head of a response that another request has caused.
async fn answer(request: &CachedRequest, account: &RequestAccount) -> CacheAnswer {
    let head = &account.request.head;
    for _ in 0..WAITS_MAX {
        let now = account.request.wall_at();
        let stored = request.memory.find(&request.key, head);
        if let Some(stored) = stored.as_ref().filter(|stored| request.accepts(stored, now)) {
            return CacheAnswer::Stored(stored.clone(), CacheResult::Hit);
        }
        // Only whole responses are stored, so other requests do not fill the key.
        if !is_whole(head) {
            return if request.is_only_of_cache() { CacheAnswer::Missing } else { CacheAnswer::Forwarded };
        }
        let stale = stored.as_ref().filter(|stored| request.accepts_stale(stored, now)).cloned();
        let running = match FillRole::for_request(&request.memory, &request.key, head, now) {
            FillRole::Fills(fill) => {
                let fill = match shared_lookup::found(request, account, fill).await {
                    Ok(found) => return CacheAnswer::Stored(found, CacheResult::Hit),
                    Err(fill) => fill,
                };
                return match stale {
                    Some(stale) => CacheAnswer::Refreshing(stale, fill),
                    None if request.is_only_of_cache() => CacheAnswer::Missing,
                    None => CacheAnswer::Filling(fill, stored),
                };
            }
            FillRole::Waits(_) if stale.is_none() && request.is_only_of_cache() => return CacheAnswer::Missing,
            FillRole::Waits(_) if !request.may_wait() => break,
            FillRole::Waits(running) => running,
        };
        if let Some(stale) = stale {
            return CacheAnswer::Stored(stale, CacheResult::Stale);
        }
        let arrived = timeout_at(account.total_at(), arrival(running)).await;
        account.request.read_clock();
        let is_usable = |response: &StoredResponse| request.accepts_arrived(response, now, account.request.wall_at());
        match arrived {
            Ok(FillState::Arriving(arriving)) if arriving.response.matches(head) => {
                if !is_usable(&arriving.response) {
                    break;
                }
                return CacheAnswer::Arriving(arriving);
            }
            Ok(FillState::Complete(stored)) if stored.matches(head) => {
                if !is_usable(&stored) {
                    break;
                }
                return CacheAnswer::Stored(stored, CacheResult::Collapsed);
            }
            Ok(FillState::Stale(stored)) if stored.matches(head) => {
                return CacheAnswer::Stored(stored, CacheResult::Stale);
            }
            Ok(
                FillState::Arriving(_)
                | FillState::Complete(_)
                | FillState::Stale(_)
                | FillState::Running
                | FillState::Aborted,
            ) => {}
            Ok(FillState::Unstored) | Err(_) => break,
        }
    }
    CacheAnswer::Forwarded
}

/// Returns a stored response. The request is free, but has a rate limit.
async fn hit(
    account: &mut RequestAccount,
    client: Option<&Client>,
    stored: &StoredResponse,
    result: CacheResult,
) -> Result<ActionResponse, Problem> {
    let admission = limit_free(account, client).await?;
    Ok(ActionResponse::Changed(response_of(account, stored, result)?, admission.rate))
}

/// Forwards a request whose response is not stored. One that changes a resource removes its stored responses.
async fn forward_uncached(
    to: ForwardedRoute<'_>,
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    client: Option<&Client>,
) -> Result<ActionResponse, Problem> {
    account.cache = Some(CacheResult::Bypass);
    let mut handled = forward_to(to, account, body, client, None).await?;
    if let Some(head) = head_of(&mut handled) {
        invalidate(account, head).await;
        let item = status_field(account, CacheResult::Bypass, None);
        head.edits.append_named(b"cache-status", &item).map_err(unwritable)?;
    }
    Ok(handled)
}

/// Forwards a request of a route without a cache that may change a resource.
pub(crate) async fn forward_change(
    to: ForwardedRoute<'_>,
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    client: Option<&Client>,
) -> Result<ActionResponse, Problem> {
    let mut handled = forward_to(to, account, body, client, None).await?;
    if let Some(head) = head_of(&mut handled) {
        invalidate(account, head).await;
    }
    Ok(handled)
}

/// Returns the head of a response that an upstream sent.
fn head_of(handled: &mut ActionResponse) -> Option<&mut RelayedHead> {
    match handled {
        ActionResponse::Own(..) => None,
        ActionResponse::Relayed(relayed) => Some(&mut relayed.answered.head),
        ActionResponse::Changed(changed, _) => Some(&mut changed.head),
    }
}
