//! The response to a client before it is framed.

mod close_frame;
pub(crate) mod compression;
pub(crate) mod drain;
pub(crate) mod head;
mod keep_alive;
pub(crate) mod relay;
pub(crate) mod response_body;
mod rest;
pub(crate) mod sharing;

use http_body::Body as _;

use crate::deadlines::ActiveRequest;
use crate::response::compression::Compression;
use crate::response::head::ClientHead;
use crate::response::response_body::Body;

/// A response to a client, with its head and its body. It is boxed, because it passes many functions.
pub(crate) struct ClientResponse {
    pub(crate) head: ClientHead,
    pub(crate) body: Body,
    /// Whether the connection closes after the response, because the gateway has not read the whole request body.
    pub(crate) closes: bool,
}

impl ClientResponse {
    /// Compresses the content, if the route and the request allow it.
    pub(crate) fn compressed(mut self: Box<Self>, compression: Option<Box<Compression>>) -> Box<Self> {
        let Some(compression) = compression else { return self };
        let length = if self.body.is_end_stream() { Some(0) } else { self.body.size_hint().exact() };
        if let Some(encoder) = compression.begin(&mut self.head, length) {
            self.body = self.body.compressed(encoder);
        }
        self
    }

    /// Keeps the request in progress until the response has ended.
    pub(crate) fn with_active_request(mut self: Box<Self>, request: ActiveRequest) -> Box<Self> {
        self.body.keep_active(request);
        self
    }
}
