//! The action of an ordinary route: the body is streamed to its upstream without being parsed.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::credentials::api_key::contains_encoded_key;
use access::{Refusal, contains_key};
use config::snapshot::{
    Action, BodyChanges, ForwardedFields, HeaderRules, RetryRules, Route, RoutePolicy, Split, Upstream, UpstreamChanges,
};
use http1::{HeadEdits, InvalidPart, KnownName};
use meter::{AdmissionInfo, Charge, Measure};

use super::hash_key::hash_key;
use super::limit::limit;
use super::rewrite::rewritten;
use super::{ActionResponse, RelayedResponse, changed_body, tunnel};
use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::account::request::RequestContext;
use crate::body::IncomingBody;
use crate::body::kept::KeptBody;
use crate::body::upload::Upload;
use crate::forward::{Outgoing, RepeatableBody, RetryPolicy, UpstreamResponse, forward, undirected, unwritable};
use crate::refusal::problem::Problem;
use crate::transform::control_cookies::ControlCookies;
use crate::transform::credentials::HeaderCredentials;
use crate::transform::header_rules::RouteHeaders;
use crate::transform::{ForwardedClient, ForwardingOptions, Receiver, RequestEdits};
use crate::upstream::SWITCHING_PROTOCOLS;
use crate::upstream::destination::Destination;
use crate::upstream::destinations::ChosenDestination;
use crate::upstream::outgoing::{OutgoingHead, OutgoingTarget};

/// A route with its upstream.
pub(crate) struct ForwardedRoute<'a> {
    pub(crate) route: &'a Arc<Route>,
    pub(crate) upstream: RouteUpstream<'a>,
}

