//! Response headers of the providers. A gateway must forward some of them and remove others.

use ai::Dialect;
use http::header::{HeaderName, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// Adds the headers of `dialect`; `is_azure` selects Microsoft's for OpenAI's API.
pub(crate) fn add(headers: &mut HeaderMap, dialect: Dialect, is_azure: bool, id: &str) {
    let id = format!("req_{id}");
    let pairs: &[(&'static str, &str)] = match dialect {
        Dialect::OpenAi if is_azure => &[
            ("x-request-id", &id),
            ("apim-request-id", &id),
            ("x-ms-region", "Mock Central"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-remaining-tokens", "1999990"),
        ],
        Dialect::OpenAi => &[
            ("x-request-id", &id),
            ("openai-organization", "mock-organization"),
            ("openai-project", "proj_mock"),
            ("openai-processing-ms", "7"),
            ("openai-version", "2020-10-01"),
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-limit-tokens", "2000000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-remaining-tokens", "1999990"),
            ("x-ratelimit-reset-requests", "6ms"),
            ("x-ratelimit-reset-tokens", "0s"),
            ("cf-ray", "mock-CGK"),
        ],
        Dialect::Anthropic => &[
            ("request-id", &id),
            ("anthropic-organization-id", "mock-organization"),
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999"),
            ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:01Z"),
            ("anthropic-ratelimit-input-tokens-limit", "400000"),
            ("anthropic-ratelimit-input-tokens-remaining", "399000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-01-01T00:00:01Z"),
            ("anthropic-ratelimit-output-tokens-limit", "80000"),
            ("anthropic-ratelimit-output-tokens-remaining", "79000"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-01-01T00:00:01Z"),
            ("cf-ray", "mock-CGK"),
        ],
        // Google sends neither a request id nor rate limits.
        Dialect::Google => &[
            ("server", "scaffolding on HTTPServer2"),
            ("server-timing", "gfet4t7; dur=7"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
            ("x-xss-protection", "0"),
        ],
    };
    for (name, value) in pairs {
        insert(headers, name, value);
    }
    if dialect != Dialect::Google && !is_azure {
        headers.insert(SET_COOKIE, HeaderValue::from_static("__cf_bm=mock; path=/; HttpOnly"));
    }
}

/// Inserts one header, unless its value is invalid.
pub(crate) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
