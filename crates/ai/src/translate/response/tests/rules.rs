//! The order of events that the official SDKs need.

use serde_json::{Value, json};

use crate::format::Format;

/// Returns the events of a stream: names and data.
pub(super) fn events(stream: &str) -> Vec<(String, Value)> {
    let parse = |event: &str| {
        let (name, data) = match event.strip_prefix("event: ") {
            Some(event) => event.split_once('\n').unwrap(),
            None => ("", event),
        };
        let data = data.strip_prefix("data: ").unwrap_or_else(|| panic!("{event:?}"));
        let data = if data == "[DONE]" { Value::Null } else { serde_json::from_str(data).unwrap() };
        (name.to_owned(), data)
    };
    let (stream, rest) = stream.split_at(stream.rfind("\n\n").map_or(0, |at| at + 2));
    assert!(rest.is_empty() || rest.starts_with("{\"error\":"), "{rest:?}");
    stream.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':')).map(parse).collect()
}

/// Checks a whole stream. Returns whether it has ended without an error.
pub(super) fn check_stream(format: Format, stream: &str) -> bool {
    let events = events(stream);
    if format == Format::Chat {
        check_chat(&events)
    } else if format == Format::Responses {
        check_responses(&events)
    } else if format == Format::GenerateContent {
        let is_whole = check_generate_content(&events);
        assert_eq!(stream.ends_with("\n\n"), is_whole, "an error is repeated without its event: {stream}");
        assert!(!stream.contains("\n:") && !stream.starts_with(':'), "a comment: {stream}");
        is_whole
    } else {
        check_messages(&events)
    }
}

fn check_chat(events: &[(String, Value)]) -> bool {
    let (last, chunks) = events.split_last().unwrap();
    let mut calls: Vec<(String, String)> = Vec::new();
    let mut finished = false;
    for (at, (name, chunk)) in chunks.iter().enumerate() {
        assert_eq!((name.as_str(), &chunk["object"]), ("", &json!("chat.completion.chunk")), "{chunk}");
        assert_eq!((&chunk["id"], &chunk["model"]), (&json!("chatcmpl-0199aa"), &json!("smart")));
        assert_eq!(chunk["created"], 1_790_000_000);
        let choices = chunk["choices"].as_array().unwrap();
        assert!(!finished || choices.is_empty() && chunk["usage"].is_object(), "after the finish reason: {chunk}");
        let Some(choice) = choices.first() else { continue };
        let delta = choice["delta"].as_object().unwrap();
        assert_eq!(at == 0, delta.contains_key("role"), "{chunk}");
        finished = choice["finish_reason"].is_string();
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if index == calls.len() {
                let kind = call["type"].as_str().unwrap();
                assert!(!call["id"].as_str().unwrap().is_empty() && call[kind]["name"].is_string(), "{call}");
                calls.push((kind.to_owned(), String::new()));
            }
            assert_eq!(index, calls.len() - 1, "{call}");
            let (kind, arguments) = &mut calls[index];
            let field = if kind == "custom" { "input" } else { "arguments" };
            arguments.push_str(call[kind.as_str()][field].as_str().unwrap());
        }
    }
    if last.1.is_null() {
        assert!(finished && calls.iter().all(|(kind, arguments)| kind == "custom" || !arguments.is_empty()));
    } else {
        check_openai_error(&last.1["error"]);
    }
    last.1.is_null()
}

/// As the chats of Google's SDKs (3.3 for Python, 3.1 for Node), and stricter.
fn check_generate_content(events: &[(String, Value)]) -> bool {
    for (at, (name, chunk)) in events.iter().enumerate() {
        let is_last = at == events.len() - 1;
        assert!(name.is_empty());
        if let Some(error) = chunk.get("error") {
            assert!(is_last && error["message"].is_string() && error["status"].is_string(), "{error}");
            assert!(error["code"].as_u64() >= Some(400) && error["details"].is_array(), "{error}");
            return false;
        }
        assert_eq!((&chunk["responseId"], &chunk["modelVersion"]), (&json!("0199aa"), &json!("smart")));
        let candidate = &chunk["candidates"][0];
        assert_eq!((&candidate["content"]["role"], &candidate["index"]), (&json!("model"), &json!(0)));
        let parts = candidate["content"]["parts"].as_array().unwrap();
        assert!(!parts.is_empty());
        for part in parts {
            let call = &part["functionCall"];
            let is_call = call["id"].is_string() && call["name"].is_string() && call["args"].is_object();
            assert!(is_call || part["text"].is_string(), "{part}");
        }
        assert_eq!(candidate["finishReason"].is_string(), is_last, "{chunk}");
        assert!(is_last || chunk.get("usageMetadata").is_none(), "{chunk}");
    }
    true
}

pub(super) fn check_openai_error(error: &Value) {
    assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
    assert!(error.as_object().unwrap().contains_key("code") && error["param"].is_null(), "{error}");
}

