//! The content of a client's request.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http1::Violation;
use thiserror::Error;

use super::socket::SharedSocket;

/// The content of a client's request. It is read from the connection's socket on demand.
pub(crate) struct RequestBody {
    socket: SharedSocket,
    request: u64,
}

/// The reason for an incomplete request body.
#[derive(Debug, Error)]
pub(crate) enum RequestBodyError {
    /// The framing of the body is invalid.
    #[error("the request's body breaks a rule of HTTP/1.1")]
    Violation(#[source] Violation),
    /// The client closed the connection before the end of the body.
    #[error("the client closed the connection before the end of the request's body")]
    Truncated,
    /// Reading from the connection failed.
    #[error("the connection to the client failed")]
    Io(#[source] io::Error),
    /// The connection serves another request, or none.
    #[error("the request has ended")]
    Ended,
}

impl RequestBody {
    /// Returns the content of the socket's current request.
    pub(super) fn new(socket: SharedSocket) -> Self {
        let request = socket.borrow().request();
        Self { socket, request }
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
        socket.poll_content(cx).map(|data| data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        let socket = self.socket.borrow();
        socket.request() == self.request && socket.content().is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.socket.borrow().content().size_hint()
    }
}
