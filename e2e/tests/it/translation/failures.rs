//! Errors of providers, streams that end early, and budgets, as the client of a translated call sees them.

use e2e::{Call, Gateway, Mock, Setup, Upstream};
use serde_json::{Value, json};

use super::{ask, name, pairs, setup};
use crate::bodies::Format;
use crate::store;

/// Asserts that a body is an error in the shape of `format`.
pub(super) fn check_error(format: Format, body: &Value, case: &str) {
    assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{case}: {body}");
    assert!(body["error"]["type"].is_string(), "{case}: {body}");
    assert_eq!(body["type"] == "error", format == Format::Messages, "{case}: {body}");
}

#[tokio::test]
async fn errors_of_a_provider_have_the_format_and_the_status_of_the_client() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for (client, provider) in pairs() {
        for status in [400, 404, 429, 500, 529] {
            let case = format!("{client:?} to {provider:?}: {status}");
            let body = client.body(&format!("{}/{status}", name(provider)), status == 500);
            let answer = ask(&gateway, &key, client, &body).await;
            let expected = if status == 529 && client != Format::Messages { 503 } else { status };
            assert_eq!(answer.status(), expected, "{case}: {}", answer.text());
            check_error(client, &answer.json(), &case);
            let row = store::row(gateway.folder(), &answer).await;
            assert_eq!((&row["upstream_status"], &row["cost_nano"]), (&json!(status), &json!(0)), "{case}: {row}");
        }
    }
    let refused = Call::json(Format::Chat.path(), &Format::Chat.body("messages/retry-after-7", false)).key(&key);
    assert_eq!(gateway.call(refused).await.expect(429).header("retry-after"), Some("7"));
}

/// Returns the error of a stream in the shape of `format`.
pub(super) fn stream_error(format: Format, answer: &e2e::Answer) -> Option<Value> {
    let events: Vec<Value> = answer.events().iter().map(e2e::sse::Event::json).collect();
    let is_error = |event: &&Value| match format {
        Format::Chat => event["error"].is_object(),
        Format::Responses => event["type"] == "response.failed" || event["type"] == "error",
        Format::Messages => event["type"] == "error",
    };
    events.iter().find(is_error).cloned()
}