/// As `ResponseStreamState` of OpenAI's SDK for Python (3.51), and stricter.
fn check_responses(events: &[(String, Value)]) -> bool {
    let mut done: Vec<Value> = Vec::new();
    let mut open: Option<(Value, String)> = None;
    for (at, (name, event)) in events.iter().enumerate() {
        let is_last = at == events.len() - 1;
        assert_eq!((event["type"].as_str(), event["sequence_number"].as_u64()), (Some(name.as_str()), Some(at as u64)));
        if let Some(response) = event.get("response") {
            assert_eq!((&response["id"], &response["created_at"]), (&json!("resp_0199aa"), &json!(1_790_000_000)));
            for field in ["tools", "output"] {
                assert!(response[field].is_array(), "{response}");
            }
        }
        match (at, name.as_str()) {
            (0, "response.created") | (1, "response.in_progress") => continue,
            (0 | 1, _) => panic!("{name} is too early"),
            (_, "response.output_item.added") => {
                assert!(open.is_none(), "{event}");
                open = Some((event["item"].clone(), String::new()));
            }
            (_, "response.output_item.done") => {
                let (item, _) = open.take().unwrap();
                for field in ["id", "type", "call_id", "name", "namespace"] {
                    assert_eq!(item.get(field), event["item"].get(field), "{event}");
                }
                done.push(event["item"].clone());
                continue;
            }
            (_, "response.completed" | "response.incomplete") => {
                assert!(is_last && open.is_none(), "{event}");
                assert_eq!(event["response"]["output"], Value::Array(done), "{event}");
                assert_eq!(format!("response.{}", event["response"]["status"].as_str().unwrap()), *name);
                return true;
            }
            (_, "error") => {
                assert_eq!(events[at + 1].0, "response.failed");
                check_openai_error(&event["error"]);
                continue;
            }
            (_, "response.failed") => {
                assert!(is_last && event["response"]["error"]["message"].is_string(), "{event}");
                return false;
            }
            _ => {
                let (item, text) = open.as_mut().unwrap_or_else(|| panic!("{event}"));
                assert_eq!(event["item_id"], item["id"]);
                check_part(name, event, text);
            }
        }
        assert_eq!(event["output_index"].as_u64(), Some(done.len() as u64), "{event}");
    }
    panic!("no last event")
}

fn check_part(name: &str, event: &Value, text: &mut String) {
    if name.ends_with(".delta") {
        text.push_str(event["delta"].as_str().unwrap());
    } else if !name.contains("_part.") {
        let whole = ["text", "refusal", "arguments", "input"].iter().find_map(|field| event[*field].as_str());
        assert_eq!(whole, Some(text.as_str()), "{event}");
    }
    assert_eq!(name.starts_with("response.output_text."), event["logprobs"].is_array(), "{event}");
}

/// As `accumulate_event` of Anthropic's SDK for Python (2.10), and stricter.
fn check_messages(events: &[(String, Value)]) -> bool {
    let mut open: Option<(Value, Vec<String>)> = None;
    let mut index: u64 = 0;
    let mut stopped: bool = false;
    for (at, (name, event)) in events.iter().enumerate() {
        let is_last = at == events.len() - 1;
        assert_eq!(event["type"].as_str(), Some(name.as_str()));
        if name == "ping" && at > 0 {
            continue;
        }
        assert_eq!(name == "message_start", at == 0 && name != "error", "{event}");
        match name.as_str() {
            "message_start" => {
                assert_eq!(event["message"]["id"], "msg_0199aa");
                assert!(event["message"]["usage"]["input_tokens"].as_u64().unwrap() > 0);
            }
            "content_block_start" => {
                assert!(open.is_none() && !stopped && event["index"] == index, "{event}");
                open = Some((event["content_block"].clone(), Vec::new()));
            }
            "content_block_delta" => {
                assert_eq!(event["index"], index);
                open.as_mut().unwrap().1.push(event["delta"]["type"].as_str().unwrap().to_owned());
            }
            "content_block_stop" => {
                assert_eq!(event["index"], index);
                let (block, deltas) = open.take().unwrap();
                check_block(&block, &deltas);
                index += 1;
            }
            "message_delta" => {
                assert!(open.is_none() && !stopped && event["delta"]["stop_reason"].is_string(), "{event}");
                assert!(event["usage"]["output_tokens"].is_u64());
                stopped = true;
            }
            "message_stop" => {
                assert!(stopped && is_last);
                return true;
            }
            "error" => {
                assert!(is_last && event["error"]["message"].is_string() && event["error"]["type"].is_string());
                return false;
            }
            other => panic!("{other}"),
        }
    }
    panic!("no last event")
}

fn check_block(block: &Value, deltas: &[String]) {
    let (only, last) = match block["type"].as_str().unwrap() {
        "text" => ("text_delta", None),
        "thinking" => ("thinking_delta", Some("signature_delta")),
        "tool_use" => {
            assert!(block["input"] == json!({}) && block["id"].is_string() && block["name"].is_string());
            ("input_json_delta", None)
        }
        "redacted_thinking" => {
            assert!(deltas.is_empty() && block["data"].is_string());
            return;
        }
        "image" => {
            assert!(deltas.is_empty() && block["source"]["data"].is_string());
            return;
        }
        other => panic!("{other}"),
    };
    let others = match last {
        Some(last) => {
            assert_eq!(deltas.last().map(String::as_str), Some(last));
            &deltas[..deltas.len() - 1]
        }
        None => deltas,
    };
    assert!(!others.is_empty() && others.iter().all(|delta| delta == only), "{block} {deltas:?}");
}
