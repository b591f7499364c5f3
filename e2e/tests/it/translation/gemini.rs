//! Clients of each translated format at a provider that has only Gemini's `generateContent`.

use e2e::{Answer, Gateway, Mock, Setup, Upstream, setup};
use serde_json::{Value, json};

use super::failures::{check_error, stream_error};
use super::{PRICES, SAID, add_result, ask, call_of, reported, text_of, with_tool};
use crate::bodies::Format;
use crate::{reconcile, store};

fn setup(mock: &Mock) -> Setup {
    Setup::provider("gemini", mock.address()).section("prices", "[{model: up/*, input: \"1\", output: \"10\"}]")
}

fn target(model: &str, stream: bool) -> String {
    let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    format!("/v1beta/models/{model}:{verb}")
}

/// Asserts that the client reads the figures that are stored, and that they were paid. Gemini's mock reports no cache writes.
async fn check_usage(gateway: &Gateway, client: Format, answer: &Answer, case: &str) {
    let row = store::row(gateway.folder(), answer).await;
    let figure = |name: &str| row[name].as_i64().unwrap_or(0).unsigned_abs();
    let stored = (figure("input") + figure("cached_input"), figure("output") + figure("reasoning"));
    assert_eq!(stored, reported(client, answer), "{case}: {row}");
    assert!(stored.0 > 0 && stored.1 > 0, "{case}: {row}");
    assert_eq!(figure("cost_nano"), stored.0 * PRICES[0] + stored.1 * PRICES[1], "{case}: {row}");
    assert_eq!((&row["format"], &row["provider"]), (&json!(super::name(client)), &json!("up")), "{case}: {row}");
    assert_eq!((&row["outcome"], &row["status"]), (&json!("completed"), &json!(200)), "{case}: {row}");
}

#[tokio::test]
async fn each_client_gets_the_text_and_pays_the_usage_of_gemini() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for client in Format::ALL {
        for stream in [false, true] {
            let case = format!("{client:?}, stream: {stream}");
            let mut body = client.body("up/mock", stream);
            if stream && client == Format::Chat {
                body["stream_options"] = json!({"include_usage": true});
            }
            let answer = ask(&gateway, &key, client, &body).await.expect(200);
            assert!(answer.whole, "{case}");
            assert_eq!(text_of(client, &answer), SAID, "{case}");
            let seen = mock.seen("mock").await;
            assert_eq!(seen["target"], target("mock", stream), "{case}: {seen}");
            check_usage(&gateway, client, &answer, &case).await;
        }
    }
    reconcile::agrees(gateway.folder()).await;
}

#[tokio::test]
async fn each_client_gets_calls_of_functions_whole_and_in_streams() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for client in Format::ALL {
        let mut body = with_tool(client, "up/tool");
        let first = ask(&gateway, &key, client, &body).await.expect(200);
        let (id, arguments) = call_of(client, &first.json());
        assert!(arguments["city"].is_string(), "{client:?}: {}", first.text());
        check_usage(&gateway, client, &first, &format!("{client:?}")).await;

        body["stream"] = true.into();
        let streamed = ask(&gateway, &key, client, &body).await.expect(200);
        let finish = match client {
            Format::Chat => r#""finish_reason":"tool_calls""#,
            Format::Responses => "response.function_call_arguments.done",
            Format::Messages => r#""stop_reason":"tool_use""#,
        };
        assert!(streamed.whole && streamed.text().contains(finish), "{client:?}: {}", streamed.text());
        assert!(streamed.text().contains("get_weather"), "{client:?}: {}", streamed.text());

        body["stream"] = false.into();
        add_result(client, &mut body, &first.json(), &id);
        let second = ask(&gateway, &key, client, &body).await.expect(200);
        assert!(!text_of(client, &second).is_empty(), "{client:?}");
    }
}

/// A call of a newer model, whose signature must come back with the result.
const SIGNED: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"get_weather","args":{"city":"Paris"}},"thoughtSignature":"c2lnbmF0dXJl"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}"#;

#[tokio::test]
async fn the_signature_of_a_call_comes_back_with_its_result() {
    for client in Format::ALL {
        let upstream = Upstream::answering("200 OK\r\ncontent-type: application/json; charset=UTF-8", SIGNED).await;
        let gateway = Gateway::start(Setup::provider("gemini", upstream.address())).await;
        let key = gateway.key().await;
        let mut body = with_tool(client, "up/gemini-3-pro");
        let first = ask(&gateway, &key, client, &body).await.expect(200).json();
        let (id, arguments) = call_of(client, &first);
        assert_eq!(arguments, json!({"city": "Paris"}));
        add_result(client, &mut body, &first, &id);
        ask(&gateway, &key, client, &body).await.expect(200);
        let seen = upstream.seen();
        let [first, second] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!(first.head.first, format!("POST {} HTTP/1.1", target("gemini-3-pro", false)));
        assert_eq!(first.head.header("x-goog-api-key"), Some(setup::CREDENTIAL));
        assert_eq!(first.head.header("authorization"), None);
        let second: Value = serde_json::from_slice(&second.body).unwrap();
        let called = &second["contents"][1]["parts"][0];
        let result = &second["contents"][2]["parts"][0];
        assert_eq!(called["thoughtSignature"], "c2lnbmF0dXJl", "{client:?}: {second}");
        let result = &result["functionResponse"];
        assert_eq!((&result["name"], &result["id"]), (&json!("get_weather"), &json!(id)), "{client:?}: {second}");
    }
}

#[tokio::test]
async fn errors_and_cut_streams_of_gemini_are_errors_of_the_client_s_format() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for client in Format::ALL {
        for status in [400, 404, 429, 500, 503] {
            let case = format!("{client:?}: {status}");
            let answer = ask(&gateway, &key, client, &client.body(&format!("up/{status}"), status == 500)).await;
            let expected = if status == 503 && client == Format::Messages { 529 } else { status };
            assert_eq!(answer.status(), expected, "{case}: {}", answer.text());
            check_error(client, &answer.json(), &case);
        }
        for fault in ["error-event", "unfinished", "cut"] {
            let case = format!("{client:?}: {fault}");
            let answer = ask(&gateway, &key, client, &client.body(&format!("up/{fault}"), true)).await.expect(200);
            assert!(stream_error(client, &answer).is_some(), "{case}: {}", answer.text());
            for end in ["[DONE]", "message_stop", "response.completed"] {
                assert!(!answer.text().contains(end), "{case}: an invented end {end}: {}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn the_name_of_a_model_does_not_change_the_provider_s_path() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for model in ["up/../files", "up/a/../b", "up/."] {
        let refused = ask(&gateway, &key, Format::Chat, &Format::Chat.body(model, false)).await.expect(400);
        assert_eq!(refused.json()["error"]["param"], "model", "{}", refused.text());
    }
    ask(&gateway, &key, Format::Chat, &Format::Chat.body("up/a?b#c", false)).await.expect(200);
    assert_eq!(mock.seen("a?b#c").await["target"], "/v1beta/models/a%3Fb%23c:generateContent");
}
