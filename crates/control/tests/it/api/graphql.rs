use http::StatusCode;
use serde_json::{Value, json};

use crate::api::usage::{event_of, time_at};
use crate::client::{Answer, get, post};
use crate::world::{Holder, World, defaults};

/// Returns the selection of all that a response has, such as `{id keys {id}}`.
fn selection(of: &Value) -> String {
    match of {
        Value::Object(members) => {
            let fields: Vec<String> = members.iter().map(|(name, of)| format!("{name} {}", selection(of))).collect();
            format!("{{{}}}", fields.join(" "))
        }
        Value::Array(items) => items.first().map(selection).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => String::new(),
    }
}

async fn ask_with(world: &World, headers: &[&str], body: &Value) -> Answer {
    let headers = [headers, &["Content-Type: application/json"]].concat();
    post(world.address, "/graphql", &headers, &body.to_string()).await
}

async fn ask(world: &World, holder: &Holder, query: &str) -> Value {
    let answer = ask_with(world, &[&holder.bearer()], &json!({"query": query})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

/// Returns the value without members that are null or have nothing: a selection would need to know their types.
fn without_null(value: &Value) -> Value {
    let has_something = |of: &Value| !of.is_null() && !matches!(of, Value::Object(members) if members.is_empty());
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, of)| (name.clone(), without_null(of)));
            members.filter(|(_, of)| has_something(of)).collect()
        }
        Value::Array(items) => items.iter().map(without_null).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[tokio::test]
async fn one_query_returns_what_several_operations_do() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    world.record(vec![event_of(&ada, time_at(1)), event_of(&ada, time_at(2))]).await;
    let read = async |path| without_null(&get(world.address, path, &[&ada.bearer()]).await.json());
    let paths = ["/api/dashboard/overview", "/api/me", "/api/keys", "/api/usage/today"];
    let [overview, me, keys, today] =
        [read(paths[0]).await, read(paths[1]).await, read(paths[2]).await, read(paths[3]).await];
    assert_eq!((&overview["today"]["requests"], &keys["items"][0]["label"]), (&json!(2), &json!("ada")));
    let [a, b, c, d] = [&overview, &me, &keys, &today].map(selection);
    let query = format!("{{ dashboardOverview {a} me {b} keys(limit: 5) {c} now: usageToday {d} }}");
    let all = ask(&world, &ada, &query).await;
    let expected = json!({"data": {"dashboardOverview": overview, "me": me, "keys": keys, "now": today}});
    assert_eq!(without_null(&all), expected);
}

#[tokio::test]
async fn a_call_has_the_scope_and_the_error_of_its_operation() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let query = "query One($id: String!) { theirs: keysById(id: $id) { id } mine: me { user { email } } users { items { id } } }";
    let body =
        json!({"query": query, "operationName": "One", "variables": {"id": bob.key.to_string()}, "extensions": {}});
    let mut answers = Vec::new();
    for id in [bob.key.to_string(), uuid::Uuid::nil().to_string()] {
        let mut body = body.clone();
        body["variables"]["id"] = id.into();
        answers.push(ask_with(&world, &[&ada.bearer()], &body).await.json());
    }
    // Keys of other users look like keys that do not exist.
    assert_eq!(answers[0], answers[1]);
    let errors = answers[0]["errors"].as_array().unwrap();
    let codes: Vec<(&Value, &Value)> = errors.iter().map(|error| (&error["path"][0], &error["extensions"])).collect();
    let refused = |code: &str, status: u16| json!({"code": code, "status": status});
    let [gone, closed] = [refused("not_found", 404), refused("forbidden", 403)];
    assert!(codes.contains(&(&json!("theirs"), &gone)) && codes.contains(&(&json!("users"), &closed)), "{errors:?}");
}

#[tokio::test]
async fn a_query_needs_a_credential_and_each_call_counts_in_the_limits() {
    let world = World::start().await;
    ask_with(&world, &[], &json!({"query": "{__schema {types {name}}}"})).await.refuses(401, "unauthorized");
    world.configure(|snapshot| snapshot.process.control.rate_limits = defaults().process.control.rate_limits);
    let ada = world.holder("ada", "starter").await;
    let calls: Vec<String> = (0..9).map(|nth| format!("a{nth}: me {{user {{email}}}}")).collect();
    let query = format!("{{{}}}", calls.join(" "));
    // Ten requests each.
    for _ in 0..10 {
        let answer = ask(&world, &ada, &query).await;
        assert!(answer["errors"].is_null(), "{answer}");
    }
    get(world.address, "/api/me", &[&ada.bearer()]).await.refuses(429, "rate_limited");
}

