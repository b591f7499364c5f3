//! Responses of Gemini.

use serde_json::json;

use super::endings::stops;
use super::*;
use crate::translate::capsule::Capsule;
use crate::translate::{DroppedFields, JsonObject, TranslationOptions, request};

const GEMINI: Format = Format::GenerateContent;
const CALL: &str = r#"{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"sig"}"#;

/// Returns a chunk with these parts, and further fields of the candidate.
fn chunk(parts: &str, fields: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{parts}],"role":"model"}},"index":0{fields}}}]}}"#)
}

/// Returns a stream with a text, and this finish reason.
fn finished(reason: &str) -> String {
    chunks(&[&chunk(r#"{"text":"Hi"}"#, ""), &chunk("", &format!(r#","finishReason":"{reason}""#))])
}

#[test]
fn every_finish_reason_has_its_word_in_each_format() {
    for (reason, chat, responses, messages) in [
        ("STOP", "stop", "completed null", "end_turn null"),
        ("MAX_TOKENS", "length", "incomplete max_output_tokens", "max_tokens null"),
        ("CONTINUATION", "length", "incomplete max_output_tokens", "max_tokens null"),
        ("SAFETY", "content_filter", "incomplete content_filter", "refusal null"),
        ("RECITATION", "content_filter", "incomplete content_filter", "refusal null"),
        ("IMAGE_SAFETY", "content_filter", "incomplete content_filter", "refusal null"),
        ("NEW", "length", "incomplete max_output_tokens", "max_tokens null"),
    ] {
        assert_eq!(stops(GEMINI, &finished(reason)), [chat, responses, messages], "{reason}");
    }
    let stream = chunks(&[&chunk(CALL, ""), &chunk("", r#","finishReason":"STOP""#)]);
    assert_eq!(stops(GEMINI, &stream), ["tool_calls", "completed null", "tool_use null"]);
}

#[test]
fn a_finish_reason_that_reports_an_error_is_an_error() {
    for reason in [
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "OTHER",
    ] {
        for client in FORMATS {
            let out = streamed(client, GEMINI, &finished(reason));
            assert!(!check_stream(client, &out) && out.contains(reason), "{out}");
            let error = body(client, GEMINI, ResponseFraming::Events, 200, &finished(reason));
            assert!(error["error"]["message"].as_str().unwrap().contains(reason), "{error}");
        }
    }
}

#[test]
fn a_blocked_prompt_is_a_refusal_with_its_reason() {
    for (feedback, words) in [
        (r#"{"blockReason":"SAFETY"}"#, "The provider has blocked the prompt: SAFETY."),
        (r#"{"blockReason":"MODEL_ARMOR","blockReasonMessage":"Not this."}"#, "Not this."),
    ] {
        let bytes = format!(r#"{{"promptFeedback":{feedback},"usageMetadata":{{"promptTokenCount":6}}}}"#);
        assert_eq!(stops(GEMINI, &chunks(&[&bytes])), ["content_filter", "incomplete content_filter", "refusal null"]);
        let chat = body(Format::Chat, GEMINI, ResponseFraming::Json, 200, &bytes);
        assert_eq!(chat["choices"][0]["message"]["refusal"], words);
        assert_eq!(chat["usage"]["prompt_tokens"], 6);
        let message = body(Format::Messages, GEMINI, ResponseFraming::Json, 200, &bytes);
        assert_eq!(message["stop_details"]["explanation"], words);
    }
    let bytes = r#"{"promptFeedback":{"safetyRatings":[]},"candidates":[{"finishReason":"STOP"}]}"#;
    assert_eq!(stops(GEMINI, &chunks(&[bytes]))[0], "stop");
}

#[test]
fn an_error_within_a_stream_is_one_of_the_clients_format() {
    let stream = chunks(&[
        &chunk(r#"{"text":"Hi"}"#, ""),
        r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
    ]);
    for client in FORMATS {
        let out = streamed(client, GEMINI, &stream);
        assert!(!check_stream(client, &out) && out.contains("The model is overloaded."), "{out}");
    }
    assert!(streamed(Format::Messages, GEMINI, &stream).contains("overloaded_error"));
    // Tollgate's own last event has the error a second time, without `data:`.
    let (before, last) = stream.split_once("\n\n").unwrap();
    let twice = format!("{before}\n\n{last}{}", last.trim_start_matches("data: ").trim());
    let translator =
        ResponseTranslator::new(context(Format::Messages, GEMINI, true), IDS, ResponseFraming::Events, 200);
    assert_eq!(in_pieces(translator, twice.as_bytes(), 9).matches("event: error").count(), 1);
}

#[test]
fn figures_may_follow_the_finish_reason_and_other_candidates_are_left_out() {
    let stream = finished("STOP")
        + &chunks(&[
            r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"other"}]},"finishReason":"OTHER"}]}"#,
            r#"{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":2,"thoughtsTokenCount":3}}"#,
        ]);
    let chat = body(Format::Chat, GEMINI, ResponseFraming::Events, 200, &stream);
    assert_eq!(
        (&chat["choices"][0]["message"]["content"], &chat["usage"]["completion_tokens"]),
        (&json!("Hi"), &json!(5))
    );
    assert_eq!(chat["usage"]["completion_tokens_details"]["reasoning_tokens"], 3);
}

#[test]
fn a_list_of_chunks_is_read_as_their_stream() {
    for (client, stream) in FORMATS.map(|client| (client, STREAMS[3].1)) {
        let list: Vec<&str> = stream.trim_end().split("\n\n").map(|event| &event["data: ".len()..]).collect();
        let list = format!("[{}\n]\n", list.join("\r\n,"));
        let of_list = body(client, GEMINI, ResponseFraming::Array, 200, &list);
        assert_eq!(of_list, body(client, GEMINI, ResponseFraming::Events, 200, stream));
        let cut = body(client, GEMINI, ResponseFraming::Array, 200, &list[..list.len() - 2]);
        assert!(cut["error"]["message"].as_str().unwrap().contains("it is incomplete"), "{cut}");
    }
    let error = r#"[{"error":{"code":429,"message":"Slow down.","status":"RESOURCE_EXHAUSTED"}}]"#;
    let error = body(Format::Messages, GEMINI, ResponseFraming::Array, 200, error);
    assert_eq!(
        (&error["error"]["type"], &error["error"]["message"]),
        (&json!("rate_limit_error"), &json!("Slow down."))
    );
}

/// Returns the contents of the next request of a client of Messages that repeats `content`.
fn next_contents(content: &Value) -> Value {
    let results = content.as_array().unwrap().iter().filter(|block| block["type"] == "tool_use");
    let results: Vec<Value> =
        results.map(|block| json!({"type": "tool_result", "tool_use_id": block["id"], "content": "done"})).collect();
    let messages = json!([
        {"role": "user", "content": "Do it."}, {"role": "assistant", "content": content}, {"role": "user", "content": results},
    ]);
    let call = json!({"model": "smart", "max_tokens": 9, "messages": messages, "tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    let options = TranslationOptions {
        surface: crate::provider::ClaudeSurface::Anthropic,
        google: crate::translate::GooglePath::default(),
        model: "gemini-3.5-flash",
        known_model: "gemini-3.5-flash",
        kind: ProviderKind::Gemini,
        host: "generativelanguage.googleapis.com",
        owner: "p",
        output_tokens_max: None,
        json_object: JsonObject::Instruct,
        dropped: DroppedFields::Header,
        prompt_cache: true,
    };
    let request = request(Format::Messages, GEMINI, call.to_string().as_bytes(), &options, &mut |_| true).unwrap();
    serde_json::from_slice::<Value>(&request.body).unwrap()["contents"].clone()
}

#[test]
fn calls_without_ids_get_some_and_their_signatures_come_back() {
    let other = r#"{"functionCall":{"name":"f","args":{"a":2}}}"#;
    let bytes = chunk(&format!(r#"{{"text":"Hm.","thought":true}},{CALL},{other}"#), r#","finishReason":"STOP""#);
    let context = ResponseContext {
        kind: ProviderKind::Gemini,
        provider_model: "gemini-3.5-flash".to_owned(),
        ..context(Format::Messages, GEMINI, false)
    };
    let translator = ResponseTranslator::new(context, IDS, ResponseFraming::Json, 200);
    let message: Value = serde_json::from_str(&in_pieces(translator, bytes.as_bytes(), 50)).unwrap();
    let blocks = message["content"].as_array().unwrap();
    let ids: Vec<&str> = blocks.iter().filter_map(|block| block["id"].as_str()).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("call_")), "{message}");
    let capsule = Capsule::decode(blocks[0]["signature"].as_str().unwrap()).unwrap();
    let item = format!(r#"{{"call_id":"{}","thoughtSignature":"sig"}}"#, ids[0]);
    assert_eq!((capsule.format, capsule.items.len(), capsule.items[0].get()), (GEMINI, 1, item.as_str()));
    let contents = next_contents(&message["content"]);
    let parts = contents[1]["parts"].as_array().unwrap();
    let calls: Vec<&Value> = parts.iter().filter(|part| part["functionCall"].is_object()).collect();
    assert_eq!((&calls[0]["thoughtSignature"], &calls[0]["functionCall"]["args"]), (&json!("sig"), &json!({"a": 1})));
    assert_eq!((&calls[1]["thoughtSignature"], &calls[1]["functionCall"]["id"]), (&Value::Null, &json!(ids[1])));
    assert_eq!(contents[2]["parts"][1]["functionResponse"]["id"], ids[1]);
}

#[test]
fn a_call_without_a_name_and_a_chunk_of_another_form_are_errors() {
    for bytes in [chunk(r#"{"functionCall":{"args":{}}}"#, ""), r#"{"candidates":{}}"#.to_owned(), "[7]".to_owned()] {
        let error = body(Format::Chat, GEMINI, ResponseFraming::Json, 200, &bytes);
        assert!(error["error"]["message"].as_str().unwrap().contains("cannot be translated"), "{error}");
    }
    for bytes in ["{}", "[]", r#"{"candidates":[]}"#, &chunk(r#"{"text":"Hi"}"#, "")] {
        let error = body(Format::Chat, GEMINI, ResponseFraming::Json, 200, bytes);
        assert!(error["error"]["message"].as_str().unwrap().contains("it is incomplete"), "{error}");
    }
}
