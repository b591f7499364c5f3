//! Responses for Google's clients.

use serde_json::json;

use super::*;
use crate::translate::capsule::Capsule;
use crate::translate::signature;

const CLIENT: Format = Format::GenerateContent;

fn stop_of(provider: Format, stream: &str) -> String {
    let events = events(&streamed(CLIENT, provider, stream));
    events.last().unwrap().1["candidates"][0]["finishReason"].as_str().unwrap().to_owned()
}

#[test]
fn every_reason_has_a_word_of_google() {
    for (finish, word) in [
        ("stop", "STOP"),
        ("length", "MAX_TOKENS"),
        ("tool_calls", "STOP"),
        ("content_filter", "SAFETY"),
        ("new", "MAX_TOKENS"),
    ] {
        let chunk = format!(r#"{{"choices":[{{"delta":{{"content":"Hi"}},"finish_reason":"{finish}"}}]}}"#);
        assert_eq!(stop_of(Format::Chat, &chunks(&[&chunk])), word, "{finish}");
    }
    let refused = r#"{"type":"message","content":[],"stop_reason":"refusal","stop_details":{"type":"refusal","category":"bio","explanation":"Not this."}}"#;
    let body = body(CLIENT, Format::Messages, ResponseFraming::Json, 200, refused);
    let candidate = &body["candidates"][0];
    assert_eq!((&candidate["finishReason"], &candidate["finishMessage"]), (&json!("SAFETY"), &json!("Not this.")));
}

#[test]
fn a_stream_without_events_is_one_array_in_any_pieces() {
    for (provider, stream) in STREAMS.into_iter().filter(|(provider, _)| *provider != CLIENT) {
        let translator = || {
            let context = ResponseContext { is_array: true, ..context(CLIENT, provider, true) };
            let translator = ResponseTranslator::new(context, IDS, ResponseFraming::Events, 200);
            assert_eq!(translator.content_type(), "application/json");
            translator
        };
        let out = in_pieces(translator(), stream.as_bytes(), 64);
        assert_eq!(in_pieces(translator(), stream.as_bytes(), 3), out);
        let elements: Vec<Value> = serde_json::from_str(&out).unwrap();
        let events = events(&streamed(CLIENT, provider, stream));
        assert_eq!(elements, events.into_iter().map(|(_, chunk)| chunk).collect::<Vec<_>>());
        for length in [0, stream.len() / 2] {
            let cut: Vec<Value> =
                serde_json::from_str(&in_pieces(translator(), &stream.as_bytes()[..length], 64)).unwrap();
            assert_eq!(cut.last().unwrap()["error"]["status"], "UNAVAILABLE");
        }
        let mut translator = translator();
        let mut out = translator.push(stream.split_inclusive("\n\n").next().unwrap().as_bytes()).to_vec();
        out.extend_from_slice(&translator.fail(access::Refusal::Overloaded, "no room"));
        assert!(serde_json::from_slice::<Vec<Value>>(&out).unwrap().last().unwrap()["error"]["message"] == "no room");
    }
}

#[test]
fn an_error_of_an_array_that_has_not_begun_has_a_status() {
    let context = ResponseContext { is_array: true, ..context(CLIENT, Format::Chat, true) };
    let mut translator = ResponseTranslator::new(context, IDS, ResponseFraming::Json, 200);
    assert!(translator.push(b"<html>").is_empty());
    let error: Value = serde_json::from_slice(&translator.end()).unwrap();
    assert_eq!((&error["error"]["code"], translator.failure().unwrap().status), (&json!(502), 502));
}

/// The state that Messages needs again is within the signature of the call, which Google's clients decode as base64.
#[test]
fn state_is_in_the_signature_of_the_next_call() {
    let out = streamed(CLIENT, Format::Messages, STREAMS[2].1);
    let events = events(&out);
    let signatures: Vec<_> = events
        .iter()
        .filter_map(|(_, chunk)| chunk.pointer("/candidates/0/content/parts/0/thoughtSignature")?.as_str())
        .map(|text| Capsule::decode(&signature::capsule_of(text).unwrap()).unwrap())
        .collect();
    assert_eq!((signatures.len(), signatures[0].items.len()), (1, 2), "{out}");
    // A server of Chat Completions has no state, but may need the text of its reasoning again.
    let body = body(CLIENT, Format::Chat, ResponseFraming::Events, 200, STREAMS[0].1);
    let parts = body["candidates"][0]["content"]["parts"].as_array().unwrap();
    let call = parts.iter().find(|part| part["functionCall"].is_object()).unwrap();
    let capsule = signature::capsule_of(call["thoughtSignature"].as_str().unwrap()).unwrap();
    assert!(Capsule::decode(&capsule).unwrap().items.is_empty() && parts[0]["thought"] == true, "{body}");
}

#[test]
fn an_error_has_the_time_of_the_next_call_or_says_that_the_account_is_empty() {
    let error = |status: u16, bytes: &str| {
        let translator =
            ResponseTranslator::new(context(CLIENT, Format::Chat, true), IDS, ResponseFraming::Json, status);
        let out = in_pieces(translator.with_retry_after(Some(17)), bytes.as_bytes(), 9);
        serde_json::from_str::<Value>(&out).unwrap()["error"].take()
    };
    let busy = error(429, r#"{"error":{"message":"Slow down.","code":"rate_limit_exceeded"}}"#);
    assert_eq!((&busy["code"], &busy["status"]), (&json!(429), &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(
        (&busy["details"][0]["reason"], &busy["details"][1]["retryDelay"]),
        (&json!("rate_limit_exceeded"), &json!("17s"))
    );
    let empty = error(429, r#"{"error":{"message":"No money.","code":"insufficient_quota"}}"#);
    assert!(empty["details"][1]["violations"][0]["quotaId"].as_str().unwrap().contains("PerDay"), "{empty}");
    assert_eq!(error(529, "")["code"], 503);
}

#[test]
fn arguments_in_lines_are_one_event() {
    let delta = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\r\n\n  \"a\": \"x\\ny\"\n}"}}]},"finish_reason":"tool_calls"}]}"#;
    let out = streamed(CLIENT, Format::Chat, &chunks(&[delta]));
    let call = &events(&out)[0].1["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!(call["args"], json!({"a": "x\ny"}));
}

#[test]
fn usage_is_in_googles_words() {
    let usage = r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,
        "prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":20}}}"#;
    let body = body(CLIENT, Format::Chat, ResponseFraming::Json, 200, usage);
    let expected = json!({"promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 10,
        "thoughtsTokenCount": 20, "totalTokenCount": 130});
    assert_eq!(body["usageMetadata"], expected);
}