#[tokio::test]
async fn large_queries_are_refused_before_anything_is_read() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let aliases: Vec<String> = (0..1_000).map(|nth| format!("a{nth}: me {{user {{email}}}}")).collect();
    let cyclic = "{...A} fragment A on Query {me {user {email}} ...B} fragment B on Query {...A}";
    let spread = format!("{{{}}} fragment A on Query {{me {{user {{id email name}}}}}}", "...A ".repeat(1_000));
    let many = format!("{{{}}}", aliases.join(" "));
    let nested = format!("{}me{}", "{".repeat(30_000), "}".repeat(30_000));
    let listed = format!("{{keys(cursor: {}1{}) {{next}}}}", "[".repeat(20_000), "]".repeat(20_000));
    let queries =
        [cyclic, &many, &spread, &nested, &listed, "{me", "", "{nothing}", "mutation {me {user {id}}}", "{me}"];
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    let values = [deep("[", "]"), deep("{a:", "}")];
    let in_values = values.iter().flat_map(|value| {
        let [argument, variable] =
            [format!("{{me(x: {value}) {{user {{id}}}}}}"), format!("query q($a: Int = {value}) {{me}}")];
        [argument, variable, format!("{{me @include(if: {value}) {{user {{id}}}}}}")]
    });
    let in_values: Vec<String> = in_values.collect();
    for query in queries.into_iter().chain(in_values.iter().map(String::as_str)) {
        let answer = ask_with(&world, &[&ada.bearer()], &json!({"query": query})).await;
        answer.refuses(400, "bad_request");
    }
    let long = json!({"query": " ".repeat(65_537)});
    ask_with(&world, &[&ada.bearer()], &long).await.refuses(422, "unprocessable");
    ask_with(&world, &[&ada.bearer()], &json!({"query": "{me {user {id}}}", "id": 1}))
        .await
        .refuses(400, "bad_request");
    let calls: Vec<String> = (0..11).map(|nth| format!("a{nth}: me {{user {{email}}}}")).collect();
    let refused = ask(&world, &ada, &format!("{{{}}}", calls.join(" "))).await;
    assert_eq!(refused["errors"][0]["message"], "a query calls at most 10 operations");
}

#[tokio::test]
async fn fragments_in_fragments_and_large_schemas_are_refused_before_their_validation() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let double = |nth: usize| format!("fragment F{nth} on Query {{...F{0} ...F{0}}}", nth + 1);
    let bomb: Vec<String> = (0..20).map(double).collect();
    let bomb = format!("{{...F0}} {} fragment F20 on Query {{me {{user {{email}}}}}}", bomb.join(" "));
    let cyclic = "{me {user {email}} ...A} fragment A on Query {...B ...B} fragment B on Query {...A ...A}";
    let deep = "{me {user {email}} __schema {types {...A}}} fragment A on __Type {fields {type {...B}}} \
        fragment B on __Type {ofType {ofType {ofType {ofType {kind}}}}}";
    let types: Vec<String> = (0..150).map(|nth| format!("a{nth}: types {{name}}")).collect();
    let types = types.join(" ");
    let schema = format!("{{__schema {{{types}}}}}");
    let beside = format!("{{me {{user {{email}}}} __schema {{{types}}}}}");
    for (query, reason) in [
        (bomb.as_str(), "its fragments repeat too many fields"),
        (cyclic, "a fragment contains itself"),
        (deep, "too deep"),
        (schema.as_str(), "more than 300 fields of the schema"),
        (beside.as_str(), "more than 300 fields of the schema"),
    ] {
        let refused = ask_with(&world, &[&ada.bearer()], &json!({"query": query})).await;
        let message = refused.refuses(400, "bad_request");
        assert!(message.contains(reason), "{message}");
        ask_with(&world, &[], &json!({"query": query})).await.refuses(401, "unauthorized");
    }
}

