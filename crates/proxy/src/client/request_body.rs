//! The content of a client's request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::request_body_error::RequestBodyError;
use super::socket::SharedSocket;

/// The content of a client's request. It is read from the connection's socket on demand.
pub(crate) struct RequestBody {
    socket: SharedSocket,
    request: u64,
}

impl RequestBody {
    /// Returns the content of the socket's current request.
    pub(crate) fn new(socket: SharedSocket) -> Self {
        let request = socket.borrow().request();
        Self { socket, request }
    }

    /// Returns the bytes that follow a request without content, whose connection becomes a tunnel.
    pub(crate) fn tunnel(self) -> Self {
        if self.socket.borrow().request() == self.request {
            self.socket.borrow_mut().begin_tunnel();
        }
        self
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let mut socket = self.socket.borrow_mut();
        if socket.request() != self.request {
            return Poll::Ready(Some(Err(RequestBodyError::Ended)));
        }
        let data = ready!(socket.poll_content(cx));
        let trailers = || socket.take_trailers().map(|trailers| Ok(Frame::trailers(*trailers)));
        Poll::Ready(data.map(|data| data.map(Frame::data)).or_else(trailers))
    }

    fn is_end_stream(&self) -> bool {
        let socket = self.socket.borrow();
        socket.request() == self.request && socket.content().is_over() && !socket.content().has_trailers()
    }

    fn size_hint(&self) -> SizeHint {
        self.socket.borrow().content().size_hint()
    }
}
