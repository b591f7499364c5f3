//! Refusals of LLM requests, in the formats that clients display.

use e2e::{Answer, Call, Exchange, Gateway, Setup, Upstream, Wire, commands, is_uuid_v7, setup};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format, MESSAGES};

/// The expected properties of a refusal.
struct ExpectedRefusal<'a> {
    status: u16,
    /// The value of `error.code` on OpenAI's paths.
    openai: &'a str,
    /// The value of `error.type` on Anthropic's paths.
    anthropic: &'a str,
    /// Texts that the message must contain.
    says: &'a [&'a str],
    /// Whether clients may retry the request.
    again: bool,
}

#[track_caller]
fn check(format: Format, answer: &Answer, refused: &ExpectedRefusal<'_>) {
    assert_eq!(answer.status(), refused.status, "{format:?} {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let id = answer.header("request-id").unwrap();
    assert!(is_uuid_v7(id));
    assert_eq!(answer.header("x-request-id"), Some(id));
    let should_retry = (!refused.again).then_some("false");
    assert_eq!(answer.header("x-should-retry"), should_retry, "{format:?} {}", answer.text());
    let body = answer.json();
    let error = &body["error"];
    match format {
        Format::Chat | Format::Responses => {
            assert_eq!(error["code"], refused.openai, "{body}");
            assert!(error["type"].is_string() && error.get("param").is_some(), "{body}");
        }
        Format::Messages => {
            assert_eq!(body["type"], "error", "{body}");
            assert_eq!(error["type"], refused.anthropic, "{body}");
            assert_eq!(body["request_id"], id);
        }
    }
    let message = error["message"].as_str().unwrap();
    assert!(message.len() > 10, "{message}");
    for word in refused.says {
        assert!(message.contains(word), "no {word:?} in {message:?}");
    }
}

/// Checks the refusal in each format, for the request that `call` builds.
async fn check_each(gateway: &Gateway, refused: &ExpectedRefusal<'_>, call: impl Fn(Format) -> Call) {
    for format in Format::ALL {
        check(format, &gateway.call(call(format)).await, refused);
    }
}

fn whole(format: Format) -> Call {
    Call::json(format.path(), &format.body("mock", false))
}

const BAD_KEY: ExpectedRefusal<'_> = ExpectedRefusal {
    status: 401,
    openai: "invalid_api_key",
    anthropic: "authentication_error",
    says: &[],
    again: false,
};
const BAD_REQUEST: ExpectedRefusal<'_> =
    ExpectedRefusal { status: 400, openai: "bad_request", anthropic: "invalid_request_error", says: &[], again: false };

#[tokio::test]
async fn bad_keys_are_401_and_not_repeated_in_the_response() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let unknown = format!("tollgate_{}", "0123456789abcdef".repeat(2));
    let revoked = gateway.key().await;
    let id = gateway.validate(&revoked).await["key"]["id"].as_str().unwrap().to_owned();
    commands::keys_revoke(gateway.folder(), &id).await;
    check_each(&gateway, &BAD_KEY, |format| whole(format).key(&unknown)).await;
    check_each(&gateway, &BAD_KEY, |format| whole(format).key("sk-proj-of-somebody-else")).await;
    check_each(&gateway, &BAD_KEY, |format| whole(format).key(&revoked)).await;
    check_each(&gateway, &BAD_KEY, whole).await;
    check_each(&gateway, &BAD_KEY, |format| whole(format).header("authorization", "Basic dTpw")).await;
    for key in [&unknown, "sk-proj-of-somebody-else", &revoked] {
        let answer = gateway.call(whole(Format::Chat).key(key)).await;
        let reported = answer.text();
        assert!(!reported.contains(key) && !reported.to_ascii_lowercase().contains("sql"), "{reported}");
        assert!(!gateway.stderr().contains(key), "the log contains a credential");
    }
    assert!(gateway.call(whole(Format::Chat)).await.header("www-authenticate").is_some());
    assert_eq!(gateway.mock().requests("mock").await, 0);
}

