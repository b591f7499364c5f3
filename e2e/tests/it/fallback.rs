//! Models with two targets, whose first one fails: what clients, the list of requests and the audit get.

use e2e::{Answer, Call, Gateway, Mock, ReservedPort, Setup, eventually, setup};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format};
use crate::reconcile;
use crate::webhooks::admin;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Models of the mock that fail before any content, with the status that is recorded for the attempt.
const FAULTS: [(&str, Option<u16>); 10] = [
    ("429", Some(429)),
    ("500", Some(500)),
    ("503", Some(503)),
    ("529", Some(529)),
    ("quota", Some(429)),
    ("retry-after-2", Some(429)),
    ("html", Some(200)),
    ("empty", Some(200)),
    ("hang", None),
    ("slow", None),
];

/// Returns a setup in which a provider's own models fail, and a second provider serves them.
fn failing(first: &Mock, second: &Mock) -> Setup {
    let providers = [
        setup::provider("openai", "openai", first.address()),
        setup::provider("anthropic", "anthropic", first.address()),
        setup::provider("gemini", "gemini", first.address()),
        setup::provider("backup", "mock", second.address()),
    ];
    let entry = |provider: &str, fault: &str| {
        format!(
            "{{name: {provider}-{fault}, credits: 2, targets: [{{provider: {provider}, model: \"{fault}\"}}, \
             {{provider: backup, model: tokens-3}}], cooldown: {{failures: 100}}, sticky: off}}"
        )
    };
    let of_kind = |provider: &'static str| FAULTS.map(|(fault, _)| entry(provider, fault));
    let models = [of_kind("openai"), of_kind("anthropic"), of_kind("gemini")].concat().join(", ");
    Setup::new()
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section("models", &format!("[{models}]"))
        .section("ai", "{timeouts: {first_byte: 1s}}")
}

/// Returns the kind of provider, the path and the body of a call in each format.
fn calls(fault: &str, is_stream: bool) -> Vec<(&'static str, String, Value)> {
    let of = |format: Format| {
        let kind = format.kind();
        (kind, format.path().to_owned(), format.body(&format!("{kind}-{fault}"), is_stream))
    };
    let verb = if is_stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let google = format!("/v1beta/models/gemini-{fault}:{verb}");
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    Format::ALL.into_iter().map(of).chain([("gemini", google, body)]).collect()
}

/// Waits for the details of a call.
async fn details(gateway: &Gateway, key: &str, answer: &Answer) -> Value {
    let path = format!("/api/usage/requests/{}", answer.header("x-request-id").unwrap());
    eventually("the request is listed", async || {
        let answer = gateway.ask(Call::get(&path).key(key)).await;
        (answer.status() == 200).then(|| answer.json())
    })
    .await
}

#[tokio::test]
async fn calls_of_each_format_continue_with_the_second_target() {
    let first = Mock::start().await;
    let second = Mock::start().await;
    let gateway = Gateway::start(failing(&first, &second)).await;
    let key = gateway.key().await;
    let mut sent = 0;
    for (fault, status) in FAULTS {
        for is_stream in [true, false] {
            for (kind, path, body) in calls(fault, is_stream) {
                let what = format!("{path} {fault} {is_stream}");
                let answer = gateway.call(Call::json(&path, &body).key(&key)).await.expect(200);
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                let shown =
                    ["x-tollgate-model", "x-tollgate-attempts"].map(|name| answer.header(name).unwrap_or_default());
                let is_left_out = shown[1] == "1";
                assert_eq!(shown[0], "backup/tokens-3", "{what}: {text}");
                // The name of the model contains the fault.
                let text = text.replace(&format!("-{fault}"), "");
                assert!(!text.contains("error\":{") && !text.contains("html"), "{what}: {text}");
                sent += 1;
                let request = details(&gateway, &key, &answer).await;
                let of = |attempt: &Value| (attempt["provider"].clone(), attempt["status"].clone());
                let attempts: Vec<_> = request["attempts"].as_array().unwrap().iter().map(of).collect();
                let served = (json!("backup"), json!(200));
                let failed = (json!(kind), json!(status));
                let expected = if is_left_out { vec![served] } else { vec![failed, served] };
                assert_eq!((attempts, &request["credits"]), (expected, &json!(2)), "{what}: {request}");
            }
        }
    }
    let served = second.requests("tokens-3").await;
    assert_eq!(served, sent, "each call is served once");
    reconcile::agrees(gateway.folder()).await;
}

