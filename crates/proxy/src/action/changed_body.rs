//! Bodies that a route changes: JSON texts of requests and of responses, which are read into memory within bounds.

use std::sync::Arc;

use access::Refusal;
use bytes::Bytes;
use config::snapshot::BodyChanges;
use http_body_util::BodyExt as _;
use http1::{AnnouncedContent, Fields, HeadEdits, InvalidPart, KnownName};
use json_edits::{EditError, Room};
use tokio::time::{Instant, timeout_at};

use super::off_worker::{off_worker, permit};
use crate::account::RequestAccount;
use crate::body::buffer::{self, Buffer};
use crate::body::inflate::{self, Coding, CompressedContent};
use crate::body::{self, BodyBounds, IncomingBody};
use crate::bytes::content::length;
use crate::capacity::MemoryPermit;
use crate::client::head::Head;
use crate::forward::{UpstreamContent, UpstreamResponse, unwritable};
use crate::refusal::problem::Problem;
use crate::response::compression::OF_CONTENT;
use crate::upstream::response_head::{RelayedHead, UpstreamHead};

/// Bodies larger than this are changed outside the worker's thread.
const ON_WORKER_BYTES_MAX: usize = 64 * 1024;

/// The changed body of a request.
pub(super) struct ChangedRequest {
    pub(super) content: Bytes,
    is_decoded: bool,
}

/// A changed response of an upstream.
pub(crate) struct ChangedResponse {
    pub(crate) head: Box<RelayedHead>,
    pub(crate) content: Bytes,
}

/// Reads and changes the body of a request; `None` if the request has none.
pub(super) async fn of_request(
    account: &RequestAccount,
    body: &mut IncomingBody,
    changes: &Arc<BodyChanges>,
) -> Result<Option<ChangedRequest>, Problem> {
    let head = account.request.head.clone();
    let capacity = &account.request.worker().shared.capacity;
    let Some(incoming) = body.take() else { return Ok(None) };
    if !is_json(head.fields()) {
        let message = "this route changes JSON: send the body as application/json";
        return Err(Problem::new(Refusal::UnsupportedMediaType, message));
    }
    let coding = inflate::coding(&head)?;
    let general = account.request.snapshot.traffic.sizes.body_bytes_max;
    let of_route = account.policy().body_bytes_max(general).min(capacity.body_bytes_max());
    let bytes_max = changes.bytes_max.min(of_route);
    let held = capacity.hold(&account.identity.subject);
    let inflated = held.another();
    let edited = held.another();
    let idle = account.timeouts().idle;
    let total_at = account.total_at();
    let bounds = BodyBounds { bytes_max, announced: announced(&head), idle, total_at };
    let mut content = body::read(incoming, held, &bounds).await?;
    *body = IncomingBody::Whole;
    if let Some(coding) = coding {
        content = decoded(account, CodedBody { coding, body: content }, bytes_max, inflated).await?;
    }
    if content.is_empty() {
        return Ok(None);
    }
    let edited = edited_text(account, changes, content, edited).await?;
    let refuse = |error: &EditError| {
        Problem::new(Refusal::BadRequest, format!("the body cannot be changed as this route says: {error}"))
    };
    Ok(Some(ChangedRequest { content: edited.map_err(|error| refuse(&error))?, is_decoded: coding.is_some() }))
}

impl ChangedRequest {
    /// Corrects the fields that describe the content.
    pub(super) fn edit(&self, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
        if self.is_decoded {
            edits.remove(KnownName::ContentEncoding);
        }
        edits.remove(KnownName::Trailer);
        OF_CONTENT.iter().try_for_each(|name| edits.remove_named(name))
    }
}

/// Edits the head of a request whose response will be changed: the upstream responds with the whole content, without a coding.
pub(super) fn asks_for_whole(edits: &mut HeadEdits) -> Result<(), InvalidPart> {
    edits.remove(KnownName::Range);
    edits.remove_named(b"if-range")?;
    edits.set(KnownName::AcceptEncoding, b"identity")
}

