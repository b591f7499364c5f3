use serde_json::json;

use super::*;

/// Whole bodies of the same response.
const CHAT: &str = r#"{"id":"chatcmpl-9","object":"chat.completion","model":"q","choices":[{"index":0,"message":{"role":"assistant",
    "content":"Hi.","reasoning_content":"Hm.","refusal":null,"tool_calls":[
    {"id":"call_a","type":"function","function":{"name":"files__read","arguments":"{\"b\":1,\"a\":123456789012345678901}"}},
    {"id":"call_a","type":"function","function":{"name":"g","arguments":{"x":[1.50]}}}]},"finish_reason":"tool_calls"}],
    "usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}"#;
const RESPONSES: &str = r#"{"id":"resp_9","object":"response","status":"completed","error":null,"incomplete_details":null,"output":[
    {"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"Hm."}],"encrypted_content":"gAAAA"},
    {"id":"ws_1","type":"web_search_call","status":"completed"},
    {"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi.","annotations":[]}]},
    {"id":"fc_1","type":"function_call","call_id":"call_a","name":"files__read","arguments":"{\"b\":1,\"a\":123456789012345678901}"},
    {"id":"fc_2","type":"function_call","call_id":"call_b","name":"g","arguments":"{\"x\":[1.50]}"}],
    "usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}}"#;
const MESSAGES: &str = r#"{"id":"msg_9","type":"message","role":"assistant","model":"c","content":[
    {"type":"thinking","thinking":"Hm.","signature":"EqQB"},{"type":"text","text":"Hi.","citations":null},
    {"type":"tool_use","id":"toolu_a","name":"files__read","input":{"b":1,"a":123456789012345678901}},
    {"type":"tool_use","id":"toolu_b","name":"g","input":{"x":[1.50]}}],
    "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":5}}"#;
const GENERATE_CONTENT: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hm.","thought":true},{"text":"Hi."},
    {"functionCall":{"id":"call_a","name":"files__read","args":{"b":1,"a":123456789012345678901}},"thoughtSignature":"CiQB"},
    {"functionCall":{"id":"call_a","name":"g","args":{"x":[1.50]}}},{"inlineData":{"mimeType":"image/png","data":"AA=="}}]},
    "finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":15}}"#;
pub(super) const BODIES: [(Format, &str); 4] = [
    (Format::Chat, CHAT),
    (Format::Responses, RESPONSES),
    (Format::Messages, MESSAGES),
    (Format::GenerateContent, GENERATE_CONTENT),
];

#[test]
fn every_pair_of_formats_gives_a_whole_body() {
    for (provider, bytes) in BODIES {
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            let translator = ResponseTranslator::new(context(client, provider, false), IDS, ResponseFraming::Json, 200);
            let name = format!("{}_to_{}", provider.name(), client.name());
            insta::assert_snapshot!(name, in_pieces(translator, bytes.as_bytes(), 100));
        }
    }
}

/// The arguments keep their bytes, also where JSON is nested in a string.
#[test]
fn arguments_keep_their_order_and_large_numbers() {
    for (provider, bytes) in BODIES {
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            let translator = ResponseTranslator::new(context(client, provider, false), IDS, ResponseFraming::Json, 200);
            let out = in_pieces(translator, bytes.as_bytes(), 100).replace('\\', "");
            assert!(out.contains(r#"{"b":1,"a":123456789012345678901}"#) && out.contains(r#"{"x":[1.50]}"#), "{out}");
        }
    }
}

#[test]
fn a_client_without_a_stream_gets_a_body_from_a_stream_and_the_reverse() {
    for (provider, stream) in STREAMS {
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            let collected = body(client, provider, ResponseFraming::Events, 200, stream);
            let texts = collected.to_string();
            assert!(texts.contains("Let me l\u{f6}ok \u{1f600}") && texts.contains("Paris"), "{texts}");
            let (_, whole) = BODIES.into_iter().find(|(format, _)| *format == provider).unwrap();
            let translator = ResponseTranslator::new(context(client, provider, true), IDS, ResponseFraming::Json, 200);
            assert_eq!(translator.content_type(), "text/event-stream");
            let streamed = in_pieces(translator, whole.as_bytes(), 64);
            assert!(check_stream(client, &streamed), "{streamed}");
        }
    }
}