/// Returns a setup with a model whose first two targets serve no call, one with a target behind a circuit breaker, and one with
/// one target.
fn skipping(dead: &[ReservedPort; 2], mock: &Mock) -> Setup {
    let providers = [
        setup::provider("dead", "openai", dead[0].address()),
        setup::provider("failing", "openai", mock.address()),
        setup::provider("broken", "openai", dead[1].address()),
        setup::provider("backup", "mock", mock.address()),
    ];
    let target = |provider: &str, model: &str| format!("{{provider: {provider}, model: \"{model}\"}}");
    let last = target("backup", "tokens-3");
    let smart = [target("dead", "d"), target("failing", "500"), last.clone()].join(", ");
    let broken = [target("broken", "b"), last.clone()].join(", ");
    let models = format!(
        "[{{name: smart, targets: [{smart}], cooldown: {{failures: 1}}, sticky: off}}, \
         {{name: broken, targets: [{broken}], cooldown: {{failures: 100}}, sticky: off}}, {{name: plain, targets: [{last}]}}]"
    );
    Setup::new()
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section("models", &models)
        .section("circuit_breaker", "{failure_threshold: 2}")
        .section("traces", "{link: \"https://jaeger.example/trace/{trace_id}\"}")
}

/// Returns the skipped targets of a request, each with the number of the attempts before it, and then its attempts.
fn steps(request: &Value) -> Vec<String> {
    let text = |of: &Value, key: &str| of[key].to_string().replace('"', "");
    let skipped = request["skipped"].as_array().unwrap().iter().map(|skip| {
        let keys = ["attempts_before", "provider", "model", "reason"];
        let [before, provider, model, reason] = keys.map(|key| text(skip, key));
        format!("{before}: {provider}/{model} {reason}")
    });
    let attempts = request["attempts"].as_array().unwrap().iter();
    let attempts = attempts.map(|attempt| format!("{} {}", text(attempt, "provider"), text(attempt, "status")));
    skipped.chain(attempts).collect()
}

#[tokio::test]
async fn details_of_a_call_list_the_targets_that_it_skipped_and_why() {
    let dead = [ReservedPort::new(), ReservedPort::new()];
    let mock = Mock::start().await;
    let gateway = Gateway::start(skipping(&dead, &mock)).await;
    let key = gateway.key().await;
    let call = async |model: &str| {
        let call = Call::json(CHAT, &Format::Chat.body(model, false)).key(&key);
        let answer = gateway.call(call).await.expect(200);
        details(&gateway, &key, &answer).await
    };
    let first = call("smart").await;
    let expected = ["0: dead/d connect", "failing 500", "backup 200"];
    assert_eq!(steps(&first), expected, "{first}");
    assert_eq!((&first["trace_id"], &first["trace_url"]), (&json!(null), &json!(null)));
    let second = call("smart").await;
    let expected = ["0: dead/d cooldown", "0: failing/500 cooldown", "backup 200"];
    assert_eq!(steps(&second), expected, "{second}");
    for reason in ["connect", "connect", "breaker"] {
        let broken = call("broken").await;
        assert_eq!(steps(&broken), [format!("0: broken/b {reason}"), "backup 200".to_owned()], "{broken}");
    }
    let plain = Call::json(CHAT, &Format::Chat.body("plain", false)).key(&key);
    let plain = plain.header("traceparent", &format!("00-{TRACE}-b7ad6b7169203331-00"));
    let answer = gateway.call(plain).await.expect(200);
    let plain = details(&gateway, &key, &answer).await;
    assert_eq!(steps(&plain), ["backup 200"], "{plain}");
    let url = format!("https://jaeger.example/trace/{TRACE}");
    assert_eq!((&plain["trace_id"], &plain["trace_url"]), (&json!(TRACE), &json!(url)));
    reconcile::agrees(gateway.folder()).await;
}

