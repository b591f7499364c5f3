use serde_json::json;

use super::*;

fn chat(finish: &str) -> String {
    chunks(&[
        r#"{"choices":[{"delta":{"role":"assistant","content":"Hi"}}]}"#,
        &format!(r#"{{"choices":[{{"delta":{{}},{finish}}}]}}"#),
        "[DONE]",
    ])
}

fn messages(delta: &str) -> String {
    [
        r#"{"type":"message_start","message":{"usage":{"input_tokens":1,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hi"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        &format!(r#"{{"type":"message_delta","delta":{delta},"usage":{{"output_tokens":2}}}}"#),
        r#"{"type":"message_stop"}"#,
    ]
    .map(|event| format!("data: {event}\n\n"))
    .concat()
}

fn responses(last: &str) -> String {
    let events = [
        r#"{"type":"response.created","response":{"id":"r"}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hi"}"#,
        last,
    ];
    events.map(|event| format!("data: {event}\n\n")).concat()
}

/// Returns the stop reason in each of Chat, Responses and Messages that is not the provider's format.
pub(super) fn stops(provider: Format, stream: &str) -> Vec<String> {
    let reason = |client: Format| {
        let events = events(&streamed(client, provider, stream));
        let field = |path: &str| events.iter().rev().find_map(|(_, event)| event.pointer(path)).cloned();
        if client == Format::Chat {
            return field("/choices/0/finish_reason").unwrap().to_string();
        }
        if client == Format::Responses {
            let reason = field("/response/incomplete_details/reason");
            return format!("{} {}", field("/response/status").unwrap(), reason.unwrap_or_default());
        }
        format!("{} {}", field("/delta/stop_reason").unwrap(), field("/delta/stop_sequence").unwrap())
    };
    let clients = FORMATS.into_iter().filter(|client| ![provider, Format::GenerateContent].contains(client));
    clients.map(|client| reason(client).replace('"', "")).collect()
}

#[test]
fn every_reason_has_its_word_in_each_format() {
    for (finish, responses, messages) in [
        (r#""finish_reason":"stop""#, "completed null", "end_turn null"),
        (r#""finish_reason":"stop","stop_reason":"END""#, "completed null", "stop_sequence END"),
        (r#""finish_reason":"stop","stop_reason":"other""#, "completed null", "end_turn null"),
        (r#""finish_reason":"stop","stop_reason":151645"#, "completed null", "end_turn null"),
        (r#""finish_reason":"length""#, "incomplete max_output_tokens", "max_tokens null"),
        (r#""finish_reason":"content_filter""#, "incomplete content_filter", "refusal null"),
        (r#""finish_reason":"tool_calls""#, "completed null", "end_turn null"),
        (r#""finish_reason":"eos""#, "completed null", "end_turn null"),
        (r#""finish_reason":"eos_token""#, "completed null", "end_turn null"),
        (r#""finish_reason":"end""#, "completed null", "end_turn null"),
        (r#""finish_reason":"end_turn""#, "completed null", "end_turn null"),
        (r#""finish_reason":"stop_sequence""#, "completed null", "end_turn null"),
        (r#""finish_reason":"new""#, "incomplete max_output_tokens", "max_tokens null"),
        (r#""finish_reason":null"#, "completed null", "end_turn null"),
    ] {
        assert_eq!(stops(Format::Chat, &chat(finish)), [responses, messages], "{finish}");
    }
    for (delta, chat, responses) in [
        (r#"{"stop_reason":"end_turn"}"#, "stop", "completed null"),
        (r#"{"stop_reason":"stop_sequence","stop_sequence":"END"}"#, "stop", "completed null"),
        (r#"{"stop_reason":"max_tokens"}"#, "length", "incomplete max_output_tokens"),
        (r#"{"stop_reason":"model_context_window_exceeded"}"#, "length", "incomplete max_output_tokens"),
        (r#"{"stop_reason":"pause_turn"}"#, "length", "incomplete max_output_tokens"),
        (r#"{"stop_reason":"refusal"}"#, "content_filter", "incomplete content_filter"),
        (r#"{"stop_reason":"new"}"#, "length", "incomplete max_output_tokens"),
    ] {
        assert_eq!(stops(Format::Messages, &messages(delta)), [chat, responses], "{delta}");
    }
    for (last, chat, messages) in [
        (r#"{"type":"response.completed","response":{"status":"completed"}}"#, "stop", "end_turn null"),
        (
            r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#,
            "length",
            "max_tokens null",
        ),
        (
            r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}}"#,
            "content_filter",
            "refusal null",
        ),
    ] {
        assert_eq!(stops(Format::Responses, &responses(last)), [chat, messages], "{last}");
    }
}

#[test]
fn calls_are_the_reason_even_if_the_provider_writes_stop() {
    let stream = chunks(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    ]);
    assert_eq!(stops(Format::Chat, &stream), ["completed null", "tool_use null"]);
    let eos = stream.replace("\"stop\"", "\"eos\"");
    assert_eq!(stops(Format::Chat, &eos), ["completed null", "tool_use null"]);
    let cut = stream.replace("\"stop\"", "\"length\"");
    assert_eq!(stops(Format::Chat, &cut), ["incomplete max_output_tokens", "max_tokens null"]);
}

#[test]
fn a_refusal_is_explained_in_each_format() {
    let stream = messages(
        r#"{"stop_reason":"refusal","stop_details":{"type":"refusal","category":"bio","explanation":"Not this."}}"#,
    );
    let chat = streamed(Format::Chat, Format::Messages, &stream);
    assert!(chat.contains(r#""delta":{"refusal":"Not this."}"#), "{chat}");
    let events = events(&streamed(Format::Responses, Format::Messages, &stream));
    let part = &events.last().unwrap().1["response"]["output"][1]["content"][0];
    assert_eq!(*part, json!({"type": "refusal", "refusal": "Not this."}));
    let stream = chunks(&[
        r#"{"choices":[{"message":{"content":null,"refusal":"I cannot "}}]}"#,
        r#"{"choices":[{"delta":{"refusal":"help."},"finish_reason":"stop"}]}"#,
    ]);
    let message = body(Format::Messages, Format::Chat, ResponseFraming::Events, 200, &stream);
    assert_eq!(message["content"], json!([{"type": "text", "text": "I cannot help.", "citations": null}]));
    let details = json!({"type": "refusal", "category": null, "explanation": "I cannot help."});
    assert_eq!((&message["stop_reason"], &message["stop_details"]), (&json!("refusal"), &details));
}

#[test]
fn a_stream_that_is_cut_anywhere_ends_with_an_error_and_no_finish() {
    for (provider, stream) in STREAMS {
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            let events: Vec<_> = stream.split_inclusive("\n\n").collect();
            // A chat stream is complete at its finish reason, even without usage and `[DONE]`.
            let complete = if provider == Format::Chat { events.len() - 3 } else { events.len() - 1 };
            for count in 0..events.len() {
                for half in [false, true] {
                    let mut cut = events[..count].concat();
                    cut.push_str(if half { &events[count][..events[count].len() / 2] } else { "" });
                    let translator =
                        ResponseTranslator::new(context(client, provider, true), IDS, ResponseFraming::Events, 200);
                    let out = in_pieces(translator, cut.as_bytes(), 50);
                    let is_done = check_stream(client, &out);
                    assert_eq!(is_done, count > complete, "{provider:?} {client:?} {count} {half}: {out}");
                    assert!(is_done || out.contains("it is incomplete"), "{out}");
                }
            }
        }
    }
}

/// A stream with a long event, whose beginning was forwarded already.
#[test]
fn an_end_of_the_gateway_does_not_continue_half_an_event() {
    let begun =
        chunks(&[r#"{"choices":[{"delta":{"content":"Hi"}}]}"#]) + "data: {\"choices\":[{\"delta\":{\"content\":\"half";
    let last = chunks(&[r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#, "[DONE]"]);
    let mut translator =
        ResponseTranslator::new(context(Format::Messages, Format::Chat, true), IDS, ResponseFraming::Events, 200);
    let mut out = translator.push(begun.as_bytes()).to_vec();
    translator.drop_half_event();
    out.extend_from_slice(&translator.push(format!("\n\n{last}").as_bytes()));
    let out = String::from_utf8(out).unwrap();
    assert!(check_stream(Format::Messages, &out) && translator.is_complete() && out.contains("max_tokens"), "{out}");
}

#[test]
fn a_last_event_without_its_blank_line_counts() {
    for (provider, stream) in STREAMS {
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            let translator =
                ResponseTranslator::new(context(client, provider, true), IDS, ResponseFraming::Events, 200);
            assert!(check_stream(client, &in_pieces(translator, stream.trim_end().as_bytes(), 9)));
        }
    }
}

/// The events with which a stream is ended that has used up its budget.
#[test]
fn a_stream_that_tollgate_stops_ends_as_a_response_that_is_too_long() {
    let partial = crate::streams::partial::Partial {
        id: Some("x"),
        model: Some("m"),
        created: 1,
        tokens: (access::Tokens(3), access::Tokens(4)),
        block: Some(0),
        sequence: 7,
    };
    for (provider, stream) in STREAMS {
        let (before, after) = stream.split_once("\u{1f600}").unwrap();
        let begun = format!("{before}\u{1f600}{}\n\n", after.split_once("\n\n").unwrap().0);
        let last = String::from_utf8(crate::streams::stop::events(provider, false, &partial)).unwrap();
        let length = ["length", "incomplete max_output_tokens", "max_tokens null"];
        let expected: Vec<_> = FORMATS.iter().zip(length).filter(|(format, _)| **format != provider).collect();
        let stops = stops(provider, &(begun + &last));
        assert!(stops.iter().zip(expected).all(|(stop, (_, expected))| stop == expected), "{provider:?} {stops:?}");
    }
}

#[test]
fn a_reason_that_is_not_known_is_reported_and_one_that_is_an_error_fails() {
    let finished = |finish: &str| {
        let mut translator =
            ResponseTranslator::new(context(Format::Messages, Format::Chat, true), IDS, ResponseFraming::Events, 200);
        let out = translator.push(chat(&format!(r#""finish_reason":"{finish}""#)).as_bytes());
        let is_done = check_stream(Format::Messages, std::str::from_utf8(&out).unwrap());
        (is_done, translator.unknown_stop().map(ToOwned::to_owned))
    };
    assert_eq!((finished("stop"), finished("length")), ((true, None), (true, None)));
    assert_eq!(finished("new"), (true, Some("new".to_owned())));
    assert_eq!(finished(&"x".repeat(100)).1.map(|word| word.len()), Some(64));
    for finish in ["error", "MALFORMED_FUNCTION_CALL", "insufficient_system_resource"] {
        assert_eq!(finished(finish), (false, None), "{finish}");
    }
}

#[test]
fn a_chat_stream_without_content_is_an_error_in_each_format() {
    for before in [
        "",
        "data: {\"foo\": 1}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}]}\n\n",
        "data: {\"object\":\"error\",\"message\":\"boom\",\"type\":\"InternalServerError\",\"code\":500}\n\n",
    ] {
        for client in FORMATS.into_iter().filter(|client| *client != Format::Chat) {
            let out = streamed(client, Format::Chat, &format!("{before}data: [DONE]\n\n"));
            let expected = if before.contains("boom") { "boom" } else { "without any content" };
            assert!(out.contains("error") && out.contains(expected), "{client:?} {before} {out}");
            for end in ["end_turn", "response.completed", "\"STOP\""] {
                assert!(!out.contains(end), "{client:?} {before} {out}");
            }
        }
    }
}

#[test]
fn a_call_whose_arguments_lack_their_end_is_cut_by_the_limit() {
    let call = |arguments: &str| {
        let arguments = serde_json::to_string(arguments).unwrap();
        chunks(&[
            &format!(
                r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":0,"id":"c1","function":{{"name":"a","arguments":{arguments}}}}}]}}}}]}}"#
            ),
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            "[DONE]",
        ])
    };
    for (arguments, stop) in
        [(r#"{"x":"1"#, "max_tokens"), (r#"{"x":"1""#, "max_tokens"), (r#"{"x":"1"}"#, "tool_use"), ("", "tool_use")]
    {
        let out = streamed(Format::Messages, Format::Chat, &call(arguments));
        assert!(out.contains(&format!("\"stop_reason\":\"{stop}\"")), "{arguments} {out}");
    }
}

/// Returns the state that a client of Messages gets in the signature of its thinking.
fn details_of(stream: &str) -> Vec<String> {
    let events = events(&streamed(Format::Messages, Format::Chat, stream));
    let signature = |event: &Value| {
        let of_text = event["delta"]["signature"].as_str();
        of_text.or(event["content_block"]["data"].as_str()).map(str::to_owned)
    };
    let capsules = events.iter().filter_map(|(_, data)| signature(data));
    let read = |capsule: String| crate::translate::capsule::Capsule::decode(&capsule).unwrap().items;
    capsules.flat_map(read).map(|item| item.get().to_owned()).collect()
}

#[test]
fn the_reasoning_details_of_a_provider_are_in_the_state_of_the_client() {
    let detail = r#"{"type":"reasoning.encrypted","data":"ENC==","id":"r1","format":"google-gemini-v1","index":0}"#;
    let call = r#"{"tool_calls":[{"index":0,"id":"c1","function":{"name":"get","arguments":"{}"}}]}"#;
    let end = |reason: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
    let chunk = |delta: &str| format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
    let state = format!(r#"{{"reasoning_details":[{detail}]}}"#);
    let thought = format!(r#"{{"reasoning":"hm","reasoning_details":[{detail}]}}"#);
    let silent = format!(r#"{{"reasoning_details":[{detail}]}}"#);
    for deltas in [
        vec![thought.as_str(), call],
        vec![silent.as_str(), call],
        vec![r#"{"reasoning":"hm"}"#, silent.as_str(), call],
    ] {
        let mut pieces: Vec<String> = deltas.iter().map(|delta| chunk(delta)).collect();
        pieces.extend([end("tool_calls"), "[DONE]".to_owned()]);
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        assert_eq!(details_of(&chunks(&pieces)), [state.as_str()], "{deltas:?}");
    }
    let text = chunk(r#"{"content":"hi"}"#);
    let late = chunk(&silent);
    assert_eq!(details_of(&chunks(&[&text, &late, &end("stop"), "[DONE]"])), [state.as_str()], "it follows the text");
}