/// The upstream of a route, or several of which each request gets one.
#[derive(Clone, Copy)]
pub(crate) enum RouteUpstream<'a> {
    One(&'a Arc<Upstream>),
    Split(&'a Split),
}

/// The edits of a request whose response fills a key of the cache: the upstream responds with the whole response, or confirms
/// the stored one.
pub(crate) struct FillEdits {
    /// The tag of the stored response.
    pub(super) etag: Option<Vec<u8>>,
    /// The time of the last modification of the stored response.
    pub(super) last_modified: Option<Vec<u8>>,
}

impl FillEdits {
    fn apply(&self, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
        for (name, value) in [(&b"if-none-match"[..], &self.etag), (b"if-modified-since", &self.last_modified)] {
            match value {
                Some(value) => edits.set_named(name, value)?,
                None => edits.remove_named(name)?,
            }
        }
        Ok(())
    }
}

impl<'a> ForwardedRoute<'a> {
    /// Returns a route with its upstream; `None` if it has none.
    pub(crate) fn from_route(route: &'a Arc<Route>) -> Option<Self> {
        let upstream = match &route.action {
            Action::Forward(upstream) => RouteUpstream::One(upstream),
            Action::Split(split) => RouteUpstream::Split(split),
            Action::Respond(_) | Action::Redirect(_) => return None,
        };
        Some(Self::to(route, upstream))
    }

    /// Returns the changes of the headers of its requests: those of the route, and those of each of its upstreams.
    pub(super) fn request_headers(&self) -> impl Iterator<Item = &HeaderRules> {
        let split = match self.upstream {
            RouteUpstream::One(_) => None,
            RouteUpstream::Split(split) => Some(split),
        };
        let changes = split.into_iter().flat_map(|split| &split.upstreams).filter_map(|part| part.changes.as_deref());
        let policies = std::iter::once(&self.route.policy).chain(changes.map(|changes| &changes.policy));
        policies.filter_map(|policy| policy.request_headers.as_deref())
    }

    /// Returns a route with this upstream.
    pub(crate) const fn to(route: &'a Arc<Route>, upstream: RouteUpstream<'a>) -> Self {
        Self { route, upstream }
    }

    /// Whether the route stores responses.
    pub(crate) fn is_cached(&self) -> bool {
        self.route.policy.cache.is_some()
    }
}

/// Forwards the request to the upstream of its route. `fill` is present if its response may fill the cache.
pub(crate) async fn forward_to(
    to: ForwardedRoute<'_>,
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    client: Option<&Client>,
    fill: Option<&FillEdits>,
) -> Result<ActionResponse, Problem> {
    let ForwardedRoute { route, upstream } = to;
    let policy = &route.policy;
    check_key_places(&account.request)?;
    let upgrades = route.websocket && tunnel::is_requested(&account.request.head, body);
    if upgrades {
        tunnel::check(&account.request.head)?;
        account.permits.tunnel = Some(tunnel::permit(account)?);
    }
    let admission = admit(account, client, policy).await?;
    let (upstream, changes) = choose(account, upstream)?;
    let rewrite = match changes {
        None => &route.rewrite,
        Some(changes) => {
            account.use_upstream_policy(&changes.policy);
            &changes.rewrite
        }
    };
    let changed_request = match account.policy().request_body.clone() {
        // Boxed, because few requests need it.
        Some(changes) => Box::pin(changed_request(account, body, &changes)).await?,
        None => None,
    };
    let request = &account.request;
    let key = hash_key(&upstream.strategy, account);
    let chosen = request.snapshot.destinations.of_upstream(upstream, key, request.read_at()).map_err(undirected)?;
    let is_call = account.is_grpc && receives_call(account, &chosen)?;
    let ChosenDestination { destination, group } = chosen;
    let to = EditedRequest { destination: &destination, upstream, upgrades };
    let mut edits = edits(account, to, fill)?;
    let (mut upload, progress) = match &changed_request {
        Some(changed) => {
            changed.edit(&mut edits).map_err(unwritable)?;
            Upload::segments([changed.content.clone()], account.request.begun)
        }
        None => {
            let bytes_max = policy.body_bytes_max(account.request.snapshot.traffic.sizes.body_bytes_max);
            Upload::stream(body.take(), bytes_max, account.request.begun)
        }
    };
    upload.guard(&account.request.snapshot.traffic.claim_headers);
    if is_call {
        upload.bound_messages();
    }
    let retry = upstream.retry.as_ref().map(|rules| match changed_request {
        Some(changed) => RetryPolicy { rules: rules.clone(), body: RepeatableBody::Whole(changed.content) },
        None => retry_policy(account, rules, &mut upload),
    });
    let request = &account.request;
    let head = request.head.clone();
    let target = match rewrite {
        None => OutgoingTarget::Received { prefix_len: 0 },
        Some(rewrite) => rewritten(rewrite, &head)?,
    };
    let repeatable = head.is_idempotent();
    let head = OutgoingHead { head, edits, target, origin: destination.pool.target.clone(), upgrades };
    let mut outgoing = Outgoing { head, group, key, progress, repeatable, retry };
    let mut answered = forward(account, &mut outgoing, destination, upload).await?;
    account.request.worker().buffers.give_back_lines(outgoing.head.edits.into_memory());
    if answered.head.head.status() == SWITCHING_PROTOCOLS {
        tunnel::open(account, body, &mut answered)?;
    }
    if answered.head.head.fields().get(KnownName::ContentType).is_some_and(is_event_stream) {
        account.becomes_stream(Duration::MAX);
    }
    account.note_response_head(answered.head.head.status(), None);
    let Some(changes) = account.policy().response_body.clone() else {
        return Ok(ActionResponse::Relayed(RelayedResponse { answered, tap: None, admission }));
    };
    // Boxed, because few requests need it.
    Box::pin(changed(account, answered, &changes, admission)).await
}

/// Whether each backend receives a call of gRPC as one: a retry may meet any of them. Otherwise, the call has the bounds of
/// other requests.
fn receives_call(account: &mut RequestAccount, chosen: &ChosenDestination) -> Result<bool, Problem> {
    let is_call = !chosen.may_be_http1();
    if !is_call {
        account.bound_whole()?;
    }
    Ok(is_call)
}

/// Reserves the credits of a request.
async fn admit(
    account: &mut RequestAccount,
    client: Option<&Client>,
    policy: &RoutePolicy,
) -> Result<AdmissionInfo, Problem> {
    // A request of the gateway itself costs nobody anything.
    let charge = if account.is_background { Charge::default() } else { Charge::credits(policy.credits) };
    let admission = limit(account, client, Some(charge)).await?;
    if !charge.credits.is_zero() && account.is_limited(Measure::Credits) {
        if account.leaves_a_row() {
            account.open_record(charge).await?;
        } else {
            account.prelog(charge.credits).await?;
        }
    }
    Ok(admission)
}

/// Returns the changed body of a request, if it has one.
async fn changed_request(
    account: &RequestAccount,
    body: &mut IncomingBody,
    changes: &Arc<BodyChanges>,
) -> Result<Option<changed_body::ChangedRequest>, Problem> {
    let since = account.request.phase_begins();
    let changed = changed_body::of_request(account, body, changes).await?;
    account.request.phase_ends("transform", since);
    Ok(changed)
}

/// Returns a response whose body the route changes, if it has one.
async fn changed(
    account: &RequestAccount,
    mut answered: UpstreamResponse,
    changes: &Arc<BodyChanges>,
    admission: AdmissionInfo,
) -> Result<ActionResponse, Problem> {
    changed_body::edit_head(&mut answered.head)?;
    if !changed_body::has_content(&account.request.head, &answered) {
        return Ok(ActionResponse::Relayed(RelayedResponse { answered, tap: None, admission }));
    }
    let since = account.request.phase_begins();
    let changed = changed_body::of_response(account, answered, changes).await?;
    account.request.phase_ends("transform", since);
    Ok(ActionResponse::Changed(changed, admission.rate))
}

/// Returns the rules of retries with the body, which is kept for them as it is sent.
fn retry_policy(account: &RequestAccount, rules: &Arc<RetryRules>, upload: &mut Upload) -> RetryPolicy {
    let body = if upload.is_empty() {
        RepeatableBody::Empty
    } else {
        let held = account.request.worker().shared.capacity.hold(&account.identity.subject);
        let kept = Rc::new(KeptBody::new(rules.body_bytes_max, held));
        upload.keep(kept.clone());
        RepeatableBody::Kept(kept)
    };
    RetryPolicy { rules: rules.clone(), body }
}

/// Whether a content type is that of server-sent events.
pub(super) fn is_event_stream(content_type: &[u8]) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    content_type.get(..EVENT_STREAM.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM))
}

