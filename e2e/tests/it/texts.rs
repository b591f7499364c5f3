//! Texts that programs often mishandle, in every text field of every operation: no internal error, and no partial
//! write.

use std::collections::BTreeSet;

use e2e::database::RowsConnection;
use e2e::document::{Operation, schema};
use e2e::{Call, Document, Gateway, text};
use serde_json::{Map, Value, json};

use crate::foreign::{example, id_of, with_id};
use crate::people::{TestUser, admin, open, somebody};
use crate::store::{number, rows};

const TEXTS: [&str; 6] = [
    "' OR '1'='1' --",
    "\"; DROP TABLE users; --",
    "a\u{0}b",
    "\u{202e}gnp.exe\u{202c}",
    "مرحبا \u{200f}עולם",
    "$1 ? :x %s ${x}",
];
/// Maximum nesting depth, more than any schema of the document has.
const DEPTH_MAX: usize = 6;
const LARGE: usize = 10 << 20;
/// Operations that would end the session or the users that this test needs.
const APART: [&str; 2] = ["POST /api/auth/logout", "DELETE /api/users/{id}/sessions"];

/// One number for the row counts of all tables that a refused request must not change.
const ROWS: &str = "SELECT (SELECT count(*) FROM users) + 1000 * (SELECT count(*) FROM api_keys)
    + 1000000 * (SELECT count(*) FROM provider_keys) + 100000000 * (SELECT count(*) FROM plans)
    + 10000000000 * (SELECT count(*) FROM sessions) + 10000000000000 * (SELECT count(*) FROM links)";

/// Collects the places of texts in a body: the field names on the path, with `0` for a list item.
fn fields(schema: &Value, at: &[String], found: &mut BTreeSet<Vec<String>>) {
    let schema = schema::resolved(Document::committed().value(), schema);
    if at.len() > DEPTH_MAX {
        return;
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        for one in schema[several].as_array().into_iter().flatten() {
            fields(one, at, found);
        }
    }
    let kinds = schema["type"].as_array().map_or(std::slice::from_ref(&schema["type"]), Vec::as_slice);
    let is = |kind: &str| kinds.iter().any(|one| one == kind);
    if is("string") {
        found.insert(at.to_vec());
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        fields(field, &[at, std::slice::from_ref(name)].concat(), found);
    }
    if is("array") {
        fields(&schema["items"], &[at, &["0".to_owned()]].concat(), found);
    }
}

/// Returns `body` with `what` at the place `at`.
fn with(body: &Value, at: &[String], what: &str) -> Value {
    match at {
        [] => Value::from(what),
        [first, rest @ ..] if first == "0" => json!([with(&body[0], rest, what)]),
        [first, rest @ ..] => {
            let mut changed = body.as_object().cloned().unwrap_or_else(Map::new);
            changed.insert(first.clone(), with(&body[first], rest, what));
            Value::Object(changed)
        }
    }
}

/// Gives each request its own network: sign-ins are limited by address.
fn from_elsewhere(call: Call, nth: u32) -> Call {
    let [_, a, b, c] = nth.to_be_bytes();
    call.header("x-forwarded-for", &format!("10.{a}.{b}.{c}"))
}

fn path_of(operation: &Operation<'_>, bob: &TestUser, invite: &str) -> String {
    if !operation.path.contains('{') {
        return operation.path.to_owned();
    }
    let id =
        id_of(operation, bob, invite, invite).unwrap_or_else(|| panic!("no id is known for {}", operation.summary()));
    with_id(operation.path, id)
}

/// Asserts that a request causes no internal error, matches the document, and changes no row count if it is refused.
async fn check(gateway: &Gateway, rows: &mut RowsConnection, call: Call, what: &str) {
    let before = rows.number(ROWS).await;
    let answer = gateway.ask(call).await;
    assert!(answer.status() < 500, "{what}: {} {}", answer.status(), answer.text());
    if answer.status() >= 400 {
        assert_eq!(rows.number(ROWS).await, before, "{what}: {}", answer.text());
    }
}

