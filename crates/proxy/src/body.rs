//! Bodies: the response's body, the body that is sent upstream, and the reading of a whole request body within bounds.

pub(crate) mod buffer;

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use access::Refusal;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use http1::{Announced, KnownName, Violation};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::admit;
use crate::answer::Problem;
use crate::body::buffer::Buffer;
use crate::capacity::{MemoryPermit, RequestPermit};
use crate::connection::{RequestBody, RequestBodyError};
use crate::deadlines::ActiveRequest;
use crate::drain;
use crate::head::Head;
use crate::relay::Relay;

/// Maximum number of bytes that are read of a refused request's body. The connection can be reused only if the whole
/// body is read.
const DISCARD_BYTES_MAX: u64 = 64 * 1024;
/// Maximum time for reading these bytes.
const DISCARD_FOR: Duration = Duration::from_millis(100);

/// The body of a response. The request counts as in flight until it is dropped.
pub(crate) struct Body {
    kind: BodyKind,
    _in_flight: Option<(RequestPermit, ActiveRequest)>,
}

enum BodyKind {
    Whole(Option<Bytes>),
    Relay(Box<Relay>),
}

/// The response was aborted. Its connection is closed without a regular end, so that the client detects it.
#[derive(Debug, Clone, Copy, Error)]
#[error("the response was aborted")]
pub(crate) struct ResponseAborted;

impl Body {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { kind: BodyKind::Whole((!bytes.is_empty()).then_some(bytes)), _in_flight: None }
    }

    pub(crate) fn relay(relay: Box<Relay>) -> Self {
        Self { kind: BodyKind::Relay(relay), _in_flight: None }
    }

    pub(crate) fn in_flight(mut self, permit: Option<RequestPermit>, busy: ActiveRequest) -> Self {
        self._in_flight = permit.map(|permit| (permit, busy));
        self
    }

    /// Returns the length in bytes of a response of the gateway; `None` for an upstream's response.
    pub(crate) fn whole_bytes(&self) -> Option<u64> {
        match &self.kind {
            BodyKind::Whole(bytes) => Some(bytes.as_ref().map_or(0, length)),
            BodyKind::Relay(_) => None,
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let BodyKind::Relay(relay) = std::mem::replace(&mut self.kind, BodyKind::Whole(None))
            && !relay.is_over()
        {
            let permit = self._in_flight.take().map(|(permit, _)| permit);
            drain::read_on(permit, relay);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = ResponseAborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseAborted>>> {
        match &mut self.kind {
            BodyKind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            BodyKind::Relay(relay) => relay.poll_bytes(cx).map(|bytes| bytes.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Whole(bytes) => bytes.is_none(),
            BodyKind::Relay(relay) => relay.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, length)),
            BodyKind::Relay(relay) => relay.size_hint(),
        }
    }
}

/// The body of a request as it is sent upstream.
pub(crate) enum Upload {
    /// Held in memory; segments are sent in order.
    Segments(VecDeque<Bytes>),
    /// Forwarded as it arrives from the client.
    Stream(UploadStream),
}

/// A request body that is forwarded as it arrives.
pub(crate) struct UploadStream {
    /// Bytes that an attempt without effect consumed; they are sent again first.
    again: VecDeque<Bytes>,
    incoming: RequestBody,
    progress: Rc<Progress>,
    bytes_max: u64,
}

/// The progress of a request's body, shared between the body and the request that waits.
#[derive(Debug)]
pub(crate) struct Progress {
    bytes: Cell<u64>,
    whole: Cell<bool>,
    at: Cell<Instant>,
    caller_owes: Cell<bool>,
    failed: Cell<Option<UploadError>>,
}

/// The reason why a request body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum UploadError {
    #[error("the request's body is larger than the configured maximum")]
    TooLarge,
    #[error("the client aborted the request's body")]
    CallerGone,
    #[error("the request's body breaks a rule of HTTP/1.1")]
    Malformed(#[source] Violation),
}

impl Progress {
    fn new(whole: bool, bytes: u64, now: Instant) -> Rc<Self> {
        Rc::new(Self {
            bytes: Cell::new(bytes),
            whole: Cell::new(whole),
            at: Cell::new(now),
            caller_owes: Cell::new(false),
            failed: Cell::new(None),
        })
    }

    /// Returns whether the whole body was passed to the upstream connection.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole.get()
    }

    /// Begins an attempt at `now`.
    pub(crate) fn begin(&self, now: Instant) {
        self.at.set(now);
        // An earlier attempt may have requested bytes that this attempt does not need yet.
        self.caller_owes.set(false);
    }

    /// Returns the time at which a byte last moved.
    pub(crate) fn moved_at(&self) -> Instant {
        self.at.get()
    }

    /// Returns whether the upstream can take bytes that the client has not sent yet.
    pub(crate) fn caller_owes(&self) -> bool {
        self.caller_owes.get()
    }

    pub(crate) fn failed(&self) -> Option<UploadError> {
        self.failed.get()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }
}

