//! The steps of a request in their order. Each step has its own file.

use std::future::{Future as _, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use access::{KeyBounds, Refusal};
use ai::tap::Framing;
use ai::{Dialect, Endpoint, EndpointCall, Tap};
use bytes::Bytes;
use config::snapshot::{Auth, Events, Route};
use http::{HeaderValue, Response, header};
use http1::{InvalidPart, KnownName};
use meter::rate::RateLevel;
use meter::{AdmissionInfo, Charge, Measure, Outcome, Reservation};

use crate::answer::{self, Problem, Rendering};
use crate::body::IncomingBody;
use crate::capacity::CallBound;
use crate::client::RequestBody;
use crate::client_context::ConnectionContext;
use crate::cors::{self, PageRequest};
use crate::exchange::Exchange;
use crate::forward::{Outgoing, UpstreamResponse, forward};
use crate::head::Head;
use crate::inference::{self, Inference, InferenceRequest};
use crate::relay::{Relay, TappedResponse};
use crate::response::{ClientResponse, GatewayFields};
use crate::response_body::Body;
use crate::route::RouteMatch;
use crate::transform::{ForwardedClient, ProviderTarget, Trust};
use crate::upload::Upload;
use crate::upstream::outgoing::{OutgoingHead, OutgoingTarget};
use crate::{admit, budget, credential, identify, route, scope, transform};

/// The response to a request.
enum HandledResponse {
    /// A response that the gateway created, with the state of the client's rate limit.
    Ours(Response<Bytes>, Option<RateLevel>),
    /// An upstream's response, which is to be relayed.
    Theirs(RelayedResponse),
}

/// An upstream's response, with what relaying it needs.
struct RelayedResponse {
    answered: UpstreamResponse,
    tap: Option<Box<TappedResponse>>,
    standing: AdmissionInfo,
}

/// Serves one request. The result is always a response.
pub(crate) async fn handle(at: Rc<ConnectionContext>, head: Head, body: RequestBody) -> ClientResponse {
    let busy = at.deadlines.begin();
    let permit = at.worker.shared.capacity.enter();
    let body = IncomingBody::new(&head, body);
    let mut exchange = Exchange::begin(&at, Rc::new(head), body);
    let head = &exchange.head;
    tracing::debug!(request_id = %exchange.id, method = head.method(), path = head.path(), "request begins");
    let from_page = PageRequest::of(head, &exchange.snapshot);
    let served = match &permit {
        Ok(_) if let Some(endpoint) = from_page.as_ref().and_then(PageRequest::preflight) => {
            exchange.routed(exchange.worker().handles.endpoint(endpoint), Events::Folded, exchange.timeouts());
            Ok(HandledResponse::Ours(cors::preflight_response(), None))
        }
        Ok(_) => {
            let span = tracing::debug_span!("request", request_id = %exchange.id);
            let mut serving = pin!(serve(&mut exchange));
            poll_fn(|cx| span.in_scope(|| poll_guarded(&at, || serving.as_mut().poll(cx)))).await
        }
        Err(_) => Err(Problem::new(Refusal::Overloaded, "too many requests are in flight: try again soon")),
    };
    let response = match served {
        Ok(HandledResponse::Theirs(relayed)) => relay(exchange, relayed),
        Ok(HandledResponse::Ours(response, rate)) => finish(&mut exchange, response, rate, Outcome::Completed),
        Err(mut problem) => {
            exchange.refuse(&mut problem);
            let outcome = problem.outcome;
            let snapshot = &exchange.snapshot;
            let dialect = route::dialect(&snapshot.traffic, &exchange.head);
            let (quota_status, domain) = (snapshot.traffic.quota_status, snapshot.process.brand.slug());
            let rendering = Rendering { dialect, quota_status, domain };
            let response = problem.into_response(rendering, exchange.id);
            let closes = !exchange.has_whole_body().await;
            finish(&mut exchange, response, None, outcome).closing(closes)
        }
    };
    let response = match from_page {
        Some(from_page) => from_page.share(response),
        None => response,
    };
    response.in_flight(permit.ok(), busy)
}

/// Calls `poll`. A panic is an internal error. A request that waits when the time of the shutdown is over is refused; at
/// that time, the deadlines have the connection polled.
fn poll_guarded(
    at: &ConnectionContext,
    poll: impl FnOnce() -> Poll<Result<HandledResponse, Problem>>,
) -> Poll<Result<HandledResponse, Problem>> {
    match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(Poll::Pending) if at.deadlines.is_ending() => {
            let message = "this instance is shutting down: send it again";
            Poll::Ready(Err(Problem::new(Refusal::Draining, message)))
        }
        Ok(polled) => polled,
        Err(_) => {
            at.worker.handles.panicked();
            let message = "an internal error occurred; the request id identifies it in the log";
            Poll::Ready(Err(Problem::new(Refusal::Internal, message)))
        }
    }
}

