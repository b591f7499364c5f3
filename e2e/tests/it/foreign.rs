//! Resources of another user are indistinguishable from missing ones: every operation with an id returns the same
//! bytes for both.

use std::collections::BTreeSet;

use e2e::document::Operation;
use e2e::{Answer, Call, Document, Gateway, eventually, text};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format};
use crate::people::{TestUser, admin, open, somebody};

const ABSENT: &str = "0199aa00-0000-7000-8000-00000000dead";
/// Header fields that differ between requests.
const OF_THE_CALL: [&str; 5] =
    ["x-request-id", "date", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];

/// Returns the id of the other user's resource to which the operation applies; `None` if the test does not know the
/// operation.
pub(crate) fn id_of<'a>(
    operation: &Operation<'_>,
    others: &'a TestUser,
    invite: &'a str,
    request: &'a str,
) -> Option<&'a str> {
    Some(match operation.path.split("/{").next()? {
        "/api/keys" => &others.key_id,
        "/api/sessions" => &others.session,
        "/api/provider-keys" => &others.provider_key,
        "/api/users" | "/api/budgets" => &others.user,
        "/api/usage/requests" => request,
        "/api/invites" => invite,
        // Plans belong to no user and have names.
        "/api/plans" => "starter",
        // Configurations belong to no user: no entry has this id.
        "/api/config/history" => &others.user,
        // No invoice and no payment has this id. Those of another user are in the tests of billing.
        "/api/invoices" | "/api/billing/invoices" | "/api/payments" => &others.user,
        // No webhook has this id.
        "/api/webhooks" => &others.user,
        // The figures of the user (see `with_id`).
        "/brief" | "/export" => &others.user,
        _ => return None,
    })
}

/// Query parameters that contain an id.
const BY_QUERY: [&str; 4] = ["key", "key_id", "user_id", "id"];

/// Returns scopes of another user, each with one of the same kind that does not exist.
fn scopes(others: &TestUser) -> [[String; 2]; 3] {
    let of = |kind: &str, id: &str| [format!("{kind}:{id}"), format!("{kind}:{ABSENT}")];
    let label = ["label:team=bobs", "label:team=nobody"].map(str::to_owned);
    [of("user", &others.user), of("key", &others.key_id), label]
}

/// Returns status, header fields except [`OF_THE_CALL`], and body.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let headers = answer.head.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
    let headers = headers.filter(|(name, _)| !OF_THE_CALL.contains(&name.as_str())).collect();
    (answer.status(), headers, answer.body.clone())
}

/// Returns a valid body: the example of the document.
pub(crate) fn example(operation: &Operation<'_>) -> Option<Value> {
    let document = Document::committed().value();
    let schema = e2e::document::schema::resolved(document, operation.body()?);
    let either = schema["oneOf"].as_array().map_or(std::slice::from_ref(schema), Vec::as_slice);
    either.iter().find_map(|one| e2e::document::schema::resolved(document, one).get("example").cloned())
}

