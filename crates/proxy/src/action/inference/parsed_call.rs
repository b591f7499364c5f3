//! What a client asked of an LLM endpoint: the body of its request, and the fields of it that Tollgate reads.

use access::Refusal;
use ai::{EndpointCall, RequestFields};
use bytes::Bytes;
use http1::{AnnouncedContent, KnownName};

use super::{InferenceEndpoint, spent};
use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::action::off_worker::{ON_WORKER_BYTES_MAX, off_worker, permit};
use crate::body;
use crate::body::inflate::{Coding, CompressedContent};
use crate::body::{BodyBounds, IncomingBody};
use crate::body::{buffer, inflate};
use crate::capacity::MemoryPermit;
use crate::client::head::{Head, text};
use crate::refusal::problem::Problem;

/// The media type of all calls that the gateway has changed.
pub(super) const JSON: &str = "application/json";

/// A call whose model is not resolved yet.
pub(super) struct ParsedCall {
    pub(super) fields: RequestFields,
    /// The body without its content coding. It counts as buffered for its client until it is dropped.
    pub(super) content: Bytes,
    /// Counts further forms of the body for the client.
    pub(super) held: MemoryPermit,
}

impl ParsedCall {
    /// Reads the whole body. One with a content coding is inflated only if anything is left for the call.
    pub(super) async fn read(
        account: &RequestAccount,
        body: &mut IncomingBody,
        endpoint: &InferenceEndpoint,
        client: &Client,
    ) -> Result<Self, Problem> {
        let capacity = &account.request.worker().shared.capacity;
        let held = capacity.hold(&account.identity.subject);
        let head = account.request.head.clone();
        let coding = inflate::coding(&head)?;
        let bytes_max = account.request.snapshot.traffic.sizes.body_bytes_max.min(capacity.body_bytes_max());
        let idle = account.timeouts().client_idle;
        let total_at = account.total_at();
        let bounds = BodyBounds { bytes_max, announced: announced(&head), idle, total_at };
        let inflated = held.another();
        let further = held.another();
        let mut content = match body.take() {
            Some(incoming) => body::read(incoming, held, &bounds).await?,
            None => Bytes::new(),
        };
        *body = IncomingBody::Whole;
        if let Some(coding) = coding {
            account.request.read_clock();
            spent::check_unread(account, endpoint, client).await?;
            content = plain(account, coding, content, InflatedBounds { bytes_max, held: inflated }).await?;
        }
        let fields = ask(account, &endpoint.called, &content).await?;
        Ok(Self { fields, content, held: further })
    }
}

/// Returns a changed call, whose body `held` counts.
pub(super) fn counted(called: &EndpointCall<'_>, body: Bytes, mut held: MemoryPermit) -> Result<ParsedCall, Problem> {
    buffer::hold(&mut held, body.len())?;
    let another = held.another();
    let content = buffer::counted(body, held);
    let fields = ai::request::read(called, Some(JSON), &content).map_err(|error| {
        let message = format!("the call is invalid in the format of this model's provider: {error}");
        Problem::new(Refusal::BadRequest, message).of_param(error.field())
    })?;
    Ok(ParsedCall { fields, content, held: another })
}

/// Returns the length of the body that the head announces.
fn announced(head: &Head) -> Option<usize> {
    match head.announced() {
        AnnouncedContent::Length(bytes) => usize::try_from(bytes).ok(),
        AnnouncedContent::Chunked | AnnouncedContent::Nothing => None,
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
    let permit = permit(account).await?;
    let InflatedBounds { bytes_max, held } = bounds;
    let work = inflate::while_wanted(move |demand| {
        let inflated = inflate::inflate(CompressedContent { coding, body, demand }, bytes_max, held);
        // The permit returns with the result, when the thread is free for the next body.
        (inflated, permit)
    });
    let (inflated, _permit) = work.await?;
    inflated
}

async fn ask(account: &RequestAccount, called: &EndpointCall<'_>, body: &Bytes) -> Result<RequestFields, Problem> {
    let head = &account.request.head;
    let content_type = head.get(KnownName::ContentType).and_then(text);
    if head.fields().is_repeated(KnownName::ContentType) {
        return Err(Problem::new(Refusal::BadRequest, "the body has two content types: send one"));
    }
    let fields = if body.len() <= ON_WORKER_BYTES_MAX {
        ai::request::read(called, content_type, body)
    } else {
        let called = called.clone().into_owned();
        let copy = body.clone();
        let content_type = content_type.map(str::to_owned);
        off_worker(account, move || ai::request::read(&called, content_type.as_deref(), &copy)).await?
    };
    fields.map_err(|error| Problem::new(Refusal::BadRequest, error.to_string()).of_param(error.field()))
}
