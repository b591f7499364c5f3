//! The header fields that report a rate limit.

use cluster::windows::WindowVerdict;
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(crate) const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(crate) const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Writes the fields; `-Reset` is in Unix seconds, rounded up.
pub(crate) fn write(headers: &mut HeaderMap, verdict: &WindowVerdict) {
    headers.insert(X_RATELIMIT_LIMIT, HeaderValue::from(verdict.limit));
    headers.insert(X_RATELIMIT_REMAINING, HeaderValue::from(verdict.remaining));
    headers.insert(X_RATELIMIT_RESET, HeaderValue::from(verdict.reset_at.0.div_ceil(1_000_000)));
}
