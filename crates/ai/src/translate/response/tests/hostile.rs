use access::Refusal;
use serde_json::json;

use super::*;

fn output_of(provider: Format, stream: &str) -> Vec<Value> {
    let out = streamed(Format::Responses, provider, stream);
    let events = events(&out);
    let (name, last) = events.last().unwrap();
    assert_ne!(name, "response.failed", "{out}");
    last["response"]["output"].as_array().unwrap().clone()
}

fn calls(stream: &str) -> Vec<(String, String)> {
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    output_of(Format::Chat, stream).iter().map(|item| (text(item, "name"), text(item, "arguments"))).collect()
}

fn call_chunk(calls: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{calls}]}}}}]}}"#)
}

const FINISH: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;

#[test]
fn ollama_writes_several_calls_with_one_index() {
    let stream = chunks(&[
        &call_chunk(r#"{"index":0,"id":"call_1","function":{"name":"a","arguments":"{\"x\":1}"}}"#),
        &call_chunk(r#"{"index":0,"id":"call_2","function":{"name":"b","arguments":"{}"}}"#),
        FINISH,
    ]);
    assert_eq!(calls(&stream), [("a".into(), "{\"x\":1}".into()), ("b".into(), "{}".into())]);
}

#[test]
fn calls_without_an_index_or_an_id_are_told_apart_by_their_names() {
    let stream = chunks(&[
        &call_chunk(r#"{"function":{"name":"a","arguments":{"x": 1}}}"#),
        &call_chunk(r#"{"function":{"name":"b","arguments":"{\"y\""}}"#),
        &call_chunk(r#"{"function":{"arguments":":2}"}}"#),
        &call_chunk(r#"{"function":{"name":"c"}}"#),
        FINISH,
    ]);
    let expected = [("a", "{\"x\": 1}"), ("b", "{\"y\":2}"), ("c", "{}")];
    assert_eq!(calls(&stream), expected.map(|(name, arguments)| (name.to_owned(), arguments.to_owned())));
}

#[test]
fn calls_with_one_index_and_no_id_are_told_apart_by_their_names() {
    let stream = chunks(&[
        &call_chunk(r#"{"index":0,"function":{"name":"a","arguments":"{\"x\":1}"}}"#),
        &call_chunk(r#"{"index":0,"function":{"name":"b","arguments":"{\"y\":"}}"#),
        &call_chunk(r#"{"index":0,"function":{"name":"b","arguments":"2}"}}"#),
        // The end of a call may repeat its name.
        &call_chunk(r#"{"index":0,"function":{"name":"b","arguments":""}}"#),
        FINISH,
    ]);
    let expected = [("a", "{\"x\":1}"), ("b", "{\"y\":2}")];
    assert_eq!(calls(&stream), expected.map(|(name, arguments)| (name.to_owned(), arguments.to_owned())));
}

#[test]
fn a_call_without_arguments_holds_up_no_other_part() {
    let long = "x".repeat((1 << 20) + 1);
    let begun = chunks(&[
        &call_chunk(r#"{"index":0,"id":"c","function":{"name":"a","arguments":""}}"#),
        &call_chunk(&format!(r#"{{"index":1,"id":"d","function":{{"name":"b","arguments":"{{\"x\":\"{long}\"}}"}}}}"#)),
        r#"{"choices":[{"delta":{"content":"two"}}]}"#,
    ]);
    let mut translator =
        ResponseTranslator::new(context(Format::Messages, Format::Chat, true), IDS, ResponseFraming::Events, 200);
    let out = String::from_utf8(translator.push(begun.as_bytes()).to_vec()).unwrap();
    assert!(out.contains(&long) && out.contains("two") && translator.failure().is_none());
    let output = output_of(Format::Chat, &format!("{}{}", begun.replace(&long, "1"), chunks(&[FINISH])));
    let names: Vec<_> = output.iter().map(|item| item["name"].as_str().unwrap_or("text")).collect();
    assert_eq!((names, &output[2]["arguments"]), (vec!["b", "text", "a"], &json!("{}")));
}

#[test]
fn names_and_ids_of_calls_and_states_are_limited() {
    for (id, name, is_ok) in [(1_024, 256, true), (1_025, 1, false), (1, 257, false)] {
        let id = "i".repeat(id);
        let name = "n".repeat(name);
        let call = format!(r#"{{"index":0,"id":"{id}","function":{{"name":"{name}","arguments":"{{}}"}}}}"#);
        let stream = chunks(&[&call_chunk(&call), FINISH, "[DONE]"]);
        assert_eq!(check_stream(Format::Messages, &streamed(Format::Messages, Format::Chat, &stream)), is_ok);
    }
    let signature = "x".repeat(1 << 20);
    let start = format!(
        r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"thinking","thinking":"","signature":"{signature}"}}}}"#
    );
    let block = format!("data: {start}\n\ndata: {{\"type\":\"content_block_stop\",\"index\":0}}\n\n");
    let mut translator =
        ResponseTranslator::new(context(Format::Chat, Format::Messages, true), IDS, ResponseFraming::Events, 200);
    for count in 0..9 {
        assert_eq!(translator.failure(), None, "{count}");
        translator.push(block.as_bytes());
        if count == 7 {
            break;
        }
    }
    assert!(translator.failure().is_some(), "8 MiB of states");
}

#[test]
fn text_after_an_incomplete_call_waits_for_it() {
    let stream = chunks(&[
        r#"{"choices":[{"delta":{"content":"one"}}]}"#,
        &call_chunk(r#"{"index":0,"id":"c","function":{"name":"a","arguments":"{\"x\":"}}"#),
        r#"{"choices":[{"delta":{"content":"two"}}]}"#,
        &call_chunk(r#"{"index":0,"function":{"arguments":"1}"}}"#),
        r#"{"choices":[{"delta":{"content":" three"}}]}"#,
        FINISH,
    ]);
    let output = output_of(Format::Chat, &stream);
    let kinds: Vec<_> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "function_call", "message"]);
    assert_eq!((&output[1]["arguments"], &output[2]["content"][0]["text"]), (&json!("{\"x\":1}"), &json!("two three")));
}

#[test]
fn mistrals_lists_of_content_and_other_names_of_reasoning_are_read() {
    let stream = chunks(&[
        r#"{"choices":[{"delta":{"reasoning":"a","reasoning_content":null}}]}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"b"}]}]}}]}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"text","text":"c"},{"type":"reference","reference_ids":[1]}]}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"another choice"},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    ]);
    let output = output_of(Format::Chat, &stream);
    assert_eq!((output.len(), &output[0]["summary"][0]["text"]), (2, &json!("ab")));
    assert_eq!(output[1]["content"][0]["text"], "c");
}

#[test]
fn geminis_signature_of_a_call_is_kept_as_state() {
    let stream = chunks(&[
        &call_chunk(
            r#"{"index":0,"id":"c","function":{"name":"a","arguments":"{}"},"extra_content":{"google":{"thought_signature":"sig"}}}"#,
        ),
        FINISH,
    ]);
    let output = output_of(Format::Chat, &stream);
    let capsule = crate::translate::capsule::Capsule::decode(output[0]["encrypted_content"].as_str().unwrap()).unwrap();
    let item = r#"{"call_id":"c","extra_content":{"google":{"thought_signature":"sig"}}}"#;
    assert_eq!((capsule.items.len(), capsule.items[0].get()), (1, item));
    let out = streamed(Format::Messages, Format::Chat, &stream);
    assert!(out.contains(r#""content_block":{"type":"redacted_thinking","data":"tg1."#), "{out}");
}

#[test]
fn a_response_of_which_only_items_or_only_the_end_arrive_is_read_whole() {
    let message = r#"{"id":"m","type":"message","content":[{"type":"output_text","text":"Hi"},{"type":"refusal","refusal":"No"}]}"#;
    let call = r#"{"id":"f","type":"custom_tool_call","call_id":"c","name":"apply_patch","input":"*** \"x\""}"#;
    let last = |output: &str| {
        format!(r#"data: {{"type":"response.completed","response":{{"status":"completed","output":[{output}]}}}}"#)
    };
    let item = |index: u64, item: &str| {
        format!("data: {{\"type\":\"response.output_item.done\",\"output_index\":{index},\"item\":{item}}}\n\n")
    };
    let added = format!("data: {{\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{call}}}\n\n");
    let both = format!("{message},{call}");
    for stream in [
        last(&both),
        item(0, message) + &item(1, call) + &last(""),
        item(0, message) + &item(0, message) + &item(1, call) + &last(&both),
        added + &item(0, message) + &last(&both),
    ] {
        let chat = body(Format::Chat, Format::Responses, ResponseFraming::Events, 200, &stream);
        let message = &chat["choices"][0]["message"];
        assert_eq!((&message["content"], &message["refusal"]), (&json!("Hi"), &json!("No")), "{stream}");
        let custom = json!({"name": "apply_patch", "input": "*** \"x\""});
        assert_eq!(message["tool_calls"][0]["custom"], custom, "{stream}");
    }
}

#[test]
fn items_without_an_index_and_calls_of_the_last_event_alone_are_read() {
    let message = r#"{"id":"m","type":"message","content":[{"type":"output_text","text":"Hi"}]}"#;
    let call = r#"{"id":"f","type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;
    let event = |kind: &str, rest: &str| format!("data: {{\"type\":\"response.{kind}\",{rest}}}\n\n");
    let done = |item: &str| event("output_item.done", &format!("\"item\":{item}"));
    let added = |item: &str| event("output_item.added", &format!("\"item\":{item}"));
    let last =
        |output: &str| event("completed", &format!(r#""response":{{"status":"completed","output":[{output}]}}"#));
    let both = format!("{message},{call}");
    let empty = r#"{"id":"m","type":"message","content":[]}"#;
    let text = |index: &str| event("output_text.delta", &format!(r#"{index}"content_index":0,"delta":"Hi""#));
    for stream in [
        done(message) + &done(call) + &last(&both),
        added(empty) + &text("") + &done(message) + &added(call) + &done(call) + &last(&both),
        text("\"output_index\":0,") + &last(&both),
        // Reasoning that only the last event has.
        text("\"output_index\":0,") + &last(&format!(r#"{{"type":"reasoning","summary":[]}},{both}"#)),
    ] {
        let chat = body(Format::Chat, Format::Responses, ResponseFraming::Events, 200, &stream);
        let message = &chat["choices"][0]["message"];
        assert_eq!((&message["content"], &chat["choices"][0]["finish_reason"]), (&json!("Hi"), &json!("tool_calls")));
        assert_eq!(message["tool_calls"].as_array().unwrap().len(), 1, "{stream}");
    }
}

#[test]
fn reasoning_that_arrives_twice_is_written_once() {
    let delta = |kind: &str, index: &str, text: &str| {
        format!("data: {{\"type\":\"response.{kind}.delta\",\"output_index\":0,\"{index}\":0,\"delta\":{text:?}}}\n\n")
    };
    let item = r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"ab"}],"content":[{"type":"reasoning_text","text":"whole"}]}"#;
    let stream = delta("reasoning_summary_text", "summary_index", "a")
        + &delta("reasoning_text", "content_index", "whole")
        + &delta("reasoning_summary_text", "summary_index", "b")
        + &format!("data: {{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{item}}}\n\n")
        + "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n";
    let chat = body(Format::Chat, Format::Responses, ResponseFraming::Events, 200, &stream);
    assert_eq!(chat["choices"][0]["message"]["reasoning_content"], "ab");
}

#[test]
fn state_without_text_and_several_states_before_a_call_reach_each_client() {
    let (_, stream) = STREAMS[2];
    let out = streamed(Format::Chat, Format::Messages, stream);
    let signatures: Vec<_> = events(&out)
        .iter()
        .filter_map(|(_, chunk)| {
            Some(
                chunk
                    .pointer("/choices/0/delta/tool_calls/0/extra_content/google/thought_signature")?
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect();
    let capsule = crate::translate::capsule::Capsule::decode(&signatures[0]).unwrap();
    let items: Vec<_> = capsule.items.iter().map(|item| serde_json::from_str::<Value>(item.get()).unwrap()).collect();
    assert_eq!((signatures.len(), items.len(), capsule.model.as_str()), (1, 2, "p-1"));
    let thinking =
        json!({"type": "thinking", "thinking": "Two cities, two calls.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"});
    assert_eq!(items, [thinking, json!({"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"})]);
}

#[test]
fn names_that_were_changed_are_the_clients_again() {
    let out = streamed(Format::Messages, Format::Chat, STREAMS[0].1);
    assert!(out.contains(r#""name":"read the file""#) && !out.contains("files__read"), "{out}");
    let out = streamed(Format::Responses, Format::Chat, STREAMS[0].1);
    assert!(out.contains(r#""name":"read","namespace":"files""#) && !out.contains("files__read"), "{out}");
}

#[test]
fn what_is_too_long_ends_with_an_error() {
    let provider = Format::Chat;
    let part = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(1 << 20));
    let mut translator =
        ResponseTranslator::new(context(Format::Responses, provider, true), IDS, ResponseFraming::Events, 200);
    let mut out = Vec::new();
    for _ in 0..9 {
        out.extend_from_slice(&translator.push(part.as_bytes()));
    }
    assert!(!check_stream(Format::Responses, std::str::from_utf8(&out).unwrap()));
    for framing in [ResponseFraming::Json, ResponseFraming::Events] {
        let mut translator = ResponseTranslator::new(context(Format::Messages, provider, false), IDS, framing, 200);
        let mut out = translator.push(b"data: ").to_vec();
        for _ in 0..9 {
            out.extend_from_slice(&translator.push("x".repeat(1 << 20).as_bytes()));
        }
        let error: Value = serde_json::from_slice(&out).unwrap();
        assert!(error["error"]["message"].as_str().unwrap().contains("8 MiB"), "{error}");
        assert!(translator.held_bytes() <= 33 << 20);
    }
    // A stream that a client of Chat or Messages reads is not collected.
    let mut translator =
        ResponseTranslator::new(context(Format::Messages, provider, true), IDS, ResponseFraming::Events, 200);
    for _ in 0..40 {
        assert!(translator.push(part.as_bytes()).len() > 1 << 20);
    }
    assert!(translator.held_bytes() < 1 << 20);
}

#[test]
fn signs_of_life_reach_the_client() {
    let comment = ": OPENROUTER PROCESSING\n\n";
    let chat = format!("{comment}{}{comment}", r#"data: {"choices":[{"delta":{"content":"x"}}]}"#.to_owned() + "\n\n");
    let out = streamed(Format::Messages, Format::Chat, &chat);
    assert!(out.starts_with(": keepalive\n\nevent: message_start\n"), "{out}");
    assert!(out.contains("event: ping\ndata: {\"type\":\"ping\"}\n\n"), "{out}");
    let out = streamed(Format::Responses, Format::Messages, STREAMS[2].1);
    assert_eq!(out.matches(": keepalive\n\n").count(), 1, "{out}");
    assert!(body(Format::Chat, Format::Messages, ResponseFraming::Events, 200, STREAMS[2].1)["choices"].is_array());
    let keepalive = "event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":1}\n\n";
    let out = streamed(Format::Messages, Format::Responses, &format!("{keepalive}{}", STREAMS[1].1));
    assert!(out.starts_with(": keepalive\n\nevent: message_start\n"), "{out}");
}

#[test]
fn a_silent_provider_is_replaced_by_signs_of_life_in_each_format() {
    for client in FORMATS {
        for (provider, stream) in STREAMS.into_iter().filter(|(provider, _)| *provider != client) {
            let mut translator =
                ResponseTranslator::new(context(client, provider, true), IDS, ResponseFraming::Events, 200);
            let sign = translator.keep_alive();
            assert_eq!(sign, if client == Format::GenerateContent { "\n" } else { ": keepalive\n\n" }, "{client:?}");
            let mut out = sign.to_vec();
            for piece in stream.as_bytes().chunks(40) {
                out.extend_from_slice(&translator.push(piece));
                out.extend_from_slice(&translator.keep_alive());
            }
            out.extend_from_slice(&translator.end());
            assert!(translator.keep_alive().is_empty());
            let out = String::from_utf8(out).unwrap();
            // Blank lines between events say nothing.
            let read = out.split("\n\n").map(str::trim_start).filter(|event| !event.is_empty());
            check_stream(client, &read.map(|event| format!("{event}\n\n")).collect::<String>());
            let has_pings = out.contains("event: ping\ndata: {\"type\":\"ping\"}\n\n");
            assert_eq!(has_pings, client == Format::Messages, "{client:?} {provider:?}");
        }
    }
    let mut whole =
        ResponseTranslator::new(context(Format::Chat, Format::Messages, false), IDS, ResponseFraming::Events, 200);
    assert!(whole.keep_alive().is_empty(), "the client gets one body");
}

#[test]
fn a_call_whose_fragments_have_different_ids_is_one_call() {
    let stream = chunks(&[
        &call_chunk(r#"{"index":0,"id":"call_1","function":{"name":"a","arguments":"{\"x\":"}}"#),
        &call_chunk(r#"{"index":0,"id":"call_2","function":{"arguments":"1"}}"#),
        &call_chunk(r#"{"index":0,"id":"call_3","function":{"name":"","arguments":"}"}}"#),
        FINISH,
    ]);
    assert_eq!(calls(&stream), [("a".into(), "{\"x\":1}".into())]);
}

#[test]
fn inputs_of_calls_that_a_stream_holds_are_counted_and_limited() {
    let begin = |name: &str, arguments: &str| {
        let call = format!(r#"{{"index":0,"id":"c","function":{{"name":"{name}","arguments":"{arguments}"}}}}"#);
        chunks(&[&call_chunk(&call)])
    };
    let more =
        chunks(&[&call_chunk(&format!(r#"{{"index":0,"function":{{"arguments":"{}"}}}}"#, "x".repeat(400 << 10)))]);
    // Messages needs an object, and a custom tool of Chat a whole text.
    for (client, provider, begin) in [
        (Format::Messages, Format::Chat, begin("f", "  text")),
        (Format::Messages, Format::Chat, begin("f", "")),
        (Format::Chat, Format::Chat, begin("apply_patch", "{")),
    ] {
        let mut translator =
            ResponseTranslator::new(context(client, provider, true), IDS, ResponseFraming::Events, 200);
        let mut out = translator.push(begin.as_bytes()).to_vec();
        out.extend_from_slice(&translator.push(more.as_bytes()));
        assert!((400 << 10..1 << 20).contains(&translator.held_bytes()) && translator.failure().is_none());
        for _ in 0..2 {
            out.extend_from_slice(&translator.push(more.as_bytes()));
        }
        assert!(!check_stream(client, std::str::from_utf8(&out).unwrap()));
        assert_eq!(translator.failure().unwrap().refusal, Some(Refusal::UpstreamProtocol));
    }
}

#[test]
fn state_of_many_open_blocks_is_counted_and_limited() {
    let signature = "x".repeat(100 << 10);
    let mut translator =
        ResponseTranslator::new(context(Format::Chat, Format::Messages, true), IDS, ResponseFraming::Events, 200);
    let mut count = 0;
    while translator.failure().is_none() {
        assert!(count < 20 && translator.held_bytes() >= count * signature.len());
        let block = format!(r#"{{"type":"thinking","thinking":"","signature":"{signature}"}}"#);
        let start = format!(r#"{{"type":"content_block_start","index":{count},"content_block":{block}}}"#);
        translator.push(format!("data: {start}\n\n").as_bytes());
        count += 1;
    }
    assert!(count > 5);
}
