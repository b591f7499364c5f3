//! A request that fills its key: its response is stored if it may be.

use std::sync::Arc;

use access::refusal::Side;
use access::{Subject, Timestamp};
use bytes::Bytes;
use config::snapshot::Auth;
use config::snapshot::credentials::KEY_HEADERS;
use http1::KnownName;
use meter::rate::RateLevel;

use super::super::forward::{FillEdits, ForwardedRoute, forward_to, is_event_stream};
use super::super::{ActionResponse, ChangedResponse, RelayedResponse};
use super::arrival::{ArrivingContent, Received, read_available};
use super::request::{CachedRequest, varies_by_own_field};
use super::response::{UnsendableResponse, arriving_response, response_of, status_field};
use crate::account::RequestAccount;
use crate::account::cache_result::CacheResult;
use crate::account::client::Client;
use crate::body::IncomingBody;
use crate::bytes::shared_content::{ContentEnd, SharedContent};
use crate::capacity::DetachedPermit;
use crate::forward::{UpstreamResponse, unwritable};
use crate::refusal::problem::Problem;
use crate::transform::withholds_authorization;
use crate::upstream::response_head::{RelayedHead, UpstreamHead};
use crate::worker::response_cache::fill::RunningFill;
use crate::worker::response_cache::freshness::{ExchangeFacts, Freshness, judge};
use crate::worker::response_cache::stored::{ArrivingResponse, StoredResponse, stored_head, tags_of, updated_head};

/// A request that fills its key.
pub(super) struct Filling {
    pub(super) request: CachedRequest,
    pub(super) fill: RunningFill,
    /// The stored response that is no longer fresh.
    pub(super) stale: Option<Arc<StoredResponse>>,
    /// The place of a request without a client, for content that arrives slowly.
    pub(super) place: Option<DetachedPermit>,
}

/// The parts of a stored response besides its head and its content.
struct Storable {
    freshness: Freshness,
    tags: Box<[Box<[u8]>]>,
}

impl Filling {
    /// Forwards the request, and returns its response.
    pub(super) async fn forward(
        self,
        to: ForwardedRoute<'_>,
        account: &mut RequestAccount,
        body: &mut IncomingBody,
        client: Option<&Client>,
    ) -> Result<ActionResponse, Problem> {
        account.is_filling = true;
        account.cache = Some(if self.stale.is_some() { CacheResult::Expired } else { CacheResult::Miss });
        let requested_at = account.request.wall_at();
        let validated = self.stale.as_deref().filter(|stale| stale.has_validator());
        let edits = FillEdits {
            etag: validated.and_then(|stale| stale.value(b"etag")).map(<[u8]>::to_vec),
            last_modified: validated.and_then(|stale| stale.value(b"last-modified")).map(<[u8]>::to_vec),
        };
        let forwarded = forward_to(to, account, body, client, Some(&edits)).await;
        if let Some(stale) = &self.stale
            && stale.freshness().allows_stale_on_error(account.request.wall_at())
            && has_failed(&forwarded)
        {
            let rate = rate_of(&forwarded);
            let stale = stale.clone();
            let response = response_of(account, &stale, CacheResult::Stale)?;
            self.fill.complete_stale(stale);
            return Ok(ActionResponse::Changed(response, rate));
        }
        match forwarded {
            Ok(ActionResponse::Relayed(relayed)) => self.received(account, relayed, requested_at),
            Ok(ActionResponse::Changed(changed, rate)) => self.changed(account, changed, rate, requested_at),
            Ok(handled @ ActionResponse::Own(..)) => {
                self.fill.fail();
                Ok(handled)
            }
            Err(problem) => {
                self.fill.fail();
                Err(problem)
            }
        }
    }

