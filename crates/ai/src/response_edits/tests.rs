use std::sync::Arc;

use access::{Clock, Ids, ObjectKeys, ObjectOwner, Timestamp, UserId};

use super::*;
use crate::Tap;

const EVENTS: ResponseFraming = ResponseFraming::Events;
const JSON: ResponseFraming = ResponseFraming::Json;
const ARRAY: ResponseFraming = ResponseFraming::Array;

fn owner() -> ObjectOwner {
    let user = UserId(Ids::new(Clock::manual(Timestamp(1))).next_uuid());
    ObjectOwner::new(Arc::new(ObjectKeys::of_bytes([7; 32])), user)
}

fn named() -> ResponseEdits {
    ResponseEdits::default().with_model("fast")
}

/// Returns the output of a tap that gets the input in pieces of these lengths.
fn edited(format: Format, framing: ResponseFraming, edits: &ResponseEdits, pieces: &[&[u8]]) -> String {
    let mut tap = Tap::new(format, framing, false).with_edits(edits.clone());
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&tap.push(Bytes::copy_from_slice(piece)));
    }
    out.extend_from_slice(&tap.finish().0);
    String::from_utf8(out).unwrap()
}

/// Checks the output for the whole input, at every split, and byte by byte.
fn check(format: Format, framing: ResponseFraming, edits: &ResponseEdits, input: &str, expected: &str) {
    let bytes = input.as_bytes();
    assert_eq!(edited(format, framing, edits, &[bytes]), expected, "{format:?} {framing:?}");
    for at in 0..=bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(edited(format, framing, edits, &[first, second]), expected, "{format:?} {framing:?} at {at}");
    }
    let each: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(edited(format, framing, edits, &each), expected, "{format:?} {framing:?} byte by byte");
}

/// Checks that exactly the marked values get another name: `<m>` is the provider's, `fast` is the client's.
fn check_model(format: Format, framing: ResponseFraming, marked: &str) {
    let input = marked.replace("<m>", "m-2026-01-01");
    let expected = marked.replace("<m>", "fast");
    check(format, framing, &named(), &input, &expected);
}