async fn serve(exchange: &mut Exchange) -> Result<HandledResponse, Problem> {
    admit::check_head(&exchange.head, &exchange.snapshot.traffic.sizes)?;
    match route::find(&exchange.snapshot.traffic, &exchange.head)? {
        RouteMatch::Route(route) => plain(exchange, &route).await,
        RouteMatch::Endpoint(called) if called.endpoint == Endpoint::Root => {
            exchange.routed(exchange.worker().handles.endpoint(Endpoint::Root), Events::Folded, exchange.timeouts());
            Ok(HandledResponse::Ours(answer::json(br#"{"status":"ok"}"#.to_vec()), None))
        }
        // Boxed, because its future is large and requests of routes do not need it.
        RouteMatch::Endpoint(called) => Box::pin(llm(exchange, &called)).await,
    }
}

/// Serves a request of an ordinary route. The body is streamed without being parsed.
async fn plain(exchange: &mut Exchange, route: &Arc<Route>) -> Result<HandledResponse, Problem> {
    exchange.routed(route.name.clone(), route.events, exchange.timeouts());
    let standing = match route.auth {
        Auth::None => {
            exchange.subject = identify::anonymous(exchange);
            hold(exchange, Reservation::open())
        }
        Auth::Key => {
            let principal = know(exchange).await?;
            scope::check_route(&principal.bounds, &route.name)?;
            let (charge, limits) = (Charge::credits(route.credits), budget::limits(exchange, &principal));
            let standing = hold(exchange, budget::reserve(exchange, &limits, Some(charge)).await?);
            if !charge.credits.is_zero() && limits.limits(Measure::Credits) {
                match route.events {
                    Events::Folded => exchange.prelog(charge.credits).await?,
                    Events::Rows => exchange.open(charge).await?,
                }
            }
            standing
        }
    };
    let to = exchange.snapshot.destinations.of_upstream(&route.upstream).map_err(unwritable)?;
    let trust = if exchange.is_peer_trusted() { Trust::Peer } else { Trust::Route(&route.allow_headers) };
    let address = exchange.forwarded_address();
    let (id, id_text) = (exchange.id, exchange.id_text.as_bytes());
    let client = ForwardedClient { address: &address, id, id_text, trust };
    let edits = transform::to_upstream(&exchange.head, &to.edits, &client).map_err(unwritable)?;
    let (upload, progress) =
        Upload::stream(exchange.body.take(), exchange.snapshot.traffic.sizes.body_bytes_max, exchange.begun);
    let (head, target) = (exchange.head.clone(), OutgoingTarget::Received { prefix_len: 0 });
    let repeatable = head.is_idempotent();
    let head = OutgoingHead { head, edits, target, origin: to.pool.target.clone() };
    let answered = forward(exchange, Outgoing { head, to, upload, progress, repeatable }).await?;
    exchange.answered(answered.head.head.status(), None);
    Ok(HandledResponse::Theirs(RelayedResponse { answered, tap: None, standing }))
}

/// Serves an LLM endpoint. The body is read completely, and the response passes a tap.
async fn llm(exchange: &mut Exchange, called: &EndpointCall<'_>) -> Result<HandledResponse, Problem> {
    let timeouts = exchange.snapshot.traffic.ai.as_ref().map_or(exchange.timeouts(), |ai| ai.timeouts);
    exchange.routed(exchange.worker().handles.endpoint(called.endpoint), Events::Rows, timeouts);
    let principal = know(exchange).await?;
    let limits = budget::limits(exchange, &principal);
    let Some(format) = called.endpoint.format() else {
        let reservation = budget::reserve(exchange, &limits, None).await?;
        let standing = hold(exchange, reservation);
        exchange.spend();
        let listing = ModelListing { dialect: route::dialect_of(called, &exchange.head), bounds: &principal.bounds };
        return models(exchange, called, &listing).map(|response| HandledResponse::Ours(response, standing.rate));
    };
    exchange.format = (!called.endpoint.free()).then_some(format);
    let held = exchange.worker().shared.capacity.hold(&exchange.subject);
    let head = exchange.head.clone();
    let asking = InferenceRequest { called, format, head: &head, bounds: &principal.bounds, limits: &limits, held };
    let Inference { call, charge, body, usage_injected } = inference::read(exchange, asking).await?;
    exchange.read_clock();
    let credential = credential::choose(&call.provider, &principal)?;
    let reservation = budget::reserve(exchange, &limits, charge).await?;
    let standing = hold(exchange, reservation);
    if let Some(charge) = charge {
        exchange.open(charge).await?;
    }
    let to = exchange.snapshot.destinations.of_provider(&call.provider).map_err(unwritable)?;
    let (kind, dialect) = (call.provider.kind, format.dialect());
    let provider = ProviderTarget { edits: &to.edits, kind, dialect, credential };
    let edits = transform::to_provider(&head, &provider, exchange.id).map_err(unwritable)?;
    let (upload, progress) = Upload::segments(body, exchange.read_at());
    let prefix = exchange.snapshot.traffic.ai.as_ref().map_or("", |ai| ai.prefix.as_str());
    let target = transform::to_endpoint(called, &head, prefix, &call.model);
    let head = OutgoingHead { head, edits, target, origin: to.pool.target.clone() };
    let mut answered = forward(exchange, Outgoing { head, to, upload, progress, repeatable: false }).await?;
    let upstream_id = transform::from_provider(&mut answered.head).map_err(unwritable)?;
    let head = &answered.head.head;
    exchange.answered(head.status(), upstream_id);
    let media_type = head.text(KnownName::ContentType);
    if !media_type.is_some_and(is_audio) {
        exchange.forget_billable();
    }
    let framing = match Framing::of(format, call.streamed, media_type) {
        // An error response is one body, whatever its media type. Nothing is added to it.
        Framing::Events | Framing::Array if !head.is_success() => Framing::Json,
        framing @ (Framing::Json | Framing::Events | Framing::Array | Framing::Opaque) => framing,
    };
    let streamed = matches!(framing, Framing::Events | Framing::Array);
    let tap =
        (!call.free).then(|| Box::new(TappedResponse { tap: Tap::new(format, framing, usage_injected), streamed }));
    Ok(HandledResponse::Theirs(RelayedResponse { answered, tap, standing }))
}

/// Identifies the client, counts the request for its subject, and checks its address. An unidentified client is subject
/// to the limits of unauthenticated clients.
async fn know(exchange: &mut Exchange) -> Result<Arc<access::Principal>, Problem> {
    match identify::identify(exchange).await {
        Ok(principal) => {
            exchange.identified(&principal);
            enter(exchange)?;
            scope::check_address(exchange, &principal)?;
            Ok(principal)
        }
        Err(problem) => {
            exchange.subject = identify::anonymous(exchange);
            Err(identify::refuse_unauthenticated(exchange, problem).await)
        }
    }
}

/// Counts the request among the requests in flight of its subject and, for a key, of its user.
fn enter(exchange: &mut Exchange) -> Result<(), Problem> {
    let entered = exchange.worker().shared.capacity.call(&exchange.subject);
    exchange.key_permit = Some(entered.map_err(|bound| {
        let (calls_max, whose) = match bound {
            CallBound::Key(calls_max) => (calls_max, "of this key"),
            CallBound::User(calls_max) => (calls_max, "of this user, over all keys,"),
        };
        let message = format!("{calls_max} calls {whose} are in flight, and no more may be: wait until one has ended");
        Problem::new(Refusal::RateLimited, message).header(header::RETRY_AFTER, HeaderValue::from(1))
    })?);
    Ok(())
}

fn hold(exchange: &mut Exchange, reservation: Reservation) -> AdmissionInfo {
    let standing = reservation.info();
    exchange.reserved(reservation);
    standing
}

/// Returns the refusal of a request whose head cannot be written, because the configuration or a credential has an
/// invalid byte.
fn unwritable(part: InvalidPart) -> Problem {
    Problem::new(Refusal::Internal, "the request's head cannot be written").because(&part)
}

/// The format of a list of models, and the bounds of the key that requests it.
struct ModelListing<'a> {
    dialect: Dialect,
    bounds: &'a KeyBounds,
}

/// Lists the models that the key may use, or returns the model in the path. Other models are reported as missing.
fn models(
    exchange: &Exchange,
    called: &EndpointCall<'_>,
    listing: &ModelListing<'_>,
) -> Result<Response<Bytes>, Problem> {
    let ModelListing { dialect, bounds } = *listing;
    let mut names = exchange.snapshot.traffic.model_names();
    names.retain(|name| bounds.opens_model(name));
    let owner = exchange.snapshot.process.brand.slug();
    let body = match called.model.as_deref() {
        None => ai::models::list(dialect, &names, owner),
        Some(name) if exchange.snapshot.traffic.serves(name) && bounds.opens_model(name) => {
            ai::models::one(dialect, name, owner)
        }
        Some(name) => return Err(inference::no_model(name)),
    };
    Ok(answer::json(body))
}

fn relay(mut exchange: Box<Exchange>, relayed: RelayedResponse) -> ClientResponse {
    let RelayedResponse { answered: UpstreamResponse { head, body, connection }, tap, standing } = relayed;
    exchange.answers(head.head.status());
    // Nothing reads the rest of the client's body after the response.
    let closes = exchange.sending.as_ref().is_some_and(|sending| sending.progress.caller_owes());
    let gateway = GatewayFields { id: exchange.id_text, rate: standing.rate, now: exchange.wall_at() };
    let body = Body::relay(Relay::new(body, connection, exchange, tap));
    ClientResponse::relayed(head, gateway, body).closing(closes)
}

/// Ends a request to which the gateway itself responds.
fn finish(
    exchange: &mut Exchange,
    response: Response<Bytes>,
    rate: Option<RateLevel>,
    outcome: Outcome,
) -> ClientResponse {
    exchange.answers(response.status().as_u16());
    exchange.relayed(response.body().len());
    exchange.finish(outcome, None);
    let now = exchange.worker().shared.clock.now();
    ClientResponse::own(response, GatewayFields { id: exchange.id_text, rate, now })
}

/// Returns whether a response is audio, and not an error page.
fn is_audio(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("audio/") || essence == "application/octet-stream"
}
