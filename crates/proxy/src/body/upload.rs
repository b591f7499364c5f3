//! The body of a request as it is sent upstream, and its progress.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use config::snapshot::trusted_headers::is_trusted_by_backends;
use http::{HeaderMap, HeaderName};
use http_body::{Body as _, Frame, SizeHint};
use http1::Violation;
use thiserror::Error;
use tokio::time::Instant;

use crate::body::kept::KeptBody;
use crate::body::messages::MessageScanner;
use crate::bytes::content::{Trailers, length};
use crate::client::head::is_one_of;
use crate::client::{RequestBody, RequestBodyError};

/// The body of a request as it is sent upstream. Most requests have none, so the state of a stream is boxed.
pub(crate) enum Upload {
    /// Held in memory; segments are sent in order.
    Segments(VecDeque<Bytes>),
    /// Forwarded as it arrives from the client.
    Stream(Box<UploadStream>),
}

/// A request body that is forwarded as it arrives.
pub(crate) struct UploadStream {
    /// Bytes that an attempt without effect consumed; they are sent again first.
    again: VecDeque<Bytes>,
    incoming: RequestBody,
    /// The trailers after the end of `incoming`, kept for a further attempt.
    trailers: Option<Trailers>,
    /// Whether this attempt has taken the trailers.
    has_sent_trailers: bool,
    progress: Rc<StreamProgress>,
    bytes_max: u64,
    /// The messages of a gRPC call, of which `bytes_max` bounds each.
    messages: Option<MessageScanner>,
    /// The headers that claims of access tokens become: no trailer may have their names.
    claim_headers: Option<Arc<[Box<str>]>>,
    /// Gets the bytes that are sent, if the request may be sent again.
    kept: Option<Rc<KeptBody>>,
}

/// The progress of a request's body.
#[derive(Debug, Clone)]
pub(crate) enum Progress {
    /// The body was in memory when the attempt began.
    Whole { bytes: u64, begun: Instant },
    /// The body is streamed. It shares its progress with the request that waits.
    Stream(Rc<StreamProgress>),
}

/// The progress of a streamed body.
#[derive(Debug)]
pub(crate) struct StreamProgress {
    bytes: Cell<u64>,
    whole: Cell<bool>,
    at: Cell<Instant>,
    awaits_client: Cell<bool>,
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
    #[error("the body of a gRPC call ends within a message")]
    PartOfMessage,
}

impl Progress {
    /// Returns whether the whole body was passed to the upstream connection.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Whole { .. } => true,
            Self::Stream(stream) => stream.whole.get(),
        }
    }

    /// Begins an attempt at `now`.
    pub(crate) fn begin(&mut self, now: Instant) {
        match self {
            Self::Whole { begun, .. } => *begun = now,
            Self::Stream(stream) => {
                stream.at.set(now);
                // An earlier attempt may have requested bytes that this attempt does not need yet.
                stream.awaits_client.set(false);
            }
        }
    }

    /// Returns the time at which a byte last moved.
    pub(crate) fn moved_at(&self) -> Instant {
        match self {
            Self::Whole { begun, .. } => *begun,
            Self::Stream(stream) => stream.at.get(),
        }
    }

    /// Returns whether the upstream can take bytes that the client has not sent yet.
    pub(crate) fn awaits_client(&self) -> bool {
        matches!(self, Self::Stream(stream) if stream.awaits_client.get())
    }

    pub(crate) fn failed(&self) -> Option<UploadError> {
        match self {
            Self::Whole { .. } => None,
            Self::Stream(stream) => stream.failed.get(),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Whole { bytes, .. } => *bytes,
            Self::Stream(stream) => stream.bytes.get(),
        }
    }
}

impl StreamProgress {
    fn new(now: Instant) -> Rc<Self> {
        Rc::new(Self {
            bytes: Cell::new(0),
            whole: Cell::new(false),
            at: Cell::new(now),
            awaits_client: Cell::new(false),
            failed: Cell::new(None),
        })
    }
}

impl Upload {
    /// Returns a body that is forwarded as it arrives, up to `bytes_max` bytes.
    pub(crate) fn stream(incoming: Option<RequestBody>, bytes_max: u64, now: Instant) -> (Self, Progress) {
        let Some(incoming) = incoming else { return Self::segments(std::iter::empty(), now) };
        let progress = StreamProgress::new(now);
        let again = VecDeque::new();
        let shared = progress.clone();
        let stream = Box::new(UploadStream {
            again,
            incoming,
            trailers: None,
            has_sent_trailers: false,
            progress: shared,
            bytes_max,
            messages: None,
            claim_headers: None,
            kept: None,
        });
        (Self::Stream(stream), Progress::Stream(progress))
    }

    /// Removes trailers with the names of headers that only claims of access tokens may set.
    pub(crate) fn guard(&mut self, claim_headers: &Arc<[Box<str>]>) {
        if let Self::Stream(stream) = self
            && !claim_headers.is_empty()
        {
            stream.claim_headers = Some(claim_headers.clone());
        }
    }

