//! The official SDKs for Node, pointed at the gateway as their users point them.

use std::time::Duration;

use e2e::sdk::Script;
use e2e::{Gateway, Setup, eventually_within, is_uuid_v7};
use serde_json::{Value, json};

fn openai(gateway: &Gateway, key: &str) -> Script {
    Script { name: "openai", base_url: format!("http://{}/v1", gateway.proxy), key: key.to_owned() }
}

fn anthropic(gateway: &Gateway, key: &str) -> Script {
    Script { name: "anthropic", base_url: format!("http://{}", gateway.proxy), key: key.to_owned() }
}

fn has_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() > 3)
}

#[tokio::test]
async fn openai_chat_answers_whole_and_streamed() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let sdk = openai(&gateway, &key);
    let whole = sdk.run("chat", "mock").await;
    assert!(has_text(&whole["text"]) && whole["usage"]["total_tokens"].as_u64() > Some(0), "{whole}");
    assert!(is_uuid_v7(whole["request_id"].as_str().unwrap()), "{whole}");
    let stream = sdk.run("chat_stream", "mock").await;
    assert_eq!((&stream["text"], &stream["finish"]), (&whole["text"], &json!("stop")));
    assert!(stream["chunks"].as_u64() > Some(3), "{stream}");
    let usage = sdk.run("chat_stream_usage", "mock").await;
    assert!(usage["usage"]["total_tokens"].as_u64() > Some(0), "{usage}");
    gateway.counted(&key, 3).await;
}

#[tokio::test]
async fn openai_responses_answer_whole_and_streamed() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let sdk = openai(&gateway, &key);
    let whole = sdk.run("responses", "mock").await;
    assert!(has_text(&whole["text"]), "{whole}");
    assert_eq!(whole["status"], "completed");
    assert!(is_uuid_v7(whole["request_id"].as_str().unwrap()), "{whole}");
    let stream = sdk.run("responses_stream", "mock").await;
    assert_eq!(stream["text"], whole["text"]);
    assert!(stream["usage"]["total_tokens"].as_u64() > Some(0), "{stream}");
    // Codex shows nothing without it.
    assert!(stream["types"].as_array().unwrap().contains(&json!("response.output_item.done")), "{stream}");
    gateway.counted(&key, 2).await;
}

#[tokio::test]
async fn anthropic_messages_answer_whole_and_streamed() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let sdk = anthropic(&gateway, &key);
    let whole = sdk.run("messages", "mock").await;
    assert!(has_text(&whole["text"]) && whole["usage"]["output_tokens"].as_u64() > Some(0), "{whole}");
    assert!(is_uuid_v7(whole["request_id"].as_str().unwrap()), "{whole}");
    let stream = sdk.run("messages_stream", "mock").await;
    assert_eq!((&stream["text"], &stream["streamed"]), (&whole["text"], &whole["text"]));
    assert_eq!(
        (&stream["stop"], &stream["usage"]["output_tokens"]),
        (&whole["stop"], &whole["usage"]["output_tokens"])
    );
    let beta = sdk.run("beta_stream", "mock").await;
    assert!(beta["types"].as_array().unwrap().contains(&json!("message_stop")), "{beta}");
    let count = sdk.run("count_tokens", "mock").await;
    assert!(count["tokens"].as_u64() > Some(0), "{count}");
    gateway.counted(&key, 3).await;
}

#[tokio::test]
async fn tools_are_called_and_answered() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let check = async |sdk: Script, what: &str| {
        let seen = sdk.run(what, "mock/tool").await;
        assert_eq!(
            (&seen["name"], &seen["args"]),
            (&json!("get_weather"), &json!({"city": "Jakarta"})),
            "{what} {seen}"
        );
        assert!(what.ends_with("stream") || has_text(&seen["text"]), "{what} {seen}");
    };
    for what in ["chat_tool", "chat_tool_stream", "responses_tool"] {
        check(openai(&gateway, &key), what).await;
    }
    for what in ["tool", "tool_stream"] {
        check(anthropic(&gateway, &key), what).await;
    }
}

#[tokio::test]
async fn models_are_listed_by_both_clients() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    for sdk in [openai(&gateway, &key), anthropic(&gateway, &key)] {
        let seen = sdk.run("models", "").await;
        assert!(seen["ids"].as_array().unwrap().contains(&json!("mock")), "{seen}");
    }
}

/// What a client's user must catch.
struct Caught<'a> {
    class: &'a str,
    /// Part of the message.
    says: &'a str,
    /// Calls that the client makes by itself; 0 where it is told not to repeat any.
    calls: u64,
}