#[tokio::test]
async fn control_gives_each_bad_key_its_own_code() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let account = gateway.account(setup::OPEN).await;
    let check = async |token: &str, status: u16, code: &str| {
        let answer = gateway.ask(Call::json("/api/auth/validate", &json!({"token": token}))).await.expect(status);
        assert_eq!(answer.json()["error"]["code"], code);
        assert_eq!(answer.json()["error"]["status"], status);
    };
    check("sk-other", 401, "key_malformed").await;
    check(&format!("tollgate_{}", "0".repeat(32)), 401, "key_unknown").await;
    let valid = gateway.validate(&account.key).await;
    assert_eq!((&valid["valid"], &valid["user"]["email"]), (&json!(true), &json!(account.email)));
    assert_eq!(valid["key"]["last4"].as_str().unwrap(), &account.key[account.key.len() - 4..]);
    assert!(!valid.to_string().contains(&account.key));
    commands::users_set(gateway.folder(), "suspend", &account.email).await;
    check(&account.key, 403, "user_suspended").await;
}

#[tokio::test]
async fn two_different_credentials_are_ambiguous() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let one = gateway.key().await;
    let two = gateway.key().await;
    let refused = ExpectedRefusal { openai: "ambiguous_credentials", ..BAD_REQUEST };
    check_each(&gateway, &refused, |format| whole(format).key(&one).header("x-api-key", &two)).await;
    check_each(&gateway, &refused, |format| whole(format).header("api-key", &one).header("x-api-key", &two)).await;
    check_each(&gateway, &refused, |format| whole(format).key(&one).key(&two)).await;
}

#[tokio::test]
async fn used_up_quota_is_429_that_clients_do_not_retry() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: two, credits_per_day: 2}")).await;
    let key = gateway.account("two").await.key;
    for _ in 0..2 {
        gateway.call(whole(Format::Chat).key(&key)).await.expect(200);
    }
    let refused = ExpectedRefusal {
        status: 429,
        openai: "insufficient_quota",
        anthropic: "billing_error",
        says: &["2"],
        again: false,
    };
    check_each(&gateway, &refused, |format| whole(format).key(&key)).await;
    let answer = gateway.call(whole(Format::Chat).key(&key)).await;
    assert_eq!(answer.json()["error"]["type"], "insufficient_quota");
    assert!(answer.header("retry-after").is_none());
    assert_eq!(gateway.mock().requests("mock").await, 2);
    let usage = gateway.counted(&key, 2).await;
    assert_eq!((&usage["credits"], &usage["limit"], &usage["remaining"]), (&json!(2), &json!(2), &json!(0)));
}

#[tokio::test]
async fn rate_limit_is_429_with_a_retry_time() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: three, requests_per_minute: 3}")).await;
    let key = gateway.account("three").await.key;
    for left in [2, 1, 0] {
        let answer = gateway.call(whole(Format::Chat).key(&key)).await.expect(200);
        assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    let refused = ExpectedRefusal {
        status: 429,
        openai: "rate_limit_exceeded",
        anthropic: "rate_limit_error",
        says: &["3"],
        again: true,
    };
    check_each(&gateway, &refused, |format| whole(format).key(&key)).await;
    let answer = gateway.call(whole(Format::Chat).key(&key)).await;
    let seconds = |name: &str| answer.header(name).unwrap().parse::<u64>().unwrap();
    assert!((1..=20).contains(&seconds("retry-after")), "a request each 20 s: {}", seconds("retry-after"));
    assert_eq!((seconds("x-ratelimit-limit"), seconds("x-ratelimit-remaining")), (3, 0));
    assert!(seconds("x-ratelimit-reset") > 1_700_000_000, "Unix seconds");
    assert_eq!(gateway.mock().requests("mock").await, 3);
}

#[tokio::test]
async fn the_rate_of_a_plan_covers_all_keys_of_a_user() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: six, requests_per_minute: 6}")).await;
    let owner = gateway.account("six").await.key;
    let other = gateway.account("six").await.key;
    let mut keys = vec![owner.clone()];
    for nth in 0..4 {
        let created = Call::json("/api/keys", &json!({"label": format!("ci {nth}")})).key(&owner);
        keys.push(gateway.ask(created).await.expect(201).json()["key"].as_str().unwrap().to_owned());
    }
    let mut admitted = 0;
    for key in keys.iter().cycle().take(30) {
        let answer = gateway.call(whole(Format::Chat).key(key)).await;
        admitted += u32::from(answer.status() == 200);
        if answer.status() == 429 {
            assert!(answer.text().contains("6 requests a minute with all of your keys"), "{}", answer.text());
        }
    }
    // A request more may refill while the others are sent.
    assert!((6..=7).contains(&admitted), "{admitted} of 6 requests with 5 keys");
    let answer = gateway.call(whole(Format::Chat).key(&other)).await.expect(200);
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("5"), "another user has their own rate");
}