#[tokio::test]
async fn a_stream_without_its_regular_end_ends_with_an_error_of_the_client_s_format() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for (client, provider) in pairs() {
        for fault in ["error-event", "unfinished", "cut"] {
            let case = format!("{client:?} to {provider:?}: {fault}");
            let answer = ask(&gateway, &key, client, &client.body(&format!("{}/{fault}", name(provider)), true)).await;
            let answer = answer.expect(200);
            assert!(answer.whole, "{case}: {}", answer.text());
            assert!(stream_error(client, &answer).is_some(), "{case}: {}", answer.text());
            for end in ["[DONE]", "message_stop", "response.completed"] {
                assert!(!answer.text().contains(end), "{case}: an invented end {end}: {}", answer.text());
            }
            if fault != "error-event" {
                let row = store::row(gateway.folder(), &answer).await;
                assert_eq!(row["outcome"], "upstream_cut", "{case}: {row}");
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_body_is_an_error_of_the_client_s_format() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for (client, provider) in pairs() {
        for fault in ["html", "empty", "broken-json", "deep", "invalid-utf8", "cut", "reset-body", "duplicate-keys"] {
            for stream in [false, true] {
                let case = format!("{client:?} to {provider:?}: {fault}, stream: {stream}");
                let body = client.body(&format!("{}/{fault}", name(provider)), stream);
                let call = Call::json(client.path(), &body).key(&key);
                let answer = call.send(gateway.proxy).await;
                // A reader may skip the field that these damage.
                // These are no stream either.
                let is_body = !stream || matches!(fault, "html" | "empty");
                if is_body && !matches!(fault, "deep" | "duplicate-keys" | "invalid-utf8") {
                    assert!(answer.whole && answer.status() == 502, "{case}: {} {}", answer.status(), answer.text());
                    check_error(client, &answer.json(), &case);
                    assert_eq!(store::row(gateway.folder(), &answer).await["status"], 502, "{case}");
                }
                if !answer.whole || answer.status() >= 400 {
                    continue;
                }
                let is_json = answer.header("content-type").unwrap().starts_with("application/json");
                let error = if is_json { Some(answer.json()) } else { stream_error(client, &answer) };
                if let Some(error) = error.filter(|error| error.get("error").is_some_and(Value::is_object)) {
                    assert!(error["error"]["message"].is_string(), "{case}: {error}");
                }
            }
        }
    }
    gateway.at_rest().await;
}

#[tokio::test]
async fn a_stream_that_uses_up_a_budget_gets_the_regular_end_of_the_client_s_format() {
    let mock = Mock::start().await;
    let setup = setup(&mock).plans("{name: small, budgets: [{tokens: 5000, per: day}]}");
    let gateway = Gateway::start(setup).await;
    let exhausts = async |client: Format, provider: Format| {
        let case = format!("{client:?} to {provider:?}");
        let key = gateway.account("small").await.key;
        let mut body = client.body(&format!("{}/tokens-60000-1", name(provider)), true);
        let (limit, last) = match client {
            Format::Chat => ("max_completion_tokens", "\"finish_reason\":\"length\""),
            Format::Responses => ("max_output_tokens", "\"reason\":\"max_output_tokens\""),
            Format::Messages => ("max_tokens", "\"stop_reason\":\"max_tokens\""),
        };
        body[limit] = 30.into();
        let answer = ask(&gateway, &key, client, &body).await.expect(200);
        assert!(answer.whole && answer.text().contains(last), "{case}: {}", answer.text());
        let row = store::row(gateway.folder(), &answer).await;
        assert_eq!((&row["outcome"], &row["status"]), (&json!("budget_cut"), &json!(200)), "{case}: {row}");
    };
    // Each stream lasts for seconds.
    let [a, b, c, d, e, f] = pairs().collect::<Vec<_>>().try_into().unwrap();
    tokio::join!(
        exhausts(a.0, a.1),
        exhausts(b.0, b.1),
        exhausts(c.0, c.1),
        exhausts(d.0, d.1),
        exhausts(e.0, e.1),
        exhausts(f.0, f.1)
    );
}

#[tokio::test]
async fn a_target_that_fails_is_replaced_by_one_of_another_format() {
    let first = Mock::start().await;
    let second = Mock::start().await;
    let provider = |format, mock: &Mock, of: &str| {
        let name = name(format);
        format!("{{name: {of}-{name}, kind: mock, base_url: \"http://{}\", formats: [{name}]}}", mock.address())
    };
    let of = |mock: &Mock, of: &str| Format::ALL.map(|format| provider(format, mock, of)).join(", ");
    let models = "[{name: any, sticky: off, cooldown: {failures: 1000, time: 1s, max: 1s}, retry: {attempts: 9}, targets: [\
         {provider: a-chat, model: \"500\"}, {provider: a-messages, model: reset}, {provider: a-responses, model: html}, \
         {provider: b-messages, model: ok}]}]";
    let setup = Setup::new()
        .section("providers", &format!("[{}, {}]", of(&first, "a"), of(&second, "b")))
        .section("models", models);
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    for client in Format::ALL {
        for stream in [false, true] {
            let answer = ask(&gateway, &key, client, &client.body("any", stream)).await.expect(200);
            assert_eq!(super::text_of(client, &answer), super::SAID, "{client:?} {stream}");
            assert_eq!(answer.header("x-tollgate-model"), Some("b-messages/ok"), "{client:?} {stream}");
        }
    }
    assert_eq!(second.requests("ok").await, 6);
}

#[tokio::test]
async fn the_first_error_of_several_targets_has_the_client_s_format() {
    let mock = Mock::start().await;
    let models = "[{name: none, sticky: off, cooldown: {failures: 1000, time: 1s, max: 1s}, targets: [\
         {provider: chat, model: \"503\"}, {provider: messages, model: \"500\"}]}]";
    let gateway = Gateway::start(setup(&mock).section("models", models)).await;
    let key = gateway.key().await;
    for client in Format::ALL {
        let answer = ask(&gateway, &key, client, &client.body("none", false)).await;
        let expected = if client == Format::Messages { 529 } else { 503 };
        assert_eq!(answer.status(), expected, "{client:?}: {}", answer.text());
        check_error(client, &answer.json(), "the first error");
    }
}

#[tokio::test]
async fn a_shared_credential_that_is_refused_is_an_error_of_the_gateway() {
    let upstream = Upstream::answering(
        "401 Unauthorized\r\ncontent-type: application/json",
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key: sk-a…b"}}"#,
    )
    .await;
    let gateway = Gateway::start(Setup::provider("anthropic", upstream.address())).await;
    let key = gateway.key().await;
    let answer = ask(&gateway, &key, Format::Chat, &Format::Chat.body("up/m", false)).await.expect(502);
    assert!(!answer.text().contains("sk-a"), "{}", answer.text());
    check_error(Format::Chat, &answer.json(), "401");
}

#[tokio::test]
async fn a_body_of_another_format_is_a_failure_and_the_next_target_is_tried() {
    let chat =
        r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}"#;
    let other = Upstream::answering("200 OK\r\ncontent-type: application/json", chat).await;
    let mock = Mock::start().await;
    let provider = |name: &str, address: String, format: &str| {
        format!("{{name: {name}, kind: mock, base_url: \"http://{address}\", formats: [{format}]}}")
    };
    let providers = [
        provider("wrong", other.address().to_string(), "messages"),
        provider("right", mock.address().to_string(), "messages"),
    ];
    let models = "[{name: any, sticky: off, targets: [{provider: wrong, model: m}, {provider: right, model: ok}]}]";
    let setup = Setup::new().section("providers", &format!("[{}]", providers.join(", "))).section("models", models);
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let answer = ask(&gateway, &key, Format::Chat, &Format::Chat.body("any", false)).await.expect(200);
    assert_eq!(answer.header("x-tollgate-model"), Some("right/ok"));
    let answer = ask(&gateway, &key, Format::Chat, &Format::Chat.body("wrong/m", false)).await.expect(502);
    check_error(Format::Chat, &answer.json(), "no message");
    assert_eq!(answer.json()["error"]["code"], "upstream_protocol");
    let row = store::row(gateway.folder(), &answer).await;
    assert_eq!((&row["status"], &row["outcome"]), (&json!(502), &json!("completed")), "{row}");
}

#[tokio::test]
async fn an_account_without_money_is_an_error_that_no_client_repeats_and_of_the_gateway_if_it_is_the_operators() {
    let upstream = Upstream::answering(
        "429 Too Many Requests\r\ncontent-type: application/json",
        r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","code":"insufficient_quota"}}"#,
    )
    .await;
    let up = format!("kind: mock, base_url: \"http://{}\", formats: [chat]", upstream.address());
    let providers = format!("[{{name: open, {up}}}, {{name: shared, credential: sk-1, {up}}}]");
    let gateway = Gateway::start(Setup::new().section("providers", &providers)).await;
    let key = gateway.key().await;
    for (client, model, status) in [
        (Format::Messages, "open/m", 400),
        (Format::Responses, "open/m", 429),
        (Format::Messages, "shared/m", 502),
        (Format::Responses, "shared/m", 502),
    ] {
        for stream in [false, true] {
            let answer = ask(&gateway, &key, client, &client.body(model, stream)).await.expect(status);
            assert_eq!(answer.text().contains("exceeded"), status != 502, "{}", answer.text());
            assert!(status == 502 || answer.header("x-should-retry") == Some("false"), "{client:?} {stream}");
            check_error(client, &answer.json(), "no money");
        }
    }
}
