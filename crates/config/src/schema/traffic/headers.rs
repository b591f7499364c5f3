//! The keys of `routes[].transformations`, and of those that change headers and statuses.

use super::body::BodyInput;
use super::forms::FIELD_NAME_PATTERN;
use super::header_text::{HeaderText, HeaderTexts};
use super::rewrite::RewriteInput;
use http::{HeaderName, StatusCode};
use serde_json::{Value as Json, json};
use settings::field::{Map, ValueList, default, list, maybe_nested};
use settings::form::{Form, FormRefusal, Scalar, SizeForm, TextForm, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

section! {
    TransformationsInput {
        /// Changes of requests to upstreams.
        request: Option<RequestTransformationsInput> = maybe_nested::<RequestTransformationsInput>();
        /// Changes of responses to clients.
        response: Option<ResponseTransformationsInput> = maybe_nested::<ResponseTransformationsInput>();
    }
}

section! {
    RequestTransformationsInput {
        /// Another path and query ([rewrites](routing.md#rewrites)).
        rewrite: Option<RewriteInput> = maybe_nested::<RewriteInput>();
        /// [Headers](routing.md#headers) that are removed first.
        remove_headers: ValueList<String> = list(REQUEST_NAME, HEADERS_MAX, "none");
        /// Headers that replace equal names, at most 24. `vault:LABEL` is a [credential](vault.md#credentials-of-upstreams).
        add_headers: Vec<(String, Input<HeaderText>)> = HeaderTexts::new(is_of_request, EXPECTED);
        /// Headers that are added, at most 24.
        append_headers: Vec<(String, Input<HeaderText>)> = HeaderTexts::new(is_of_request, EXPECTED);
        /// Changes of JSON bodies, at most 64 of each kind ([order](routing.md#json-bodies)).
        body: Option<BodyInput> = maybe_nested::<BodyInput>();
        /// Maximum changed body after decompression; otherwise 413.
        body_max: Input<u64> = default(SizeForm::POSITIVE, || 1 << 20);
        rules: Rule::Values(request_names);
    }
}

section! {
    ResponseTransformationsInput {
        /// [Headers](routing.md#headers) that are removed first.
        remove_headers: ValueList<String> = list(RESPONSE_NAME, HEADERS_MAX, "none");
        /// Headers that replace equal names, at most 24.
        add_headers: Vec<(String, Input<HeaderText>)> = HeaderTexts::new(is_of_response, EXPECTED);
        /// Headers that are added, at most 24.
        append_headers: Vec<(String, Input<HeaderText>)> = HeaderTexts::new(is_of_response, EXPECTED);
        /// Replaced statuses of the upstream: `{418: 400}`. Never 1xx, 204, 205 or 304.
        status: Vec<(String, Input<StatusCode>)> =
            Map::new(STATUS, is_status, "a status from 200 to 599, without 204, 205 and 304", STATUS_PATTERN);
        /// Changes of JSON bodies, at most 64 of each kind ([order](routing.md#json-bodies)).
        body: Option<BodyInput> = maybe_nested::<BodyInput>();
        /// Maximum changed body after decompression; otherwise 502.
        body_max: Input<u64> = default(SizeForm::POSITIVE, || 1 << 20);
        rules: Rule::Values(response_names);
    }
}

/// Maximum number of entries of one list: the edits of a head have at most 64 names.
pub(crate) const HEADERS_MAX: usize = 24;
/// The fields of a connection and of framing, which the gateway writes itself.
const OF_CONNECTIONS: [&str; 10] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // The beginning of several names, which no field has as its whole name.
    "x-forwarded-",
];
const OF_REQUESTS: [&str; 1] = ["host"];
/// The fields that the gateway writes last.
const OF_RESPONSES: [&str; 3] = ["date", "request-id", "x-request-id"];

/// The headers of lists and mappings.
const LISTS: [&str; 2] = ["add_headers", "append_headers"];