#[tokio::test]
async fn data_of_other_users_is_answered_like_missing_data() {
    let (gateway, _mock) = open().await;
    let ada = somebody(&gateway, "ada").await;
    let bob = somebody(&gateway, "bob").await;
    let root = admin(&gateway, "root").await;
    let invite = gateway.ask(Call::json("/api/invites", &json!({})).key(&root.token)).await.expect(201).json();
    let invite = text(&invite["id"]);
    // Bob's requests have a label, which exists from the first one on. The proxy has not looked up his key yet.
    let labels = Call::new("PATCH", &format!("/api/users/{}", bob.user)).header("content-type", "application/json");
    let labels = labels.body(json!({"labels": {"team": "bobs"}}).to_string());
    gateway.ask(labels.key(&root.token)).await.expect(200);
    // A request of Bob. Its id is a header field of the response; Bob finds the request as soon as it is stored.
    let called =
        gateway.call(Call::json(CHAT, &Format::Chat.body("up/tokens-1", false)).key(&bob.key)).await.expect(200);
    let request = called.header("x-request-id").unwrap().to_owned();
    let his = Call::get(&format!("/api/usage/requests/{request}")).key(&bob.key);
    let found = eventually("Bob finds his request", async || {
        let answer = gateway.ask(his.clone()).await;
        (answer.status() == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(found["labels"], json!({"team": "bobs"}));
    let mut unknown = BTreeSet::new();
    for operation in Document::committed().operations() {
        for credential in [&ada.token, &ada.key] {
            if operation.path.contains('{') {
                let Some(id) = id_of(&operation, &bob, &invite, &request) else {
                    unknown.insert(operation.summary());
                    continue;
                };
                same(
                    &gateway,
                    &operation,
                    credential,
                    [id, ABSENT].map(|id| (with_id(operation.path, id), String::new())),
                )
                .await;
            }
            for parameter in operation.parameters().iter().filter(|parameter| parameter.place == "query") {
                if parameter.name == "scope" {
                    for [his, absent] in scopes(&bob) {
                        let requested =
                            [his, absent].map(|scope| (operation.path.to_owned(), format!("?scope={scope}")));
                        if !operation.path.contains('{') {
                            same(&gateway, &operation, credential, requested).await;
                        }
                    }
                }
                if BY_QUERY.contains(&parameter.name) {
                    let id = if parameter.name == "user_id" { &bob.user } else { &bob.key_id };
                    let requested = [id.as_str(), ABSENT]
                        .map(|id| (operation.path.to_owned(), format!("?{}={id}", parameter.name)));
                    same(&gateway, &operation, credential, requested).await;
                }
            }
        }
    }
    // Briefs and exports of labels.
    for operation in Document::committed().operations() {
        let Some(path) = ["/brief/", "/export/"].into_iter().find(|path| operation.path.starts_with(path)) else {
            continue;
        };
        for credential in [&ada.token, &ada.key] {
            let requested = ["bobs", "nobody"].map(|team| (format!("{path}today~team={team}"), String::new()));
            same(&gateway, &operation, credential, requested).await;
        }
    }
    assert!(unknown.is_empty(), "operations with an id that this test does not know: {unknown:?}");
    // Bob's resources are unchanged.
    for path in [format!("/api/keys/{}", bob.key_id), "/api/me".to_owned()] {
        gateway.ask(Call::get(&path).key(&bob.token)).await.expect(200);
    }
    let remaining = gateway.ask(Call::get("/api/provider-keys").key(&bob.token)).await.expect(200).json();
    assert_eq!(remaining["items"][0]["label"], "bob", "{remaining}");
    gateway.validate(&bob.key).await;
}

pub(crate) fn with_id(path: &str, id: &str) -> String {
    // A budget and a delivery are identified by more than one id.
    let path = path.replace("{dimension}", "user").replace("{measure}", "credits").replace("{per}", "day");
    let path = path.replace("{delivery_id}", ABSENT);
    let (before, rest) = path.split_once('{').unwrap();
    let (_, after) = rest.split_once('}').unwrap();
    // The figures of a day have a scope.
    let scope = if ["/brief/", "/export/"].contains(&before) { "today~user=" } else { "" };
    format!("{before}{scope}{id}{after}")
}

/// Asserts that both requests receive equal responses, and that neither succeeds, except for lists, which are empty.
async fn same(gateway: &Gateway, operation: &Operation<'_>, credential: &str, requested: [(String, String); 2]) {
    let mut answers = Vec::new();
    for (path, query) in requested {
        let mut call = Call::new(operation.method, &format!("{path}{query}")).key(credential);
        if let Some(body) = example(operation) {
            call = call.header("content-type", "application/json").body(body.to_string());
        }
        let answer = gateway.ask(call).await;
        assert!(answer.status() >= 400 || operation.method == "GET", "{}: {}", operation.summary(), answer.text());
        answers.push(seen(&answer));
    }
    assert_eq!(answers[0], answers[1], "{}", operation.summary());
}