    /// Bounds each message of a gRPC call in place of the whole body.
    pub(crate) fn bound_messages(&mut self) {
        if let Self::Stream(stream) = self {
            stream.messages = Some(MessageScanner::default());
        }
    }

    /// Keeps the bytes of a streamed body in `kept` as they are sent.
    pub(crate) fn keep(&mut self, kept: Rc<KeptBody>) {
        if let Self::Stream(stream) = self {
            stream.kept = Some(kept);
        }
    }

    /// Returns a body without bytes.
    pub(crate) fn empty() -> Self {
        Self::Segments(VecDeque::new())
    }

    /// Returns a body of these bytes, which are sent again.
    pub(crate) fn again(bytes: Bytes) -> Self {
        Self::Segments(VecDeque::from([bytes]))
    }

    /// Returns a body that is held in memory.
    pub(crate) fn segments(segments: impl IntoIterator<Item = Bytes>, now: Instant) -> (Self, Progress) {
        let segments: VecDeque<_> = segments.into_iter().filter(|segment| !segment.is_empty()).collect();
        let bytes = segments.iter().map(length).sum();
        (Self::Segments(segments), Progress::Whole { bytes, begun: now })
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
            Self::Stream(stream) => {
                stream.has_sent_trailers = false;
                &mut stream.again
            }
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
            Self::Stream(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Segments(segments) => segments.is_empty(),
            Self::Stream(stream) => {
                let has_trailers = stream.trailers.is_some() && !stream.has_sent_trailers;
                stream.again.is_empty() && stream.progress.whole.get() && !has_trailers
            }
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

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if let Some(data) = self.again.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.trailers.is_some() {
            return Poll::Ready(self.take_trailers());
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        let progress = &self.progress;
        progress.awaits_client.set(polled.is_pending());
        let frame = std::task::ready!(polled);
        progress.at.set(Instant::now());
        let data = match frame.map(|frame| frame.map(Frame::into_data)) {
            None if self.is_within_message() => return self.fail(UploadError::PartOfMessage),
            None => {
                progress.whole.set(true);
                return Poll::Ready(None);
            }
            Some(Err(RequestBodyError::Violation(violation))) => return self.fail(UploadError::Malformed(violation)),
            Some(Err(_)) => return self.fail(UploadError::CallerGone),
            Some(Ok(Err(_))) if self.is_within_message() => return self.fail(UploadError::PartOfMessage),
            Some(Ok(Err(frame))) => {
                progress.whole.set(true);
                let trailers = frame.into_trailers().ok();
                self.kept.take().inspect(|kept| kept.give_up());
                self.trailers =
                    trailers.and_then(|received| forwarded_trailers(received, self.claim_headers.as_deref()));
                return Poll::Ready(self.take_trailers());
            }
            Some(Ok(Ok(data))) => data,
        };
        progress.bytes.set(progress.bytes.get() + length(&data));
        let is_bounded = match &mut self.messages {
            None => progress.bytes.get() <= self.bytes_max,
            Some(messages) => messages.pass(&data, self.bytes_max),
        };
        if !is_bounded {
            return self.fail(UploadError::TooLarge);
        }
        if self.incoming.is_end_stream() {
            if self.is_within_message() {
                return self.fail(UploadError::PartOfMessage);
            }
            progress.whole.set(true);
        }
        if let Some(kept) = &self.kept {
            kept.push(&data);
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    /// Returns a copy of the trailers, once in each attempt.
    fn take_trailers(&mut self) -> Option<Result<Frame<Bytes>, UploadError>> {
        let is_sent = std::mem::replace(&mut self.has_sent_trailers, true);
        if is_sent {
            return None;
        }
        self.trailers.as_deref().map(|trailers| Ok(Frame::trailers(trailers.clone())))
    }

    /// Whether the body so far ends within a message of a gRPC call.
    fn is_within_message(&self) -> bool {
        self.messages.as_ref().is_some_and(MessageScanner::is_within)
    }

    fn fail(&self, failed: UploadError) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        self.progress.failed.set(Some(failed));
        Poll::Ready(Some(Err(failed)))
    }
}

/// Returns the trailers that are forwarded, if there are any. Not even a trusted proxy writes fields that backends trust as
/// trailers.
fn forwarded_trailers(received: HeaderMap, claim_headers: Option<&[Box<str>]>) -> Option<Trailers> {
    let mut trailers = Box::new(received);
    let is_trusted = |name: &&HeaderName| {
        let name = name.as_str().as_bytes();
        is_trusted_by_backends(name) || is_one_of(name, claim_headers.unwrap_or_default())
    };
    let trusted: Vec<HeaderName> = trailers.keys().filter(is_trusted).cloned().collect();
    for name in trusted {
        trailers.remove(name);
    }
    (!trailers.is_empty()).then_some(trailers)
}