const EXPECTED: &str =
    "a header name of at most 64 bytes, other than the fields of framing, of connections and of the gateway";

const REQUEST_NAME: TextForm<String> = name_form(|name| accept(name, is_of_request(name), EXPECTED));
const RESPONSE_NAME: TextForm<String> = name_form(|name| accept(name, is_of_response(name), EXPECTED));

const fn name_form(parse: fn(&str) -> Result<String, FormRefusal>) -> TextForm<String> {
    TextForm { parse, shown: |name| Value::text(name), cell: "name", pattern: FIELD_NAME_PATTERN, scalar: Scalar::Any }
}

fn is_of_request(name: &str) -> bool {
    is_editable(name, &OF_REQUESTS)
}

fn is_of_response(name: &str) -> bool {
    is_editable(name, &OF_RESPONSES)
}

/// Whether a route may edit the field. Some servers read underscores in a name as hyphens.
fn is_editable(name: &str, gateways: &[&str]) -> bool {
    let plain = name.to_ascii_lowercase().replace('_', "-");
    let is_name = name.len() <= 64 && HeaderName::from_bytes(name.as_bytes()).is_ok();
    is_name && !OF_CONNECTIONS.iter().chain(gateways).any(|other| *other == plain)
}

fn request_names() -> Json {
    names(&OF_REQUESTS)
}

fn response_names() -> Json {
    names(&OF_RESPONSES)
}

/// The conditions of [`is_editable`] and [`HEADERS_MAX`].
fn names(gateways: &[&str]) -> Json {
    let letter = |c: char| match c {
        '-' => "[-_]".to_owned(),
        c if c.is_ascii_alphabetic() => format!("[{}{c}]", c.to_ascii_uppercase()),
        c => c.to_string(),
    };
    let any_case = |name: &&str| name.chars().map(letter).collect::<String>();
    let all: Vec<String> = OF_CONNECTIONS.iter().chain(gateways).map(any_case).collect();
    let other = json!({"not": {"type": "string", "pattern": format!("^({})$", all.join("|"))}});
    let map = json!({"propertyNames": other, "maxProperties": HEADERS_MAX});
    let maps = LISTS.iter().map(|key| ((*key).to_owned(), map.clone()));
    let removed = ("remove_headers".to_owned(), json!({"items": other}));
    let properties: serde_json::Map<_, _> = maps.chain([removed]).collect();
    json!({"properties": properties})
}

const STATUS_PATTERN: &str = "^(20[0-36-9]|2[1-9][0-9]|30[0-35-9]|3[1-9][0-9]|[45][0-9]{2})$";

/// Whether a response with this status has content like any other.
fn is_status(text: &str) -> bool {
    status(text).is_some()
}

fn status(text: &str) -> Option<StatusCode> {
    if text.len() != 3 {
        return None;
    }
    let status: u16 = text.parse().ok()?;
    let is_valid = (200..=599).contains(&status) && !matches!(status, 204 | 205 | 304);
    is_valid.then(|| StatusCode::from_u16(status).ok()).flatten()
}

/// The form of a status in place of another.
#[derive(Debug, Clone, Copy)]
struct StatusForm;
const STATUS: StatusForm = StatusForm;

impl Form for StatusForm {
    type Value = StatusCode;

    fn parse(&self, text: &str) -> Result<StatusCode, FormRefusal> {
        status(text).ok_or_else(|| bad("a status from 200 to 599, without 204, 205 and 304"))
    }

    fn shown(&self, value: &StatusCode) -> Value {
        Value::text(value.as_str())
    }

    fn cell(&self) -> String {
        "200 to 599".to_owned()
    }

    fn schema(&self) -> Json {
        let number = json!({"type": "integer", "minimum": 200, "maximum": 599, "not": {"enum": [204, 205, 304]}});
        json!({"anyOf": [{"type": "string", "pattern": STATUS_PATTERN}, number]})
    }
}
