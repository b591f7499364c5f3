//! The story of a request: each step is a file of its own, called here in order.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use access::{KeyBounds, Refusal};
use ai::tap::Framing;
use ai::{Dialect, Endpoint, EndpointCall, Tap};
use config::snapshot::{Auth, Events, Route};
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body::Body as _;
use meter::{AdmissionInfo, Charge, Measure, Outcome, Reservation};
use tokio::time::Instant;
use tracing::Instrument;

use crate::answer::{self, Problem, Rendering};
use crate::body::{Body, IncomingBody, Upload};
use crate::capacity::CallBound;
use crate::connection::{ConnectionContext, RequestBody};
use crate::deadlines::ConnectionDeadlines;
use crate::exchange::Exchange;
use crate::forward::{Destination, Outgoing, UpstreamResponse, forward};
use crate::inference::{self, Inference, InferenceRequest};
use crate::relay::{Relay, TappedResponse};
use crate::route::RouteMatch;
use crate::transform::{ProviderTarget, Trust};
use crate::{address, admit, budget, credential, identify, route, scope, transform, unauthenticated};

/// What a request came to.
enum HandledResponse {
    /// An answer of ours.
    Ours(Response<Body>),
    /// An upstream's answer, to be relayed.
    Theirs { answered: UpstreamResponse, tap: Option<Box<TappedResponse>>, standing: AdmissionInfo },
}

