use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::*;
use crate::routes;

const RENEW: &str = "UPDATE_OPENAPI=1 cargo test --workspace --lib openapi";
/// The statuses that an operation may declare for success.
const SUCCESSES: [&str; 4] = ["200", "201", "202", "204"];

/// An operation of the document: method and path as in `GET /health`, and its description.
struct DocumentOperation {
    call: String,
    operation: Map<String, Value>,
}

fn document_text(version: &str) -> Bytes {
    let (_, operations) = routes::api().into_parts();
    text(&super::document(&operations, version))
}

fn document() -> Value {
    serde_json::from_slice(&document_text(env!("CARGO_PKG_VERSION"))).unwrap()
}

fn operations_of(document: &Value) -> Vec<DocumentOperation> {
    let mut reported = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let operation = operation.as_object().unwrap().clone();
            reported.push(DocumentOperation { call: format!("{} {path}", method.to_uppercase()), operation });
        }
    }
    assert!(!reported.is_empty());
    reported
}

/// Follows `$ref`, if `value` is one.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(at) => document.pointer(at.trim_start_matches('#')).unwrap_or_else(|| panic!("no value at {at}")),
        None => value,
    }
}

/// Reports all findings, not only the first one.
fn check(wrong: &[String]) {
    assert!(wrong.is_empty(), "the document lacks:\n{}\n", wrong.join("\n"));
}

#[test]
fn a_brand_takes_the_place_of_the_products_name() {
    let text = document_text("1.2.3");
    let branded = |name: &str, key_prefix: &str| {
        let brand = Brand { name: name.to_owned(), key_prefix: key_prefix.to_owned(), color: None };
        String::from_utf8(branded(&text, &brand).to_vec()).unwrap()
    };
    assert_eq!(branded("Tollgate", "tollgate").as_bytes(), &text[..]);
    for (name, prefix) in [("Codexible", "codexible"), ("\"A\\B\" <é>", "ab")] {
        let text = branded(name, prefix);
        assert!(!text.to_lowercase().contains("tollgate"), "{name}");
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["info"]["title"], format!("{name} admin API"));
        let cookie = &document["components"]["securitySchemes"]["cookie"]["name"];
        assert_eq!(cookie, &format!("__Host-{prefix}_session"));
    }
    // An inserted name is not searched again.
    assert!(branded("My tollgate", "mine").contains("My tollgate admin API"));
}

#[test]
fn it_names_the_licence() {
    assert_eq!(document()["info"]["license"], serde_json::json!({"name": "Apache-2.0", "identifier": "Apache-2.0"}));
}

#[test]
fn the_repository_has_this_document() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let generated = String::from_utf8(document_text(env!("CARGO_PKG_VERSION")).to_vec()).unwrap();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == generated, "docs/openapi.json differs from the handlers. Renew it: {RENEW}");
}

#[test]
fn a_name_has_one_schema() {
    let (_, operations) = routes::api().into_parts();
    let clashes = described::describe(&mut Document::openapi(), &operations);
    assert!(clashes.is_empty(), "two types share the name {clashes:?}: rename one with #[schema(as = …)]");
}

#[test]
fn every_operation_has_a_summary() {
    let document = document();
    let tags: HashSet<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = HashSet::new();
    let mut wrong = Vec::new();
    for DocumentOperation { call, operation } in operations_of(&document) {
        if !ids.insert(operation["operationId"].clone()) {
            wrong.push(format!("{call}: a unique operationId"));
        }
        if operation.get("summary").and_then(Value::as_str).is_none_or(|text| !text.ends_with('.')) {
            wrong.push(format!("{call}: a sentence as its summary (the first line of the handler's documentation)"));
        }
        let own = operation.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
        if !matches!(own.as_slice(), [tag] if tags.contains(tag)) {
            wrong.push(format!("{call}: exactly one tag of the document"));
        }
        if !operation.contains_key("security") {
            wrong.push(format!("{call}: who may call it"));
        }
        if operation.contains_key(CODES) {
            wrong.push(format!("{call}: {CODES} as a list of codes"));
        }
    }
    check(&wrong);
}

#[test]
fn every_parameter_and_field_is_described_and_typed() {
    let document = document();
    let mut wrong = Vec::new();
    for DocumentOperation { call, operation } in operations_of(&document) {
        let parameters = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
        for parameter in &parameters {
            let described = parameter.get("description").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
            if !described || parameter.get("schema").is_none() {
                wrong.push(format!("{call}: the parameter {}'s description and type", parameter["name"]));
            }
        }
        let path = call.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        for name in path {
            if !parameters.iter().any(|parameter| parameter["in"] == "path" && parameter["name"] == name) {
                wrong.push(format!("{call}: the parameter {name} of its path"));
            }
        }
        for body in contents(&document, operation.get("requestBody")) {
            let schema = resolved(&document, &body["schema"]);
            let schemas =
                schema.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![schema.clone()]);
            for schema in schemas {
                let schema = resolved(&document, &schema);
                if schema["type"] == "object" && schema.get("additionalProperties") != Some(&Value::Bool(false)) {
                    wrong.push(format!("{call}: a body that refuses unknown fields (deny_unknown_fields)"));
                }
            }
        }
    }
    check(&wrong);
}

