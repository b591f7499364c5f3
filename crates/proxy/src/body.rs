//! The body of a client's request: it is forwarded, read into memory within bounds, or discarded.

pub(crate) mod admit;
pub(crate) mod buffer;
pub(crate) mod inflate;
pub(crate) mod kept;
mod messages;
pub(crate) mod upload;

use std::time::Duration;

use access::Refusal;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use http1::{AnnouncedContent, KnownName, Violation};
use tokio::time::{Instant, timeout_at};

use crate::body::buffer::Buffer;
use crate::bytes::content::length;
use crate::capacity::MemoryPermit;
use crate::client::head::Head;
use crate::client::{RequestBody, RequestBodyError};
use crate::refusal::problem::Problem;

/// Maximum number of bytes that are read of a refused request's body. The connection can be reused only if the whole
/// body is read.
const DISCARD_BYTES_MAX: u64 = 64 * 1024;
/// Maximum time for reading these bytes.
const DISCARD_FOR: Duration = Duration::from_millis(100);

/// A request's body until it is read or forwarded.
pub(crate) enum IncomingBody {
    /// The body is unread. `may_discard` is true if the next request follows it, it is small, and the client
    /// sends it without `100 (Continue)`.
    Unread { incoming: RequestBody, may_discard: bool },
    /// The body is being read or forwarded.
    Taken,
    /// The request has no body. Its connection may become a tunnel.
    Empty(RequestBody),
    /// The whole body has arrived.
    Whole,
}

impl IncomingBody {
    pub(crate) fn new(head: &Head, incoming: RequestBody) -> Self {
        if incoming.is_end_stream() {
            return Self::Empty(incoming);
        }
        let is_little = !matches!(head.announced(), AnnouncedContent::Length(bytes) if bytes > DISCARD_BYTES_MAX);
        let is_little = is_little && incoming.precedes_next_request();
        Self::Unread { incoming, may_discard: is_little && head.get(KnownName::Expect).is_none() }
    }

    /// Returns the body to read or forward; `None` if it is taken, complete or missing.
    pub(crate) fn take(&mut self) -> Option<RequestBody> {
        match std::mem::replace(self, Self::Taken) {
            Self::Unread { incoming, .. } => Some(incoming),
            Self::Taken => None,
            kept @ (Self::Empty(_) | Self::Whole) => {
                *self = kept;
                None
            }
        }
    }

    /// Returns what follows a request without a body, whose connection becomes a tunnel.
    pub(crate) fn take_tunnel(&mut self) -> Option<RequestBody> {
        match std::mem::replace(self, Self::Taken) {
            Self::Empty(incoming) => Some(incoming.tunnel()),
            Self::Unread { .. } | Self::Taken | Self::Whole => None,
        }
    }

    /// Reads and discards the rest of a small body, and returns whether the whole body has arrived. A connection on
    /// which half a body is unread cannot receive another request.
    pub(crate) async fn discard(&mut self) -> bool {
        let Self::Unread { incoming, may_discard: true } = self else {
            return matches!(self, Self::Whole | Self::Empty(_));
        };
        let deadline = Instant::now() + DISCARD_FOR;
        let mut bytes = 0;
        while let Ok(Some(Ok(frame))) = timeout_at(deadline, incoming.frame()).await {
            bytes += frame.data_ref().map_or(0, length);
            if incoming.is_end_stream() {
                *self = Self::Whole;
                return true;
            }
            if bytes > DISCARD_BYTES_MAX {
                break;
            }
        }
        incoming.is_end_stream()
    }
}

/// The bounds of reading a request body into memory.
pub(crate) struct BodyBounds {
    pub(crate) bytes_max: u64,
    /// The length of the body that its head announces.
    pub(crate) announced: Option<usize>,
    /// The maximum time between two pieces of the body.
    pub(crate) idle: Duration,
    /// The deadline of the whole request.
    pub(crate) total_at: Instant,
}

/// Reads a whole request body. `held` counts its bytes as they arrive, not as they are announced, and until the last
/// slice of the body is dropped.
pub(crate) async fn read(
    mut incoming: RequestBody,
    mut held: MemoryPermit,
    bounds: &BodyBounds,
) -> Result<Bytes, Problem> {
    let Some(first) = next(&mut incoming, bounds).await? else { return Ok(Bytes::new()) };
    check_length(length(&first), bounds)?;
    buffer::hold(&mut held, first.len())?;
    let Some(second) = next(&mut incoming, bounds).await? else { return Ok(buffer::counted(first, held)) };
    let mut body = Buffer::begin(&first, bounds.announced, held)?;
    drop(first);
    let mut piece = Some(second);
    while let Some(data) = piece {
        check_length(body.bytes().saturating_add(length(&data)), bounds)?;
        body.push(&data)?;
        // While the client pauses, the piece would keep the whole buffer of the connection.
        drop(data);
        piece = next(&mut incoming, bounds).await?;
    }
    Ok(body.finish())
}

/// Returns the next piece of a body, which is not empty; `None` at its end.
async fn next(incoming: &mut RequestBody, bounds: &BodyBounds) -> Result<Option<Bytes>, Problem> {
    loop {
        let deadline = (Instant::now() + bounds.idle).min(bounds.total_at);
        let frame = timeout_at(deadline, incoming.frame())
            .await
            .map_err(|_| Problem::new(Refusal::RequestTimeout, "the request's body did not arrive in time"))?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Ok(Some(data)),
                Ok(_) | Err(_) => {}
            },
            Some(Err(RequestBodyError::Violation(violation))) => return Err(malformed(violation)),
            Some(Err(error)) => {
                let problem = Problem::new(Refusal::BadRequest, "the request's body is incomplete");
                return Err(problem.because(&error).caller_gone());
            }
        }
    }
}

/// Returns the refusal of a body whose framing violates HTTP/1.1.
pub(crate) fn malformed(violation: Violation) -> Problem {
    Problem::new(Refusal::BadRequest, violation.to_string())
}

fn check_length(bytes: u64, bounds: &BodyBounds) -> Result<(), Problem> {
    if bytes > bounds.bytes_max { Err(admit::too_large(bounds.bytes_max)) } else { Ok(()) }
}
