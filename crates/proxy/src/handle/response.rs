//! The end of a request: a whole response, of the gateway or of an upstream, or one that is relayed as it arrives.

use access::Timestamp;
use ai::translate::ResponseFailure;
use bytes::Bytes;
use http::{Response, StatusCode};
use http1::KnownName;
use meter::Outcome;
use meter::rate::RateLevel;
use meter::result::CALLER_GONE;

use crate::account::RequestAccount;
use crate::action::{ChangedResponse, RelayedResponse, respond};
use crate::body::IncomingBody;
use crate::client::dialect;
use crate::forward::UpstreamResponse;
use crate::handle::cors;
use crate::handle::cors::PageRequest;
use crate::refusal::grpc;
use crate::refusal::limit_items::{LimitItem, LimitItems};
use crate::refusal::problem::Problem;
use crate::refusal::render::Rendering;
use crate::refusal::vendor_fields::Vendor;
use crate::response::ClientResponse;
use crate::response::compression::Compression;
use crate::response::head::{ClientHead, GatewayFields};
use crate::response::relay::Relay;
use crate::response::response_body::Body;
use crate::transform::control_cookies::ControlCookies;
use crate::transform::header_rules::RouteHeaders;
use crate::upstream::response_head::RelayedHead;

/// A complete response, with the state of the client's rate limit, or the limit that has refused the request.
pub(super) struct WholeResponse {
    source: WholeSource,
    /// The status in the log and in counts. That of a refused gRPC call is the one to which its gRPC status corresponds.
    status: StatusCode,
    rate: Option<RateLevel>,
    refused_by: Option<Box<LimitItem>>,
    outcome: Outcome,
}

enum WholeSource {
    /// The gateway has created the response.
    Own(Response<Bytes>),
    /// The response of an upstream, which the route may have changed, or of the cache.
    Changed(ChangedResponse),
}

impl WholeSource {
    fn content(&self) -> &Bytes {
        match self {
            Self::Own(response) => response.body(),
            Self::Changed(changed) => &changed.content,
        }
    }
}

impl WholeResponse {
    pub(super) fn own(response: Response<Bytes>, rate: Option<RateLevel>) -> Self {
        let status = response.status();
        Self { source: WholeSource::Own(response), status, rate, refused_by: None, outcome: Outcome::Completed }
    }

    pub(super) fn changed(account: &RequestAccount, changed: ChangedResponse, rate: Option<RateLevel>) -> Self {
        let status = account.client_status(changed.head.head.status());
        Self { source: WholeSource::Changed(changed), status, rate, refused_by: None, outcome: Outcome::Completed }
    }
}

/// Returns the response to a refused request, in the format that its client reads.
pub(super) fn refuse(account: &mut RequestAccount, mut problem: Problem) -> WholeResponse {
    account.refuse(&mut problem);
    let outcome = problem.outcome;
    let snapshot = &account.request.snapshot;
    let dialect = dialect::dialect(&snapshot.traffic, &account.request.head);
    let refusal = problem.refusal;
    let message = problem.message.clone();
    let refused_by = problem.item.clone();
    let rendering = Rendering {
        dialect,
        quota_status: snapshot.traffic.quota_status,
        user_agent: account.request.head.fields().all(KnownName::UserAgent).next(),
        domain: snapshot.process.brand.slug(),
        now: account.request.wall_at(),
    };
    let response = problem.into_response(rendering, account.request.id);
    if account.request.is_grpc() {
        let status = response.status();
        let response = grpc::response(refusal, &message, &response);
        return WholeResponse { status, refused_by, outcome, ..WholeResponse::own(response, None) };
    }
    let fallback = if is_replaceable(response.status()) { account.policy().fallback.as_deref() } else { None };
    let response = match fallback {
        Some(fallback) => respond::in_place_of(&response, fallback),
        None => response,
    };
    WholeResponse { refused_by, outcome, ..WholeResponse::own(response, None) }
}