/// Whether a response has content to change.
pub(super) fn has_content(request: &Head, response: &UpstreamResponse) -> bool {
    let is_bodiless = matches!(response.head.head.status(), 101 | 204 | 304) || request.method_bytes() == b"HEAD";
    !is_bodiless && response.content.body_length() != Some(0)
}

/// Corrects the fields of a response that describe the unchanged content.
pub(super) fn edit_head(relayed: &mut RelayedHead) -> Result<(), Problem> {
    relayed.is_changed = true;
    relayed.may_have_trailers = false;
    let RelayedHead { head, edits, .. } = relayed;
    let is_decoded = matches!(content_coding(head), Ok(Some(_)));
    let mut edit = || {
        if is_decoded {
            edits.remove(KnownName::ContentEncoding);
        }
        OF_CONTENT.iter().try_for_each(|name| edits.remove_named(name))?;
        edits.remove_named(b"accept-ranges")?;
        // The upstream compares the tag, so its text remains; the content is not the same byte for byte (RFC 9110, 8.8.1).
        match head.fields().get(KnownName::Etag) {
            Some(tag) if !tag.starts_with(b"W/") => edits.set(KnownName::Etag, &[&b"W/"[..], tag].concat()),
            Some(_) | None => Ok(()),
        }
    };
    edit().map_err(unwritable)
}

/// Reads and changes the body of a response.
///
/// # Errors
/// The response is not the JSON that the route changes, or is too large: the client gets 502.
pub(super) async fn of_response(
    account: &RequestAccount,
    response: UpstreamResponse,
    changes: &Arc<BodyChanges>,
) -> Result<ChangedResponse, Problem> {
    let UpstreamResponse { head, content, translated: _ } = response;
    let held = account.request.worker().shared.capacity.hold(&account.identity.subject);
    let coding = match content_coding(&head.head) {
        Ok(coding) => coding,
        // Without a length, only the end of the content shows whether there is anything to change.
        Err(why) if content.body_length().is_none() => {
            let is_content = |problem: &Problem| problem.refusal == Refusal::UpstreamProtocol;
            let empty = read(account, *content, 0, held).await;
            let content = empty.map_err(|problem| if is_content(&problem) { refused(why) } else { problem })?;
            return Ok(ChangedResponse { head, content });
        }
        Err(why) => return Err(refused(why)),
    };
    let inflated = held.another();
    let edited = held.another();
    let mut received = read(account, *content, changes.bytes_max, held).await?;
    if !received.is_empty()
        && let Some(coding) = coding
    {
        let decoded = decoded(account, CodedBody { coding, body: received }, changes.bytes_max, inflated).await;
        received = decoded.map_err(|problem| refused(&problem.message))?;
    }
    let content = if received.is_empty() {
        received
    } else {
        edited_text(account, changes, received, edited).await?.map_err(|error| refused(&error.to_string()))?
    };
    Ok(ChangedResponse { head, content })
}

/// Returns the coding of a JSON text, or why the content cannot be changed.
fn content_coding(head: &UpstreamHead) -> Result<Option<Coding>, &'static str> {
    let fields = head.fields();
    if matches!(head.status(), 206 | 226) || !is_json(fields) {
        return Err("it is not a whole JSON text");
    }
    match fields.get(KnownName::ContentEncoding).map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"identity") => Ok(None),
        Some(b"gzip" | b"x-gzip") if !fields.is_repeated(KnownName::ContentEncoding) => Ok(Some(Coding::Gzip)),
        Some(_) => Err("it has another content coding than gzip"),
    }
}

/// Reads the whole content of a response, and gives its connection back.
async fn read(
    account: &RequestAccount,
    content: UpstreamContent,
    bytes_max: u64,
    held: MemoryPermit,
) -> Result<Bytes, Problem> {
    let UpstreamContent { mut body, connection } = content;
    let mut buffer = Buffer::new(held);
    loop {
        let deadline = (Instant::now() + account.timeouts().idle).min(account.total_at());
        let frame = timeout_at(deadline, body.frame())
            .await
            .map_err(|_| Problem::new(Refusal::UpstreamTimeout, "the upstream's response did not arrive in time"))?;
        let data = match frame {
            None => break,
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => {
                let message = "the upstream aborted its response";
                return Err(Problem::new(Refusal::UpstreamReset, message).because(&error));
            }
        };
        if buffer.bytes().saturating_add(length(&data)) > bytes_max {
            return Err(refused(&format!("it has more than {bytes_max} bytes")));
        }
        buffer.push(&data)?;
    }
    if let Some(connection) = connection {
        connection.give_back(&mut body, Instant::now());
    }
    Ok(buffer.finish())
}