    /// Stores a response of the upstream, or forwards it.
    fn received(
        self,
        account: &mut RequestAccount,
        relayed: RelayedResponse,
        requested_at: Timestamp,
    ) -> Result<ActionResponse, Problem> {
        let rate = relayed.admission.rate;
        let RelayedResponse { answered: UpstreamResponse { head, mut content, translated }, tap, admission } = relayed;
        let received_at = account.request.wall_at();
        if head.head.status() == 304
            && let Some(stale) = self.stale.clone()
        {
            // The response has no content, so this only gives the connection back.
            drop(read_available(&mut content, 0, account.request.read_at()));
            return self
                .revalidated(account, &stale, &head, requested_at)
                .map(|own| ActionResponse::Changed(own, rate));
        }
        let storable = self.judged(account, &head.head, requested_at);
        let bytes_max = self.request.entry_bytes_max();
        let announced = content.body_length();
        let storable = match storable {
            Some(storable) if announced.is_none_or(|bytes| bytes <= bytes_max) => storable,
            Some(_) | None => {
                self.unstored(account, &head.head, requested_at);
                let answered = UpstreamResponse { head, content, translated };
                return forwarded(account, RelayedResponse { answered, tap, admission });
            }
        };
        let pieces = match read_available(&mut content, bytes_max, account.request.read_at()) {
            Received::Whole(whole) => {
                let head = stored_head(&head, u64::try_from(whole.len()).ok(), received_at);
                let head = head.map_err(UnsendableResponse::Stored)?;
                let stored = self.fill.store(storable.response(account, head, whole));
                let result = account.cache.unwrap_or(CacheResult::Miss);
                return Ok(ActionResponse::Changed(response_of(account, &stored, result)?, rate));
            }
            Received::Part(pieces) => (pieces, None),
            Received::Aborted(pieces) => (pieces, Some(ContentEnd::Aborted)),
        };
        let shared = SharedContent::new(announced);
        let (pieces, end) = pieces;
        pieces.into_iter().for_each(|piece| shared.push(piece));
        let arriving_head = stored_head(&head, announced, received_at).map_err(UnsendableResponse::Stored)?;
        let response = storable.response(account, arriving_head, Bytes::new());
        let arriving = Arc::new(ArrivingResponse { response, content: shared });
        let reader = arriving.content.reader().ok_or(UnsendableResponse::Content)?;
        let handled = arriving_response(account, &arriving.response, reader, admission);
        if let Some(end) = end {
            arriving.content.end(end);
            self.fill.fail();
            return handled;
        }
        self.fill.arrives(arriving.clone());
        let Storable { freshness, tags } = storable;
        let request = account.request.head.clone();
        let head = *head;
        let complete = move |content: Bytes| {
            let head = stored_head(&head, u64::try_from(content.len()).ok(), received_at).ok()?;
            Some(StoredResponse::new(head, content, freshness, &request, tags))
        };
        let request = account.request.head.clone();
        ArrivingContent { content, arriving, fill: self.fill, place: self.place, request, bytes_max }
            .store(account, complete);
        handled
    }

    /// Stores a response whose body the route has changed.
    fn changed(
        self,
        account: &mut RequestAccount,
        changed: ChangedResponse,
        rate: Option<RateLevel>,
        requested_at: Timestamp,
    ) -> Result<ActionResponse, Problem> {
        let ChangedResponse { mut head, content } = changed;
        let received_at = account.request.wall_at();
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let stored = self.judged(account, &head.head, requested_at);
        let stored = if length <= self.request.entry_bytes_max() { stored } else { None };
        if let Some(storable) = stored
            && let Ok(head) = stored_head(&head, Some(length), received_at)
        {
            // The copy does not hold the memory that the client has for bodies.
            let stored = self.fill.store(storable.response(account, head, Bytes::copy_from_slice(&content)));
            let result = account.cache.unwrap_or(CacheResult::Miss);
            return Ok(ActionResponse::Changed(response_of(account, &stored, result)?, rate));
        }
        self.unstored(account, &head.head, requested_at);
        let result = account.cache.unwrap_or(CacheResult::Miss);
        head.edits.append_named(b"cache-status", &status_field(account, result, None)).map_err(unwritable)?;
        Ok(ActionResponse::Changed(ChangedResponse { head, content }, rate))
    }

    /// Updates the stored response that the upstream has confirmed, and returns what the request gets of it.
    fn revalidated(
        self,
        account: &mut RequestAccount,
        stale: &StoredResponse,
        confirmation: &RelayedHead,
        requested_at: Timestamp,
    ) -> Result<ChangedResponse, Problem> {
        let received_at = account.request.wall_at();
        let head = updated_head(stale, confirmation, received_at).map_err(UnsendableResponse::Updated)?;
        let content = stale.content.clone();
        let stored = match self.judged(account, &head, requested_at) {
            Some(Storable { freshness, tags }) => {
                let freshness = freshness.confirmed_by(confirmation.head.fields());
                let storable = Storable { freshness, tags };
                self.fill.store(storable.response(account, head, content))
            }
            None => {
                // The update has made it a response that may not be stored. This request still gets it.
                self.unstored(account, &head, requested_at);
                let storable = Storable { freshness: stale.freshness(), tags: Box::default() };
                Arc::new(storable.response(account, head, content))
            }
        };
        response_of(account, &stored, CacheResult::Revalidated)
    }

