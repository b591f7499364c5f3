//! The response to a client before it is framed: one of the gateway, or an upstream's with the edits of its head.

pub(crate) mod drain;
pub(crate) mod relay;
pub(crate) mod response_body;

use access::Timestamp;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http1::{Announced, KnownName};

use crate::account::request_id::RequestIdText;
use crate::deadlines::ActiveRequest;
use crate::refusal::counted_limits::{RATE_LIMIT, RATE_LIMIT_POLICY, ReportedLimit};
use crate::response::response_body::Body;
use crate::upstream::response_head::RelayedHead;

/// The fields that report the state of the client's rate limit.
const X_RATE_LIMIT: [KnownName; 3] =
    [KnownName::XRatelimitLimit, KnownName::XRatelimitRemaining, KnownName::XRatelimitReset];

/// A response to a client, with its head and its body. It is boxed, because it passes many functions.
pub(crate) struct ClientResponse {
    pub(crate) head: ClientHead,
    pub(crate) gateway: GatewayFields,
    pub(crate) body: Body,
    /// Whether the connection closes after the response, because the gateway has not read the whole request body.
    pub(crate) closes: bool,
}

/// The head of a response to a client.
pub(crate) enum ClientHead {
    /// A response of the gateway.
    Own(StatusCode, HeaderMap),
    /// A response of an upstream.
    Relayed(Box<RelayedHead>),
}

/// The fields that the gateway writes into the head of every response. They replace the upstream's fields of the same
/// names.
#[derive(Debug)]
pub(crate) struct GatewayFields {
    /// The request id. OpenAI's clients read `X-Request-Id`, Anthropic's read `Request-Id`.
    pub(crate) id: RequestIdText,
    /// The state of the client's rate limit, if it has one.
    pub(crate) limit: Option<ReportedLimit>,
    /// The current time, for the `Date` field.
    pub(crate) now: Timestamp,
}

impl ClientHead {
    /// Returns the status code.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Own(status, _) => status.as_u16(),
            Self::Relayed(relayed) => relayed.head.status(),
        }
    }

    /// Returns what the head announces; `length` is that of the content, if it is known.
    pub(crate) fn announced(&self, length: Option<u64>) -> Announced {
        match self {
            // RFC 9110, 8.6.
            Self::Own(StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, _) => Announced::Nothing,
            Self::Own(..) => Announced::Length(length.unwrap_or(0)),
            Self::Relayed(relayed) => relayed.head.announced(),
        }
    }

    /// Keeps the list of trailers that an upstream announced. Returns false if no trailers may follow the head.
    pub(crate) fn keep_trailers(&mut self) -> bool {
        match self {
            Self::Relayed(relayed) if relayed.may_have_trailers => {
                relayed.edits.keep(KnownName::Trailer);
                true
            }
            Self::Relayed(_) | Self::Own(..) => false,
        }
    }

    /// Whether the head of the upstream has `Date`.
    pub(crate) fn has_date(&self) -> bool {
        matches!(self, Self::Relayed(relayed) if relayed.head.fields().get(KnownName::Date).is_some())
    }
}

impl ClientResponse {
    /// Returns an upstream's response.
    pub(crate) fn relayed(mut head: Box<RelayedHead>, gateway: GatewayFields, body: Body) -> Box<Self> {
        head.edits.remove(KnownName::XRequestId);
        head.edits.remove(KnownName::RequestId);
        if gateway.limit.is_some() {
            X_RATE_LIMIT.into_iter().for_each(|name| head.edits.remove(name));
            let is_limit = |name: &[u8]| {
                [RATE_LIMIT, RATE_LIMIT_POLICY].iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
            };
            let RelayedHead { head, edits, .. } = &mut *head;
            edits.remove_fields(head.fields(), |field| is_limit(field.name));
        }
        Box::new(Self { head: ClientHead::Relayed(head), gateway, body, closes: false })
    }

    /// Returns a response of the gateway.
    pub(crate) fn own(response: Response<Bytes>, gateway: GatewayFields) -> Box<Self> {
        let (parts, body) = response.into_parts();
        let head = ClientHead::Own(parts.status, parts.headers);
        Box::new(Self { head, gateway, body: Body::whole(body), closes: false })
    }

    /// Closes the connection after the response if `closes`.
    pub(crate) fn closing(mut self: Box<Self>, closes: bool) -> Box<Self> {
        self.closes = closes;
        self
    }

    /// Keeps the request in progress until the response has ended.
    pub(crate) fn of(mut self: Box<Self>, request: ActiveRequest) -> Box<Self> {
        self.body.keep_active(request);
        self
    }
}
