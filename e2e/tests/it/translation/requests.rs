//! The request that the provider of a translated call gets, and calls that its format cannot express.

use e2e::{Answer, Call, Gateway, Mock, Setup, Upstream, eventually, setup};
use serde_json::{Value, json};

use super::{SAID, ask, text_of};
use crate::bodies::{CHAT, Format, MESSAGES, RESPONSES};

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m-1","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}"#;
const COMPLETION: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

async fn answering(body: &'static str) -> Upstream {
    let head = "200 OK\r\ncontent-type: application/json\r\nanthropic-organization-id: org-1\r\nopenai-processing-ms: 7\r\n\
        openai-version: 2020-10-01\r\nrequest-id: req_of_provider";
    Upstream::answering(head, body).await
}

fn received(upstream: &Upstream) -> (e2e::Head, Value) {
    let seen = upstream.only();
    let body = serde_json::from_slice(&seen.body).unwrap();
    (seen.head, body)
}

#[tokio::test]
async fn a_provider_gets_the_path_and_the_headers_of_its_own_format() {
    let upstream = answering(MESSAGE).await;
    let gateway = Gateway::start(Setup::provider("anthropic", upstream.address())).await;
    let key = gateway.key().await;
    let call = Call::json(&format!("{CHAT}?api-version=1"), &Format::Chat.body("up/m", false)).key(&key);
    let call = call.header("openai-beta", "x=1").header("x-stainless-lang", "js").header("session-id", "s1");
    let answer = gateway.call(call.header("traceparent", TRACEPARENT)).await.expect(200);
    assert_eq!(text_of(Format::Chat, &answer), "hi");
    for name in ["openai-version", "openai-processing-ms", "anthropic-organization-id"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    let (head, body) = received(&upstream);
    assert_eq!(head.first, format!("POST {MESSAGES} HTTP/1.1"));
    assert_eq!(head.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(head.header("x-api-key"), Some(setup::CREDENTIAL));
    assert_eq!(head.header("content-type"), Some("application/json"));
    for name in ["openai-beta", "x-stainless-lang", "session-id", "authorization"] {
        assert_eq!(head.header(name), None, "{name}");
    }
    assert!(head.header("traceparent").is_some());
    assert_eq!((&body["model"], body["max_tokens"].is_u64()), (&json!("m"), true), "{body}");
}

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn headers_of_anthropic_s_clients_do_not_reach_another_api() {
    let upstream = answering(COMPLETION).await;
    let address = upstream.address();
    let providers = format!("[{{name: up, kind: openai, base_url: \"http://{address}/v1\", credential: sk-far}}]");
    let gateway = Gateway::start(Setup::new().section("providers", &providers)).await;
    let key = gateway.key().await;
    let call = Call::json(&format!("{MESSAGES}?beta=true"), &Format::Messages.body("up/m", false));
    let call = call.header("x-api-key", &key).header("anthropic-version", "2026-10-21");
    let call = call.header("anthropic-beta", "effort-2025-11-24").header("x-claude-code-session-id", "s1");
    let answer = gateway.call(call).await.expect(200);
    assert_eq!(text_of(Format::Messages, &answer), "hi");
    let (head, body) = received(&upstream);
    assert_eq!(head.first, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(head.header("authorization"), Some("Bearer sk-far"));
    for name in ["anthropic-version", "anthropic-beta", "x-claude-code-session-id", "x-api-key"] {
        assert_eq!(head.header(name), None, "{name}");
    }
    assert_eq!(body["messages"][0], json!({"role": "user", "content": "hi"}), "{body}");
}

#[tokio::test]
async fn a_provider_with_two_formats_gets_calls_in_the_first_one_that_can_express_them() {
    let mock = Mock::start().await;
    let setup = Setup::new().section(
        "providers",
        &format!("[{{name: up, kind: mock, base_url: \"http://{}\", formats: [responses, chat]}}]", mock.address()),
    );
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let path = async |body: &Value| {
        let answer = ask(&gateway, &key, Format::Messages, body).await.expect(200);
        assert_eq!(text_of(Format::Messages, &answer), SAID);
        mock.seen("mock").await["target"].as_str().unwrap().to_owned()
    };
    let mut body = Format::Messages.body("up/mock", false);
    assert_eq!(path(&body).await, RESPONSES);
    body["stop_sequences"] = json!(["END"]);
    assert_eq!(path(&body).await, CHAT, "the Responses API has no stop sequences");
}

fn check_refused(format: Format, answer: &Answer, param: &str) {
    let error = &answer.json()["error"];
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    if format == Format::Messages {
        assert_eq!(error["type"], "invalid_request_error", "{error}");
    } else {
        assert_eq!((&error["code"], &error["param"]), (&json!("format_mismatch"), &json!(param)), "{error}");
    }
}

#[tokio::test]
async fn a_call_that_no_format_of_the_provider_can_express_is_refused_with_its_field() {
    let mock = Mock::start().await;
    let models = "[{name: both, targets: [{provider: messages, model: a}, {provider: chat, model: b}]}]";
    let gateway = Gateway::start(super::setup(&mock).section("models", models)).await;
    let key = gateway.key().await;
    let mut body = Format::Chat.body("messages/mock", false);
    body["n"] = 2.into();
    let refused = ask(&gateway, &key, Format::Chat, &body).await.expect(400);
    check_refused(Format::Chat, &refused, "n");
    let mut stored = Format::Responses.body("chat/mock", false);
    stored["previous_response_id"] = "resp_1".into();
    let refused = ask(&gateway, &key, Format::Responses, &stored).await.expect(400);
    check_refused(Format::Responses, &refused, "previous_response_id");
    assert_eq!(mock.requests("mock").await, 0);
    assert_eq!(gateway.used(&key).await, 0);

    // Another target has the client's format.
    body["model"] = "both".into();
    let answer = ask(&gateway, &key, Format::Chat, &body).await.expect(200);
    assert_eq!(answer.header("x-tollgate-model"), Some("chat/b"));
    let path = format!("/api/usage/requests/{}", answer.header("x-request-id").unwrap());
    let request = eventually("the request is listed", async || {
        let listed = gateway.ask(Call::get(&path).key(&key)).await;
        (listed.status() == 200).then(|| listed.json())
    });
    let request = request.await;
    assert_eq!(request["skipped"][0]["reason"], "format", "{request}");
    assert_eq!((mock.requests("a").await, mock.requests("b").await), (0, 1));
}

#[tokio::test]
async fn dropped_fields_are_named_or_refused() {
    let mock = Mock::start().await;
    for (rule, status) in [("header", 200), ("refuse", 400)] {
        let setup = super::setup(&mock).section("ai", &format!("{{translate: {{dropped: {rule}}}}}"));
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        let mut body = Format::Chat.body("messages/mock", false);
        (body["seed"], body["frequency_penalty"]) = (7.into(), json!(0.5));
        let answer = ask(&gateway, &key, Format::Chat, &body).await.expect(status);
        let named = answer.header("x-tollgate-dropped").unwrap_or_default();
        for field in ["seed", "frequency_penalty"] {
            assert_eq!(named.split(", ").any(|name| name == field), status == 200, "{rule}: {named}");
        }
    }
}

#[tokio::test]
async fn large_calls_are_translated_and_count_twice_for_their_client() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(super::setup(&mock).section("sizes", "{buffered: 16MiB}")).await;
    let key = gateway.key().await;
    let body = |bytes: usize| {
        let mut body = Format::Chat.body("messages/mock", false);
        body["messages"][0]["content"] = "x".repeat(bytes).into();
        body
    };
    // A key may hold a quarter: 4 MiB.
    ask(&gateway, &key, Format::Chat, &body(1_900_000)).await.expect(200);
    let refused = ask(&gateway, &key, Format::Chat, &body(2_500_000)).await.expect(413);
    assert!(refused.text().contains("translated"), "{}", refused.text());
    ask(
        &gateway,
        &key,
        Format::Messages,
        &json!({"model": "messages/mock", "max_tokens": 9, "messages": [
            {"role": "user", "content": "x".repeat(2_500_000)}
        ]}),
    )
    .await
    .expect(200);
}
