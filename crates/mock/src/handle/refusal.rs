//! The response of a refusal.

use ai::Dialect;
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response};
use serde_json::value::RawValue;

use super::json;
use crate::error::MockError;
use crate::json::Json;
use crate::payload::Payload;

/// The target of a redirect: a port without a server.
const ELSEWHERE: HeaderValue = HeaderValue::from_static("http://127.0.0.1:9/mock");

impl MockError {
    /// The response in the format of `dialect`.
    pub(crate) fn response(&self, dialect: Dialect, id: &str) -> Response<Payload> {
        let body = match dialect {
            Dialect::OpenAi => self.open_ai(),
            Dialect::Anthropic => self.anthropic(id),
            Dialect::Google => self.google(),
        };
        self.response_with(dialect, &body)
    }

    /// Google's response to a request for a stream as JSON array: the error within an array.
    pub(crate) fn response_in_array(&self) -> Response<Payload> {
        let array = format!("[{}]", self.google());
        let body = Json::from(RawValue::from_string(array).unwrap_or_else(|_| self.google()));
        self.response_with(Dialect::Google, &body)
    }

    fn response_with(&self, dialect: Dialect, body: &Json) -> Response<Payload> {
        let status = self.status();
        let mut response = json(status, body);
        if status.is_redirection() {
            response.headers_mut().insert(LOCATION, ELSEWHERE);
        }
        // Google reports the delay in the body.
        if dialect != Dialect::Google
            && let Some(seconds) = self.retry_after_s()
        {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
