//! An LLM call: which format, which model, who answers; its body as the provider gets it.

use std::sync::Arc;

use access::{Credits, Refusal};
use ai::{Asked, Endpoint, Format};
use bytes::Bytes;
use config::{Resolved, Unresolved};
use http::{HeaderMap, header};
use hyper::body::Incoming;

use crate::answer::Problem;
use crate::body::{self, Bounds};
use crate::exchange::{Call, Exchange};
use crate::gate::Held;

/// Bodies larger than this are read and rewritten off the worker's thread: at 500 MB/s it would stand still for longer
/// than half a millisecond.
const ON_WORKER_BYTES_MAX: usize = 256 * 1024;

/// What is asked of whom.
pub(crate) struct Inference {
    pub(crate) call: Call,
    pub(crate) credits: Option<Credits>,
    pub(crate) body: Bytes,
    /// Whether the answer's usage chunk must be taken out again.
    pub(crate) usage_injected: bool,
    /// Keeps the body's bytes counted while it is in memory.
    pub(crate) held: Held,
}

/// Refuses a body that cannot be read as it is.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding.as_bytes() != b"identity" => {
            Err(Problem::new(Refusal::UnsupportedMediaType, "send the body uncompressed: it must be read here"))
        }
        _ => Ok(()),
    }
}

/// Reads the body, finds out who answers, and makes the two edits that a body may get.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) async fn read(
    exchange: &Exchange,
    endpoint: Endpoint,
    format: Format,
    incoming: Incoming,
) -> Result<Inference, Problem> {
    let sizes = &exchange.snapshot.sizes;
    let mut held = exchange.worker().shared.gate.hold();
    let bounds =
        Bounds { bytes_max: sizes.body_bytes_max, idle: exchange.timeouts().idle, total_at: exchange.total_at() };
    let body = body::read(incoming, &mut held, &bounds).await?;
    let asked = ask(format, &body).await?;
    let Resolved { provider, model, credits } =
        exchange.snapshot.resolve_model(format, &asked.model).map_err(|why| unresolved(&why, &asked.model))?;
    let call = Call {
        format,
        asked_model: Arc::from(asked.model.as_str()),
        provider,
        model: model.clone(),
        streamed: asked.stream,
        free: endpoint.free(),
    };
    // The edited copy stands beside the body for a moment.
    body::hold(&mut held, body.len())?;
    let rewritten = on_or_off_worker(body.len(), move || asked.rewrite(&body, &model, true)).await?;
    let credits = (!endpoint.free()).then_some(credits);
    Ok(Inference { call, credits, body: rewritten.body, usage_injected: rewritten.usage_injected, held })
}

async fn ask(format: Format, body: &Bytes) -> Result<Asked, Problem> {
    let copy = body.clone();
    let asked = on_or_off_worker(body.len(), move || ai::request::read(format, &copy)).await?;
    asked.map_err(|error| Problem::new(Refusal::BadRequest, error.to_string()))
}

/// Does what takes time in proportion to `bytes`.
async fn on_or_off_worker<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    if bytes <= ON_WORKER_BYTES_MAX {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::new(Refusal::Internal, "the body could not be read").because(&error))
}

fn unresolved(why: &Unresolved, asked: &str) -> Problem {
    match why {
        Unresolved::NotFound => Problem::new(
            Refusal::ModelNotFound,
            format!("no model {asked:?} is served here: GET /v1/models lists them, PROVIDER/MODEL names any other"),
        ),
        Unresolved::Mismatch { path } => Problem::new(
            Refusal::FormatMismatch,
            format!("the model {asked:?} speaks another format: call it at {path}"),
        ),
    }
}