/// The destination of a request, and whether the request asks for a WebSocket.
#[derive(Clone, Copy)]
struct EditedRequest<'a> {
    destination: &'a Destination,
    upstream: &'a Upstream,
    upgrades: bool,
}

/// Returns the edits of the request to a destination.
fn edits(account: &RequestAccount, to: EditedRequest<'_>, fill: Option<&FillEdits>) -> Result<HeadEdits, Problem> {
    let EditedRequest { destination, upstream, upgrades } = to;
    let request = &account.request;
    let policy = account.policy();
    let since = policy.request_headers.as_ref().and_then(|_| request.phase_begins());
    let is_trusted = request.is_peer_trusted();
    let withheld = policy.auth.withheld();
    let credentials = match &policy.request_headers {
        Some(rules) => {
            HeaderCredentials::from_rules(rules, &request.worker().shared.upstream_credentials, &upstream.name)?
        }
        None => None,
    };
    let trust = account.trust_rule();
    let client = ForwardedClient {
        origin: &request.origin(is_trusted),
        host: policy.upstream_host.host_for(request.head.host(), &destination.pool.origin),
        options: forwarding_options(request, is_trusted),
        id_text: request.id_text.as_bytes(),
        upgrades,
        withheld,
        control_cookies: ControlCookies::from_key_prefix(request.snapshot.process.brand.slug()),
        trust,
        token: account.identity.token.as_deref(),
        service: account.identity.service.as_deref(),
        headers: policy.request_headers.as_deref().map(|rules| RouteHeaders {
            rules,
            request,
            identity: &account.identity,
            credentials: credentials.as_ref(),
            trust: Some(&trust),
        }),
    };
    let receiver = Receiver::Upstream(client);
    let edits = RequestEdits { trace: request.trace(), destination: &destination.edits, receiver };
    let mut edits = edits.head_edits(&request.head, request.worker().buffers.take_lines()).map_err(unwritable)?;
    if policy.response_body.is_some() {
        changed_body::asks_for_whole(&mut edits).map_err(unwritable)?;
    }
    if let Some(fill) = fill {
        fill.apply(&mut edits).map_err(unwritable)?;
    }
    request.phase_ends("transform", since);
    Ok(edits)
}

/// Refuses a key in the query or in a cookie, on routes without authentication too: it would reach the upstream, and the logs
/// on its way.
fn check_key_places(request: &RequestContext) -> Result<(), Problem> {
    let head = &request.head;
    let prefix = &request.snapshot.process.brand.key_prefix;
    let place = if head.query().is_some_and(|query| contains_encoded_key(query.as_bytes(), prefix)) {
        "the query"
    } else if head.fields().all(KnownName::Cookie).any(|cookie| contains_key(cookie, prefix)) {
        "a cookie"
    } else {
        return Ok(());
    };
    let message =
        format!("{place} contains a key of this gateway, which the upstream would learn: send it as a header");
    Err(Problem::new(Refusal::BadRequest, message))
}

/// Returns the upstream that gets an admitted request, with its own changes.
fn choose<'a>(
    account: &RequestAccount,
    upstream: RouteUpstream<'a>,
) -> Result<(&'a Arc<Upstream>, Option<&'a UpstreamChanges>), Problem> {
    match upstream {
        RouteUpstream::One(only) => Ok((only, None)),
        RouteUpstream::Split(split) => {
            let chosen = account.request.snapshot.destinations.next_of(split);
            let chosen = chosen.ok_or_else(|| Problem::new(Refusal::Internal, "the route has no upstream"))?;
            Ok((&chosen.upstream, chosen.changes.as_deref()))
        }
    }
}

/// Returns the configured fields of requests to upstreams.
fn forwarding_options(request: &RequestContext, is_trusted: bool) -> ForwardingOptions<'_> {
    let traffic = &request.snapshot.traffic;
    let via = traffic.via.then(|| [request.protocol(), request.snapshot.process.brand.slug()]);
    let keeps_received = is_trusted && traffic.forwarded != ForwardedFields::Replace;
    let forwarded = traffic.forwarded == ForwardedFields::AppendBoth;
    ForwardingOptions { forwarded, keeps_received, via }
}