#[tokio::test]
async fn free_calls_have_a_rate_of_their_own_ten_times_as_high() {
    let gateway =
        Gateway::start(Setup::mocked().plans("{name: one, requests_per_minute: 1, credits_per_day: 1}")).await;
    let key = gateway.account("one").await.key;
    let count = Call::json(crate::bodies::COUNT_TOKENS, &Format::Messages.body("mock", false)).key(&key);
    for _ in 0..10 {
        gateway.call(count.clone()).await.expect(200);
    }
    let answer = gateway.call(count).await.expect(429);
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
    assert!(answer.header("retry-after").is_some());
    // Free requests use no quota of counted requests.
    gateway.call(whole(Format::Messages).key(&key)).await.expect(200);
    assert_eq!(gateway.counted(&key, 1).await["remaining"], 0);
}

#[tokio::test]
async fn model_lists_use_a_bucket_up_ten_times_the_plans() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: one, requests_per_minute: 1}")).await;
    let key = gateway.account("one").await.key;
    for left in (0..10).rev() {
        let answer = gateway.call(Call::get("/v1/models").key(&key)).await.expect(200);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    let answer = gateway.call(Call::get("/v1/models").key(&key)).await.expect(429);
    let seconds = answer.header("retry-after").unwrap().parse::<u64>().unwrap();
    assert!((1..=6).contains(&seconds), "ten a minute: {seconds}");
    // Other keys, and counted requests of this key, have separate rate limits.
    gateway.call(Call::get("/v1/models").key(&gateway.key().await)).await.expect(200);
    gateway.call(whole(Format::Chat).key(&key)).await.expect(200);
    assert_eq!(gateway.counted(&key, 1).await["credits"], 1);
}

#[tokio::test]
async fn unknown_model_is_404() {
    let upstream = Upstream::json(&json!({})).await;
    let twice = |kind: &str| {
        [
            setup::provider(&format!("{kind}1"), kind, upstream.address()),
            setup::provider(&format!("{kind}2"), kind, upstream.address()),
        ]
        .join(", ")
    };
    let setup = Setup::new().section("providers", &format!("[{}, {}]", twice("openai"), twice("anthropic")));
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let refused = ExpectedRefusal {
        status: 404,
        openai: "model_not_found",
        anthropic: "not_found_error",
        says: &["no-such-model"],
        again: false,
    };
    check_each(&gateway, &refused, |format| Call::json(format.path(), &format.body("no-such-model", false)).key(&key))
        .await;
    check_each(&gateway, &refused, |format| {
        Call::json(format.path(), &format.body("nobody/no-such-model", true)).key(&key)
    })
    .await;
    assert!(upstream.seen().is_empty());
    assert_eq!(gateway.used(&key).await, 0);
}