/// Serves one request; it always answers.
pub(crate) async fn handle(at: Rc<ConnectionContext>, request: Request<RequestBody>) -> Response<Body> {
    let busy = at.deadlines.begin();
    let permit = at.worker.shared.capacity.enter();
    let (parts, incoming) = request.into_parts();
    let mut exchange = Exchange::begin(&at, &parts, IncomingBody::new(&parts.headers, incoming));
    tracing::debug!(request_id = %exchange.id, method = %parts.method, path = parts.uri.path(), "request begins");
    let dialect = route::dialect(&exchange.snapshot.traffic, parts.uri.path(), &parts.headers);
    let served = match &permit {
        Ok(_) => {
            let span = tracing::debug_span!("request", request_id = %exchange.id);
            let serving = serve(&mut exchange, parts).instrument(span);
            AssertUnwindSafe(unless_ending(&at.deadlines, serving)).catch_unwind().await
        }
        Err(_) => Ok(Err(Problem::new(Refusal::Overloaded, "too many requests are in flight: try again soon"))),
    };
    let served = served.unwrap_or_else(|_| {
        at.worker.handles.panicked();
        Err(Problem::new(Refusal::Internal, "an internal error occurred; the request id identifies it in the log"))
    });
    let (id, id_value) = (exchange.id, exchange.id_value.clone());
    let mut response = match served {
        Ok(HandledResponse::Theirs { answered, tap, standing }) => relay(exchange, answered, tap, standing),
        Ok(HandledResponse::Ours(response)) => finish(&mut exchange, response, Outcome::Completed),
        Err(mut problem) => {
            exchange.refuse(&mut problem);
            let outcome = problem.outcome;
            let snapshot = &exchange.snapshot;
            let (quota_status, domain) = (snapshot.traffic.quota_status, snapshot.process.brand.slug());
            let rendering = Rendering { dialect, quota_status, domain };
            let mut response = problem.into_response(rendering, id);
            if !exchange.has_whole_body().await {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            finish(&mut exchange, response, outcome)
        }
    };
    answer::stamp(response.headers_mut(), id_value);
    response.map(|body| body.in_flight(permit.ok(), busy))
}

/// Ends `serving` when the shutdown's time is over; the connection is polled then.
async fn unless_ending(
    deadlines: &ConnectionDeadlines,
    serving: impl Future<Output = Result<HandledResponse, Problem>>,
) -> Result<HandledResponse, Problem> {
    let mut serving = pin!(serving);
    poll_fn(|cx| {
        let polled = serving.as_mut().poll(cx);
        if polled.is_pending() && deadlines.is_ending() {
            let message = "this instance is shutting down: send it again";
            return Poll::Ready(Err(Problem::new(Refusal::Draining, message)));
        }
        polled
    })
    .await
}

async fn serve(exchange: &mut Exchange, parts: Parts) -> Result<HandledResponse, Problem> {
    admit::check_head(&parts, &exchange.snapshot.traffic.sizes)?;
    match route::find(&exchange.snapshot.traffic, &parts)? {
        RouteMatch::Route(route) => plain(exchange, &route, parts).await,
        RouteMatch::Endpoint(called) if called.endpoint == Endpoint::Root => {
            exchange.routed(exchange.worker().handles.endpoint(Endpoint::Root), Events::Folded, exchange.timeouts());
            Ok(HandledResponse::Ours(answer::json(br#"{"status":"ok"}"#.to_vec())))
        }
        RouteMatch::Endpoint(called) => llm(exchange, &called, parts).await,
    }
}

/// An ordinary route: the body streams through, unread.
async fn plain(exchange: &mut Exchange, route: &Arc<Route>, mut parts: Parts) -> Result<HandledResponse, Problem> {
    exchange.routed(route.name.clone(), route.events, exchange.timeouts());
    let standing = match route.auth {
        Auth::None => {
            exchange.subject = identify::anonymous(exchange, &parts.headers);
            hold(exchange, Reservation::open())
        }
        Auth::Key => {
            let principal = know(exchange, &parts.headers).await?;
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
    let to =
        Destination { name: route.upstream.name.clone(), pool: exchange.worker().pools.of(&route.upstream.origin) };
    let forwarded_for = address::told(exchange, &parts.headers);
    let trust = if address::is_of_trusted(exchange) { Trust::Peer } else { Trust::Route(&route.allow_headers) };
    transform::to_upstream(&mut parts.headers, &to.pool.host, &exchange.asker(&forwarded_for, trust));
    let (upload, progress) =
        Upload::stream(exchange.body.take(), exchange.snapshot.traffic.sizes.body_bytes_max, exchange.begun);
    let repeatable = parts.method.is_idempotent();
    let target = transform::target(&parts.uri, "", &to.pool.origin.path);
    let request = outgoing(parts, target, upload)?;
    let mut answered = forward(exchange, Outgoing { request, progress, to, repeatable }).await?;
    transform::to_caller(answered.response.headers_mut());
    exchange.answered(answered.response.status(), None);
    Ok(HandledResponse::Theirs { answered, tap: None, standing })
}

/// An LLM endpoint: the body is read, the answer tapped.
async fn llm(exchange: &mut Exchange, called: &EndpointCall<'_>, mut parts: Parts) -> Result<HandledResponse, Problem> {
    let timeouts = exchange.snapshot.traffic.ai.as_ref().map_or(exchange.timeouts(), |ai| ai.timeouts);
    exchange.routed(exchange.worker().handles.endpoint(called.endpoint), Events::Rows, timeouts);
    let principal = know(exchange, &parts.headers).await?;
    let limits = budget::limits(exchange, &principal);
    let Some(format) = called.endpoint.format() else {
        let reservation = budget::reserve(exchange, &limits, None).await?;
        let standing = hold(exchange, reservation);
        exchange.spend();
        let listing = ModelListing { dialect: route::dialect_of(called, &parts.headers), bounds: &principal.bounds };
        return models(exchange, called, &listing, standing).map(HandledResponse::Ours);
    };
    exchange.format = (!called.endpoint.free()).then_some(format);
    let held = exchange.worker().shared.capacity.hold(&exchange.subject);
    let asking =
        InferenceRequest { called, format, headers: &parts.headers, bounds: &principal.bounds, limits: &limits, held };
    let Inference { call, charge, body, usage_injected } = inference::read(exchange, asking).await?;
    let credential = credential::choose(&call.provider, &principal)?;
    let reservation = budget::reserve(exchange, &limits, charge).await?;
    let standing = hold(exchange, reservation);
    if let Some(charge) = charge {
        exchange.open(charge).await?;
    }
    let to = Destination { name: call.provider.name.clone(), pool: exchange.worker().pools.of(&call.provider.origin) };
    let dialect = format.dialect();
    let addressed = ProviderTarget { host: &to.pool.host, kind: call.provider.kind, dialect, credential };
    transform::to_provider(&mut parts.headers, &addressed, exchange.id);
    let (upload, progress) = Upload::segments(body, Instant::now());
    let prefix = exchange.snapshot.traffic.ai.as_ref().map_or("", |ai| ai.prefix.as_str());
    let target = transform::to_endpoint(called, &parts.uri, prefix, &call);
    let request = outgoing(parts, target, upload)?;
    let mut answered = forward(exchange, Outgoing { request, progress, to, repeatable: false }).await?;
    let upstream_id = transform::from_provider(answered.response.headers_mut());
    exchange.answered(answered.response.status(), upstream_id);
    let media_type = answered.response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !media_type.is_some_and(is_audio) {
        exchange.forget_billable();
    }
    let framing = match Framing::of(format, call.streamed, media_type) {
        // An error is a body, whatever its media type says: nothing is added to it.
        Framing::Events | Framing::Array if !answered.response.status().is_success() => Framing::Json,
        framing @ (Framing::Json | Framing::Events | Framing::Array | Framing::Opaque) => framing,
    };
    let streamed = matches!(framing, Framing::Events | Framing::Array);
    let tap =
        (!call.free).then(|| Box::new(TappedResponse { tap: Tap::new(format, framing, usage_injected), streamed }));
    Ok(HandledResponse::Theirs { answered, tap, standing })
}

async fn know(exchange: &mut Exchange, headers: &HeaderMap) -> Result<Arc<access::Principal>, Problem> {
    match identify::identify(exchange, headers).await {
        Ok(principal) => {
            exchange.identified(&principal);
            enter(exchange)?;
            scope::check_address(exchange, &principal, headers)?;
            Ok(principal)
        }
        Err(problem) => {
            exchange.subject = identify::anonymous(exchange, headers);
            Err(unauthenticated::refuse(exchange, problem).await)
        }
    }
}

/// Counts the call among the calls in flight of its subject, and of the user of a key.
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

/// The request as it goes upstream.
fn outgoing(parts: Parts, target: Option<Uri>, upload: Upload) -> Result<Request<Upload>, Problem> {
    let target = target.ok_or_else(|| Problem::new(Refusal::BadRequest, "the request's target is too long"))?;
    let of_unknown_length = upload.size_hint().exact().is_none();
    let mut request = Request::new(upload);
    *request.method_mut() = parts.method;
    *request.uri_mut() = target;
    *request.headers_mut() = parts.headers;
    if of_unknown_length {
        // Unasked, hyper sends such a body with methods only that usually have one.
        request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Ok(request)
}

/// For whom models are listed.
struct ModelListing<'a> {
    dialect: Dialect,
    bounds: &'a KeyBounds,
}

/// The models that the key may ask for, or the one that the path names: another is as good as none.
fn models(
    exchange: &Exchange,
    called: &EndpointCall<'_>,
    listing: &ModelListing<'_>,
    standing: AdmissionInfo,
) -> Result<Response<Body>, Problem> {
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
    let mut response = answer::json(body);
    tell(response.headers_mut(), exchange, standing);
    Ok(response)
}

fn relay(
    exchange: Box<Exchange>,
    answered: UpstreamResponse,
    tap: Option<Box<TappedResponse>>,
    standing: AdmissionInfo,
) -> Response<Body> {
    let mut exchange = exchange;
    let (mut parts, incoming) = answered.response.into_parts();
    if tap.as_ref().is_some_and(|tap| tap.streamed) {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    tell(&mut parts.headers, &exchange, standing);
    if exchange.sending.as_ref().is_some_and(|sending| sending.progress.caller_owes()) {
        // The client still owes bytes that nobody waits for after the response.
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    exchange.answers(parts.status);
    parts.version = http::Version::HTTP_11;
    Response::from_parts(parts, Body::relay(Relay::new(incoming, answered.connection, exchange, tap)))
}

/// Tells the caller where its rate limit stands.
fn tell(headers: &mut HeaderMap, exchange: &Exchange, standing: AdmissionInfo) {
    if let Some(level) = standing.rate {
        for (name, value) in answer::limit_headers(level, &exchange.worker().shared.clock) {
            headers.insert(name, value);
        }
    }
}

fn finish(exchange: &mut Exchange, response: Response<Body>, outcome: Outcome) -> Response<Body> {
    exchange.answers(response.status());
    exchange.relayed(response.body().whole_bytes().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0));
    exchange.finish(outcome, None);
    response
}

/// Whether an answer is what speech was asked for, and no page that says why not.
fn is_audio(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("audio/") || essence == "application/octet-stream"
}
