//! The responses of a cache to its requests.

use access::Refusal;
use http1::KnownName;
use meter::AdmissionInfo;
use thiserror::Error;

use super::super::{ActionResponse, ChangedResponse, RelayedResponse};
use crate::account::RequestAccount;
use crate::account::cache_result::CacheResult;
use crate::bytes::shared_content::SharedContentReader;
use crate::forward::{BorrowedConnection, UpstreamContent, UpstreamResponse, unwritable};
use crate::refusal::problem::Problem;
use crate::upstream::download::Download;
use crate::upstream::response_head::{InvalidHead, RelayedHead};
use crate::worker::response_cache::stored::StoredResponse;
use crate::worker::response_cache::{is_unmodified, selected};

/// Why a response cannot be stored, or sent from the cache.
#[derive(Debug, Clone, Copy, Error)]
pub(super) enum UnsendableResponse {
    #[error("the head of the response cannot be stored")]
    Stored(#[source] InvalidHead),
    #[error("the head of the stored response cannot be updated")]
    Updated(#[source] InvalidHead),
    #[error("the stored response cannot be sent with another status")]
    Selected(#[source] InvalidHead),
    #[error("the beginning of the content is missing")]
    Content,
}

impl From<UnsendableResponse> for Problem {
    fn from(error: UnsendableResponse) -> Self {
        Self::new(Refusal::Internal, "the response cannot be sent from the cache").because(&error)
    }
}

/// Returns the part of a complete response that the request gets.
pub(super) fn response_of(
    account: &mut RequestAccount,
    stored: &StoredResponse,
    result: CacheResult,
) -> Result<ChangedResponse, Problem> {
    account.cache = Some(result);
    let selection = selected(stored, &account.request.head);
    let head = head_of(account, stored, selection.status, selection.range.as_deref())?;
    Ok(ChangedResponse { head, content: selection.content })
}

/// Returns the response that the request gets while its content arrives.
pub(super) fn arriving_response(
    account: &mut RequestAccount,
    arriving: &StoredResponse,
    reader: SharedContentReader,
    admission: AdmissionInfo,
) -> Result<ActionResponse, Problem> {
    account.cache.get_or_insert(CacheResult::Collapsed);
    if is_unmodified(arriving, &account.request.head) {
        let head = head_of(account, arriving, 304, None)?;
        return Ok(ActionResponse::Changed(ChangedResponse { head, content: bytes::Bytes::new() }, admission.rate));
    }
    let head = head_of(account, arriving, arriving.head.status(), None)?;
    account.awaits_content();
    let connection = Some(BorrowedConnection::of_cache(account.request.read_at()));
    let content = Box::new(UpstreamContent { body: Download::Shared(reader), connection });
    Ok(ActionResponse::Relayed(RelayedResponse {
        answered: UpstreamResponse { head, content, translated: None },
        tap: None,
        admission,
    }))
}

/// Returns the head of a response with `Age` and `Cache-Status`.
fn head_of(
    account: &RequestAccount,
    stored: &StoredResponse,
    status: u16,
    range: Option<&str>,
) -> Result<Box<RelayedHead>, Problem> {
    let result = account.cache.unwrap_or(CacheResult::Bypass);
    let now = account.request.wall_at();
    let freshness = stored.freshness();
    let head = stored.head.with_status(status).map_err(UnsendableResponse::Selected)?;
    let mut head = account.request.worker().relayed_heads.take(head);
    head.may_have_trailers = false;
    let edits = &mut head.edits;
    let mut edit = || {
        edits.set_named(b"age", freshness.age(now).to_string().as_bytes())?;
        if let Some(range) = range {
            edits.set(KnownName::ContentRange, range.as_bytes())?;
        }
        edits.append_named(b"cache-status", &status_field(account, result, freshness.fresh_for(now)))
    };
    edit().map_err(unwritable)?;
    Ok(head)
}

/// Returns the item of this cache in `Cache-Status` (RFC 9211).
pub(super) fn status_field(account: &RequestAccount, result: CacheResult, ttl: Option<u64>) -> Vec<u8> {
    let name = account.request.snapshot.process.brand.slug();
    let parameters = result.parameters();
    match ttl {
        Some(ttl) => format!("{name}; {parameters}; ttl={ttl}").into_bytes(),
        None => format!("{name}; {parameters}").into_bytes(),
    }
}
