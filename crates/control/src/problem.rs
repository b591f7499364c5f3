//! What went wrong, twice: for the caller, and for the log.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use access::{NotFound, Refusal};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// Seconds after which what is our fault may be tried again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An answer that is an error: `{"error":{"code","message","status"}}`.
#[derive(Debug)]
pub(crate) struct Problem {
    refusal: Refusal,
    message: Cow<'static, str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What the log says of an answer that is an error; it travels in the answer's extensions.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) refusal: Refusal,
    pub(crate) source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    /// `message` says what happened and what to do; it is read by the caller.
    pub(crate) fn new(refusal: Refusal, message: impl Into<Cow<'static, str>>) -> Self {
        Self { refusal, message: message.into(), source: None }
    }

    /// A fault of ours of which the caller is told nothing.
    pub(crate) fn internal() -> Self {
        Self::new(Refusal::Internal, "something went wrong here; the request id helps to find it in the log")
    }

    /// The store did not answer; only the log says why.
    pub(crate) fn store(source: impl Error + Send + Sync + 'static) -> Self {
        let source = Some(Arc::new(source) as Arc<dyn Error + Send + Sync>);
        Self { source, ..Self::new(Refusal::Unavailable, "the store cannot be reached at the moment; try again") }
    }
}

impl From<NotFound> for Problem {
    fn from(reason: NotFound) -> Self {
        let (refusal, message) = match reason {
            NotFound::Unknown => (Refusal::KeyUnknown, "no such key"),
            NotFound::Revoked => (Refusal::KeyRevoked, "this key was revoked"),
            NotFound::Expired => (Refusal::KeyExpired, "this key has expired"),
            NotFound::Suspended => (Refusal::UserSuspended, "the user of this key is suspended"),
            NotFound::Busy => (Refusal::DirectoryBusy, "too many keys are being looked up; try again"),
            NotFound::Unavailable => (Refusal::Unavailable, "keys cannot be looked up at the moment; try again"),
        };
        Self::new(refusal, message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.refusal.code();
        let status = StatusCode::from_u16(self.refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({"error": {"code": code, "message": self.message, "status": status.as_u16()}});
        let mut response = (status, axum::Json(body)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response.extensions_mut().insert(Cause { refusal: self.refusal, source: self.source });
        response
    }
}
