//! Each behaviour in every format.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::wire::{ALL, CHAT, COMPLETIONS, MESSAGES, RESPONSES, Reply, ask, quick, start};

#[tokio::test]
async fn slow_delays_the_first_byte() {
    let mock = start(quick()).await;
    for path in ALL {
        let before = Instant::now();
        let reply = mock.post(path, &ask("slow", "")).await;
        assert!(before.elapsed() >= quick().slow, "{path}");
        assert_eq!(reply.status, 200);
    }
}

#[tokio::test]
async fn long_lasts_streamed_and_unstreamed() {
    let mock = start(quick()).await;
    for path in ALL {
        for more in ["", r#","stream":true"#] {
            let before = Instant::now();
            let reply = mock.post(path, &ask("long", more)).await;
            assert!(before.elapsed() >= quick().long_for - quick().long_pace, "{path} {more}");
            assert!(reply.complete);
            assert!(reply.body().matches("tick ").count() >= 20, "{path} {more}");
        }
    }
}

#[tokio::test]
async fn tokens_n_is_n_tokens_in_n_events() {
    let mock = start(quick()).await;
    let usage = |value: &Value, name: &str| {
        ["/usage", "/response/usage"].iter().find_map(|at| value.pointer(at)?.get(name)?.as_u64())
    };
    for (path, name) in [
        (CHAT, "completion_tokens"),
        (RESPONSES, "output_tokens"),
        (MESSAGES, "output_tokens"),
        (COMPLETIONS, "completion_tokens"),
    ] {
        let whole = mock.post(path, &ask("tokens-1234", "")).await.json();
        assert_eq!(usage(&whole, name), Some(1_234), "{path}");
        let more = r#","stream":true,"stream_options":{"include_usage":true}"#;
        let events = mock.post(path, &ask("tokens-1234", more)).await.events();
        let words = events.iter().filter(|event| {
            let pointers = ["/delta", "/delta/text", "/choices/0/delta/content", "/choices/0/text"];
            pointers.iter().any(|pointer| event.pointer(pointer).is_some_and(|piece| piece == "word "))
        });
        assert_eq!(words.count(), 1_234, "{path}");
        assert_eq!(events.iter().filter_map(|event| usage(event, name)).next_back(), Some(1_234), "{path}");
    }
}