/// Whether `routes[].fallback` replaces a response of the gateway with this status.
const fn is_replaceable(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// Ends a request whose response is complete. A small rest of the body is read before a response of the gateway. A connection
/// on which a part of a body is unread cannot receive another request. `page` is the page of control that has sent the request.
pub(super) async fn finish(
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    whole: WholeResponse,
    page: Option<&PageRequest>,
) -> Box<ClientResponse> {
    let WholeResponse { source, status, rate, refused_by, outcome } = whole;
    // The client may read the response late, but nothing else waits for it.
    account.permits.request = None;
    let is_sent = account.attempt.as_ref().map(|attempt| attempt.progress.is_whole());
    let closes = match source {
        WholeSource::Changed(_) => is_sent == Some(false),
        WholeSource::Own(_) => is_sent != Some(true) && !body.discard().await,
    };
    account.set_client_status(if outcome == Outcome::CallerGone { CALLER_GONE } else { status.as_u16() });
    if account.request.head.method_bytes() != b"HEAD" {
        account.count_sent(source.content().len());
    }
    account.finish(outcome, None);
    let now = account.request.worker().shared.clock.now();
    let fields = gateway_fields(account, page, account.reported_limits(rate, refused_by, now), now);
    let (head, content) = match source {
        WholeSource::Changed(changed) => (ClientHead::relayed(changed.head, status, &fields), changed.content),
        WholeSource::Own(response) => ClientHead::own(response, &fields),
    };
    Box::new(ClientResponse { head, body: Body::whole(content), closes }).compressed(Compression::for_request(account))
}

/// Begins to relay an upstream's response. The head of a translated response whose end decides the status waits for that end.
pub(super) async fn relay(
    mut account: Box<RequestAccount>,
    relayed: RelayedResponse,
    page: Option<&PageRequest>,
) -> Box<ClientResponse> {
    let RelayedResponse { answered: UpstreamResponse { mut head, content, translated }, tap, admission } = relayed;
    let received = translated.as_ref().map_or(head.head.status(), |translated| translated.status);
    let mut status = account.client_status(received);
    account.set_client_status(status.as_u16());
    // Nothing reads the rest of the client's body after the response.
    let closes = account.attempt.as_ref().is_some_and(|attempt| attempt.progress.awaits_client());
    let mut now = account.request.wall_at();
    let mut limits = account.reported_limits(admission.rate, None, now);
    let compression = Compression::for_request(&account);
    let waits = translated.as_ref().is_some_and(|translated| translated.waits_for_end());
    let mut relay = Relay::new(content, account, tap, translated);
    if waits {
        relay.until_end().await;
        if let Some(failure) = relay.failure() {
            edit_failed(&mut head, &failure);
            status = relay.account().client_status(failure.status);
        }
        now = relay.account().request.wall_at();
        limits = relay.account().reported_limits(admission.rate, None, now);
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        relay.becomes_tunnel();
    }
    let head = ClientHead::relayed(head, status, &gateway_fields(relay.account(), page, limits, now));
    Box::new(ClientResponse { head, body: Body::relay(relay), closes }).compressed(compression)
}

/// Edits the head of a response whose translation has failed. The edits fail only for names and values that are invalid.
fn edit_failed(head: &mut RelayedHead, failure: &ResponseFailure) {
    const SHOULD_RETRY: &[u8] = b"x-should-retry";
    let _ = head.edits.set(KnownName::ContentType, b"application/json");
    if failure.is_lasting {
        let _ = head.edits.set_named(SHOULD_RETRY, b"false");
    }
}

/// Returns what the gateway adds to the head of a response, and how its route changes it.
fn gateway_fields<'a>(
    account: &'a RequestAccount,
    page: Option<&'a PageRequest>,
    limits: LimitItems,
    now: Timestamp,
) -> GatewayFields<'a> {
    let RequestAccount { request, identity, .. } = account;
    let policy = account.policy();
    let sharing = cors::sharing(page, policy, &request.head);
    let rules = policy.response.as_ref().and_then(|response| response.headers.as_ref());
    let headers = rules.map(|rules| RouteHeaders { rules, request, identity, credentials: None, trust: None });
    let control_cookies = ControlCookies::from_key_prefix(request.snapshot.process.brand.slug());
    let vendor = Vendor::of_format(account.inference.as_ref().and_then(|inference| inference.format));
    GatewayFields { id: request.id_text, limits, vendor, sharing, control_cookies, headers, now }
}