#[tokio::test]
async fn model_of_another_format_names_the_right_path() {
    let upstream = Upstream::json(&json!({})).await;
    let providers =
        [setup::provider("oa", "openai", upstream.address()), setup::provider("an", "anthropic", upstream.address())];
    let setup = Setup::new().section("providers", &format!("[{}]", providers.join(", ")));
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    for (format, path, model, says) in [
        (Format::Chat, "/v1/embeddings", "an/claude", "/v1/messages"),
        (Format::Chat, "/v1/completions", "an/claude", "/v1/messages"),
    ] {
        let body = json!({"model": model, "input": "hi", "prompt": "hi", "messages": []});
        let answer = gateway.call(Call::json(path, &body).key(&key)).await;
        check(format, &answer, &ExpectedRefusal { openai: "format_mismatch", says: &[says], ..BAD_REQUEST });
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn unreadable_bodies_are_400_with_the_reason() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    for (body, says) in [
        ("", &[][..]),
        ("{\"model\": \"mock\", ", &[]),
        ("{\"model\": \"mock\"} x", &[]),
        ("[]", &[]),
        ("{\"messages\": []}", &["model"]),
        ("{\"model\": 7, \"messages\": []}", &["model"]),
        ("{\"model\": \"\", \"messages\": []}", &["model"]),
        ("{\"model\": \"mock\", \"model\": \"mock\"}", &["model"]),
        ("{\"model\": \"mock\", \"stream\": \"yes\"}", &["stream"]),
        ("{\"model\": \"mo\u{1}ck\"}", &[]),
    ] {
        let refused = ExpectedRefusal { says, ..BAD_REQUEST };
        check_each(&gateway, &refused, |format| Call::post(format.path(), body).key(&key)).await;
    }
    let not_utf8 = b"{\"model\": \"mock\", \"x\": \"\xff\"}";
    check_each(&gateway, &BAD_REQUEST, |format| Call::post(format.path(), not_utf8).key(&key)).await;
    assert_eq!(gateway.mock().requests("mock").await, 0);
    assert_eq!(gateway.used(&key).await, 0);
}

#[tokio::test]
async fn codings_that_are_not_read_are_415_and_those_that_are_named() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let refused = ExpectedRefusal {
        status: 415,
        openai: "unsupported_media_type",
        anthropic: "invalid_request_error",
        says: &["gzip", "zstd"],
        again: false,
    };
    for coding in ["br", "deflate", "compress", "br, identity", "gzip, gzip", "gzip;q=1", ""] {
        check_each(&gateway, &refused, |format| whole(format).key(&key).header("content-encoding", coding)).await;
        let answer = gateway.call(whole(Format::Chat).key(&key).header("content-encoding", coding)).await;
        assert_eq!(answer.header("accept-encoding"), Some("gzip, zstd"), "{coding}");
    }
    let twice = whole(Format::Chat).key(&key).header("content-encoding", "gzip").header("content-encoding", "gzip");
    check(Format::Chat, &gateway.call(twice).await, &refused);
    assert_eq!(gateway.mock().requests("mock").await, 0);
    gateway.call(whole(Format::Chat).key(&key).header("content-encoding", "identity")).await.expect(200);
}

const TOO_LARGE: ExpectedRefusal<'_> = ExpectedRefusal {
    status: 413,
    openai: "payload_too_large",
    anthropic: "request_too_large",
    says: &[],
    again: false,
};

#[tokio::test]
async fn body_over_its_bound_is_refused_by_its_length_before_it_is_read() {
    let gateway = Gateway::start(Setup::mocked().section("sizes", "{body: 10KiB}")).await;
    let key = gateway.key().await;
    for format in Format::ALL {
        // Only the head is sent: a server that reads the body first would never answer.
        let call = whole(format).key(&key).body("").header("content-length", "10241");
        let mut wire = Wire::connect(gateway.proxy).await.unwrap();
        wire.write(call.head(gateway.proxy).as_bytes()).await.unwrap();
        let head = wire.head().await.unwrap();
        check(format, &Exchange::new(wire, head, "POST").rest().await, &TOO_LARGE);
    }
    let fits = format!("{{\"model\":\"mock\",\"x\":\"{}\"}}", "x".repeat(10 * 1024 - 23));
    assert_eq!(fits.len(), 10 * 1024);
    gateway.call(Call::post(CHAT, &fits).key(&key)).await.expect(200);
}

#[tokio::test]
async fn chunked_body_over_its_bound_is_refused() {
    let gateway = Gateway::start(Setup::mocked().section("sizes", "{body: 10KiB}")).await;
    let key = gateway.key().await;
    let body = format!("{:x}\r\n{}\r\n0\r\n\r\n", 20_000, "x".repeat(20_000));
    let call = Call::new("POST", MESSAGES).key(&key).header("transfer-encoding", "chunked").body(body);
    check(Format::Messages, &gateway.call(call).await, &TOO_LARGE);
    assert_eq!(gateway.mock().requests("mock").await, 0);
}