#[tokio::test]
async fn tokens_n_ms_pauses_between_events() {
    let mock = start(quick()).await;
    let before = Instant::now();
    mock.post(CHAT, &ask("tokens-20-5", r#","stream":true"#)).await;
    assert!(before.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn refusals_have_the_format_of_the_path() {
    let mock = start(quick()).await;
    let check = async |path: &str, model: &str, kind: &str, code: Option<&str>| {
        let reply = mock.post(path, &ask(model, r#","stream":true"#)).await;
        assert_eq!(reply.status.to_string(), model);
        assert_eq!(reply.header("retry-after"), (model == "429").then_some("1"));
        let body = reply.json();
        assert_eq!(body["error"]["type"], kind);
        assert!(body["error"]["message"].as_str().unwrap().starts_with("mock: "));
        if path == MESSAGES {
            assert_eq!(body["type"], "error");
            assert_eq!(body["request_id"].as_str(), reply.header("request-id"));
        } else {
            assert_eq!(body["error"].get("code"), Some(&json!(code)));
            assert!(reply.header("x-request-id").unwrap().starts_with("req_"));
        }
    };
    for path in [CHAT, RESPONSES] {
        check(path, "429", "requests", Some("rate_limit_exceeded")).await;
        check(path, "500", "server_error", None).await;
        check(path, "529", "server_error", Some("overloaded")).await;
    }
    check(MESSAGES, "429", "rate_limit_error", None).await;
    check(MESSAGES, "500", "api_error", None).await;
    check(MESSAGES, "529", "overloaded_error", None).await;
}

#[tokio::test]
async fn cut_ends_in_the_middle() {
    let mock = start(quick()).await;
    let check = |reply: Reply, path: &str| {
        assert_eq!((reply.status, reply.complete), (200, false), "{path}");
        reply.body()
    };
    for path in ALL {
        let body = check(mock.post(path, &ask("cut", "")).await, path);
        assert!(body.starts_with("{\"id\":") && serde_json::from_str::<Value>(&body).is_err(), "{path}: {body}");
        let stream = check(mock.post(path, &ask("cut", r#","stream":true"#)).await, path);
        assert!(stream.contains("Hello ") && !stream.contains("same.") && !stream.ends_with('\n'), "{path}: {stream}");
    }
}

#[tokio::test]
async fn no_usage_omits_token_counts() {
    let mock = start(quick()).await;
    for path in ALL {
        for more in ["", r#","stream":true,"stream_options":{"include_usage":true}"#] {
            let reply = mock.post(path, &ask("no-usage", more)).await;
            assert!(reply.complete && reply.body().contains("Hello "));
            for name in ["prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"] {
                assert!(!reply.body().contains(&format!("\"{name}\"")), "{path} {more}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn tool_calls_the_first_tool_and_then_sends_text() {
    let mock = start(quick()).await;
    let schema = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
    let chat = &format!(r#","tools":[{{"type":"function","function":{{"name":"look_up","parameters":{schema}}}}}]"#);
    let flat = &format!(r#","tools":[{{"type":"function","name":"look_up","input_schema":{schema}}}]"#);
    let arguments = r#"{"city": "Jakarta"}"#;

    let response = mock.post(CHAT, &ask("tool", chat)).await.json();
    let call = &response["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"], json!({ "name": "look_up", "arguments": arguments }));
    assert_eq!(response["choices"][0]["finish_reason"], "tool_calls");

    let response = mock.post(RESPONSES, &ask("tool", flat)).await.json();
    assert_eq!(response["output"][0]["type"], "function_call");
    assert_eq!(
        (&response["output"][0]["name"], &response["output"][0]["arguments"]),
        (&json!("look_up"), &json!(arguments))
    );

    let response = mock.post(MESSAGES, &ask("tool", flat)).await.json();
    assert_eq!(response["content"][0]["type"], "tool_use");
    assert_eq!(response["content"][0]["input"], json!({ "city": "Jakarta" }));
    assert_eq!(response["stop_reason"], "tool_use");

    let after = r#"{"model":"tool","messages":[{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"dry"}]}"#;
    let response = mock.post(CHAT, after).await.json();
    assert_eq!(response["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn tool_calls_stream_in_pieces() {
    let mock = start(quick()).await;
    let arguments = r#"{"city": "Jakarta"}"#;
    let pieces = |events: &[Value], pointer: &str| -> Vec<String> {
        events.iter().filter_map(|event| Some(event.pointer(pointer)?.as_str()?.to_owned())).collect()
    };
    for (path, pointer) in [
        (CHAT, "/choices/0/delta/tool_calls/0/function/arguments"),
        (RESPONSES, "/delta"),
        (MESSAGES, "/delta/partial_json"),
    ] {
        let events = mock.post(path, &ask("tool", r#","stream":true"#)).await.events();
        let pieces = pieces(&events, pointer);
        assert!(pieces.len() >= 2, "{path}");
        assert_eq!(pieces.concat(), arguments, "{path}");
    }
}

#[tokio::test]
async fn invalid_bodies_and_unknown_paths_are_refused() {
    let mock = start(quick()).await;
    for (path, kind) in [(CHAT, "invalid_request_error"), (MESSAGES, "invalid_request_error")] {
        for body in ["", "{", "{}", "[]"] {
            let reply = mock.post(path, body).await;
            assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (400, Some(kind)), "{path} {body}");
        }
    }
    for (method, path, status) in
        [("GET", "/", 404), ("POST", "/v1/embedding", 404), ("GET", CHAT, 405), ("GET", "/mock/x", 404)]
    {
        let reply = mock.send(method, path, "").await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(reply.json()["error"]["message"].is_string());
    }
}
