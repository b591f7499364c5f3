//! The content of a client's request on a stream of HTTP/2.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Frame, SizeHint};

use super::request_body_error::RequestBodyError;
use crate::bytes::content::{allowed_trailers, length};

/// Whether the gateway wants the content for which the client waits with `Expect: 100-continue`.
pub(crate) type ContentWanted = Rc<Cell<bool>>;

/// The content of a request on a stream. The client may send as much further content as was read.
pub(crate) struct StreamBody {
    receiving: RecvStream,
    /// The number of bytes that remain, if the head announced the length. h2 enforces that length.
    left: Option<u64>,
    /// Is set if content is read and has not begun to arrive.
    wanted: Option<ContentWanted>,
}

impl StreamBody {
    /// Returns the content of a stream; `left` is its length, if the head announced it.
    pub(crate) fn new(receiving: RecvStream, left: Option<u64>, wanted: Option<ContentWanted>) -> Self {
        let left = if receiving.is_end_stream() { Some(0) } else { left };
        Self { receiving, left, wanted }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let polled = self.receiving.poll_data(cx);
        if let Some(wanted) = self.wanted.take()
            && polled.is_pending()
        {
            wanted.set(true);
        }
        let Some(data) = ready!(polled) else {
            let trailers = ready!(self.receiving.poll_trailers(cx)).map_err(RequestBodyError::Stream)?;
            let trailers = trailers.map(allowed_trailers).filter(|trailers| !trailers.is_empty());
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        };
        let data = data.map_err(RequestBodyError::Stream)?;
        // The call fails only for a stream that has ended, which needs no window.
        let _ = self.receiving.flow_control().release_capacity(data.len());
        self.left = self.left.map(|left| left.saturating_sub(length(&data)));
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.receiving.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
