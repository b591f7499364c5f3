//! Single requests, as the admin API lists them after real calls.

use e2e::{Call, Gateway, ReservedPort, Setup, Upstream, eventually, setup};
use serde_json::{Value, json};

use crate::bodies::{CHAT, COUNT_TOKENS, Format, MESSAGES};

const REQUESTS: &str = "/api/usage/requests";

async fn reported(gateway: &Gateway, key: &str, path: &str) -> Value {
    gateway.ask(Call::get(path).key(key)).await.expect(200).json()
}

/// Waits until at least `count` requests are listed; returns them, newest first.
async fn requests(gateway: &Gateway, key: &str, count: usize) -> Vec<Value> {
    eventually("the requests are listed", async || {
        let items = reported(gateway, key, REQUESTS).await["items"].as_array().unwrap().clone();
        (items.len() >= count).then_some(items)
    })
    .await
}

async fn in_full(gateway: &Gateway, key: &str, line: &Value) -> Value {
    reported(gateway, key, &format!("{REQUESTS}/{}", line["id"].as_str().unwrap())).await
}

/// Asserts that the lines of an attempt add up to its cost, and its classes to their total.
fn check_sums(attempt: &Value) {
    let price = &attempt["price"];
    let lines = price["lines"].as_array().unwrap_or_else(|| panic!("no lines: {attempt}"));
    let sum: i64 = lines.iter().map(|line| line["amount_pico"].as_i64().unwrap()).sum();
    assert_eq!(
        sum + price["rounding_pico"].as_i64().unwrap(),
        attempt["cost"]["amount_nano"].as_i64().unwrap() * 1_000
    );
    let classes = attempt["tokens"].as_object().unwrap().iter().filter(|(class, _)| *class != "total");
    let classes: u64 = classes.filter_map(|(_, tokens)| tokens.as_u64()).sum();
    assert_eq!(attempt["tokens"]["total"].as_u64(), Some(classes), "{attempt}");
}

#[tokio::test]
async fn calls_that_a_rate_limit_refuses_are_listed() {
    let limits = "[{dimension: key, limit: 2, window: 1h}]";
    let gateway = Gateway::start(Setup::mocked().limited().section("rate_limits", limits)).await;
    let key = gateway.key().await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let call = Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&key);
        statuses.push(gateway.call(call).await.status());
    }
    assert_eq!(statuses, [200, 200, 429, 429, 429]);
    let lines = requests(&gateway, &key, 5).await;
    let mut refusals: Vec<&Value> = lines.iter().map(|line| &line["refusal"]["code"]).collect();
    refusals.sort_by_key(|refusal| refusal.is_null());
    let limited = json!("rate_limited");
    assert_eq!(refusals, [&limited, &limited, &limited, &Value::Null, &Value::Null], "{lines:?}");
    // A request that only counts tokens has no usage, and so no line.
    let count = Call::json(COUNT_TOKENS, &Format::Messages.body("mock/tokens-1", false)).key(&key);
    gateway.call(count).await.expect(429);
}

#[tokio::test]
async fn a_call_is_returned_in_full_if_streamed_or_not() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let stranger = gateway.key().await;
    for format in Format::ALL {
        let key = gateway.key().await;
        for stream in [false, true] {
            let answer =
                gateway.call(Call::json(format.path(), &format.body("mock", stream)).key(&key)).await.expect(200);
            let id = answer.header("x-request-id").unwrap().to_owned();
            let lines = requests(&gateway, &key, 1 + usize::from(stream)).await;
            assert_eq!(lines[0]["id"], id.as_str(), "the newest request must be first");
            let request = in_full(&gateway, &key, &lines[0]).await;
            let shown = ["streamed", "status", "outcome", "refusal", "credits", "attempt_count", "model", "unpriced"];
            let expected = json!([stream, 200, "completed", null, 1, 1, "mock", false]);
            assert_eq!(Value::from(shown.map(|name| request[name].clone()).to_vec()), expected, "{request}");
            let [attempt] = request["attempts"].as_array().unwrap().as_slice() else { panic!("{request}") };
            assert_eq!(
                (&attempt["provider"], &attempt["status"], &attempt["source"]),
                (&json!("mock"), &json!(200), &json!("reported"))
            );
            assert_eq!(
                (&attempt["cost"], &attempt["tokens"]["total"]),
                (&request["cost"], &request["tokens"]["total"])
            );
            check_sums(attempt);
            let ms = |name: &str| request["phases"][name].as_f64().unwrap_or_else(|| panic!("{name}: {request}"));
            assert!(ms("first_byte_ms") <= ms("upstream_ms") && ms("upstream_ms") <= ms("total_ms"), "{request}");
            assert!(request["bytes"]["request"].as_u64() > Some(0) && request["bytes"]["response"].as_u64() > Some(0));
            // Another user's request is treated as missing.
            let foreign = gateway.ask(Call::get(&format!("{REQUESTS}/{id}")).key(&stranger)).await.expect(404);
            assert_eq!(foreign.json()["error"]["code"], "not_found");
        }
    }
}

