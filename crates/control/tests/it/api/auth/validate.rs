use std::time::Duration;

use access::{ApiKey, Timestamp};

use crate::client::{call, get, post, raw};
use crate::world::{NOON, World, tidy};

const PATH: &str = "/api/auth/validate";

fn body(token: &str) -> String {
    format!("{{\"token\":\"{token}\"}}")
}

#[tokio::test]
async fn a_key_is_valid_in_each_supported_header() {
    let world = World::start().await;
    let holder = world.holder("ada", "starter").await;
    world.has_spent(holder.caller, NOON.day(), 12);
    let bearer = holder.bearer();
    let header = format!("x-api-key: {}", holder.secret);
    let answers = [
        post(world.address, PATH, &[], &body(&holder.secret)).await,
        call(world.address, "POST /api/auth/validate", &[&bearer], "").await,
        call(world.address, "POST /api/auth/validate", &[&header, "Content-Length: 0"], "").await,
        post(world.address, PATH, &[&bearer.replace("Bearer", "bearer"), &header], &body(&holder.secret)).await,
    ];
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json(), answers[0].json());
    }
    let shown = answers[0].json();
    assert_eq!(shown["key"]["last4"], holder.secret[holder.secret.len() - 4..]);
    assert!(!answers[0].body.contains(&holder.secret[9..40]), "{answers:?}");
    insta::assert_snapshot!(tidy(&answers[0]));
}

#[tokio::test]
async fn a_plan_without_a_quota_has_no_limit() {
    let world = World::start().await;
    let holder = world.holder("eve", "endless").await;
    let expires_at = Timestamp(NOON.0 + 1_500_000);
    let key = world.expiring_key(&holder, "short", expires_at).await;
    world.has_spent(holder.caller, NOON.day(), 7);
    insta::assert_snapshot!(tidy(&post(world.address, PATH, &[], &body(&key.secret)).await));
}

#[tokio::test]
async fn a_quota_that_is_overdrawn_has_nothing_left() {
    let world = World::start().await;
    let holder = world.holder("ada", "starter").await;
    world.has_spent(holder.caller, NOON.day(), 1_001);
    let quota = &post(world.address, PATH, &[], &body(&holder.secret)).await.json()["quota"];
    assert_eq!((&quota["used"], &quota["remaining"]), (&1_001.into(), &0.into()));
    world.clock.advance(Duration::from_secs(12 * 3600));
    world.refresh().await;
    let quota = &post(world.address, PATH, &[], &body(&holder.secret)).await.json()["quota"];
    assert_eq!((&quota["used"], &quota["resets_at"]), (&0.into(), &"2026-11-22T00:00:00Z".into()));
}

#[tokio::test]
async fn each_invalid_key_has_its_own_code() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let ask = async |token: &str| post(world.address, PATH, &[], &body(token)).await;

    ask(ApiKey::generate("tollgate").unwrap().expose()).await.refuses(401, "key_unknown");
    ask("sk-proj-0123").await.refuses(401, "key_malformed");
    ask("").await.refuses(401, "key_malformed");
    post(world.address, PATH, &["Authorization: Bearer ключ"], "").await.refuses(401, "key_malformed");

    let expires_at = Timestamp(NOON.0 + 1_000_000);
    let short = world.expiring_key(&ada, "short", expires_at).await;
    assert_eq!(ask(&short.secret).await.status, 200);
    world.clock.advance(Duration::from_secs(1));
    ask(&short.secret).await.refuses(401, "key_expired");

    assert_eq!(ask(&ada.secret).await.status, 200);
    world.store.revoke_key(&store::Actor::COMMAND, ada.key).await.unwrap();
    world.refresh().await;
    ask(&ada.secret).await.refuses(401, "key_revoked");

    let bob = world.holder("bob", "starter").await;
    assert_eq!(ask(&bob.secret).await.status, 200);
    world.suspend(&bob).await;
    ask(&bob.secret).await.refuses(403, "user_suspended");
}

#[tokio::test]
async fn two_different_keys_are_ambiguous() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let header = format!("X-API-Key: {}", bob.secret);
    for answer in [
        post(world.address, PATH, &[&ada.bearer()], &body(&bob.secret)).await,
        post(world.address, PATH, &[&ada.bearer(), &header], "").await,
        post(world.address, PATH, &[&ada.bearer(), &bob.bearer()], "").await,
        post(world.address, PATH, &[&header], &body(&ada.secret)).await,
    ] {
        answer.refuses(400, "ambiguous_credentials");
    }
}

