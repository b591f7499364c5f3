//! The content of a client's request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::request_body_error::RequestBodyError;
use super::socket::SharedSocket;
use super::stream_body::StreamBody;

/// The content of a client's request. It is read from the connection on demand.
pub(crate) enum RequestBody {
    /// The content of a request over HTTP/1.1.
    Socket(SocketBody),
    /// The content of a request over HTTP/2.
    Stream(Box<StreamBody>),
}

/// The content of a socket's current request.
pub(crate) struct SocketBody {
    socket: SharedSocket,
    request: u64,
}

impl RequestBody {
    /// Returns the content of the socket's current request.
    pub(crate) fn of_socket(socket: SharedSocket) -> Self {
        let request = socket.borrow().request();
        Self::Socket(SocketBody { socket, request })
    }

    /// Returns the bytes that follow a request without content, whose connection becomes a tunnel. A stream becomes none.
    pub(crate) fn tunnel(self) -> Self {
        if let Self::Socket(SocketBody { socket, request }) = &self
            && socket.borrow().request() == *request
        {
            socket.borrow_mut().begin_tunnel();
        }
        self
    }

    /// Whether the connection can receive another request only after the whole content.
    pub(crate) const fn precedes_next_request(&self) -> bool {
        matches!(self, Self::Socket(_))
    }
}

impl SocketBody {
    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
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
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        match &mut *self {
            Self::Socket(body) => body.poll_frame(cx),
            Self::Stream(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Socket(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Socket(body) => body.socket.borrow().content().size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}