#[test]
fn two_calls_with_one_id_get_two_ids() {
    let message = body(Format::Messages, Format::Chat, ResponseFraming::Json, 200, CHAT);
    let ids: Vec<_> = message["content"].as_array().unwrap().iter().filter_map(|block| block["id"].as_str()).collect();
    assert_eq!((ids.len(), ids[0]), (2, "call_a"));
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn arguments_that_are_no_object_are_kept_as_text_for_messages() {
    let call = |arguments: &str| {
        let arguments = serde_json::to_string(arguments).unwrap();
        format!(
            r#"{{"choices":[{{"message":{{"content":null,"tool_calls":[{{"id":"c","function":{{"name":"f","arguments":{arguments}}}}}]}},"finish_reason":"tool_calls"}}]}}"#
        )
    };
    for (arguments, input) in [
        ("", json!({})),
        ("{\"a\":1}", json!({"a": 1})),
        ("{\"a\":", json!({"_invalid": "{\"a\":"})),
        ("rm -rf", json!({"_invalid": "rm -rf"})),
    ] {
        let message = body(Format::Messages, Format::Chat, ResponseFraming::Json, 200, &call(arguments));
        assert_eq!(message["content"][0]["input"], input, "{arguments}");
        assert_eq!(message["usage"]["input_tokens"], 1_000, "estimated");
    }
    // A stream cannot take back fragments, so text that does not begin as an object is held.
    let stream = chunks(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":" rm"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":" -rf"}}]},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    let out = streamed(Format::Messages, Format::Chat, &stream);
    assert!(out.contains(r#""partial_json":"{\"_invalid\":\" rm -rf\"}""#), "{out}");
}

#[test]
fn an_error_that_is_empty_or_false_is_none() {
    for (provider, bytes) in BODIES {
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            let translated = |bytes: &str| body(client, provider, ResponseFraming::Json, 200, bytes);
            let bytes = bytes.replacen("\"error\":null,", "", 1);
            for error in ["null", "false", "\"\""] {
                let with_error = bytes.replacen('{', &format!("{{\"error\":{error},"), 1);
                assert_eq!(translated(&with_error), translated(&bytes), "{provider:?} {error}");
            }
        }
    }
    let stream = chunks(&[r#"{"error":"","choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}"#, "[DONE]"]);
    assert!(check_stream(Format::Messages, &streamed(Format::Messages, Format::Chat, &stream)));
}

#[test]
fn a_body_that_is_cut_or_no_json_is_an_error() {
    for (provider, bytes) in BODIES {
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            for (bytes, text) in [(&bytes[..bytes.len() - 3], "it is incomplete"), ("<html>", "cannot be translated")] {
                let error = body(client, provider, ResponseFraming::Json, 200, bytes);
                assert!(error["error"]["message"].as_str().unwrap().contains(text), "{provider:?} {error}");
            }
        }
    }
}

const IMAGE: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"inlineData":{"mimeType":"image/jpeg","data":"DRAFT"},"thought":true},{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1290,"totalTokenCount":1300}}"#;

/// Clients find images where OpenRouter has them, in a block, and in the item of OpenAI's tool.
#[test]
fn an_image_of_gemini_reaches_the_client() {
    let places = [
        (
            Format::Chat,
            "/choices/0/message/images/0",
            json!({"type": "image_url", "index": 0, "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}),
        ),
        (
            Format::Messages,
            "/content/0",
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}),
        ),
        (
            Format::Responses,
            "/output/0",
            json!({"id": "ig_0199aa0000", "type": "image_generation_call", "status": "completed", "output_format": "png", "result": "iVBORw0KGgo="}),
        ),
    ];
    for (client, path, expected) in places {
        let whole = body(client, Format::GenerateContent, ResponseFraming::Json, 200, IMAGE);
        assert_eq!(whole.pointer(path), Some(&expected), "{client:?} {whole}");
        let stream = streamed(client, Format::GenerateContent, &format!("data: {IMAGE}\n\n"));
        assert!(check_stream(client, &stream), "{stream}");
        let is_there = stream.matches("iVBORw0KGgo=").count();
        assert_eq!(is_there, if client == Format::Responses { 2 } else { 1 }, "{stream}");
        assert!(!stream.contains("DRAFT"), "{stream}");
    }
}