impl Upload {
    /// Returns a body that is forwarded as it arrives, up to `bytes_max` bytes.
    pub(crate) fn stream(incoming: Option<RequestBody>, bytes_max: u64, now: Instant) -> (Self, Rc<Progress>) {
        let Some(incoming) = incoming else { return Self::segments(std::iter::empty(), now) };
        let progress = Progress::new(false, 0, now);
        let stream = UploadStream { again: VecDeque::new(), incoming, progress: progress.clone(), bytes_max };
        (Self::Stream(stream), progress)
    }

    /// Returns a body that is held in memory.
    pub(crate) fn segments(segments: impl IntoIterator<Item = Bytes>, now: Instant) -> (Self, Rc<Progress>) {
        let segments: VecDeque<_> = segments.into_iter().filter(|segment| !segment.is_empty()).collect();
        let bytes = segments.iter().map(length).sum();
        (Self::Segments(segments), Progress::new(true, bytes, now))
    }

    /// Returns a copy of a body that is held in memory; `None` for any other body.
    pub(crate) fn copy(&self) -> Option<Self> {
        match self {
            Self::Segments(segments) => Some(Self::Segments(segments.clone())),
            Self::Stream(_) => None,
        }
    }

    /// Returns the body from its beginning; `taken` are the bytes that were consumed.
    pub(crate) fn rewound(mut self, taken: VecDeque<Bytes>) -> Self {
        let to_come = match &mut self {
            Self::Segments(segments) => segments,
            Self::Stream(stream) => &mut stream.again,
        };
        taken.into_iter().rev().for_each(|data| to_come.push_front(data));
        self
    }

    /// Returns whether the body is known to have no bytes, so that it can be sent again.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Segments(segments) if segments.is_empty())
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match &mut *self {
            Self::Segments(segments) => Poll::Ready(segments.pop_front().map(|segment| Ok(Frame::data(segment)))),
            Self::Stream(stream) => stream.poll_data(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Segments(segments) => segments.is_empty(),
            Self::Stream(stream) => stream.again.is_empty() && stream.progress.is_whole(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Segments(segments) => SizeHint::with_exact(segments.iter().map(length).sum()),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

impl UploadStream {
    fn size_hint(&self) -> SizeHint {
        let to_come = self.incoming.size_hint();
        match to_come.exact() {
            Some(bytes) => SizeHint::with_exact(bytes + self.again.iter().map(length).sum::<u64>()),
            None => to_come,
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if let Some(data) = self.again.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        loop {
            let polled = Pin::new(&mut self.incoming).poll_frame(cx);
            let progress = &self.progress;
            progress.caller_owes.set(polled.is_pending());
            let frame = std::task::ready!(polled);
            progress.at.set(Instant::now());
            let data = match frame {
                None => {
                    progress.whole.set(true);
                    return Poll::Ready(None);
                }
                Some(Err(RequestBodyError::Violation(violation))) => {
                    return self.fail(UploadError::Malformed(violation));
                }
                Some(Err(_)) => return self.fail(UploadError::CallerGone),
                // Trailers are dropped: none were announced to the upstream (RFC 9110, 6.5.1).
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
            };
            progress.bytes.set(progress.bytes.get() + length(&data));
            if progress.bytes.get() > self.bytes_max {
                return self.fail(UploadError::TooLarge);
            }
            if self.incoming.is_end_stream() {
                progress.whole.set(true);
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn fail(&self, failed: UploadError) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        self.progress.failed.set(Some(failed));
        Poll::Ready(Some(Err(failed)))
    }
}

/// A request's body until it is read or forwarded.
pub(crate) enum IncomingBody {
    /// The body is unread. `may_discard` is true if it is small and the client sends it without `100 (Continue)`.
    Unread { incoming: RequestBody, may_discard: bool },
    /// The body is being read or forwarded.
    Taken,
    /// The whole body has arrived, or the request has no body.
    Whole,
}

impl IncomingBody {
    pub(crate) fn new(head: &Head, incoming: RequestBody) -> Self {
        if incoming.is_end_stream() {
            return Self::Whole;
        }
        let is_little = !matches!(head.announced(), Announced::Length(bytes) if bytes > DISCARD_BYTES_MAX);
        Self::Unread { incoming, may_discard: is_little && head.get(KnownName::Expect).is_none() }
    }

    /// Returns the body to read or forward; `None` if it is taken, complete or missing.
    pub(crate) fn take(&mut self) -> Option<RequestBody> {
        match std::mem::replace(self, Self::Taken) {
            Self::Unread { incoming, .. } => Some(incoming),
            Self::Taken => None,
            Self::Whole => {
                *self = Self::Whole;
                None
            }
        }
    }

    /// Reads and discards the rest of a small body, and returns whether the whole body has arrived. A connection on
    /// which half a body is unread cannot receive another request.
    pub(crate) async fn discard(&mut self) -> bool {
        let Self::Unread { incoming, may_discard: true } = self else { return matches!(self, Self::Whole) };
        let (deadline, mut bytes) = (Instant::now() + DISCARD_FOR, 0);
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
    let mut body = Buffer::begin(&first, held)?;
    drop(first);
    let mut piece = Some(second);
    while let Some(data) = piece {
        check_length(body.bytes().saturating_add(length(&data)), bounds)?;
        body.push(&data)?;
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

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
