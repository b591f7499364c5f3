//! The phases of a request in their order. Each phase has its own module.

mod addresses;
pub(crate) mod anonymous;
mod control_paths;
pub(crate) mod cors;
pub(crate) mod exchange;
mod response;
mod start_page;

use std::borrow::Cow;
use std::future::{Future as _, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use access::Refusal;
use access::credentials::api_key::{contains_encoded_key, masked};
use ai::Endpoint;
use bytes::Bytes;
use config::snapshot::{Auth, PathMatch, RoutePolicy, Snapshot};
use http::{HeaderValue, Response, StatusCode, header};
use telemetry::logs::events;

use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::account::client_context::ConnectionContext;
use crate::account::request;
use crate::account::request::RequestContext;
use crate::action::{Action, ActionResponse, cached, forward, inference, models, quotas, respond};
use crate::authenticate::scope;
use crate::authenticate::{authenticate_in_span, required};
use crate::body::IncomingBody;
use crate::body::admit;
use crate::client::head::Head;
use crate::client::key_removal;
use crate::deadlines::RequestDeadlines;
use crate::handle::cors::PageRequest;
use crate::handle::exchange::{Exchange, ReceivedRequest};
use crate::handle::response::WholeResponse;
use crate::handle::start_page::start_page;
use crate::limits::rate_limits;
use crate::limits::rate_limits::leased::count_shared;
use crate::refusal::phase::{EarlyResponse, Phase};
use crate::refusal::problem::Problem;
use crate::refusal::render;
use crate::route;
use crate::route::RouteMatch;
use crate::worker::Worker;

/// Handles the requests of `exchange`, one after the other. Each gets a response. The future of one request is not moved,
/// because it is large.
pub(crate) async fn handle_all(exchange: Rc<Exchange>) {
    loop {
        let ReceivedRequest { at, active, head, body } = exchange.next_request().await;
        let permit = at.worker.shared.capacity.enter().ok();
        let mut body = IncomingBody::new(&head, body);
        let context = RequestContext::new(at, active.deadlines.clone(), head, exchange.interim.clone());
        let mut account = RequestAccount::open(context, permit);
        let id = account.request.id;
        let head = &account.request.head;
        tracing::debug!(event = events::REQUEST_BEGINS, request_id = %id, method = head.method(), path = %shown_path(head, &account.request.snapshot.process.brand.key_prefix), "request begins");
        let page = PageRequest::from_head(head, &account.request.snapshot, &account.request.at);
        let served = {
            let span = tracing::debug_span!("request", request_id = %id);
            let at = account.request.at.clone();
            let deadlines = &active.deadlines;
            let preflight = page.as_ref().and_then(PageRequest::preflight);
            let mut serving = pin!(serve(&mut account, &mut body, &at, preflight));
            poll_fn(|cx| span.in_scope(|| poll_guarded(&at.worker, deadlines, || serving.as_mut().poll(cx)))).await
        };
        let whole = match served {
            Ok(ActionResponse::Relayed(relayed)) => {
                let response = response::relay(account, relayed, page.as_ref()).await;
                exchange.respond(response.with_active_request(active));
                continue;
            }
            Ok(ActionResponse::Changed(changed, rate)) => WholeResponse::changed(&account, changed, rate),
            Ok(ActionResponse::Own(response, rate)) => WholeResponse::own(*response, rate),
            Err(EarlyResponse::Respond(response)) => WholeResponse::own(*response, None),
            Err(EarlyResponse::Refuse(problem)) => response::refuse(&mut account, problem),
        };
        let response = response::finish(&mut account, &mut body, whole, page.as_ref()).await;
        exchange.respond(response.with_active_request(active));
    }
}

/// Calls `poll`. A panic is an internal error. A request that waits when the time of the shutdown is over is refused; at
/// that time, the deadlines have the connection polled.
fn poll_guarded(
    worker: &Worker,
    deadlines: &RequestDeadlines,
    poll: impl FnOnce() -> Poll<Phase<ActionResponse>>,
) -> Poll<Phase<ActionResponse>> {
    match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(Poll::Pending) if deadlines.is_ending() => {
            let message = "this instance is shutting down: send it again";
            Poll::Ready(Err(Problem::new(Refusal::Draining, message).into()))
        }
        Ok(polled) => polled,
        Err(_) => {
            worker.handles.panicked();
            let message = "an internal error occurred; the request id identifies it in the log";
            Poll::Ready(Err(Problem::new(Refusal::Internal, message).into()))
        }
    }
}

