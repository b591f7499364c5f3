use serde_json::{Value, json};

use super::{PATH, create, patch, show};
use crate::client::{call, get, post};
use crate::world::World;

/// Fields with values of the correct type that are invalid.
fn unfit() -> Vec<(&'static str, Value)> {
    let names = |entries: usize| json!(vec!["a"; entries]);
    vec![
        ("label", json!({"label": ""})),
        ("label", json!({"label": " \u{a0}"})),
        ("label", json!({"label": "a\u{0}b"})),
        ("label", json!({"label": "a\nb"})),
        ("label", json!({"label": "\u{1b}[2J"})),
        ("label", json!({"label": "\u{9b}"})),
        ("label", json!({"label": "lap\u{200b}top"})),
        ("label", json!({"label": "\u{202e}laptop"})),
        ("label", json!({"label": "lap\u{200d}top"})),
        ("models", json!({"label": "x", "scopes": {"models": ["gpt\u{2066}-5"]}})),
        ("label", json!({"label": "é".repeat(201)})),
        ("label", json!({"label": "x".repeat(1_000_000)})),
        ("expires_at", json!({"expires_at": ""})),
        ("expires_at", json!({"expires_at": "tomorrow"})),
        ("expires_at", json!({"expires_at": "2027-01-01"})),
        ("expires_at", json!({"expires_at": "2027-02-30T00:00:00Z"})),
        ("expires_at", json!({"expires_at": "2026-11-20T12:00:00Z"})),
        ("expires_at", json!({"expires_at": "2026-11-20T13:00:00+01:00"})),
        ("expires_at", json!({"expires_at": "1969-12-31T23:59:59Z"})),
        ("routes", json!({"scopes": {"routes": names(65)}})),
        ("routes", json!({"scopes": {"routes": [""]}})),
        ("routes", json!({"scopes": {"routes": ["a\u{0}"]}})),
        ("models", json!({"scopes": {"models": names(65)}})),
        ("models", json!({"scopes": {"models": ["é".repeat(201)]}})),
        ("models", json!({"scopes": {"models": ["gpt-*-mini"]}})),
        ("models", json!({"scopes": {"models": ["a", "**"]}})),
        ("credits_per_day", json!({"limits": {"credits_per_day": u64::MAX}})),
        ("requests_per_minute", json!({"limits": {"requests_per_minute": 0}})),
        ("requests_per_minute", json!({"limits": {"requests_per_minute": 2_147_483_648_u64}})),
        ("addresses", json!({"addresses": [""]})),
        ("addresses", json!({"addresses": ["203.0.113.0/33"]})),
        ("addresses", json!({"addresses": ["203.0.113"]})),
        ("addresses", json!({"addresses": ["localhost"]})),
        ("addresses", json!({"addresses": ["fe80::1%eth0"]})),
        ("addresses", json!({"addresses": ["10.0.0.1", " 10.0.0.2"]})),
        ("addresses", json!({"addresses": vec!["10.0.0.1"; 65]})),
        ("addresses", json!({"addresses": ["x".repeat(100_000)]})),
    ]
}

/// Bodies of the wrong type or structure, with the expected messages.
fn unreadable() -> Vec<(&'static str, &'static str)> {
    vec![
        ("{\"label\":\"x\",\"lable\":1}", "unknown field `lable`"),
        ("{\"label\":\"x\",\"key\":\"tollgate_0\"}", "unknown field `key`"),
        ("{\"label\":\"x\",\"user\":\"bob\"}", "unknown field `user`"),
        ("{\"label\":7}", "`label`: expected a string"),
        ("{\"label\":\"x\",\"label\":\"y\"}", "duplicate field `label`"),
        ("{\"label\":\"x\",\"expires_at\":1795176000}", "`expires_at`: expected a string"),
        ("{\"label\":\"x\",\"scopes\":7}", "`scopes`: expected an object"),
        (
            "{\"label\":\"x\",\"scopes\":{\"route\":[]}}",
            "`scopes`: unknown field `route`, expected `routes` or `models`",
        ),
        ("{\"label\":\"x\",\"scopes\":{\"routes\":\"users\"}}", "`scopes`: `routes`: expected an array"),
        ("{\"label\":\"x\",\"scopes\":{\"models\":[\"a\",null]}}", "`scopes`: `models`: item 2: expected a string"),
        ("{\"label\":\"x\",\"scopes\":{\"models\":[],\"models\":[]}}", "`scopes`: duplicate field `models`"),
        ("{\"label\":\"x\",\"limits\":7}", "`limits`: expected an object"),
        (
            "{\"label\":\"x\",\"limits\":{\"credits_per_day\":-1}}",
            "`limits`: `credits_per_day`: expected an integer that is not negative",
        ),
        (
            "{\"label\":\"x\",\"limits\":{\"credits_per_day\":1.5}}",
            "`limits`: `credits_per_day`: expected an integer that is not negative",
        ),
        (
            "{\"label\":\"x\",\"limits\":{\"credits_per_day\":1e30}}",
            "`limits`: `credits_per_day`: expected an integer that is not negative",
        ),
        (
            "{\"label\":\"x\",\"limits\":{\"requests_per_minute\":\"7\"}}",
            "`limits`: `requests_per_minute`: expected an integer that is not negative",
        ),
        ("{\"label\":\"x\",\"limits\":{\"requests_per_hour\":7}}", "`limits`: unknown field `requests_per_hour`"),
        ("{\"label\":\"x\",\"addresses\":\"10.0.0.1\"}", "`addresses`: expected an array"),
        ("{\"label\":\"x\",\"addresses\":[{}]}", "`addresses`: item 1: expected a string"),
        ("{\"label\":\"x\"", "not JSON"),
        ("[{\"label\":\"x\"}]", "must be a JSON object"),
        ("\"x\"", "must be a JSON object"),
    ]
}