#[tokio::test]
async fn a_target_without_a_credential_or_without_a_price_that_a_budget_needs_is_skipped() {
    let mock = Mock::start().await;
    let free = format!("{{name: backup, kind: mock, base_url: \"http://{}\"}}", mock.address());
    let providers = format!("[{}, {free}]", setup::provider("openai", "openai", mock.address()));
    let models = "[{name: smart, targets: [{provider: openai, model: new}, {provider: backup, model: tokens-3}]}]";
    let setup = || Setup::new().section("providers", &providers).section("models", models);
    let unshared = setup().plans("{name: small, shared_keys: false}");
    let budget = setup()
        .plans("{name: small, budgets: [{money: \"5 USD\", per: day}]}")
        .section("prices", "[{model: backup/tokens-3, input: \"1\", output: \"1\"}]");
    for (setup, reason) in [(unshared, "credential"), (budget, "price")] {
        let gateway = Gateway::start(setup).await;
        let key = gateway.account("small").await.key;
        let mut body = Format::Chat.body("smart", false);
        body["max_tokens"] = json!(10);
        let answer = gateway.call(Call::json(CHAT, &body).key(&key)).await.expect(200);
        let request = details(&gateway, &key, &answer).await;
        assert_eq!(steps(&request), [format!("0: openai/new {reason}"), "backup 200".to_owned()], "{request}");
    }
}

/// Returns a setup with three models, whose first targets have a limit each.
fn limited(mock: &Mock) -> Setup {
    let providers = ["first", "backup"].map(|name| setup::provider(name, "openai", mock.address()));
    let entry = |(name, model, limits): (&str, &str, &str)| {
        format!(
            "{{name: {name}, targets: [{{provider: first, model: {model}, limits: {{{limits}}}}}, \
             {{provider: backup, model: tokens-3}}], sticky: off}}"
        )
    };
    let models =
        [("calls", "tokens-3", "requests: 1"), ("tokens", "tokens-4", "tokens: 1"), ("busy", "long", "concurrent: 1")];
    Setup::new()
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section("models", &format!("[{}]", models.map(entry).join(", ")))
        .plans("{name: starter}")
}

#[tokio::test]
async fn a_target_at_its_limit_is_skipped_and_explain_names_the_limit() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(limited(&mock)).await;
    let key = gateway.key().await;
    let token = admin(&gateway).await;
    let explained = async |model: &str| {
        let body = json!({"method": "POST", "url": CHAT, "model": model});
        let answer = gateway.ask(Call::json("/api/explain", &body).key(&token)).await.expect(200).json();
        answer["action"]["targets"][0]["skipped"].as_str().unwrap_or_default().to_owned()
    };
    let call = async |model: &str| {
        let call = Call::json(CHAT, &Format::Chat.body(model, false)).key(&key);
        let answer = gateway.call(call).await.expect(200);
        steps(&details(&gateway, &key, &answer).await)
    };
    assert_eq!((call("calls").await, explained("tokens").await), (vec!["first 200".to_owned()], String::new()));
    assert_eq!(call("calls").await, ["0: first/tokens-3 limit", "backup 200"]);
    assert!(explained("calls").await.starts_with("its limit `requests` is reached, for at least "));

    assert_eq!(call("tokens").await, ["first 200"]);
    assert_eq!(call("tokens").await, ["0: first/tokens-4 limit", "backup 200"], "the first call was recorded");
    assert!(explained("tokens").await.starts_with("its limit `tokens` is reached, for at least "));

    let busy = Call::json(CHAT, &Format::Chat.body("busy", true)).key(&key).open(gateway.proxy).await;
    assert_eq!(busy.status(), 200);
    assert_eq!(call("busy").await, ["0: first/long limit", "backup 200"]);
    assert_eq!(explained("busy").await, "its limit `concurrent` is reached, for at least 1 s more");
    drop(busy);
    eventually("the target serves again", async || explained("busy").await.is_empty().then_some(())).await;
    reconcile::agrees(gateway.folder()).await;
}