/// The phases: check the head, respond to a preflight request, find the route, authenticate the client, and act. An
/// action limits the request itself, because only it knows what the request may use.
async fn serve(
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    at: &ConnectionContext,
    preflight: Option<Endpoint>,
) -> Phase<ActionResponse> {
    let snapshot = account.request.snapshot.clone();
    let head = account.request.head.clone();
    check_head(at, &head, &snapshot)?;
    respond_to_options(account, &snapshot, &head, preflight)?;
    let found = route::find(&snapshot.traffic, &head, at);
    if let Some(status) = own_status(&found)
        && let Some(page) = start_page(&head, &snapshot.process, status, || account.request.client_address())
    {
        return Err(EarlyResponse::Respond(Box::new(page)));
    }
    let RouteMatch { policy, path, auth, key_places, action } =
        found.or_else(|early| elsewhere(early, at, &snapshot, &head))?;
    note_path(account, policy, path);
    account.matched(policy);
    addresses::check(account)?;
    // The backend decides about a call.
    if !(account.is_grpc && matches!(action, Action::Forward(_))) {
        account.bound_whole()?;
    }
    let head = match key_places {
        Some(places) => {
            account.request.head = key_removal::moved(&head, places)
                .ok_or_else(|| Problem::new(Refusal::BadRequest, "the request is invalid without its key"))?;
            account.request.head.clone()
        }
        None => head,
    };
    // Refusals of rate limits are recorded too, so the account needs the format before they apply.
    if let Action::Inference(endpoint) = &action {
        account.inference = Some(endpoint.account());
        account.request.deadlines.end_with_client();
    }
    // A health check has a response although too many requests are in flight.
    let is_health_check = matches!(action, Action::Status);
    if account.permits.request.is_none() && !is_health_check {
        return Err(Problem::new(Refusal::Overloaded, "too many requests are in flight: try again soon").into());
    }
    // A probe must not fail because of other clients.
    let is_probe = Arc::ptr_eq(policy, &snapshot.traffic.built_in.health);
    let is_limited = !is_probe && !snapshot.traffic.rate_limits.is_empty();
    let client = {
        let phases = pin!(identify(account, policy, auth, is_limited));
        anonymous::identified(phases, at, || request::client_address(&at.peer, &snapshot, &head)).await?
    };
    if account.permits.subject.is_none() && !is_health_check {
        anonymous::enter(account)?;
    }
    if policy.is_restrictable
        && let Some(client) = client.as_ref()
    {
        scope::check_route(&client.principal.bounds, &policy.name)?;
    }
    let client = client.as_ref();
    if is_limited {
        let waiting = rate_limits::after_authentication(account, &policy.rate_limits, client)?;
        if !waiting.is_empty() {
            Box::pin(count_shared(account, waiting)).await?;
        }
    }
    check_forwards(&head, &action)?;
    Ok(match action {
        // Boxed, because its future is large and other requests do not need it.
        Action::Forward(to) if to.is_cached() => Box::pin(cached::respond(to, account, body, client)).await?,
        Action::Forward(to) if cached::may_change_stored(&account.request) => {
            Box::pin(cached::forward_change(to, account, body, client)).await?
        }
        Action::Forward(to) => forward::forward_to(to, account, body, client, None).await?,
        Action::Respond(fixed) => respond::respond(respond::fixed(fixed), account, client).await?,
        Action::Redirect(to) => respond::redirect_to(to, account, client).await?,
        Action::Status => ActionResponse::Own(Box::new(render::json(br#"{"status":"ok"}"#.to_vec())), None),
        Action::Quotas(form) => quotas::quotas(form, account, required(client)?).await?,
        Action::Models(called) => models::models(&called, account, required(client)?).await?,
        // Boxed, because its future is large and other requests do not need it.
        Action::Inference(endpoint) => Box::pin(inference::infer(&endpoint, account, body, required(client)?)).await?,
    })
}

/// Counts the request in the limits that need no client, and authenticates its client.
async fn identify(
    account: &mut RequestAccount,
    policy: &RoutePolicy,
    auth: &Auth,
    is_limited: bool,
) -> Phase<Option<Client>> {
    if is_limited {
        let waiting = rate_limits::before_authentication(account, &policy.rate_limits)?;
        if !waiting.is_empty() {
            // Boxed, because its future is large and other requests do not need it.
            Box::pin(count_shared(account, waiting)).await?;
        }
    }
    authenticate_in_span(account, auth).await
}

/// Refuses a request for a host whose certificate is another than that of the connection (RFC 9110, 7.4).
fn check_host(at: &ConnectionContext, head: &Head) -> Result<(), Problem> {
    if at.server_name.as_ref().is_some_and(|name| name.excludes(head.host())) {
        return Err(misdirected());
    }
    Ok(())
}

/// Refuses what the head alone shows: violations, another host than that of the connection, and a key in the path.
fn check_head(at: &ConnectionContext, head: &Head, snapshot: &Snapshot) -> Result<(), Problem> {
    admit::check_head(head, &snapshot.traffic.sizes)?;
    check_host(at, head)?;
    check_path(head, &snapshot.process.brand.key_prefix)
}

/// Records the path of the route for the span of the request, if it has one.
fn note_path(account: &RequestAccount, policy: &RoutePolicy, path: Option<&PathMatch>) {
    if let Some(spans) = &account.request.spans {
        spans.match_path(path.map_or_else(|| policy.name.to_string(), ToString::to_string));
    }
}

/// Returns the path without keys, for the log.
fn shown_path<'a>(head: &'a Head, prefix: &str) -> Cow<'a, str> {
    masked(head.path(), prefix)
}

/// Refuses a key in the path, which an upstream and the logs on the way to it would learn.
fn check_path(head: &Head, prefix: &str) -> Result<(), Problem> {
    if !contains_encoded_key(head.path().as_bytes(), prefix) {
        return Ok(());
    }
    Err(Problem::new(Refusal::BadRequest, "the path contains a key of this gateway: send it as a header"))
}

/// Refuses a request without a route, whose host may have routes of other listeners than that of the connection.
fn elsewhere<T>(early: EarlyResponse, at: &ConnectionContext, snapshot: &Snapshot, head: &Head) -> Phase<T> {
    let is_elsewhere = at.server_name.is_some() && snapshot.traffic.router.is_host_elsewhere(head.host(), at.listener);
    let client_address = || request::client_address(&at.peer, snapshot, head);
    if is_elsewhere {
        return Err(misdirected().into());
    }
    Err(control_paths::name_control(early, head.path(), &snapshot.process, client_address))
}

fn misdirected() -> Problem {
    let message = "this connection belongs to another host: open another connection for this host";
    Problem::new(Refusal::MisdirectedRequest, message)
}

/// Responds to OPTIONS for the gateway itself (RFC 9110, 9.3.7).
fn capabilities() -> Response<Bytes> {
    const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    let mut response = Response::new(Bytes::new());
    response.headers_mut().insert(header::ALLOW, ALLOW);
    response
}

/// Responds to a request of which the gateway is the last recipient (RFC 9110, 7.6.2). A TRACE request is not repeated to its
/// client, because it may have credentials.
fn check_forwards(head: &Head, action: &Action<'_>) -> Phase<()> {
    if head.max_forwards() != Some(0) || !matches!(action, Action::Forward(_)) {
        return Ok(());
    }
    if head.method_bytes() == b"OPTIONS" {
        return Err(EarlyResponse::Respond(Box::new(capabilities())));
    }
    let message = "this gateway does not respond to TRACE, and `Max-Forwards: 0` lets no other server do so";
    Err(Problem::new(Refusal::MethodNotAllowed, message).allowing("").into())
}

/// Responds to OPTIONS for the gateway itself, and to a preflight request: one of a page of control to `endpoint`, or one to
/// a route.
fn respond_to_options(
    account: &mut RequestAccount,
    snapshot: &Snapshot,
    head: &Head,
    endpoint: Option<Endpoint>,
) -> Phase<()> {
    let response = if head.is_about_server() {
        capabilities()
    } else if let Some(endpoint) = endpoint {
        account.matched(snapshot.traffic.built_in.of_endpoint(endpoint));
        cors::preflight_response()
    } else if let Some((policy, response)) = cors::preflight_of_route(&snapshot.traffic, head, &account.request.at) {
        account.matched(policy);
        addresses::check(account)?;
        response
    } else {
        return Ok(());
    };
    Err(EarlyResponse::Respond(Box::new(response)))
}

/// Returns the status of the response to a request that belongs to no route and to no LLM API.
fn own_status(found: &Phase<RouteMatch<'_>>) -> Option<StatusCode> {
    match found {
        Ok(RouteMatch { action: Action::Status, .. }) => Some(StatusCode::OK),
        Err(EarlyResponse::Refuse(problem)) if problem.refusal == Refusal::RouteNotFound => Some(StatusCode::NOT_FOUND),
        _ => None,
    }
}