#[tokio::test]
async fn refused_requests_have_a_reason_and_count_nowhere() {
    let upstream = Upstream::json(&json!({"object": "chat.completion", "model": "m", "choices": []})).await;
    let closed_port = ReservedPort::new();
    let providers = [
        setup::provider("one", "openai", upstream.address()),
        setup::provider("two", "openai", upstream.address()),
        setup::provider("down", "anthropic", closed_port.address()),
    ];
    let setup = Setup::new()
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section("models", "[{name: fast, targets: [{provider: one, model: m}]}]")
        .plans("{name: single, credits_per_day: 1}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("single").await.key;
    let chat = |model: &str| Call::json(CHAT, &Format::Chat.body(model, false)).key(&key);
    // In this order: unknown model, no connection, invalid body, one counted request, exhausted quota.
    gateway.call(chat("made-up")).await.expect(404);
    gateway
        .call(Call::json(MESSAGES, &Format::Messages.body("down/claude-opus-4-8", false)).key(&key))
        .await
        .expect(502);
    gateway.call(Call::post(CHAT, "{").key(&key)).await.expect(400);
    gateway.call(chat("fast")).await.expect(200);
    gateway.call(chat("fast")).await.expect(429);
    gateway.call(chat("one/made-up")).await.expect(429);
    // These leave no row: a token count, a list, an invalid key.
    gateway.call(Call::post(COUNT_TOKENS, "{").key(&key)).await.expect(400);
    gateway.call(Call::get("/v1/models/nobodys").key(&key)).await.expect(404);
    let unknown = format!("tollgate_{}", "0".repeat(32));
    gateway.call(Call::json(CHAT, &Format::Chat.body("fast", false)).key(&unknown)).await.expect(401);

    let lines = requests(&gateway, &key, 6).await;
    let printed: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!([line["status"], line["refusal"]["code"], line["model"], line["credits"], line["attempt_count"]])
        })
        .collect();
    let expected = json!([
        [429, "quota_exceeded", "one/made-up", 0, 0],
        [429, "quota_exceeded", "fast", 0, 0],
        [200, null, "fast", 1, 1],
        [400, "bad_request", null, 0, 0],
        [502, "upstream_connect", "down/claude-opus-4-8", 0, 0],
        [404, "model_not_found", "made-up", 0, 0],
    ]);
    assert_eq!(Value::from(printed), expected);
    let refused = in_full(&gateway, &key, &lines[1]).await;
    assert_eq!(
        (&refused["attempts"], &refused["cost"], &refused["phases"]["upstream_ms"]),
        (&json!([]), &json!(null), &json!(null))
    );
    assert_eq!(refused["refusal"]["page"], "docs/errors.md#quota_exceeded");

    assert_eq!(gateway.counted(&key, 1).await["credits"], 1);
    let history = reported(&gateway, &key, "/api/usage/history?days=2").await;
    assert_eq!((&history["days"][0]["requests"], &history["days"][1]["requests"]), (&json!(0), &json!(1)));
    for query in ["by=model", "by=model&step=hour"] {
        let series = reported(&gateway, &key, &format!("/api/usage/series?{query}")).await;
        let named = series["series"].as_array().unwrap().iter().find(|of| of["name"] == "fast").unwrap().clone();
        // The day or the hour may have ended meanwhile.
        let points = named["points"].as_array().unwrap();
        let sum = |field: &str| points.iter().map(|point| point[field].as_u64().unwrap()).sum::<u64>();
        assert_eq!((sum("requests"), sum("refused"), sum("errors")), (1, 1, 0), "{query}: {series}");
    }
    let models = reported(&gateway, &key, "/api/models").await;
    assert!(models["items"].as_array().unwrap().iter().any(|model| model["name"] == "fast"), "{models}");
    let providers = reported(&gateway, &key, "/api/providers").await;
    let health = |of: &Value| (of["name"].clone(), of["health"]["status"].clone());
    let health: Vec<_> = providers["items"].as_array().unwrap().iter().map(health).collect();
    assert!(health.contains(&(json!("down"), json!("failing"))), "{health:?}");
    let overview = reported(&gateway, &key, "/api/dashboard/overview").await;
    assert_eq!((&overview["today"]["requests"], &overview["quota"]["remaining"]), (&json!(1), &json!(0)));
    assert_eq!(overview["errors"], json!({"today": 1, "requests": 2, "refused": 4, "rate": 0.5}));
    assert_eq!((&overview["models"][0]["model"], &overview["models"][0]["refused"]), (&json!("fast"), &json!(1)));
    assert_eq!((overview["recent"].as_array().unwrap().len(), &overview["latency"]["requests"]), (6, &json!(1)));
}