#[test]
fn every_format_names_the_model_as_the_client_did() {
    check_model(
        Format::Chat,
        JSON,
        r#"{"id":"c","choices":[{"message":{"content":"\"model\":\"m\"","tool_calls":[{"function":{"arguments":"{\"model\":\"x\"}"}}]}}], "model" : "<m>" ,"usage":{"model":"m"}}"#,
    );
    check_model(
        Format::Chat,
        EVENTS,
        "data: {\"id\":\"c\",\"model\":\"<m>\",\"choices\":[{\"delta\":{\"content\":\"{\\\"model\\\":\"}}]}\n\n: comment\n\ndata: {\"choices\":[],\"model\":\"<m>\"}\r\n\r\ndata: [DONE]\n\n",
    );
    check_model(
        Format::Messages,
        EVENTS,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg\",\"model\":\"<m>\",\"usage\":{}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"\\\"model\\\":\\\"x\\\"\"},\"message\":{\"model\":\"kept\"}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    check_model(
        Format::Messages,
        JSON,
        r#"{"content":[{"type":"tool_use","input":{"model":"x"}}],"model":"<m>","stop_reason":"end_turn"}"#,
    );
    check_model(
        Format::Responses,
        EVENTS,
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"<m>\",\"tools\":[{\"parameters\":{\"model\":\"x\"}}]}}\n\nevent: response.output_text.delta\ndata: {\"delta\":\"model\",\"item_id\":\"i\"}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"id\":\"i\",\"model\":\"x\"}],\"model\":\"<m>\"}}\n\n",
    );
    check_model(Format::Responses, JSON, r#"{"id":"r","model":"<m>","output":[{"id":"i"}],"metadata":{"model":"x"}}"#);
    check_model(
        Format::GenerateContent,
        EVENTS,
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"modelVersion\"}]}}],\"modelVersion\":\"<m>\"}\r\n\r\ndata: {\"modelVersion\": \"<m>\"}\r\n\r\n",
    );
    check_model(
        Format::GenerateContent,
        ARRAY,
        "[{\"candidates\":[{\"finishReason\":null}],\"modelVersion\":\"<m>\"}\n,\r\n{\"modelVersion\":\"<m>\",\"candidates\":[{\"finishReason\":\"STOP\"}]}]",
    );
    check_model(Format::Embeddings, JSON, r#"{"data":[{"embedding":[0.1,-2e3]}],"model":"<m>"}"#);
    check_model(
        Format::Completions,
        EVENTS,
        "data: {\"model\":\"<m>\",\"choices\":[{\"text\":\"a\"}]}\n\ndata: [DONE]\n\n",
    );
}

#[test]
fn odd_layouts_of_names_are_edited_or_pass() {
    for (input, expected) in [
        (r#"{"mod\u0065l":"\u006d"}"#, r#"{"mod\u0065l":"fast"}"#),
        (r#"{"model":null,"object":"x"}"#, r#"{"model":null,"object":"x"}"#),
        (r#"{"model":{"model":"m"}}"#, r#"{"model":{"model":"m"}}"#),
        (r#"{"model":["m"]}"#, r#"{"model":["m"]}"#),
        (r#"{"model":"a\"b\\"}"#, r#"{"model":"fast"}"#),
        (r#"{"model":"fast"}"#, r#"{"model":"fast"}"#),
        (r#"{"model":"cut"#, r#"{"model":"cut"#),
        ("<html>\"model\":\"m\"</html>", "<html>\"model\":\"m\"</html>"),
        ("", ""),
        (r#"}{"model":"m"}"#, r#"}{"model":"fast"}"#),
    ] {
        check(Format::Chat, JSON, &named(), input, expected);
    }
    // A long string is no name of a model. It passes, and later names are edited.
    let long = "x".repeat(5_000);
    let body = |name: &str| format!(r#"{{"model":"{long}","a":1,"model":"{name}"}}"#);
    let edits = ResponseEdits { owner: Some(owner()), ..named() };
    check(Format::Chat, ARRAY, &edits, &format!("[{}]", body("m")), &format!("[{}]", body("fast")));
    let pieces: Vec<Vec<u8>> = body("m").into_bytes().chunks(700).map(<[u8]>::to_vec).collect();
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    assert_eq!(edited(Format::Chat, JSON, &edits, &pieces), body("fast"));
    // Data in several lines: a name within one line is edited, one over two lines passes.
    let lines = "data: {\"model\":\ndata: \"m\",\ndata: \"a\":1}\n\n";
    check(Format::Chat, EVENTS, &named(), lines, &lines.replace("\"m\"", "\"fast\""));
    let broken = "data: {\"model\":\"m\ndata: n\"}\n\ndata: {\"model\":\"m\"}\n\n";
    let expected = "data: {\"model\":\"m\ndata: n\"}\n\ndata: {\"model\":\"fast\"}\n\n";
    check(Format::Chat, EVENTS, &named(), broken, expected);
}

#[test]
fn events_that_are_too_long_to_hold_are_edited_too() {
    let text = "x".repeat(200_000);
    let event = |name: &str| {
        let data = format!(r#"{{"response":{{"instructions":"{text}","model":"{name}"}}}}"#);
        format!("event: response.completed\ndata: {data}\n\n")
    };
    let input = event("m");
    for size in [1_000, 65_535, 65_536, 100_003, input.len()] {
        let pieces: Vec<&[u8]> = input.as_bytes().chunks(size).collect();
        assert_eq!(edited(Format::Responses, EVENTS, &named(), &pieces), event("fast"), "{size}");
    }
}

#[test]
fn ids_of_objects_are_bound_to_their_user() {
    let owner = owner();
    let edits = ResponseEdits::default().with_owner(owner.clone());
    // `<id>` is bound, all other ids are not.
    let check_ids = |format, framing, marked: &str| {
        let mut expected = String::new();
        for (nth, part) in marked.split(['<', '>']).enumerate() {
            expected.push_str(&if nth % 2 == 1 { owner.bind(part) } else { part.to_owned() });
        }
        check(format, framing, &edits, &marked.replace(['<', '>'], ""), &expected);
    };
    check_ids(
        Format::Responses,
        JSON,
        r#"{"id":"<resp_1>","previous_response_id":"<resp_0>","conversation":{"id":"<conv_1>"},"output":[{"type":"message","id":"<msg_1>","content":[{"text":"id","annotations":[{"file_id":"<cfile_1>","container_id":"<cntr_1>"}]}]},{"type":"function_call","id":"<fc_1>","call_id":"call_1","arguments":"{\"id\":\"x\"}"},{"id":"<ci_1>","container_id":"<cntr_1>","outputs":[{"type":"image","url":"u"}]}],"tools":[{"type":"code_interpreter","container":"<cntr_0>"},{"container":{"type":"auto","file_ids":["<file-1>","<file-2>"]}},{"type":"function","parameters":{"id":"x","file_id":"y"}}],"metadata":{"id":"x"}}"#,
    );
    check_ids(
        Format::Responses,
        EVENTS,
        "event: response.created\ndata: {\"response\":{\"id\":\"<resp_1>\",\"output\":[]}}\n\nevent: response.output_item.added\ndata: {\"item\":{\"id\":\"<msg_1>\"}}\n\nevent: response.output_text.delta\ndata: {\"item_id\":\"<msg_1>\",\"delta\":\"a\"}\n\nevent: response.output_text.delta\ndata: {\"item_id\":\"<msg_1>\",\"delta\":\"b\"}\n\nevent: response.output_text.annotation.added\ndata: {\"item_id\":\"<msg_2>\",\"annotation\":{\"file_id\":\"<f>\"}}\n\n",
    );
    check_ids(
        Format::Chat,
        JSON,
        r#"{"id":"chatcmpl-1","choices":[{"message":{"audio":{"id":"<audio_1>","data":"AA"},"tool_calls":[{"id":"call"}]}}]}"#,
    );
    check_ids(
        Format::Messages,
        EVENTS,
        "event: message_start\ndata: {\"message\":{\"id\":\"msg_1\",\"container\":{\"id\":\"<container_1>\"}}}\n\nevent: content_block_start\ndata: {\"content_block\":{\"id\":\"srvtoolu\",\"content\":{\"content\":[{\"file_id\":\"<file_1>\"}]}}}\n\nevent: message_delta\ndata: {\"delta\":{\"container\":{\"id\":\"<container_1>\"}}}\n\n",
    );
    let odd = r#"{"id":"","output":[{"id":null},{"id":"a\\b"},{"id":7}]}"#;
    check(Format::Responses, JSON, &edits, odd, odd);
}

#[test]
fn values_of_the_request_are_restored() {
    let restored = [("tg-user", "u\u{e9}"), ("tg-v", "v"), ("tg-key", "key")];
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let restored = restored.map(|(sent, original)| RestoredValue { sent: quoted(sent), original: quoted(original) });
    let edits = ResponseEdits::default().with_restored(restored.into());
    check(
        Format::Responses,
        JSON,
        &edits,
        r#"{"user":"tg-user","prompt_cache_key":"tg-key","metadata":{"a":"tg-v","b":"other"},"instructions":"tg-v"}"#,
        "{\"user\":\"u\u{e9}\",\"prompt_cache_key\":\"key\",\"metadata\":{\"a\":\"v\",\"b\":\"other\"},\"instructions\":\"tg-v\"}",
    );
}

#[test]
fn the_end_that_the_gateway_writes_is_edited_and_facts_are_those_of_the_provider() {
    let reporter = crate::Reporter { domain: "tollgate", request_id: "req" };
    let problem = crate::FormatProblem::new(access::Refusal::UpstreamReset, "cut", reporter);
    let owner = owner();
    let mut tap = Tap::new(Format::Responses, EVENTS, false).with_edits(named().with_owner(owner.clone()));
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\"}}\n\nevent: respon";
    tap.push(Bytes::copy_from_slice(created.as_bytes()));
    let (last, facts) = tap.cut(&problem);
    let last = String::from_utf8(last.to_vec()).unwrap();
    assert!(last.contains(r#""model":"fast""#) && last.contains(&owner.bind("r")), "{last}");
    assert_eq!((facts.model.as_deref(), facts.id.as_deref()), (Some("m"), Some("r")));
}

#[test]
fn nothing_is_copied_where_nothing_is_edited() {
    let mut tap = Tap::new(Format::Chat, EVENTS, false).with_edits(named());
    let event = Bytes::from_static(b"data: {\"model\":\"fast\",\"choices\":[]}\n\n");
    assert_eq!(tap.push(event.clone()).as_ptr(), event.as_ptr());
    assert!(!Tap::new(Format::Chat, EVENTS, false).with_edits(ResponseEdits::default()).has_edits());
    assert!(!Tap::new(Format::Speech, ResponseFraming::Opaque, false).with_edits(named()).has_edits());
}

#[test]
fn each_model_of_a_stream_with_several_gets_the_name_of_the_client() {
    let chunk = |model: &str, text: &str| {
        format!(
            "data: {{\"id\":\"c\",\"model\":\"{model}\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        )
    };
    let stream = |first: &str, second: &str| chunk(first, "a") + &chunk(second, "b") + "data: [DONE]\n\n";
    check(Format::Chat, ResponseFraming::Events, &named(), &stream("m-1", "n-2"), &stream("fast", "fast"));
}
