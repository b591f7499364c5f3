//! References of a call to translated responses: the call gets their items, whatever model serves it.

use std::sync::Arc;

use access::{Refusal, Subject};
use ai::Format;
use ai::translate::conversation::{self, Conversation, References};
use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};

use super::InferenceEndpoint;
use super::parsed_call::{ParsedCall, counted};
use crate::account::RequestAccount;
use crate::action::off_worker::{ON_WORKER_BYTES_MAX, off_worker};
use crate::refusal::problem::Problem;
use crate::worker::conversations::ConversationOwner;

/// Returns the owner of the conversations of a client; `None` for a client without a key.
pub(super) fn owner(account: &RequestAccount) -> Option<ConversationOwner> {
    let Subject::Key(caller) = &account.identity.subject else { return None };
    Some(ConversationOwner { user: caller.user, key: caller.key })
}

/// Whether a call may name parts of translated responses.
pub(super) fn may_have(endpoint: &InferenceEndpoint, parsed: &ParsedCall) -> bool {
    endpoint.format == Format::Responses && conversation::may_refer(&parsed.content)
}

/// Returns the call with the items that it names, as far as they are known.
///
/// # Errors
/// The call with its items is too long, or exceeds the memory of the client.
pub(super) async fn resolve(
    account: &RequestAccount,
    endpoint: &InferenceEndpoint,
    parsed: ParsedCall,
) -> Result<ParsedCall, Problem> {
    let Some(owner) = owner(account) else { return Ok(parsed) };
    let content = parsed.content.clone();
    let Some(References { previous, items }) =
        worked(account, &parsed.content, move || conversation::references(&content)).await?
    else {
        return Ok(parsed);
    };
    let responses: FxHashSet<u128> = previous.iter().chain(&items).filter_map(|id| conversation::made_by(id)).collect();
    let shared = &account.request.worker().shared;
    let known = shared.conversations.find(owner, responses, shared.responses.shared()).await;
    account.request.read_clock();
    if known.is_empty() {
        return Ok(parsed);
    }
    let content = parsed.content.clone();
    let held = parsed.held.another();
    let called = endpoint.called.clone();
    let changed = worked(account, &parsed.content, move || {
        let Some(body) = with_items(&content, &known)? else { return Ok(None) };
        counted(&called, Bytes::from(body), held).map(Some)
    })
    .await??;
    Ok(changed.unwrap_or(parsed))
}

/// Runs `work`, of a large body on another thread.
async fn worked<T: Send + 'static>(
    account: &RequestAccount,
    content: &Bytes,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    if content.len() <= ON_WORKER_BYTES_MAX { Ok(work()) } else { off_worker(account, work).await }
}

fn with_items(content: &[u8], known: &FxHashMap<u128, Arc<Conversation>>) -> Result<Option<Vec<u8>>, Problem> {
    let of = |id: &str| conversation::made_by(id).and_then(|response| known.get(&response));
    let item = |id: &str| of(id).and_then(|conversation| conversation.item(id));
    let previous = |id: &str| of(id).and_then(|conversation| conversation.items());
    conversation::resolved(content, item, previous).map_err(|_| {
        let message = "the call is longer than 8 MiB with the items that it names: compact the conversation, or send a part of it";
        Problem::new(Refusal::BadRequest, message).of_param(Some("input"))
    })
}
