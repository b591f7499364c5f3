//! What a client asked of an LLM endpoint: the body of its request, and the fields of it that Tollgate reads.

use std::time::Duration;

use access::Refusal;
use ai::{EndpointCall, RequestFields};
use bytes::Bytes;
use http1::{Announced, KnownName};
use tokio::time::{Instant, timeout_at};

use crate::account::RequestAccount;
use crate::body;
use crate::body::inflate;
use crate::body::inflate::{Coding, CompressedContent};
use crate::body::{BodyBounds, IncomingBody};
use crate::capacity::MemoryPermit;
use crate::client::head::{Head, text};
use crate::refusal::problem::Problem;

/// Bodies larger than this are parsed outside the worker's thread: at 500 MB/s they would block it for more than half a
/// millisecond.
pub(super) const ON_WORKER_BYTES_MAX: usize = 256 * 1024;
/// A compressed body waits at most this long for its inflation to begin.
const INFLATION_WAIT_MAX: Duration = Duration::from_secs(30);

/// A call whose model is not resolved yet.
pub(super) struct ParsedCall {
    pub(super) fields: RequestFields,
    /// The body without its content coding. It counts as buffered for its client until it is dropped.
    pub(super) content: Bytes,
    /// Counts further forms of the body for the client.
    pub(super) held: MemoryPermit,
}

impl ParsedCall {
    /// Reads the whole body.
    pub(super) async fn read(
        account: &RequestAccount,
        body: &mut IncomingBody,
        called: &EndpointCall<'_>,
    ) -> Result<Self, Problem> {
        let capacity = &account.request.worker().shared.capacity;
        let held = capacity.hold(&account.identity.subject);
        let head = account.request.head.clone();
        let coding = inflate::coding(&head)?;
        let bytes_max = account.request.snapshot.traffic.sizes.body_bytes_max.min(capacity.body_bytes_max());
        let (idle, total_at) = (account.timeouts().client_idle, account.total_at());
        let bounds = BodyBounds { bytes_max, announced: announced(&head), idle, total_at };
        let (inflated, further) = (held.another(), held.another());
        let mut content = match body.take() {
            Some(incoming) => body::read(incoming, held, &bounds).await?,
            None => Bytes::new(),
        };
        *body = IncomingBody::Whole;
        if let Some(coding) = coding {
            content = plain(account, coding, content, InflatedBounds { bytes_max, held: inflated }).await?;
        }
        let fields = ask(called, &head, &content).await?;
        Ok(Self { fields, content, held: further })
    }
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
    let permit = timeout_at(until, account.request.worker().shared.capacity.inflate(&account.identity.subject)).await;
    let permit = permit.map_err(|_| {
        Problem::new(Refusal::Overloaded, "too many compressed bodies are being inflated: send it without compression")
    })?;
    let InflatedBounds { bytes_max, held } = bounds;
    let work = inflate::while_wanted(move |demand| {
        let inflated = inflate::inflate(CompressedContent { coding, body, demand }, bytes_max, held);
        // The permit returns with the result, when the thread is free for the next body.
        (inflated, permit)
    });
    let (inflated, _permit) = work.await?;
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

/// Runs `work` on another thread.
pub(super) async fn off_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::new(Refusal::Internal, "the body could not be read").because(&error))
}
