//! The `X-RateLimit-*` fields of a limit of unauthenticated clients, which has no name.

use access::Timestamp;
use http::{HeaderName, HeaderValue};
use meter::rate::RateLevel;

use crate::refusal::seconds::seconds_up;

/// Returns the `X-RateLimit-*` headers of a rate limit; `-Reset` is in Unix seconds (GW-3.3).
pub(crate) fn limit_headers(level: RateLevel, now: Timestamp) -> [(HeaderName, HeaderValue); 3] {
    [
        (HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from(level.limit)),
        (HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from(level.remaining)),
        (HeaderName::from_static("x-ratelimit-reset"), HeaderValue::from(now.unix_seconds() + seconds_up(level.reset))),
    ]
}