#[tokio::test]
async fn no_text_in_any_field_causes_an_internal_error_or_a_partial_write() {
    let (gateway, _mock) = open().await;
    let root = admin(&gateway, "root").await;
    let bob = somebody(&gateway, "bob").await;
    let invite = gateway.ask(Call::json("/api/invites", &json!({})).key(&root.token)).await.expect(201).json();
    let invite = text(&invite["id"]);
    let mut nth = 0;
    let mut rows = rows(gateway.folder(), &gateway.folder().data()).connect().await;
    for operation in Document::committed().operations() {
        if APART.contains(&operation.summary().as_str()) {
            continue;
        }
        let target = path_of(&operation, &bob, &invite);
        let mut places = BTreeSet::new();
        if let Some(schema) = operation.body() {
            fields(schema, &[], &mut places);
        }
        for what in TEXTS {
            for at in &places {
                nth += 1;
                let body = with(&example(&operation).unwrap_or_else(|| json!({})), at, what).to_string();
                let call = Call::new(operation.method, &target).header("content-type", "application/json").body(body);
                let description = format!("{} with {what:?} at {}", operation.summary(), at.join("."));
                check(&gateway, &mut rows, from_elsewhere(call.key(&root.token), nth), &description).await;
            }
            for parameter in operation.parameters().iter().filter(|parameter| parameter.place == "query") {
                nth += 1;
                let value: String = what.bytes().map(|byte| format!("%{byte:02X}")).collect();
                let call = Call::new(operation.method, &format!("{target}?{}={value}", parameter.name));
                let description = format!("{} with {what:?} as {}", operation.summary(), parameter.name);
                check(&gateway, &mut rows, from_elsewhere(call.key(&root.token), nth), &description).await;
            }
        }
    }
    assert!(nth > 100, "only {nth} texts were tried");
    // The users and the store are intact.
    for credential in [&root.token, &bob.token] {
        gateway.ask(Call::get("/api/me").key(credential)).await.expect(200);
    }
    // The key may be restricted meanwhile: it then sees only itself.
    gateway.validate(&bob.key).await;
    gateway.ask(Call::get("/api/users").key(&root.token)).await.expect(200);
    assert_eq!(crate::store::integrity(gateway.folder()).await, "ok");
}

/// The body is sent in full, not only announced.
#[tokio::test]
async fn ten_megabytes_in_any_body_are_refused_and_change_nothing() {
    let (gateway, _mock) = open().await;
    let root = admin(&gateway, "root").await;
    let bob = somebody(&gateway, "bob").await;
    let invite = gateway.ask(Call::json("/api/invites", &json!({})).key(&root.token)).await.expect(201).json();
    let invite = text(&invite["id"]);
    let large = "x".repeat(LARGE);
    let rows = number(gateway.folder(), ROWS).await;
    for (nth, operation) in (0..).zip(Document::committed().operations()) {
        let Some(schema) = operation.body() else { continue };
        let mut places = BTreeSet::new();
        fields(schema, &[], &mut places);
        let Some(at) = places.first() else { continue };
        let body = with(&example(&operation).unwrap_or_else(|| json!({})), at, &large).to_string();
        let target = path_of(&operation, &bob, &invite);
        let call = Call::new(operation.method, &target).header("content-type", "application/json").body(body);
        let answer = gateway.ask(from_elsewhere(call.key(&root.token), nth)).await;
        assert_eq!(answer.status(), 413, "{} at {}: {}", operation.summary(), at.join("."), answer.text());
        assert_eq!(answer.json()["error"]["code"], "payload_too_large");
    }
    assert_eq!(number(gateway.folder(), ROWS).await, rows);
    gateway.ask(Call::get("/api/me").key(&root.token)).await.expect(200);
}