/// A body with its content coding.
struct CodedBody {
    coding: Coding,
    body: Bytes,
}

/// Returns the body without its content coding. It is decoded outside the worker's thread: a small body can become a large one.
async fn decoded(
    account: &RequestAccount,
    coded: CodedBody,
    bytes_max: u64,
    held: MemoryPermit,
) -> Result<Bytes, Problem> {
    let permit = permit(account).await?;
    let CodedBody { coding, body } = coded;
    let work = inflate::while_wanted(move |demand| {
        let inflated = inflate::inflate(CompressedContent { coding, body, demand }, bytes_max, held);
        // The permit returns with the result, when the thread is free for the next body.
        (inflated, permit)
    });
    let (inflated, _permit) = work.await?;
    inflated
}

/// Returns the edited text, which `held` counts.
async fn edited_text(
    account: &RequestAccount,
    changes: &Arc<BodyChanges>,
    content: Bytes,
    mut held: MemoryPermit,
) -> Result<Result<Bytes, EditError>, Problem> {
    let changes = changes.clone();
    let built = held.another();
    let is_small = content.len() <= ON_WORKER_BYTES_MAX;
    let work = move || edited_in(&changes, &content, built);
    let edited = if is_small { work() } else { off_worker(account, work).await? };
    let edited = match edited? {
        Ok(edited) => edited,
        Err(error) => return Ok(Err(error)),
    };
    buffer::hold(&mut held, edited.len())?;
    Ok(Ok(buffer::counted(edited, held)))
}

/// Returns the edited text. `built` counts what the edit builds, until it ends.
fn edited_in(
    changes: &BodyChanges,
    content: &[u8],
    mut built: MemoryPermit,
) -> Result<Result<Vec<u8>, EditError>, Problem> {
    let mut full = None;
    let mut more = |bytes| {
        full = buffer::hold(&mut built, bytes).err();
        full.is_none()
    };
    let edited = changes.edits.apply_in(content, &mut Room::new(&mut more));
    full.map_or(Ok(edited), Err)
}

fn refused(why: &str) -> Problem {
    let message = format!("the upstream's response cannot be changed as this route says: {why}");
    Problem::new(Refusal::UpstreamProtocol, message)
}

/// Returns the length of the body that the head announces.
fn announced(head: &Head) -> Option<usize> {
    match head.announced() {
        AnnouncedContent::Length(bytes) => usize::try_from(bytes).ok(),
        AnnouncedContent::Chunked | AnnouncedContent::Nothing => None,
    }
}

/// Whether the content type is that of JSON (RFC 6839, 3.1). Content without a type may be JSON.
fn is_json(fields: Fields<'_>) -> bool {
    let Some(content_type) = fields.get(KnownName::ContentType) else { return true };
    let of = content_type.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
    let ends = of.len().checked_sub(5).and_then(|at| of.get(at..));
    let is_of =
        of.eq_ignore_ascii_case(b"application/json") || ends.is_some_and(|end| end.eq_ignore_ascii_case(b"+json"));
    is_of && !fields.is_repeated(KnownName::ContentType)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::head::tests::get;

    #[test]
    fn json_has_a_content_type_or_none() {
        for (values, expected) in [
            (&[][..], true),
            (&["application/json"], true),
            (&["Application/JSON; charset=utf-8"], true),
            (&["application/problem+json"], true),
            (&["application/json-seq"], false),
            (&["text/json"], false),
            (&["text/plain"], false),
            (&["json"], false),
            (&["application/json", "application/json"], false),
        ] {
            let fields: Vec<_> = values.iter().map(|value| ("content-type", *value)).collect();
            assert_eq!(is_json(get(&fields).fields()), expected, "{values:?}");
        }
    }
}