async fn check(sdk: &Script, model: &str, caught: &Caught<'_>) -> Value {
    let what = if sdk.name == "openai" { "chat" } else { "messages" };
    let what = if caught.calls == 0 { format!("{what}_once") } else { what.to_owned() };
    let seen = sdk.run(&what, model).await;
    let error = seen["error"].clone();
    assert_eq!(error["class"], caught.class, "{seen}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains(caught.says)), "{}: {seen}", caught.says);
    assert!(error["request_id"].as_str().is_some_and(is_uuid_v7), "{seen}");
    assert_eq!(seen["calls"], caught.calls.max(1), "{seen}");
    error
}

#[tokio::test]
async fn bad_keys_are_authentication_errors_and_not_repeated() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let unknown = format!("tollgate_{}", "5".repeat(32));
    for sdk in [openai(&gateway, &unknown), anthropic(&gateway, &unknown)] {
        let error = check(&sdk, "mock", &Caught { class: "AuthenticationError", says: "key", calls: 1 }).await;
        assert_eq!(error["status"], 401);
    }
}

#[tokio::test]
async fn used_up_quotas_and_rate_limits_are_rate_limit_errors_with_our_message() {
    let plans = "{name: none, credits_per_day: 1}, {name: slow, requests_per_minute: 1}";
    let gateway = Gateway::start(Setup::mocked().plans(plans)).await;
    for (plan, says, calls) in [("none", "quota", 1), ("slow", "a minute", 0)] {
        let account = gateway.account(plan).await;
        openai(&gateway, &account.key).run("chat", "mock/tokens-1").await;
        for sdk in [openai(&gateway, &account.key), anthropic(&gateway, &account.key)] {
            let error = check(&sdk, "mock", &Caught { class: "RateLimitError", says, calls }).await;
            assert_eq!(error["status"], 429);
            if (sdk.name, plan) == ("openai", "none") {
                assert_eq!(
                    (&error["code"], &error["type"]),
                    (&json!("insufficient_quota"), &json!("insufficient_quota"))
                );
            }
        }
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_are_the_clients_own_error_though_they_are_not_read() {
    let gateway = Gateway::start(Setup::mocked().section("sizes", "{body: 1MiB}")).await;
    let key = gateway.key().await;
    for (sdk, class) in [(openai(&gateway, &key), "APIError"), (anthropic(&gateway, &key), "ContentTooLargeError")] {
        let seen = sdk.run("large", "mock").await;
        assert_eq!((&seen["error"]["class"], &seen["error"]["status"]), (&json!(class), &json!(413)), "{seen}");
        assert!(seen["error"]["message"].as_str().is_some_and(|message| message.contains("larger than")), "{seen}");
    }
}

#[tokio::test]
async fn unknown_models_are_not_found_errors() {
    let models = "[{name: only, targets: [{provider: up, model: m}]}]";
    let nobody = e2e::Nobody::new();
    let provider = |name: &str, kind: &str| e2e::setup::provider(name, kind, nobody.address());
    let providers =
        [provider("up", "openai"), provider("o2", "openai"), provider("a1", "anthropic"), provider("a2", "anthropic")];
    let setup = Setup::new().section("providers", &format!("[{}]", providers.join(", "))).section("models", models);
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    for sdk in [openai(&gateway, &key), anthropic(&gateway, &key)] {
        check(&sdk, "no-such-model", &Caught { class: "NotFoundError", says: "no-such-model", calls: 1 }).await;
    }
}

#[tokio::test]
async fn upstream_errors_arrive_as_the_clients_own_classes() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    for (model, openai_class, anthropic_class) in [
        ("mock/429", "RateLimitError", "RateLimitError"),
        ("mock/500", "InternalServerError", "InternalServerError"),
        ("mock/529", "InternalServerError", "OverloadedError"),
    ] {
        for (sdk, class) in [(openai(&gateway, &key), openai_class), (anthropic(&gateway, &key), anthropic_class)] {
            check(&sdk, model, &Caught { class, says: "mock", calls: 0 }).await;
        }
    }
    // A provider's failure is repeated by the client, as it would be without us.
    let seen = openai(&gateway, &key).run("chat", "mock/500").await;
    assert_eq!(seen["calls"], 3, "{seen}");
}

#[tokio::test]
async fn streams_that_are_cut_are_errors_and_not_short_answers() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    for (sdk, what) in [
        (openai(&gateway, &key), "chat_stream"),
        (openai(&gateway, &key), "responses_stream"),
        (anthropic(&gateway, &key), "messages_stream"),
    ] {
        let seen = sdk.run(what, "mock/cut").await;
        assert!(seen["error"]["class"].as_str().is_some_and(|class| class.starts_with("API")), "{what} {seen}");
        assert!(
            seen["error"]["message"].as_str().is_some_and(|message| message.contains("broke off")),
            "{what} {seen}"
        );
        assert_eq!(seen["calls"], 1, "{what} {seen}");
    }
}

#[tokio::test]
async fn cancelled_streams_are_counted_and_leave_nothing_open() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    assert_eq!(openai(&gateway, &key).run("cancelled", "mock/long").await["chunks"], 3);
    assert_eq!(anthropic(&gateway, &key).run("cancelled", "mock/long").await["events"], 4);
    gateway.counted(&key, 2).await;
    eventually_within(Duration::from_secs(2), "nothing is in flight", async || {
        gateway.metrics().await.contains("tollgate_requests_in_flight 0").then_some(())
    })
    .await;
}
