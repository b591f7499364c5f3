//! The keys of `routes[]`.

use super::super::name::NAME;
use super::auth::AuthInput;
use super::auth_type::AUTH_TYPE;
use super::balance::{STRATEGY, StrategyWord};
use super::bounds::{AddressesInput, RouteSizesInput};
use super::cache::CacheInput;
use super::cors::CorsInput;
use super::forms::{ANY_NAME, EVENTS, FIELD_NAME_PATTERN, HEADER, HOST, METHOD};
use super::headers::TransformationsInput;
use super::limit::{RateLimitInput, RouteLimitInput};
use super::matches::{ConditionInput, HEADERS, MATCHES_MAX, PATH_MATCH, PATHS, PathInput, QUERY};
use super::retry::RouteTimeoutsInput;
use super::rewrite::PathRewriteInput;
use super::weighted::{UPSTREAMS_MAX, WeightedUpstreamInput};
use crate::snapshot::{ContentCoding, Events, HostMatch, PathMatch, Upgrade};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value as Json, json};
use settings::field::{
    Either, Entries, Map, MapEntry, Sections, ValueList, default, list, maybe_nested, nested, optional, sections,
    short, single_or_absent,
};
use settings::form::{Form as _, Scalar, TextForm, Whole, Words, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

section! {
    RouteInput {
        /// The name in logs and metrics.
        name: Option<Input<String>> = optional(NAME, "host and path");
        /// `api.example.com`, or `*.example.com` for all hosts below; with a port, `api.example.com:8443`, for requests to it only.
        host: ValueList<HostMatch> = list(HOST, MATCHES_MAX, "all").or_single().not_empty("at least one host, or no `host` for all");
        /// `/users`, `/users/{id}`, `/files/{*rest}`; see [paths](routing.md#paths).
        path: Vec<Either<PathMatch, PathInput>> = PATHS;
        /// The [listeners](routing.md#listeners) of the route, by name.
        listen: ValueList<String> = list(ANY_NAME, MATCHES_MAX, "all").not_empty("at least one listener, or no `listen` for all");
        /// The methods, in capitals. `GET` includes HEAD.
        methods: ValueList<String> =
            list(METHOD, 64, "all but TRACE").not_empty("at least one method, or no `methods` for all");
        /// [Conditions](routing.md#headers-and-query-parameters): a value, `{present: true}` or `{regex: "^a"}`.
        headers: Vec<MapEntry<String, ConditionInput>> = HEADERS;
        /// The same on query parameters.
        query: Vec<MapEntry<String, ConditionInput>> = QUERY;
        /// One upstream, or several with weights.
        upstreams: Option<Either<String, Entries<WeightedUpstreamInput>>> = single_or_absent(ANY_NAME, UPSTREAMS);
        /// The gateway's own response.
        respond: Option<RespondInput> = maybe_nested::<RespondInput>();
        /// A redirect; `redirect: URL` is short for `{to: URL}`.
        redirect: Option<RedirectInput> = short(LOCATION, maybe_nested::<RedirectInput>());
        /// Changes of requests to upstreams, and of [responses](routing.md#headers).
        transformations: Option<TransformationsInput> = maybe_nested::<TransformationsInput>();
        /// The required credential, or `none`.
        auth: AuthInput = short(AUTH_TYPE, nested::<AuthInput>());
        /// The credits of a request to an upstream.
        credits: Input<u32> = default(Whole::u32_from(0), || 1);
        /// Usage as counts per minute, or one row per request.
        events: Input<Events> = default(EVENTS, || Events::Folded);
        /// [Trusted headers](#headers-that-backends-trust) that clients may send.
        allow_headers: ValueList<String> = list(HEADER, 64, "none");
        /// The protocols of [tunnels](routing.md#websockets).
        upgrades: ValueList<Upgrade> = list(PROTOCOL, 1, "none");
        /// A [rate limit](rate-limits.md) of each client.
        rate_limit: Option<RouteLimitInput> = maybe_nested::<RouteLimitInput>();
        /// [Rate limits](rate-limits.md) of the route, in addition to the limits of all routes.
        rate_limits: Entries<RateLimitInput> = sections::<RateLimitInput>("none");
        /// The [choice of the backend](upstreams.md#choice-of-a-backend), instead of the upstream's.
        strategy: Option<Input<StrategyWord>> = optional(STRATEGY, "the upstream's");
        /// Deadlines, instead of those of all routes.
        timeouts: Option<RouteTimeoutsInput> = maybe_nested::<RouteTimeoutsInput>();
        /// The response instead of the gateway's 502, 503 and 504.
        fallback: Option<FallbackInput> = maybe_nested::<FallbackInput>();
        /// [Labels](insights.md#labels), at most 4 names in all: `team: accounts`.
        labels: Vec<(String, Input<String>)> =
            Map::new(LABEL_VALUE, is_label, "a name of at most 32 letters, digits and `_`, other than `route`", LABEL_PATTERN);
        /// [Cross-origin requests](routing.md#cross-origin-requests) of the route.
        cors: Option<CorsInput> = maybe_nested::<CorsInput>();
        /// The allowed [addresses](routing.md#addresses) of clients.
        addresses: Option<AddressesInput> = maybe_nested::<AddressesInput>();
        /// Bounds of requests, instead of those of all routes.
        sizes: Option<RouteSizesInput> = maybe_nested::<RouteSizesInput>();
        /// Codings of [compressed responses](compression.md), preferred first.
        compression: ValueList<ContentCoding> = list(CODING, 3, "none");
        /// The [cache of responses](cache.md).
        cache: Option<CacheInput> = maybe_nested::<CacheInput>();
        rules: Rule::ExactlyOne(&["upstreams", "respond", "redirect"]), Rule::Requires("credits", "upstreams"),
            Rule::Requires("events", "upstreams"),
            Rule::Requires("allow_headers", "upstreams"), Rule::Requires("upgrades", "upstreams"),
            Rule::Values(transformations_of_upstreams), Rule::Requires("strategy", "upstreams"),
            Rule::Requires("timeouts", "upstreams"), Rule::Requires("fallback", "upstreams"),
            Rule::Requires("sizes", "upstreams"), Rule::Requires("cache", "upstreams");
    }
}

const UPSTREAMS: Sections<WeightedUpstreamInput> =
    sections("").not_empty("at least one {name: …, weight: …}").at_most(UPSTREAMS_MAX).or_singles(|| ANY_NAME.schema());

section! {
    RespondInput {
        /// The status of the response.
        status: Input<u32> = default(Whole::<u32>::new(200, 599), || 200);
        /// The content, in UTF-8.
        body: Input<String> = default(BODY, String::new);
        /// Further headers. The default `Content-Type` is `text/plain; charset=utf-8`.
        headers: Vec<(String, Input<HeaderValue>)> =
            Map::new(FIELD_VALUE, is_own_field, "a field name, other than the fields of framing and of connections", FIELD_NAME_PATTERN);
        rules: Rule::Values(content_of_status), Rule::Values(own_fields);
    }
}

section! {
    FallbackInput {
        /// The status of the response.
        status: Input<u32> = default(Whole::<u32>::new(200, 599), || 503);
        /// The content, in UTF-8.
        body: Input<String> = default(BODY, String::new);
        /// Further headers. The default `Content-Type` is `text/plain; charset=utf-8`.
        headers: Vec<(String, Input<HeaderValue>)> =
            Map::new(FIELD_VALUE, is_own_field, "a field name, other than the fields of framing and of connections", FIELD_NAME_PATTERN);
        rules: Rule::Values(content_of_status), Rule::Values(own_fields);
    }
}

section! {
    RedirectInput {
        /// The new address, with parameters of `path`: `/new/{id}`. Unless it has a query, it gets the request's.
        to: Option<Input<HeaderValue>> = optional(LOCATION, "");
        /// The new scheme, with its port.
        scheme: Option<Input<&'static str>> = optional(SCHEME, "as requested");
        /// The new host of the requested address.
        host: Option<Input<String>> = optional(HOST_NAME, "as requested");
        /// The new port of the requested address.
        port: Option<Input<u32>> = optional(Whole::<u32>::new(1, 65_535), "as requested, or the default of `scheme`");
        /// The new path, as in [rewrites](routing.md#rewrites); the query is kept.
        path: Option<Either<PathMatch, PathRewriteInput>> = single_or_absent(PATH_MATCH, nested::<PathRewriteInput>());
        /// 301 and 308 are permanent; 307 and 308 keep the method.
        status: Input<StatusCode> = default(REDIRECT_STATUS, || StatusCode::TEMPORARY_REDIRECT);
        rules: Rule::RequiredUnless("to", &["scheme", "host", "port", "path"]), Rule::Values(address_or_parts);
    }
}

/// The condition that a redirect has either an address or parts of one.
fn address_or_parts() -> Json {
    let parts: Vec<Json> = ["scheme", "host", "port", "path"].iter().map(|key| json!({"required": [key]})).collect();
    json!({"not": {"required": ["to"], "anyOf": parts}})
}

/// The condition on transformations that only routes with an upstream have.
fn transformations_of_upstreams() -> Json {
    let status = json!({"type": "object", "minProperties": 1});
    let of_key = |key: &str| json!({"type": "object", "properties": {key: status}, "required": [key]});
    let response = json!({"anyOf": [of_key("status"), of_key("body")]});
    let transformations = json!({"type": "object", "anyOf": [
        {"properties": {"request": {"type": "object", "minProperties": 1}}, "required": ["request"]},
        {"properties": {"response": response}, "required": ["response"]},
    ]});
    let has_one = json!({"properties": {"transformations": transformations}, "required": ["transformations"]});
    json!({"if": has_one, "then": {"required": ["upstreams"]}})
}

/// Whether `name` is the name of a label, and not that of the metric itself.
fn is_label(name: &str) -> bool {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    starts && is_plain && name.len() <= 32 && name != "route"
}

const LABEL_PATTERN: &str = "^[A-Za-z][A-Za-z0-9_]{0,31}$";
/// The characters of a label's value; `=` and `,` separate the labels in the log.
const LABEL_VALUE: TextForm<String> = TextForm {
    parse: |value| {
        let is_plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/:-".contains(&byte));
        accept(value, (1..=64).contains(&value.len()) && is_plain, "1 to 64 letters, digits and `._/:-`")
    },
    shown: |value| Value::text(value),
    cell: "text",
    pattern: "^[A-Za-z0-9._/:-]{1,64}$",
    scalar: Scalar::Any,
};

/// The condition of `body` on `status`.
fn content_of_status() -> Json {
    let status = json!({"enum": [204, "204", 205, "205", 304, "304"]});
    let body = json!({"anyOf": [{"const": ""}, {"const": null}, {"$ref": "#/$defs/reference"}]});
    let without_content = json!({"properties": {"status": status}, "required": ["status"]});
    json!({"if": without_content, "then": {"properties": {"body": body}}})
}

/// The condition of [`is_own_field`] on the names in `headers`, in their usual spellings.
fn own_fields() -> Json {
    let framing = "^([Cc]onnection|[Cc]ontent-[Ll]ength|[Tt]ransfer-[Ee]ncoding|[Uu]pgrade)$";
    json!({"properties": {"headers": {"propertyNames": {"not": {"pattern": framing}}}}})
}

/// Longest content of a response from the configuration, in bytes.
const BODY_LEN_MAX: usize = 64 * 1024;
const BODY: TextForm<String> = TextForm {
    parse: |body| accept(body, body.len() <= BODY_LEN_MAX, "at most 64 KiB"),
    shown: |body| Value::text(body),
    cell: "text of at most 64 KiB",
    pattern: "",
    scalar: Scalar::Any,
};

/// Longest value of a field from the configuration, in bytes.
const FIELD_VALUE_LEN_MAX: usize = 4_096;
pub(super) const FIELD_VALUE: TextForm<HeaderValue> = TextForm {
    parse: |value| {
        let parsed = HeaderValue::from_str(value).ok().filter(|value| value.len() <= FIELD_VALUE_LEN_MAX);
        parsed.ok_or_else(|| bad("a field value of at most 4,096 bytes without control characters"))
    },
    shown: |value| Value::text(String::from_utf8_lossy(value.as_bytes())),
    cell: "text",
    pattern: r"^[^\x00-\x08\x0A-\x1F\x7F]*$",
    scalar: Scalar::Any,
};

/// Whether a response from the configuration may have the field: the gateway writes those of framing itself.
fn is_own_field(name: &str) -> bool {
    let parsed = if name.len() <= 64 { HeaderName::from_bytes(name.as_bytes()).ok() } else { None };
    parsed.is_some_and(|name| ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE].contains(&name))
}