/// Data is at most six deep in the document, so the schema beside it is the deepest part of these queries.
#[tokio::test]
async fn a_query_beside_data_is_at_most_eight_deep_and_has_a_thousand_fields() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let deep = |depth: usize| {
        let inner = depth - 5;
        let of = format!("{}kind{}", "ofType {".repeat(inner), "}".repeat(inner));
        format!("{{me {{user {{email}}}} __schema {{types {{fields {{type {{{of}}}}}}}}}}}")
    };
    let aliased = |count: usize| {
        let aliases: Vec<String> = (0..count).map(|nth| format!("a{nth}: email")).collect();
        format!("{{me {{user {{{}}}}}}}", aliases.join(" "))
    };
    let passed = ask(&world, &ada, &deep(8)).await;
    assert!(passed["errors"].is_null() && passed["data"]["me"]["user"]["email"].is_string(), "{passed}");
    let passed = ask(&world, &ada, &aliased(998)).await;
    assert_eq!(passed["data"]["me"]["user"].as_object().map(serde_json::Map::len), Some(998), "{passed}");
    for (query, reason) in [(deep(9), "too deep"), (aliased(999), "too complex"), (aliased(1_000), "too complex")] {
        let refused = ask_with(&world, &[&ada.bearer()], &json!({"query": query})).await;
        let message = refused.refuses(400, "bad_request");
        assert!(message.contains(reason), "{message}");
    }
}

#[tokio::test]
async fn a_result_has_at_most_two_hundred_thousand_values() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let query = |count: usize| {
        let aliases: Vec<String> = (0..count).map(|nth| format!("a{nth}: date")).collect();
        format!("{{usageHistory(days: 366) {{days {{...D}}}}}} fragment D on UsageOfDay {{{}}}", aliases.join(" "))
    };
    // The object, the list, and 366 days with 545 members each: 199,838 values. With 546 members: 200,204.
    let passed = ask(&world, &ada, &query(545)).await;
    assert!(passed["errors"].is_null(), "{}", passed["errors"]);
    let days = passed["data"]["usageHistory"]["days"].as_array().unwrap();
    assert!(days.len() == 366 && days.iter().all(|day| day["a544"].is_string()), "{} days", days.len());
    let refused = ask_with(&world, &[&ada.bearer()], &json!({"query": query(546)})).await;
    let message = refused.refuses(400, "bad_request");
    assert!(message.contains("its result has more than 200000 values"), "{message}");
}

#[tokio::test]
async fn tools_can_read_the_schema() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    // As deep as the query of GraphiQL.
    let kind =
        "{kind name ofType {kind name ofType {kind name ofType {kind name ofType {kind name ofType {kind name}}}}}}";
    let query = format!(
        "query IntrospectionQuery {{__schema {{queryType {{name}} types {{kind name fields(includeDeprecated: true) \
        {{name description args {{name type {kind}}} type {kind}}}}}}}}}"
    );
    let answer = ask(&world, &ada, &query).await;
    let types = answer["data"]["__schema"]["types"].as_array().unwrap();
    let named = |name: &str| types.iter().find(|of| of["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let fields = named("Query")["fields"].as_array().unwrap();
    let series = fields.iter().find(|field| field["name"] == "usageSeries").unwrap();
    let arguments: Vec<&str> =
        series["args"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap()).collect();
    assert!(arguments.contains(&"scope") && !arguments.contains(&"format"), "{arguments:?}");
    assert_eq!(series["type"], json!({"kind": "OBJECT", "name": "UsageSeries", "ofType": null}));
    for absent in ["health", "openapiJson", "live", "invoicesByIdReceipt"] {
        assert!(fields.iter().all(|field| field["name"] != absent), "{absent}");
    }
    // A query that also reads data is not deeper than eight.
    let deep = "{me {user {email}} __schema {types {fields {type {ofType {ofType {ofType {ofType {name}}}}}}}}}";
    ask_with(&world, &[&ada.bearer()], &json!({"query": deep})).await.refuses(400, "bad_request");
}

#[tokio::test]
async fn a_result_has_the_media_type_that_the_client_accepts() {
    let world = World::start().await;
    let holder = world.holder("ada", "starter").await;
    let query = json!({"query": "{ me { user { email } } }"});
    for (accept, media_type) in [
        (
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json; charset=utf-8",
        ),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
    ] {
        let answer = ask_with(&world, &[&holder.bearer(), &format!("Accept: {accept}")], &query).await;
        assert_eq!(answer.headers["content-type"], media_type, "{accept}");
    }
}