#[tokio::test]
async fn an_invalid_value_is_named_and_changes_nothing() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let id = ada.key.to_string();
    let before = show(&world, &ada.bearer(), &id).await.json();
    for (field, value) in unfit() {
        let reported = patch(&world, &ada.bearer(), &id, &value).await.refuses(422, "unprocessable");
        assert!(reported.contains(field) && reported.len() < 200, "{field}: {reported}");
        let mut new = value;
        new.as_object_mut().unwrap().entry("label").or_insert(json!("fine"));
        let reported = create(&world, &ada.bearer(), &new).await.refuses(422, "unprocessable");
        assert!(reported.contains(field), "{field}: {reported}");
    }
    assert_eq!(show(&world, &ada.bearer(), &id).await.json(), before);
    assert_eq!(get(world.address, PATH, &[&ada.bearer()]).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_with_the_reason() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let id = ada.key.to_string();
    for (body, reason) in unreadable() {
        for line in [format!("POST {PATH}"), format!("PATCH {PATH}/{id}")] {
            let headers = [&*ada.bearer(), "Content-Type: application/json"];
            let reported = call(world.address, &line, &headers, body).await.refuses(400, "bad_request");
            assert!(reported.contains(reason), "{line} {body}: {reported}");
        }
    }
    let reported = post(world.address, PATH, &[&ada.bearer()], "{}").await.refuses(400, "bad_request");
    assert!(reported.contains("missing field `label`"), "{reported}");
    let reported = post(world.address, PATH, &[&ada.bearer()], "{\"label\":null}").await.refuses(400, "bad_request");
    assert!(reported.contains("`label`: expected a string"), "{reported}");
    let reported = post(world.address, PATH, &[&ada.bearer()], "").await.refuses(400, "bad_request");
    assert!(reported.contains("needs a body"), "{reported}");
}

#[tokio::test]
async fn a_secret_in_the_wrong_place_is_not_repeated() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let key = &ada.secret;
    for body in [
        json!({(key.as_str()): 1}),
        json!({"label": "x", "expires_at": key}),
        json!({"label": "x", "addresses": [key]}),
        json!({"label": "x", "scopes": {(key.as_str()): []}}),
        json!({"label": format!("\u{0}{key}")}),
    ] {
        let answer = create(&world, &ada.bearer(), &body).await;
        assert!([400, 422].contains(&answer.status) && !answer.body.contains(&key[9..]), "{answer:?}");
    }
    for query in [format!("?{key}=1"), format!("?cursor={key}"), format!("?limit={key}"), format!("?revoked={key}")] {
        let answer = get(world.address, &format!("{PATH}{query}"), &[&ada.bearer()]).await;
        assert!(!answer.refuses(400, "bad_request").contains(&key[9..]), "{query}");
    }
    let answer = show(&world, &ada.bearer(), key).await;
    assert!(!answer.refuses(404, "not_found").contains(&key[9..]));
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_refused_by_name() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    for (query, reason) in [
        ("?limit=0", "`limit` must be 1 to 200"),
        ("?limit=201", "`limit` must be 1 to 200"),
        ("?limit=-1", "`limit`"),
        ("?limit=all", "`limit`"),
        ("?limit=1&limit=2", "duplicate field `limit`"),
        ("?revoked=1", "`revoked`"),
        ("?revoked=yes", "`revoked`"),
        ("?cursor=", "`cursor`"),
        ("?cursor=AAAA", "`cursor`"),
        ("?cursor=%00", "`cursor`"),
        ("?page=2", "unknown field `page`"),
    ] {
        let answer = get(world.address, &format!("{PATH}{query}"), &[&ada.bearer()]).await;
        let reported = answer.refuses(400, "bad_request");
        assert!(reported.contains(reason), "{query}: {reported}");
    }
}

#[tokio::test]
async fn other_media_types_sizes_and_methods_are_refused() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let id = ada.key.to_string();
    for line in [format!("POST {PATH}"), format!("PATCH {PATH}/{id}"), format!("POST {PATH}/{id}/rotate")] {
        for media in ["Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded"] {
            let answer = call(world.address, &line, &[&ada.bearer(), media], "{\"label\":\"x\"}").await;
            answer.refuses(415, "unsupported_media_type");
        }
        let large = format!("{{\"label\":\"{}\"}}", "x".repeat(1024 * 1024));
        let headers = [&*ada.bearer(), "Content-Type: application/json"];
        call(world.address, &line, &headers, &large).await.refuses(413, "payload_too_large");
    }
    for (line, allow) in [
        (format!("PUT {PATH}"), "GET,HEAD,POST"),
        (format!("POST {PATH}/{id}"), "GET,HEAD,PATCH,DELETE"),
        (format!("GET {PATH}/{id}/rotate"), "POST"),
    ] {
        let answer = call(world.address, &line, &[&ada.bearer()], "").await;
        answer.refuses(405, "method_not_allowed");
        let mut methods: Vec<&str> = answer.headers["allow"].split(',').collect();
        let mut expected: Vec<&str> = allow.split(',').collect();
        methods.sort_unstable();
        expected.sort_unstable();
        assert_eq!(methods, expected, "{line}");
    }
}
