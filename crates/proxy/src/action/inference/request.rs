//! An LLM request: its format, its model, its provider, and the body that the provider receives.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::Refusal;
use ai::bound::Extent;
use ai::{EndpointCall, Format, RequestFields};
use bytes::Bytes;
use config::{ResolveError, ResolvedModel};
use http1::{Announced, KnownName};
use meter::Charge;
use tokio::time::{Instant, timeout_at};

use crate::account::client::Client;
use crate::account::{InferenceCall, RequestAccount};
use crate::action::bound;
use crate::action::bound::{CallLimits, CallSize};
use crate::authenticate::scope;
use crate::body;
use crate::body::inflate;
use crate::body::inflate::{Coding, CompressedContent, InflationGuard};
use crate::body::{BodyBounds, IncomingBody};
use crate::capacity::MemoryPermit;
use crate::client::head::{Head, text};
use crate::refusal::problem::Problem;

/// Bodies larger than this are parsed outside the worker's thread: at 500 MB/s they would block it for more than half a
/// millisecond.
const ON_WORKER_BYTES_MAX: usize = 256 * 1024;
/// A compressed body waits at most this long for its inflation to begin.
const INFLATION_WAIT_MAX: Duration = Duration::from_secs(30);

/// The parts of a request that are known before its body is read.
pub(crate) struct InferenceRequest<'a> {
    pub(crate) called: &'a EndpointCall<'a>,
    pub(crate) format: Format,
    pub(crate) client: &'a Client,
    /// The permit that counts the body's bytes; it counts none yet.
    pub(crate) held: MemoryPermit,
}

/// An LLM request with its maximum charge and the body for its provider.
pub(crate) struct Inference {
    pub(crate) call: Rc<InferenceCall>,
    /// The maximum that the request may use, in credits and in the measures that the client's budgets limit; `None` for
    /// a free request.
    pub(crate) charge: Option<Charge>,
    /// The body in pieces: slices of the client's bytes, and the edits between them.
    pub(crate) body: Vec<Bytes>,
    /// Whether the usage chunk of the response must be removed, because the gateway requested it.
    pub(crate) usage_injected: bool,
}

/// Reads the body, resolves the model, and applies the permitted edits to the body.
pub(crate) async fn read(
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    request: InferenceRequest<'_>,
) -> Result<Inference, Problem> {
    let InferenceRequest { called, format, client, held } = request;
    let head = account.request.head.clone();
    let coding = inflate::coding(&head)?;
    let bytes_max = account
        .request
        .snapshot
        .traffic
        .sizes
        .body_bytes_max
        .min(account.request.worker().shared.capacity.body_bytes_max());
    let (idle, total_at) = (account.timeouts().idle, account.total_at());
    let bounds = BodyBounds { bytes_max, announced: announced(&head), idle, total_at };
    let inflated = held.another();
    let mut content = match body.take() {
        Some(incoming) => body::read(incoming, held, &bounds).await?,
        None => Bytes::new(),
    };
    *body = IncomingBody::Whole;
    if let Some(coding) = coding {
        content = plain(account, coding, content, InflatedBounds { bytes_max, held: inflated }).await?;
    }
    let mut fields = ask(called, &head, &content).await?;
    let resolved = scope::check_model(&client.principal.bounds, &fields.model).and_then(|()| {
        account
            .request
            .snapshot
            .traffic
            .resolve_model(format, &fields.model)
            .map_err(|why| unresolved(&why, &fields.model))
    });
    let ResolvedModel { provider, asked: requested_model, model, credits } = resolved.inspect_err(|_| {
        if let Some(inference) = &mut account.inference {
            inference.refused_model = Some(Arc::from(fields.model.as_str()));
        }
    })?;
    let call = Rc::new(InferenceCall {
        format,
        requested_model,
        provider,
        model: model.clone(),
        streamed: fields.stream,
        billable: fields.billable,
        free: called.endpoint.free(),
    });
    if let Some(inference) = &mut account.inference {
        inference.call = Some(call.clone());
    }
    let mut charge = (!call.free).then(|| Charge::credits(credits));
    if let Some(charge) = &mut charge
        && bound::is_required(&client.limits)
    {
        let at = account.request.worker().shared.clock.now();
        let holding = CallLimits { limits: &client.limits, budgets: &account.request.snapshot.traffic.budgets, at };
        let extent = extent(called, &fields, &content).await?;
        let extent = extent.with_tool_rounds(holding.budgets.server_tool_rounds);
        let (provider, model) = (&call.provider, &*call.model);
        let searches = account.request.snapshot.traffic.always_searches(provider, model);
        let extent = if searches { extent.searching() } else { extent };
        let price = account.request.snapshot.traffic.price(provider, (model, None), account.request.started_at);
        let most = account.request.snapshot.traffic.limits(provider, model, account.request.started_at);
        let (bound, lowered) = holding.bound(&CallSize { extent: &extent, model, price, limits: most })?;
        (charge.tokens, charge.money) = (bound.tokens, bound.money);
        if let Some(lowered) = lowered {
            fields = fields.with_limit(lowered);
        }
    }
    let rewritten = fields.rewrite(&content, &model, true);
    Ok(Inference { call, charge, body: rewritten.segments, usage_injected: rewritten.usage_injected })
}

