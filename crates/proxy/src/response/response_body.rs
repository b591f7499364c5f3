//! The body of a response to a client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::bytes::content::length;
use crate::deadlines::ActiveRequest;
use crate::response::compression::body::EncodedBody;
use crate::response::compression::encoder::Encoder;
use crate::response::drain;
use crate::response::relay::{Relay, ResponseAborted};

/// The body of a response. The request is in progress until it is dropped.
pub(crate) struct Body {
    kind: BodyKind,
    active: Option<ActiveRequest>,
}

enum BodyKind {
    Whole(Option<Bytes>),
    Relay(Box<Relay>),
    Compressed(Box<EncodedBody<Body>>),
}

impl Body {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { kind: BodyKind::Whole((!bytes.is_empty()).then_some(bytes)), active: None }
    }

    pub(crate) fn relay(relay: Box<Relay>) -> Self {
        Self { kind: BodyKind::Relay(relay), active: None }
    }

    /// Returns the body with its content compressed.
    pub(crate) fn compressed(self, encoder: Box<Encoder>) -> Self {
        Self { kind: BodyKind::Compressed(Box::new(EncodedBody::new(self, encoder))), active: None }
    }

    /// Whether the body may end with trailers for its client.
    pub(crate) fn may_have_trailers(&self) -> bool {
        matches!(&self.kind, BodyKind::Relay(relay) if relay.may_have_trailers())
    }

    /// Keeps trailers that follow content of an announced length, which only HTTP/2 can carry.
    pub(crate) fn keep_trailers(&mut self) {
        if let BodyKind::Relay(relay) = &mut self.kind {
            relay.keep_trailers();
        }
    }

    /// Whether the response ends if its client closes its sending side.
    pub(crate) fn ends_with_client(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.deadlines.ends_with_client())
    }

    /// Keeps the request in progress until the body is dropped.
    pub(crate) fn keep_active(&mut self, active: ActiveRequest) {
        self.active = Some(active);
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let BodyKind::Relay(relay) = std::mem::replace(&mut self.kind, BodyKind::Whole(None))
            && !relay.is_over()
        {
            self.active = None;
            drain::read_on(relay);
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
            BodyKind::Relay(relay) => {
                let data = ready!(relay.poll_bytes(cx)).map(|data| data.map(Frame::data));
                Poll::Ready(data.or_else(|| relay.take_trailers().map(|trailers| Ok(Frame::trailers(*trailers)))))
            }
            BodyKind::Compressed(body) => body.poll_bytes(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Whole(bytes) => bytes.is_none(),
            BodyKind::Relay(relay) => relay.is_over() && !relay.has_trailers(),
            BodyKind::Compressed(body) => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, length)),
            BodyKind::Relay(relay) => relay.size_hint(),
            BodyKind::Compressed(_) => SizeHint::default(),
        }
    }
}
