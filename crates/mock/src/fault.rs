//! Refusals, in the words of the provider whose path was called.

use ai::Format;
use http::{Response, StatusCode};

use crate::handle::json;
use crate::json::{Json, NULL, object};
use crate::payload::Payload;

/// Seconds, in `Retry-After`.
const RETRY_AFTER: &str = "1";

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Unreadable(String),
    UnknownPath(String),
    WrongMethod,
    TooLarge,
    RateLimited,
    Failed,
    Overloaded,
}

impl Fault {
    /// The answer in `format`; paths that are no format's are answered like OpenAI's.
    pub(crate) fn answer(&self, format: Format, id: &str) -> Response<Payload> {
        let body = match format {
            Format::Chat | Format::Responses => self.open_ai(),
            Format::Messages => self.anthropic(id),
        };
        let mut answer = json(self.status(), &body);
        if *self == Self::RateLimited {
            let value = http::HeaderValue::from_static(RETRY_AFTER);
            answer.headers_mut().insert(http::header::RETRY_AFTER, value);
        }
        answer
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::UnknownPath(_) => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            // Anthropic's own; not in the registry of statuses.
            Self::Overloaded => StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    fn open_ai(&self) -> Json {
        let (kind, code) = match self {
            Self::Unreadable(_) | Self::WrongMethod => ("invalid_request_error", None),
            Self::UnknownPath(_) => ("invalid_request_error", Some("unknown_url")),
            Self::TooLarge => ("invalid_request_error", Some("payload_too_large")),
            Self::RateLimited => ("requests", Some("rate_limit_exceeded")),
            Self::Failed => ("server_error", None),
            Self::Overloaded => ("server_error", Some("overloaded")),
        };
        object! { "error": object! { "message": self.message(), "type": kind, "param": NULL, "code": code } }
    }

    fn anthropic(&self, id: &str) -> Json {
        let kind = match self {
            Self::Unreadable(_) | Self::WrongMethod => "invalid_request_error",
            Self::UnknownPath(_) => "not_found_error",
            Self::TooLarge => "request_too_large",
            Self::RateLimited => "rate_limit_error",
            Self::Failed => "api_error",
            Self::Overloaded => "overloaded_error",
        };
        let error = object! { "type": kind, "message": self.message() };
        object! { "type": "error", "error": error, "request_id": format!("req_{id}") }
    }

    fn message(&self) -> String {
        match self {
            Self::Unreadable(why) => format!("mock: the body cannot be read: {why}"),
            Self::UnknownPath(path) => format!("mock: unknown path {path}"),
            Self::WrongMethod => String::from("mock: this path has other methods"),
            Self::TooLarge => String::from("mock: the body is too large"),
            Self::RateLimited => format!("mock: rate limit reached, try again in {RETRY_AFTER}s"),
            Self::Failed => String::from("mock: the server had an error while processing your request"),
            Self::Overloaded => String::from("mock: overloaded"),
        }
    }
}
