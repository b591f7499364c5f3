//! The keys of `routes[].cors`.

use std::time::Duration;

use super::forms::METHOD;
use crate::snapshot::AllowedOrigin;
use http::HeaderName;
use serde_json::{Value as Json, json};
use settings::field::{ValueList, default, list, optional};
use settings::form::{Boolean, DurationForm, Scalar, TextForm, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

section! {
    CorsInput {
        /// `https://example.com`, `https://*.example.com` (all hosts below), or `*` (all).
        allowed_origins: ValueList<AllowedOrigin> = list(ALLOWED_ORIGIN, 64, "required").not_empty("at least one origin");
        /// The methods that pages may send.
        allowed_methods: ValueList<String> = list(METHOD, 64, "all of the route");
        /// The headers that pages may send; `*` lacks `Authorization`.
        allowed_headers: ValueList<String> = list(NAME_OR_ALL, 64, "`Content-Type` and the headers of the route's credentials");
        /// The response headers that pages may read, in place of Tollgate's own.
        exposed_headers: ValueList<String> = list(NAME_OR_ALL, 64, "Tollgate's: `X-Request-Id`, `Retry-After` and headers of limits");
        /// Whether pages may send cookies; no list may then have `*`.
        allow_credentials: Input<bool> = default(Boolean, || false);
        /// How long browsers cache a preflight response.
        max_age: Option<Input<Duration>> = optional(MAX_AGE, "5s, the browsers' own");
        rules: Rule::Required("allowed_origins"), Rule::Values(no_wildcard_with_credentials);
    }
}

/// The lists that accept `*` for all values.
pub(crate) const WITH_WILDCARD: [&str; 3] = ["allowed_origins", "allowed_headers", "exposed_headers"];

/// The condition of the lists on `allow_credentials`.
fn no_wildcard_with_credentials() -> Json {
    let list = json!({"not": {"type": "array", "contains": {"const": "*"}}});
    let lists: serde_json::Map<_, _> = WITH_WILDCARD.iter().map(|key| ((*key).to_owned(), list.clone())).collect();
    let with_credentials =
        json!({"properties": {"allow_credentials": {"enum": [true, "true"]}}, "required": ["allow_credentials"]});
    json!({"if": with_credentials, "then": {"properties": lists}})
}

/// Browsers cache for at most a day.
const MAX_AGE: DurationForm = DurationForm::new(Duration::ZERO, Duration::from_secs(86_400));

const ALLOWED_ORIGIN: TextForm<AllowedOrigin> = TextForm {
    parse: |text| {
        let expected = "`*`, or an origin as browsers write it: https://example.com, https://*.example.com";
        AllowedOrigin::parse(text).ok_or_else(|| bad(expected))
    },
    shown: |origin| Value::text(origin),
    cell: "origin",
    pattern: r"^(\*|[Hh][Tt][Tt][Pp][Ss]?://(\*\.)?[^/?#@*]+/*)$",
    scalar: Scalar::Text,
};

const NAME_OR_ALL: TextForm<String> = TextForm {
    parse: |name| {
        let is_valid = name.len() <= 64 && HeaderName::from_bytes(name.as_bytes()).is_ok();
        accept(name, is_valid, "a header name of at most 64 bytes, or `*`")
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: super::forms::FIELD_NAME_PATTERN,
    scalar: Scalar::Any,
};