#[tokio::test]
async fn a_flood_of_refusals_leaves_few_rows() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: none, credits_per_day: 0}")).await;
    let key = gateway.account("none").await.key;
    for _ in 0..300 {
        gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(429);
    }
    requests(&gateway, &key, 1).await;
    gateway.at_rest().await;
    let rows = reported(&gateway, &key, &format!("{REQUESTS}?limit=200")).await["items"].as_array().unwrap().len();
    // At most 60 rows per minute of one key on each worker; the minute may change during the test.
    let most = 2 * 60 * std::thread::available_parallelism().map_or(1, usize::from).min(8);
    assert!((1..=most).contains(&rows) && rows < 300, "{rows}");
    assert!(gateway.metrics().await.contains("tollgate_refusals_total{code=\"quota_exceeded\"} 300"));
    assert_eq!(reported(&gateway, &key, "/api/usage/history?days=1").await["days"][0]["requests"], 0);
}

#[tokio::test]
async fn a_providers_failure_is_its_own_and_no_refusal() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    for (model, status) in [("mock/429", 429), ("mock/500", 500)] {
        gateway.call(Call::json(CHAT, &Format::Chat.body(model, true)).key(&key)).await.expect(status);
    }
    let lines = requests(&gateway, &key, 2).await;
    for (line, (model, status)) in lines.iter().zip([("mock/500", 500), ("mock/429", 429)]) {
        let request = in_full(&gateway, &key, line).await;
        assert_eq!(
            (&request["model"], &request["status"], &request["refusal"]),
            (&json!(model), &json!(status), &json!(null))
        );
        let attempt = &request["attempts"][0];
        assert_eq!(
            (&attempt["status"], &attempt["cost"]["amount_nano"], &attempt["tokens"]),
            (&json!(status), &json!(0), &json!(null))
        );
    }
    let chosen = reported(&gateway, &key, &format!("{REQUESTS}?status=5xx&model=mock%2F500")).await;
    assert_eq!(chosen["items"].as_array().unwrap().len(), 1);
    let overview = reported(&gateway, &key, "/api/dashboard/overview").await;
    assert_eq!(overview["errors"], json!({"today": 2, "requests": 2, "refused": 0, "rate": 1.0}));
}

#[tokio::test]
async fn each_retry_has_an_attempt() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        // The second request of each connection finds it closed.
        if turn.number == 1 {
            return None;
        }
        turn.answer("200 OK", b"fine").await;
        Some(turn)
    })
    .await;
    let routes = "{path: {prefix: /rows}, upstreams: backend, events: rows}";
    let gateway = Gateway::start(crate::upstream::one_pool(Setup::routed(upstream.address(), routes))).await;
    let key = gateway.key().await;
    for _ in 0..2 {
        gateway.call(Call::get("/rows").key(&key)).await.expect(200);
    }
    let lines = requests(&gateway, &key, 2).await;
    let request = in_full(&gateway, &key, &lines[0]).await;
    assert_eq!(
        (&request["attempt_count"], &request["credits"], &request["format"]),
        (&json!(2), &json!(1), &json!(null))
    );
    let statuses: Vec<&Value> =
        request["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(statuses, [&json!(null), &json!(200)]);
}
