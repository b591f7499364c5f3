//! Errors in two forms: a message for the client, and the cause for the log. [`store`] maps the errors of the store.

mod store;

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use access::{NotFound, Refusal};
use axum::response::{IntoResponse, Response};
use cluster::windows::WindowVerdict;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

pub(crate) use self::store::{NO_KEY, NO_PROVIDER_KEY};
use crate::message::limit_fields;

/// The `Retry-After` value of internal errors.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error response: `{"error":{"code","message","status"}}`.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    refusal: Refusal,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn Error + Send + Sync>>,
    /// The field `problems` of the body.
    problems: Option<Value>,
    /// The limit that refused the request, if it applies only to some endpoints.
    limit: Option<Box<WindowVerdict>>,
}

/// The cause of an error response for the log; a response extension carries it.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) refusal: Refusal,
    /// The message of the error's body.
    pub(crate) message: Cow<'static, str>,
    pub(crate) source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    /// Creates a problem. `message` tells the client what happened and what to do.
    pub(crate) fn new(refusal: Refusal, message: impl Into<Cow<'static, str>>) -> Self {
        Self { refusal, message: message.into(), retry_after: None, source: None, problems: None, limit: None }
    }

    /// Adds the time to wait before a retry; the response rounds it up to whole seconds.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// Adds the limit that refused the request: its `X-RateLimit-*` fields, and the time to wait.
    pub(crate) fn of_limit(self, verdict: &WindowVerdict) -> Self {
        Self { limit: Some(Box::new(*verdict)), ..self }.retry_after(verdict.retry_after)
    }

    /// Adds the problems of a configuration to the body.
    pub(crate) fn with_problems(self, problems: Value) -> Self {
        Self { problems: Some(problems), ..self }
    }

    /// No handler is registered for the path of the request.
    pub(crate) fn unknown_path() -> Self {
        Self::new(Refusal::NotFound, "nothing is found at this path")
    }

    /// The path of the request belongs to the proxy, which has this URL.
    pub(crate) fn path_of_proxy(url: &str) -> Self {
        Self::new(
            Refusal::NotFound,
            format!("nothing is found at this path: requests to routes and models go to {url}"),
        )
    }

    /// The request exceeded its maximum duration.
    pub(crate) fn late() -> Self {
        Self::new(Refusal::Unavailable, "the response took too long; try again")
    }

    /// An internal error that reveals nothing to the client.
    pub(crate) fn internal() -> Self {
        Self::new(Refusal::Internal, "an internal error occurred; the request id identifies it in the log")
    }

    /// An internal error whose cause is logged.
    pub(crate) fn fault(source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(source)), ..Self::internal() }
    }

    /// An error of another server, whose cause is logged.
    pub(crate) fn caused(
        refusal: Refusal,
        message: impl Into<Cow<'static, str>>,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self { source: Some(Arc::new(source)), ..Self::new(refusal, message) }
    }

    /// Whether the problem is an internal error, so that the request may have been correct.
    pub(crate) fn is_ours(&self) -> bool {
        self.refusal.status() >= 500
    }

    /// Whether the credential is missing or invalid.
    pub(crate) fn is_of_credential(&self) -> bool {
        self.refusal.status() == StatusCode::UNAUTHORIZED
    }
}

impl From<NotFound> for Problem {
    fn from(reason: NotFound) -> Self {
        let (refusal, message) = match reason {
            NotFound::Unknown => (Refusal::KeyUnknown, "this key does not exist"),
            NotFound::Revoked => (Refusal::KeyRevoked, "this key was revoked"),
            NotFound::Rotated => {
                (Refusal::KeyRevoked, "this secret was replaced when its key was rotated; use the new one")
            }
            NotFound::Expired => (Refusal::KeyExpired, "this key has expired"),
            NotFound::Suspended => {
                (Refusal::UserSuspended, "this account is suspended; contact the operator of this server")
            }
            NotFound::Unpaid => (
                Refusal::PaymentRequired,
                "this account has unpaid invoices; pay them in the dashboard, or with a key by `POST /api/invoices/{id}/pay`",
            ),
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
        let mut body = json!({"error": {"code": code, "message": self.message, "status": status.as_u16()}});
        if let Some(problems) = self.problems
            && let Some(error) = body.get_mut("error").and_then(Value::as_object_mut)
        {
            error.insert("problems".to_owned(), problems);
        }
        let mut response = (status, axum::Json(body)).into_response();
        let default_wait = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER);
        if let Some(wait) = self.retry_after.or(default_wait) {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if let Some(verdict) = self.limit {
            limit_fields::write(response.headers_mut(), &verdict);
        }
        response.extensions_mut().insert(Cause { refusal: self.refusal, message: self.message, source: self.source });
        response
    }
}