    /// Ends the fill with a response that is not stored. It replaces the stored one, unless the upstream could not respond
    /// (RFC 9111, 4.3.3), or only the credential or the cookie of this request forbids the storage.
    fn unstored(self, account: &RequestAccount, head: &UpstreamHead, requested_at: Timestamp) {
        let facts = self.facts(account, head, requested_at);
        // A response that may be stored is too large.
        let is_large = self.storable(&facts).is_some();
        let is_own = facts.has_foreign_credential
            || self.storable(&ExchangeFacts { ttl: self.request.rules.ttl, ..facts }).is_some();
        if (is_large || !is_own) && !matches!(head.status(), 429 | 500..) {
            self.fill.forget(&account.request.head);
        }
        self.fill.uncacheable(account.request.wall_at());
    }

    /// Returns the rules of a response that may be stored; `None` for any other one.
    fn judged(&self, account: &RequestAccount, head: &UpstreamHead, requested_at: Timestamp) -> Option<Storable> {
        if varies_by_own_field(account, &self.request.rules, head.fields()) {
            return None;
        }
        self.storable(&self.facts(account, head, requested_at))
    }

    fn facts<'a>(
        &self,
        account: &RequestAccount,
        head: &'a UpstreamHead,
        requested_at: Timestamp,
    ) -> ExchangeFacts<'a> {
        let request = account.request.head.fields();
        let auth = &account.policy().auth;
        let has_token = account.identity.token.is_some();
        // Without authentication, the key of the cache has no identity, whatever the upstream gets.
        let is_withheld = !matches!(auth, Auth::None) && withholds_authorization(request, auth.withheld(), has_token);
        // The upstream may respond to a cookie, or to a key that is not of this gateway. Only it knows whether the response is for
        // all.
        let is_anonymous = matches!(account.identity.subject, Subject::Anonymous { .. });
        let has_key = is_anonymous && KEY_HEADERS.into_iter().any(|name| request.get(name).is_some());
        let is_personal = has_key || request.get(KnownName::Cookie).is_some();
        ExchangeFacts {
            status: head.status(),
            fields: head.fields(),
            requested_at,
            received_at: account.request.wall_at(),
            ttl: if is_personal { None } else { self.request.rules.ttl },
            has_foreign_credential: !is_withheld && request.get(KnownName::Authorization).is_some(),
        }
    }

    fn storable(&self, facts: &ExchangeFacts<'_>) -> Option<Storable> {
        let fields = facts.fields;
        if fields.get(KnownName::ContentType).is_some_and(is_event_stream) {
            return None;
        }
        let freshness = judge(facts)?;
        let tags = match &self.request.rules.tags {
            Some(name) => tags_of(fields, name)?,
            None => Box::default(),
        };
        Some(Storable { freshness, tags })
    }
}

impl Storable {
    fn response(&self, account: &RequestAccount, head: UpstreamHead, content: Bytes) -> StoredResponse {
        StoredResponse::new(head, content, self.freshness, &account.request.head, self.tags.clone())
    }
}

/// Returns a response that is forwarded as it arrives.
fn forwarded(account: &RequestAccount, mut relayed: RelayedResponse) -> Result<ActionResponse, Problem> {
    let result = account.cache.unwrap_or(CacheResult::Miss);
    let item = status_field(account, result, None);
    relayed.answered.head.edits.append_named(b"cache-status", &item).map_err(unwritable)?;
    Ok(ActionResponse::Relayed(relayed))
}

/// Whether the upstream has failed, so that a stale response may be used (RFC 5861, 4).
fn has_failed(forwarded: &Result<ActionResponse, Problem>) -> bool {
    let is_failure = |status: u16| matches!(status, 500 | 502..=504);
    match forwarded {
        Ok(ActionResponse::Relayed(relayed)) => is_failure(relayed.answered.head.head.status()),
        Ok(ActionResponse::Changed(changed, _)) => is_failure(changed.head.head.status()),
        Ok(ActionResponse::Own(..)) => false,
        Err(problem) => problem.refusal.side() == Side::Upstream,
    }
}

fn rate_of(forwarded: &Result<ActionResponse, Problem>) -> Option<RateLevel> {
    match forwarded {
        Ok(ActionResponse::Relayed(relayed)) => relayed.admission.rate,
        Ok(ActionResponse::Own(_, rate) | ActionResponse::Changed(_, rate)) => *rate,
        Err(_) => None,
    }
}