const LOCATION: TextForm<HeaderValue> = TextForm {
    parse: |to| {
        let expected = "a path (/new) or an `http` or `https` URL";
        accept(to, is_location(to), expected).and_then(|to| HeaderValue::from_str(&to).map_err(|_| bad(expected)))
    },
    shown: |to| Value::text(String::from_utf8_lossy(to.as_bytes())),
    cell: "path, or `http` or `https` URL",
    pattern: "^(/([!-.0-~][!-~]*)?|https?://[!-.0-~][!-~]*)$",
    scalar: Scalar::Text,
};

/// Whether `to` is a path or a URL. `//host` is neither: browsers take it for another host.
fn is_location(to: &str) -> bool {
    const LEN_MAX: usize = 2_048;
    let rest =
        ["https://", "http://", "/"].into_iter().find_map(|start| to.strip_prefix(start).map(|rest| (start, rest)));
    let is_valid = rest.is_some_and(|(start, rest)| !rest.starts_with('/') && (start == "/" || !rest.is_empty()));
    is_valid && to.len() <= LEN_MAX && to.bytes().all(|byte| byte.is_ascii_graphic())
}

const SCHEME: Words<&'static str> = Words::new(&[("http", "http"), ("https", "https")]);
const HOST_NAME: TextForm<String> = TextForm {
    parse: |name| {
        let is_label = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_');
        let is_valid = (1..=253).contains(&name.len()) && name.bytes().all(is_label);
        accept(name, is_valid, "a host without a port: www.example.com")
    },
    shown: |name| Value::text(name),
    cell: "host",
    pattern: "^[A-Za-z0-9._-]{1,253}$",
    scalar: Scalar::Text,
};
const CODING: Words<ContentCoding> =
    Words::new(&[("zstd", ContentCoding::Zstd), ("br", ContentCoding::Brotli), ("gzip", ContentCoding::Gzip)]);
const PROTOCOL: Words<Upgrade> = Words::new(&[("websocket", Upgrade::WebSocket)]);
const REDIRECT_STATUS: Words<StatusCode> = Words::new(&[
    ("301", StatusCode::MOVED_PERMANENTLY),
    ("302", StatusCode::FOUND),
    ("303", StatusCode::SEE_OTHER),
    ("307", StatusCode::TEMPORARY_REDIRECT),
    ("308", StatusCode::PERMANENT_REDIRECT),
]);