#[tokio::test]
async fn a_call_without_a_key_is_refused_with_the_header_to_use() {
    let world = World::start().await;
    let answer = call(world.address, "POST /api/auth/validate", &[], "").await;
    assert!(answer.refuses(401, "unauthorized").contains("token"));
    assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"Tollgate\"");
    for scheme in ["Authorization: Basic YTpi", "Authorization: Bearer", "Authorization:"] {
        call(world.address, "POST /api/auth/validate", &[scheme], "").await.refuses(401, "unauthorized");
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_with_the_reason() {
    let world = World::start().await;
    let check = async |body: &str, reason: &str| {
        let message = post(world.address, PATH, &[], body).await.refuses(400, "bad_request");
        assert!(message.contains(reason), "{body}: {message}");
    };
    check("{\"token\":\"x\",\"tokn\":1}", "unknown field `tokn`").await;
    check("{}", "missing field `token`").await;
    check("{\"token\":7}", "`token`: expected a string").await;
    check("{\"token\":{\"token\":\"x\"}}", "`token`: expected a string").await;
    check("{\"token\":\"a\",\"token\":\"b\"}", "duplicate field `token`").await;
    check("{\"token\":", "not JSON").await;
    check("[\"tollgate_0\"]", "must be a JSON object").await;
    check("null", "must be a JSON object").await;
    check("{\"token\":\"x\"} x", "not JSON").await;
}

#[tokio::test]
async fn a_refusal_repeats_no_value_and_no_name_that_is_a_key() {
    let world = World::start().await;
    let key = ApiKey::generate("tollgate").unwrap();
    let key = key.expose();
    for body in [
        format!("\"{key}\""),
        format!("[\"{key}\"]"),
        format!("{{\"{key}\":1}}"),
        format!("{{\"token\":[\"{key}\"]}}"),
        format!("{{\"tokn\":\"{key}\"}}"),
        format!("{{\"token\":\"{key}\",\"token\":\"{key}\"}}"),
        format!("{{\"token\":{key}}}"),
    ] {
        let message = post(world.address, PATH, &[], &body).await.refuses(400, "bad_request");
        assert!(!message.contains(&key[9..]) && !message.contains("KeyValidationRequest"), "{body}: {message}");
    }
    let body = format!("{{\"a\\n{}\":1}}", "b".repeat(100));
    let message = post(world.address, PATH, &[], &body).await.refuses(400, "bad_request");
    assert!(message.contains("unknown field `a\\nbbb") && message.contains("bbb…`, expected `token`"), "{message}");
}

#[tokio::test]
async fn only_json_is_read() {
    let world = World::start().await;
    let line = "POST /api/auth/validate";
    for headers in [
        &[][..],
        &["Content-Type: application/x-www-form-urlencoded"],
        &["Content-Type: application/jsonp"],
        &["Content-Type: application/json", "Content-Encoding: gzip"],
    ] {
        call(world.address, line, headers, "{\"token\":\"x\"}").await.refuses(415, "unsupported_media_type");
    }
    let utf8 = ["Content-Type: Application/JSON; charset=utf-8"];
    call(world.address, line, &utf8, "{\"token\":\"x\"}").await.refuses(401, "key_malformed");
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_read() {
    let world = World::start().await;
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n");
    let announced = format!("{head}Content-Length: 1048577\r\n\r\n");
    raw(world.address, announced.as_bytes()).await.refuses(413, "payload_too_large");

    let chunk = format!("{head}Transfer-Encoding: chunked\r\n\r\n100001\r\n{}\r\n0\r\n\r\n", " ".repeat(1_048_577));
    raw(world.address, chunk.as_bytes()).await.refuses(413, "payload_too_large");

    let fits = format!("{}{}", " ".repeat(1_048_576 - 13), "{\"token\":\"x\"}");
    post(world.address, PATH, &[], &fits).await.refuses(401, "key_malformed");
}

#[tokio::test]
async fn it_is_a_post() {
    let world = World::start().await;
    let answer = get(world.address, PATH, &[]).await;
    answer.refuses(405, "method_not_allowed");
    assert_eq!(answer.headers["allow"], "POST");
}

#[tokio::test]
async fn without_the_store_validation_is_unavailable_and_reveals_no_detail() {
    let world = World::start().await;
    let known = world.holder("ada", "starter").await;
    assert_eq!(post(world.address, PATH, &[], &body(&known.secret)).await.status, 200);
    world.store.close().await;
    for token in [known.secret.as_str(), ApiKey::generate("tollgate").unwrap().expose()] {
        let answer = post(world.address, PATH, &[], &body(token)).await;
        answer.refuses(503, "unavailable");
        assert!(!answer.body.to_lowercase().contains("pool") && !answer.body.contains("sql"), "{answer:?}");
    }
}