#[test]
fn every_operation_has_examples() {
    let document = document();
    let mut wrong = Vec::new();
    for DocumentOperation { call, operation } in operations_of(&document) {
        let successes: BTreeMap<&String, &Value> = operation["responses"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(status, _)| SUCCESSES.contains(&status.as_str()))
            .collect();
        // 200 beside 201 is the object that an earlier request created.
        let is_repeatable = successes.keys().map(|status| status.as_str()).eq(["200", "201"]);
        if successes.len() != 1 && !is_repeatable {
            wrong.push(format!("{call}: exactly one success response"));
        }
        for (status, answer) in successes {
            let contents = contents(&document, Some(answer));
            if contents.is_empty() != (status == "204")
                || contents.iter().any(|content| !has_example(&document, content))
            {
                wrong.push(format!("{call}: an example of its response {status}"));
            }
            if answer.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
                wrong.push(format!("{call}: a description of its response {status}"));
            }
        }
        if contents(&document, operation.get("requestBody")).iter().any(|content| !has_example(&document, content)) {
            wrong.push(format!("{call}: an example of its body (#[schema(example = json!(…))] on the request)"));
        }
    }
    check(&wrong);
}

fn contents(document: &Value, of: Option<&Value>) -> Vec<Value> {
    let content = of.map(|of| resolved(document, of)).and_then(|of| of.get("content")).and_then(Value::as_object);
    content.map(|content| content.values().cloned().collect()).unwrap_or_default()
}

/// Whether there is an example beside the schema or in it, also if the body is optional.
fn has_example(document: &Value, content: &Value) -> bool {
    let has = |of: &Value| of.get("example").is_some() || of.get("examples").is_some();
    let schema = resolved(document, &content["schema"]);
    let either = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    has(content) || has(schema) || either.into_iter().any(|schema| has(resolved(document, schema)))
}

#[test]
fn every_error_has_its_codes_and_every_answer_its_headers() {
    let document = document();
    let mut wrong = Vec::new();
    for DocumentOperation { call, operation } in operations_of(&document) {
        let (_, path) = call.split_once(' ').unwrap();
        let is_limited = !limits::is_free(path);
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let mut headers = vec!["X-Request-Id"];
            if is_limited && status != "503" {
                headers.extend(["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]);
            }
            match status.as_str() {
                "401" => headers.push("WWW-Authenticate"),
                "429" | "503" => headers.push("Retry-After"),
                _ => {}
            }
            for header in headers {
                if answer["headers"]
                    .get(header)
                    .is_none_or(|header| resolved(&document, header)["description"].is_null())
                {
                    wrong.push(format!("{call}: {header} on its response {status}"));
                }
            }
            if !SUCCESSES.contains(&status.as_str()) && status != "304" {
                wrong.extend(wrong_codes(&document, &call, status, answer));
            }
        }
        let mut expected = vec!["500", "503"];
        expected.extend(is_limited.then_some("429"));
        let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
        expected.extend((!is_open).then_some("401"));
        expected.extend(operation.contains_key("requestBody").then_some("415"));
        for status in expected.into_iter().filter(|status| operation["responses"].get(*status).is_none()) {
            wrong.push(format!("{call}: its response {status}"));
        }
    }
    check(&wrong);
}

fn wrong_codes(document: &Value, call: &str, status: &str, answer: &Value) -> Vec<String> {
    if let Some(script) = answer["content"].get(crate::pages::scripts::MEDIA_TYPE) {
        return wrong_scripts(call, status, script);
    }
    let codes = answer["content"]["application/json"]["examples"].as_object().cloned().unwrap_or_default();
    let mut wrong = Vec::new();
    if codes.is_empty() {
        wrong.push(format!("{call}: the codes of its response {status}"));
    }
    for (code, example) in &codes {
        let error = &resolved(document, example)["value"]["error"];
        if error["code"] != code.as_str() || error["status"].as_u64() != status.parse().ok() {
            wrong.push(format!("{call}: {code} under its own status"));
        }
    }
    wrong
}

fn wrong_scripts(call: &str, status: &str, script: &Value) -> Vec<String> {
    let examples = script["examples"].as_object().cloned().unwrap_or_default();
    let fails = |example: &Value| {
        example["value"]
            .as_str()
            .is_some_and(|text| text.starts_with("#!/bin/sh\n") && text.ends_with(" >&2\nexit 1\n"))
    };
    let fine = !examples.is_empty() && examples.values().all(fails);
    if fine { Vec::new() } else { vec![format!("{call}: a script for each code of its response {status}")] }
}
