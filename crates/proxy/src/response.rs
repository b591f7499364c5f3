//! The response to a client before it is framed: one of the gateway, or an upstream's with the edits of its head.

use access::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http1::{HeadEdits, KnownName};
use meter::rate::RateLevel;

use crate::answer;
use crate::body::Body;
use crate::capacity::RequestPermit;
use crate::deadlines::ActiveRequest;
use crate::upstream::response_head::UpstreamHead;

/// A response to a client, with its head and its body.
pub(crate) struct ClientResponse {
    pub(crate) head: ClientHead,
    pub(crate) body: Body,
    /// Whether the connection closes after the response, because the gateway has not read the whole request body.
    pub(crate) closes: bool,
}

/// The head of a response to a client.
pub(crate) enum ClientHead {
    /// A response of the gateway.
    Own(StatusCode, HeaderMap),
    /// An upstream's response, with the edits of its head.
    Relayed(UpstreamHead, HeadEdits),
}

impl ClientHead {
    /// Returns the status code.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Own(status, _) => status.as_u16(),
            Self::Relayed(head, _) => head.status(),
        }
    }
}

impl ClientResponse {
    /// Returns a response of the gateway.
    pub(crate) fn own(response: Response<Body>, closes: bool) -> Self {
        let (parts, body) = response.into_parts();
        Self { head: ClientHead::Own(parts.status, parts.headers), body, closes }
    }

    /// Replaces the request ids by the gateway's. OpenAI's clients read `X-Request-Id`, Anthropic's read `Request-Id`.
    pub(crate) fn stamp(&mut self, id: &HeaderValue) {
        for name in [KnownName::XRequestId, KnownName::RequestId] {
            match &mut self.head {
                ClientHead::Own(_, headers) => {
                    headers.insert(HeaderName::from_static(name.as_str()), id.clone());
                }
                ClientHead::Relayed(_, edits) => {
                    // A request id is a valid header value.
                    let _ = edits.set(name, id.as_bytes());
                }
            }
        }
    }

    /// Adds the headers that report the state of the client's rate limit.
    pub(crate) fn add_rate_limit(&mut self, level: RateLevel, now: Timestamp) {
        match &mut self.head {
            ClientHead::Own(_, headers) => {
                headers.extend(answer::limit_headers(level, now).map(|(name, value)| (Some(name), value)));
            }
            ClientHead::Relayed(_, edits) => {
                let mut digits = itoa::Buffer::new();
                for (name, figure) in answer::limit_figures(level, now) {
                    // A number is a valid header value.
                    let _ = edits.set(name, digits.format(figure).as_bytes());
                }
            }
        }
    }

    /// Counts the request as in flight until the response has ended.
    pub(crate) fn in_flight(mut self, permit: Option<RequestPermit>, request: ActiveRequest) -> Self {
        self.body = self.body.in_flight(permit, request);
        self
    }
}
