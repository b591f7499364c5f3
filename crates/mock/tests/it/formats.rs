//! Bodies of each format, whole and streamed.

use serde_json::{Value, json};

use crate::wire::{CHAT, COMPLETIONS, MESSAGES, RESPONSES, Reply, RunningMock, ask, quick, start};

async fn whole(mock: &RunningMock, path: &str, model: &str) -> Value {
    let reply = mock.post(path, &ask(model, "")).await;
    assert_eq!((reply.status, reply.complete), (200, true));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    reply.json()
}

async fn streamed(mock: &RunningMock, path: &str, model: &str, more: &str) -> Reply {
    let reply = mock.post(path, &ask(model, &format!(r#","stream":true{more}"#))).await;
    assert_eq!((reply.status, reply.complete), (200, true));
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    reply
}

fn kinds(events: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.dedup();
    kinds
}

fn joined(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer).and_then(Value::as_str)).collect()
}

const ECHOED: &str = "say é  this\nback";

#[tokio::test]
async fn chat_whole_has_choices_and_usage() {
    let mock = start(quick()).await;
    let response = whole(&mock, CHAT, "echo").await;
    assert_eq!(response["choices"][0]["message"]["content"], ECHOED);
    assert_eq!(response["choices"][0]["finish_reason"], "stop");
    let total = u64::try_from(ask("echo", "").len() / 4).unwrap();
    assert_eq!(response["usage"]["prompt_tokens"], total);
    assert_eq!(response["usage"]["prompt_tokens_details"]["cached_tokens"], total / 4);
    assert_eq!(response["usage"]["completion_tokens_details"]["reasoning_tokens"], 8);
    assert_eq!(response["usage"]["total_tokens"], total + response["usage"]["completion_tokens"].as_u64().unwrap());
    assert_eq!(response, whole(&mock, CHAT, "echo").await, "equal bodies give equal responses");
}

#[tokio::test]
async fn chat_stream_has_usage_only_on_request() {
    let mock = start(quick()).await;
    let plain = streamed(&mock, CHAT, "echo", "").await.events();
    assert!(plain.iter().all(|chunk| chunk.get("usage").is_none()));
    assert_eq!(plain.last().unwrap(), "[DONE]");
    assert_eq!(plain[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(joined(&plain, "/choices/0/delta/content"), ECHOED);
    assert_eq!(joined(&plain, "/choices/0/finish_reason"), "stop");

    let requested = streamed(&mock, CHAT, "echo", r#","stream_options":{"include_usage":true}"#).await.events();
    let [chunks @ .., last, done] = requested.as_slice() else { panic!("too short") };
    assert!(chunks.iter().all(|chunk| chunk["usage"].is_null() && chunk["choices"][0].is_object()));
    assert_eq!((&last["choices"], done), (&json!([]), &json!("[DONE]")));
    assert!(last["usage"]["prompt_tokens"].as_u64() > Some(0));
}

#[tokio::test]
async fn responses_stream_opens_and_closes_each_item() {
    let mock = start(quick()).await;
    let events = streamed(&mock, RESPONSES, "echo", "").await.events();
    assert_eq!(
        kinds(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(joined(&events, "/delta"), ECHOED);
    let completed = &events.last().unwrap()["response"];
    assert_eq!(completed["output"][0]["content"][0]["text"], ECHOED);
    assert_eq!(completed["output"][0], events[events.len() - 2]["item"]);
    assert_eq!(completed["usage"]["output_tokens_details"]["reasoning_tokens"], 8);
    assert!(events[0]["response"]["usage"].is_null());
}

#[tokio::test]
async fn responses_stream_completes_with_the_whole_response() {
    let mock = start(quick()).await;
    let whole = whole(&mock, RESPONSES, "echo").await;
    let events = streamed(&mock, RESPONSES, "echo", "").await.events();
    let completed = &events.last().unwrap()["response"];
    assert_eq!(whole["output"][0]["content"], completed["output"][0]["content"]);
    assert_eq!((&whole["status"], &whole["object"]), (&json!("completed"), &json!("response")));
    assert!(whole["usage"]["input_tokens_details"]["cached_tokens"].as_u64() > Some(0));
}

#[tokio::test]
async fn messages_stream_counts_cumulatively() {
    let mock = start(quick()).await;
    let events = streamed(&mock, MESSAGES, "echo", "").await.events();
    assert_eq!(
        kinds(&events),
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(joined(&events, "/delta/text"), ECHOED);
    let start = &events[0]["message"]["usage"];
    let end = &events[events.len() - 2]["usage"];
    for class in ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] {
        assert!(start[class].as_u64() > Some(0), "{class}");
        assert_eq!(start[class], end[class], "{class}");
    }
    assert_eq!(start["output_tokens"], 1);
    assert_eq!(end["output_tokens"], 8 + 3, "thinking and text tokens");
    assert_eq!(end["output_tokens_details"]["thinking_tokens"], 8);
}

#[tokio::test]
async fn messages_whole_has_content_and_usage() {
    let mock = start(quick()).await;
    let response = whole(&mock, MESSAGES, "echo").await;
    assert_eq!(response["content"], json!([{ "type": "text", "text": ECHOED, "citations": null }]));
    assert_eq!(response["stop_reason"], "end_turn");
    let total = u64::try_from(ask("echo", "").len() / 4).unwrap();
    let input: u64 = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
        .iter()
        .map(|class| response["usage"][class].as_u64().unwrap())
        .sum();
    assert_eq!(input, total);
}

#[tokio::test]
async fn count_tokens_counts() {
    let mock = start(quick()).await;
    let body = ask("mock", "");
    let reply = mock.post("/v1/messages/count_tokens?beta=true", &body).await;
    assert_eq!(reply.json(), json!({ "input_tokens": body.len() / 4 }));
}

#[tokio::test]
async fn models_are_listed_in_the_format_of_the_client() {
    let mock = start(quick()).await;
    let check = async |line: &str, headers: &[(&str, &str)], items: &str, name: &str, expected: &str| {
        let list = mock.with(line, headers, b"").await.json();
        let names: Vec<_> = list[items].as_array().unwrap().iter().map(|model| model[name].as_str().unwrap()).collect();
        assert!(names.contains(&expected), "{line}: {names:?}");
        let one = mock.with(&format!("{line}/mock/slow"), headers, b"").await.json();
        assert!(one[name].as_str().unwrap().ends_with("mock/slow"), "{one}");
    };
    check("GET /v1/models", &[], "data", "id", "usage-huge").await;
    check("GET /v1/models", &[("anthropic-version", "2023-06-01")], "data", "display_name", "mock").await;
    check("GET /v1/models", &[("x-goog-api-key", "k")], "models", "name", "models/mock").await;
    check("GET /v1beta/models", &[], "models", "name", "models/tokens-100").await;
}

#[tokio::test]
async fn a_demanded_schema_is_satisfied_whole_and_streamed() {
    const SCHEMA: &str = r#"{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city","days"],"additionalProperties":false}"#;
    let mock = start(quick()).await;
    let expected = json!({"city": "Jakarta", "days": 1});
    let anthropic = format!(r#","output_format":{{"type":"json_schema","schema":{SCHEMA}}}"#);
    for (path, more, whole_at, piece_at) in [
        (
            CHAT,
            format!(r#","response_format":{{"type":"json_schema","json_schema":{{"name":"a","schema":{SCHEMA}}}}}"#),
            "/choices/0/message/content",
            "/choices/0/delta/content",
        ),
        (
            RESPONSES,
            format!(r#","text":{{"format":{{"type":"json_schema","name":"a","schema":{SCHEMA}}}}}"#),
            "/output/0/content/0/text",
            "/delta",
        ),
        (MESSAGES, anthropic, "/content/0/text", "/delta/text"),
        (
            MESSAGES,
            format!(
                r#","tools":[{{"name":"json","input_schema":{SCHEMA}}}],"tool_choice":{{"type":"tool","name":"json"}}"#
            ),
            "/content/0/input",
            "/delta/partial_json",
        ),
    ] {
        let response = mock.post(path, &ask("mock", &more)).await.json();
        let value = response.pointer(whole_at).unwrap_or_else(|| panic!("{path}: {response}"));
        let value = value.as_str().map_or_else(|| value.clone(), |text| serde_json::from_str(text).unwrap());
        assert_eq!(value, expected, "{path}");
        let text = joined(&streamed(&mock, path, "mock", &more).await.events(), piece_at);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected, "{path}: {text}");
    }
    let body = format!(
        r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}],"generationConfig":{{"responseMimeType":"application/json","responseSchema":{SCHEMA}}}}}"#
    );
    let response = mock.post("/v1beta/models/mock:generateContent", &body).await.json();
    let text = response.pointer("/candidates/0/content/parts/0/text").and_then(Value::as_str).unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
}

#[tokio::test]
async fn instant_is_small_fixed_and_valid() {
    let mock = start(quick()).await;
    for (path, text) in
        [(CHAT, "/choices/0/message/content"), (RESPONSES, "/output/0/content/0/text"), (MESSAGES, "/content/0/text")]
    {
        let reply = mock.post(path, r#"{"model":"instant"}"#).await;
        assert_eq!(reply.json().pointer(text).unwrap(), "Hello.");
        assert!((300..=500).contains(&reply.body().len()), "{path}: {}", reply.body().len());
    }
    for (path, pointer) in [
        (COMPLETIONS, "/choices/0/text"),
        ("/v1/embeddings", "/data/0/embedding/0"),
        ("/v1beta/models/instant:generateContent", "/candidates/0/content/parts/0/text"),
    ] {
        let reply = mock.post(path, r#"{"model":"instant"}"#).await;
        assert!(reply.json().pointer(pointer).is_some(), "{path}: {}", reply.body());
        assert!((300..=500).contains(&reply.body().len()), "{path}: {}", reply.body().len());
    }
}
