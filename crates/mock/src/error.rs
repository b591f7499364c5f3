//! Refusals in the format of the provider whose path was called.

use ai::Dialect;
use http::StatusCode;

use crate::json::{Json, object};

/// The reason for a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MockError {
    /// The body is not JSON or not a form, or a field has another type.
    Unreadable(String),
    NoModel,
    /// The body lacks this parameter, which the endpoint requires.
    Missing(&'static str),
    /// The body breaks a rule of the real provider.
    Rule {
        param: String,
        message: String,
    },
    ContentType(String),
    /// The request has a credential in a header that this provider's clients do not use.
    Credential(&'static str),
    /// The credential begins with `wrong`.
    WrongCredential,
    UnknownPath(String),
    WrongMethod,
    TooLarge,
    Status {
        status: StatusCode,
        retry_after_s: Option<u32>,
    },
    Quota,
}

impl MockError {
    /// The refusal of an overloaded provider.
    pub(crate) const fn unavailable() -> Self {
        Self::Status { status: StatusCode::SERVICE_UNAVAILABLE, retry_after_s: None }
    }

    /// The error of an overloaded provider within a stream; Anthropic uses status 529 for it.
    pub(crate) fn overloaded(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Anthropic => Self::Status { status: overloaded(), retry_after_s: None },
            Dialect::OpenAi | Dialect::Google => Self::unavailable(),
        }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Unreadable(_) | Self::NoModel | Self::Missing(_) | Self::Rule { .. } => StatusCode::BAD_REQUEST,
            Self::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Credential(_) | Self::WrongCredential => StatusCode::UNAUTHORIZED,
            Self::UnknownPath(_) => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Status { status, .. } => *status,
            Self::Quota => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    pub(crate) const fn retry_after_s(&self) -> Option<u32> {
        if let Self::Status { retry_after_s, .. } = self { *retry_after_s } else { None }
    }

    pub(crate) fn open_ai(&self) -> Json {
        let (kind, code) = self.open_ai_words();
        let param = match self {
            Self::Missing(field) => Some(*field),
            Self::Rule { param, .. } => Some(param.as_str()),
            _ => None,
        };
        object! { "error": object! { "message": self.message(), "type": kind, "param": param, "code": code } }
    }

    pub(crate) fn open_ai_words(&self) -> (&'static str, Option<&'static str>) {
        match (self, self.status().as_u16()) {
            (Self::UnknownPath(_), _) => ("invalid_request_error", Some("unknown_url")),
            (Self::Missing(_), _) => ("invalid_request_error", Some("missing_required_parameter")),
            (Self::ContentType(_), _) => ("invalid_request_error", Some("unsupported_content_type")),
            (Self::Quota, _) => ("insufficient_quota", Some("insufficient_quota")),
            (_, 401) => ("invalid_request_error", Some("invalid_api_key")),
            (_, 404) => ("invalid_request_error", Some("model_not_found")),
            (_, 413) => ("invalid_request_error", Some("payload_too_large")),
            (_, 429) => ("requests", Some("rate_limit_exceeded")),
            (_, 529) => ("server_error", Some("overloaded")),
            (_, 500..) => ("server_error", None),
            _ => ("invalid_request_error", None),
        }
    }

    pub(crate) fn anthropic(&self, id: &str) -> Json {
        let kind = match self.status().as_u16() {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        let error = object! { "type": kind, "message": self.message() };
        object! { "type": "error", "error": error, "request_id": format!("req_{id}") }
    }

    pub(crate) fn google(&self) -> Json {
        let code = self.status().as_u16();
        let status = match code {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            408 | 504 => "DEADLINE_EXCEEDED",
            409 => "ABORTED",
            429 => "RESOURCE_EXHAUSTED",
            501 => "UNIMPLEMENTED",
            502 | 503 | 529 => "UNAVAILABLE",
            500.. => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        };
        let mut details = Vec::new();
        if code == 429 {
            let violation = object! { "quotaMetric": "generativelanguage.googleapis.com/mock_requests" };
            details.push(object! { "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation] });
        }
        if let Some(seconds) = self.retry_after_s() {
            let delay = format!("{seconds}s");
            details.push(object! { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay });
        }
        let details = (!details.is_empty()).then_some(details);
        let error = object! { "code": code, "message": self.message(), "status": status; "details": details };
        object! { "error": error }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::Unreadable(why) => format!("mock: invalid body: {why}"),
            Self::NoModel => String::from("mock: you must provide a model"),
            Self::Missing(field) => format!("mock: missing required parameter: '{field}'"),
            Self::Rule { message, .. } => format!("mock: {message}"),
            Self::ContentType(found) => format!("mock: unsupported content type: '{found}'"),
            Self::Credential(header) => format!("mock: this API does not accept a credential in {header}"),
            Self::WrongCredential => String::from("mock: this credential is invalid: it begins with `wrong`"),
            Self::UnknownPath(path) => format!("mock: unknown path {path}"),
            Self::WrongMethod => String::from("mock: this path does not allow the method"),
            Self::TooLarge => String::from("mock: the body is too large"),
            Self::Quota => String::from("mock: you exceeded your current quota, check your plan and billing details"),
            Self::Status { retry_after_s: Some(seconds), .. } => {
                format!("mock: rate limit reached, try again in {seconds}s")
            }
            Self::Status { status, .. } => match status.as_u16() {
                500 => String::from("mock: the server had an error while processing your request"),
                529 => String::from("mock: overloaded"),
                _ => format!("mock: {status}"),
            },
        }
    }
}

fn overloaded() -> StatusCode {
    StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}
