//! The responses of operations: refusals by status, each code with an example, and the header fields of every
//! response.

use std::collections::{BTreeMap, BTreeSet};

use access::Refusal;
use serde_json::{Value, json};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::{Components, KnownFormat, ObjectBuilder, Ref, RefOr, Response, SchemaFormat, Type};

use crate::pages::{install, scripts};

const JSON: &str = "application/json";

/// The format of an operation's error bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorBodyFormat {
    /// The JSON object `{"error":{"code","message","status"}}`.
    Json,
    /// A shell script that prints the message.
    Scripts,
}

/// A header field of responses.
struct HeaderDescription {
    name: &'static str,
    description: &'static str,
    example: fn() -> Value,
    kind: fn() -> ObjectBuilder,
}

const REQUEST_ID: HeaderDescription = HeaderDescription {
    name: "X-Request-Id",
    description: "The request's id, a UUIDv7, as it appears in the log",
    example: || json!("0199aa00-0000-7000-8000-00000000000f"),
    kind: || ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))),
};
const LIMIT: HeaderDescription = HeaderDescription {
    name: "X-RateLimit-Limit",
    description: "Maximum number of requests in the window of the tightest limit that applies",
    example: || json!(100),
    kind: number,
};
const REMAINING: HeaderDescription = HeaderDescription {
    name: "X-RateLimit-Remaining",
    description: "Requests that remain in this window",
    example: || json!(99),
    kind: number,
};
const RESET: HeaderDescription = HeaderDescription {
    name: "X-RateLimit-Reset",
    description: "Unix seconds when this window's requests begin to expire and, if none remain, one is possible again",
    example: || json!(1_795_176_060),
    kind: number,
};
const RETRY_AFTER: HeaderDescription = HeaderDescription {
    name: "Retry-After",
    description: "Seconds after which the same request may succeed",
    example: || json!(1),
    kind: number,
};
const CHALLENGE: HeaderDescription = HeaderDescription {
    name: "WWW-Authenticate",
    description: "The authentication scheme; the realm is the brand's name",
    example: || json!("Bearer realm=\"Tollgate\""),
    kind: || ObjectBuilder::new().schema_type(Type::String),
};

fn number() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0_i64))
}

/// Adds the header fields, and an example of each of these codes, as components that operations refer to.
pub(super) fn components(components: &mut Components, codes: &BTreeSet<&'static str>) {
    for header in [REQUEST_ID, LIMIT, REMAINING, RESET, RETRY_AFTER, CHALLENGE] {
        let schema = (header.kind)().build();
        let described = HeaderBuilder::new().schema(Some(schema)).description(Some(header.description));
        let described = described.example(Some((header.example)())).build();
        components.headers.insert(header.name.to_owned(), RefOr::T(described));
    }
    for refusal in Refusal::ALL.iter().filter(|refusal| codes.contains(refusal.code())) {
        let code = refusal.code();
        let message = refusal.meaning();
        let status = refusal.status();
        let value = json!({"error": {"code": code, "message": message, "status": status}});
        let example = ExampleBuilder::new().summary(message).value(Some(value)).build();
        components.examples.insert(code.to_owned(), RefOr::T(example));
    }
}

/// Adds the refusals to an operation's responses, and the header fields to all responses.
pub(super) fn add(operation: &mut Operation, codes: &[Refusal], limited: bool, errors: ErrorBodyFormat) {
    let mut by_status: BTreeMap<u16, BTreeMap<&'static str, Refusal>> = BTreeMap::new();
    for refusal in codes {
        by_status.entry(refusal.status()).or_default().insert(refusal.code(), *refusal);
    }
    let answers = &mut operation.responses.responses;
    for (status, codes) in by_status {
        answers.entry(status.to_string()).or_insert_with(|| RefOr::T(refusing(status, &codes, errors)));
    }
    for (status, answer) in answers.iter_mut() {
        if let RefOr::T(answer) = answer {
            if answer.description.is_empty() {
                answer.description = operation.summary.clone().unwrap_or_default();
            }
            add_headers(answer, &[REQUEST_ID]);
            // If a request cannot be authenticated because of an internal error, no limit is reported.
            if limited && status != "503" {
                add_headers(answer, &[LIMIT, REMAINING, RESET]);
            }
        }
    }
}

fn refusing(status: u16, codes: &BTreeMap<&'static str, Refusal>, errors: ErrorBodyFormat) -> Response {
    let (media_type, content) = match errors {
        ErrorBodyFormat::Json => {
            let examples = codes.keys().map(|code| (*code, RefOr::<Example>::Ref(component_ref("examples", code))));
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error")));
            (JSON, content.examples_from_iter(examples))
        }
        ErrorBodyFormat::Scripts => {
            let examples = codes.iter().map(|(code, refusal)| (*code, RefOr::T(script(*refusal))));
            let text = ObjectBuilder::new().schema_type(Type::String).build();
            (scripts::MEDIA_TYPE, ContentBuilder::new().schema(Some(text)).examples_from_iter(examples))
        }
    };
    let list: Vec<String> = codes.keys().map(|code| format!("`{code}`")).collect();
    let mut answer = ResponseBuilder::new().description(list.join(", ")).content(media_type, content.build()).build();
    match status {
        401 => add_headers(&mut answer, &[CHALLENGE]),
        429 | 503 => add_headers(&mut answer, &[RETRY_AFTER]),
        _ => {}
    }
    answer
}

fn script(refusal: Refusal) -> Example {
    let text = install::failing("Tollgate", refusal.meaning());
    ExampleBuilder::new().summary(refusal.meaning()).value(Some(json!(text))).build()
}

fn add_headers(answer: &mut Response, headers: &[HeaderDescription]) {
    for header in headers {
        answer.headers.insert(header.name.to_owned(), RefOr::Ref(component_ref("headers", header.name)));
    }
}

fn component_ref(kind: &str, name: &str) -> Ref {
    Ref::new(format!("#/components/{kind}/{name}"))
}