#[tokio::test]
async fn head_over_its_bound_is_431() {
    let gateway = Gateway::start(Setup::mocked().section("sizes", "{headers: 8KiB}")).await;
    let key = gateway.key().await;
    let refused = ExpectedRefusal {
        status: 431,
        openai: "header_too_large",
        anthropic: "invalid_request_error",
        says: &["8192"],
        again: false,
    };
    for bytes in [8_100, 9_000, 100_000] {
        check_each(&gateway, &refused, |format| whole(format).key(&key).header("x-large", &"x".repeat(bytes))).await;
    }
}

#[tokio::test]
async fn bodies_over_the_shared_maximum_are_503_and_memory_is_returned() {
    let gateway = Gateway::start(Setup::mocked().section("sizes", "{body: 1MiB, buffered: 4MiB}")).await;
    let key = gateway.key().await;
    // An incomplete body keeps its buffer reserved.
    let first = whole(Format::Chat).key(&key).body("").header("content-length", "1000000");
    let mut half = Wire::connect(gateway.proxy).await.unwrap();
    half.write(first.head(gateway.proxy).as_bytes()).await.unwrap();
    half.write(&vec![b' '; 900_000]).await.unwrap();
    let large = format!("{}{}", Format::Chat.body("mock", false), " ".repeat(500_000));
    let refused = ExpectedRefusal {
        status: 503,
        openai: "overloaded",
        anthropic: "overloaded_error",
        says: &["may hold 1048576 bytes", "its other calls hold 900000 of them"],
        again: true,
    };
    e2e::eventually("the received bytes are buffered", async || {
        gateway.metrics().await.contains("tollgate_buffered_bytes 900000").then_some(())
    })
    .await;
    check(Format::Chat, &gateway.call(Call::post(CHAT, &large).key(&key)).await, &refused);
    drop(half);
    e2e::eventually("the buffer is free again", async || {
        (gateway.call(Call::post(CHAT, &large).key(&key)).await.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn wrong_method_and_unknown_path_below_v1_are_refused() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let answer = gateway.call(Call::get(CHAT).key(&key)).await.expect(405);
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer =
        gateway.call(Call::json("/v1/fine_tuning/jobs", &json!({"model": "mock"})).key(&key)).await.expect(404);
    let error: Value = answer.json()["error"].clone();
    assert_eq!((&error["code"], &error["type"]), (&json!("route_not_found"), &json!("invalid_request_error")));
    // Paths of no LLM API are refused in Tollgate's own format.
    let error: Value = gateway.call(Call::get("/v1/users").key(&key)).await.expect(404).json()["error"].clone();
    assert_eq!((&error["code"], &error["status"]), (&json!("route_not_found"), &json!(404)));
}

/// Some clients send head and body separately, and reuse the connection unless the response says that it closes.
#[tokio::test]
async fn refused_client_keeps_its_connection_or_receives_connection_close() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let call = whole(Format::Chat);
    let head = call.head(gateway.proxy);
    let bytes = call.bytes(gateway.proxy);
    let mut wire = None;
    for _ in 0..20 {
        let mut apart = match wire.take() {
            Some(wire) => wire,
            None => Wire::connect(gateway.proxy).await.unwrap(),
        };
        apart.write(head.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        apart.write(&bytes[head.len()..]).await.unwrap();
        let answered = apart.head().await.unwrap();
        let (answer, mut apart) = Exchange::new(apart, answered, "POST").reuse().await;
        match answer.expect(401).header("connection") {
            None => wire = Some(apart),
            closes => {
                assert_eq!(closes, Some("close"));
                apart.closed().await;
            }
        }
    }
    // Of these bodies nothing is sent yet, or too much remains.
    for (name, value) in [("content-length", "100000"), ("expect", "100-continue")] {
        let mut wire = Wire::connect(gateway.proxy).await.unwrap();
        let call = Call::new("POST", CHAT).header("content-type", "application/json").header(name, value);
        let call = if name == "expect" { call.header("content-length", "5") } else { call };
        wire.write(call.head(gateway.proxy).as_bytes()).await.unwrap();
        let answered = wire.head().await.unwrap();
        let answer = Exchange::new(wire, answered, "POST").rest().await.expect(401);
        assert_eq!(answer.header("connection"), Some("close"), "{name}");
    }
}