/// Returns the length of the body that the head announces.
fn announced(head: &Head) -> Option<usize> {
    match head.announced() {
        Announced::Length(bytes) => usize::try_from(bytes).ok(),
        Announced::Chunked | Announced::Nothing => None,
    }
}

/// The bounds of an inflated body.
struct InflatedBounds {
    bytes_max: u64,
    held: MemoryPermit,
}

/// Returns the body without its content coding. It is always decoded outside the worker's thread, because a small body
/// can become a large one. The work ends when the client disconnects.
async fn plain(
    account: &RequestAccount,
    coding: Coding,
    body: Bytes,
    bounds: InflatedBounds,
) -> Result<Bytes, Problem> {
    let until = account.total_at().min(Instant::now() + INFLATION_WAIT_MAX);
    let permit = timeout_at(until, account.request.worker().shared.capacity.inflate(&account.subject)).await;
    let permit = permit.map_err(|_| {
        Problem::new(Refusal::Overloaded, "too many compressed bodies are being inflated: send it without compression")
    })?;
    let (guard, InflatedBounds { bytes_max, held }) = (InflationGuard::default(), bounds);
    let content = CompressedContent { coding, body, demand: guard.demand() };
    // The permit returns with the result, when the thread is free for the next body.
    let (inflated, _permit) = off_worker(move || (inflate::inflate(content, bytes_max, held), permit)).await?;
    inflated
}

async fn ask(called: &EndpointCall<'_>, head: &Head, body: &Bytes) -> Result<RequestFields, Problem> {
    let content_type = head.get(KnownName::ContentType).and_then(text);
    if head.fields().is_repeated(KnownName::ContentType) {
        return Err(Problem::new(Refusal::BadRequest, "the body has two content types: send one"));
    }
    let fields = if body.len() <= ON_WORKER_BYTES_MAX {
        ai::request::read(called, content_type, body)
    } else {
        let (called, copy) = (called.clone().into_owned(), body.clone());
        let content_type = content_type.map(str::to_owned);
        off_worker(move || ai::request::read(&called, content_type.as_deref(), &copy)).await?
    };
    fields.map_err(|error| Problem::new(Refusal::BadRequest, error.to_string()).of_param(error.field()))
}

/// Reads the extent of the request's maximum usage from the body.
async fn extent(called: &EndpointCall<'_>, fields: &RequestFields, body: &Bytes) -> Result<Extent, Problem> {
    if body.len() <= ON_WORKER_BYTES_MAX {
        return Ok(Extent::read(called, fields, body));
    }
    let (called, fields, body) = (called.clone().into_owned(), fields.clone(), body.clone());
    off_worker(move || Extent::read(&called, &fields, &body)).await
}

async fn off_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::new(Refusal::Internal, "the body could not be read").because(&error))
}

/// Returns the refusal of a model that no provider serves.
pub(crate) fn no_model(model: &str) -> Problem {
    let message =
        format!("no model {model:?} is served here: GET /v1/models lists them, PROVIDER/MODEL names any other");
    Problem::new(Refusal::ModelNotFound, message)
}

fn unresolved(why: &ResolveError, model: &str) -> Problem {
    match why {
        ResolveError::NotFound => no_model(model),
        ResolveError::Mismatch { path } => Problem::new(
            Refusal::FormatMismatch,
            format!("the model {model:?} speaks another format: call it at {path}"),
        ),
    }
}
