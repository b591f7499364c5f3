use access::Tokens;
use meter::{ToolCalls, UnknownCost};

use super::*;

/// Returns the reported calls, or the reason why they have no cost.
fn calls(format: Format, framing: ResponseFraming, bytes: &str) -> Result<[Option<u64>; 5], UnknownCost> {
    let seen = seen(format, framing, bytes.as_bytes());
    match seen.unknown {
        None => Ok(seen.usage.unwrap().tools.counts()),
        Some(reason) => Err(reason),
    }
}

fn searches(count: u64) -> Result<[Option<u64>; 5], UnknownCost> {
    Ok(ToolCalls { searches: Some(count), ..ToolCalls::default() }.counts())
}

fn containers(count: u64) -> Result<[Option<u64>; 5], UnknownCost> {
    Ok(ToolCalls { containers: Some(count), ..ToolCalls::default() }.counts())
}

const NONE: Result<[Option<u64>; 5], UnknownCost> = Ok([None; 5]);
const UNPRICED: Result<[Option<u64>; 5], UnknownCost> = Err(UnknownCost::UnpricedTool);

/// Checks that a response object is read equally from a body and from a stream's last event.
fn check(response: &str, expected: Result<[Option<u64>; 5], UnknownCost>) {
    let body = format!(r#"{{{response},"usage":{{"input_tokens":1}}}}"#);
    assert_eq!(calls(Format::Responses, ResponseFraming::Json, &body), expected, "{body}");
    let event = format!("data: {{\"type\":\"response.completed\",\"response\":{body}}}\n\n");
    assert_eq!(calls(Format::Responses, ResponseFraming::Events, &event), expected, "{event}");
    let named = format!("event: response.completed\n{event}");
    assert_eq!(calls(Format::Responses, ResponseFraming::Events, &named), expected, "{named}");
}

#[test]
fn searches_of_openai_are_those_that_are_reported_or_listed() {
    for (response, expected) in [
        (r#""tool_usage":null"#, NONE),
        (r#""tool_usage":{"image_gen":{"total_tokens":0},"web_search":{"num_requests":0}}"#, NONE),
        (r#""tool_usage":{"image_gen":{"total_tokens":0},"web_search":{"num_requests":3}}"#, searches(3)),
        (r#""tool_usage":{"web_search":{"num_requests":1.5}}"#, UNPRICED),
        (r#""tool_usage":{"image_gen":{"total_tokens":5},"web_search":{"num_requests":0}}"#, UNPRICED),
        (r#""tool_usage":{"later_tool":{"num_requests":1}}"#, UNPRICED),
        (
            r#""output":[{"type":"web_search_call","action":{"type":"search","query":"x"}},{"type":"message"}]"#,
            searches(1),
        ),
        (
            r#""output":[{"type":"web_search_call","action":{"type":"search"}},{"type":"web_search_call","action":{"type":"open_page"}},{"action":{"type":"find_in_page"},"type":"web_search_call"},{"type":"web_search_call","action":{"type":"search"}}]"#,
            searches(2),
        ),
        (r#""output":[{"type":"web_search_call"}]"#, searches(1)),
        (r#""output":[{"type":"web_search_call","action":{"type":"open_page"}}]"#, NONE),
        (
            r#""output":[{"type":"web_search_call"},{"type":"web_search_call"}],"tool_usage":{"web_search":{"num_requests":5}}"#,
            searches(5),
        ),
        (r#""output":[{"type":"computer_call","action":{"type":"click"}},{"type":"function_call"}]"#, NONE),
        (r#""output":[{"type":"mcp_call"},{"type":"local_shell_call"}]"#, NONE),
        (r#""output":[{"type":"image_generation_call"}]"#, UNPRICED),
    ] {
        check(response, expected);
    }
}

#[test]
fn containers_of_openai_are_those_that_were_made_or_used() {
    let call = |id: &str| format!(r#"{{"type":"code_interpreter_call","container_id":"{id}"}}"#);
    let output = |items: &[String]| format!(r#""output":[{}]"#, items.join(","));
    let auto =
        |memory: &str| format!(r#""tools":[{{"type":"code_interpreter","container":{{"type":"auto"{memory}}}}}]"#);
    check(r#""output":[{"type":"code_interpreter_call"}]"#, containers(1));
    check(&output(&[call("a"), call("a")]), containers(1));
    check(&output(&[call("a"), call("b")]), containers(2));
    check(&auto(""), containers(1));
    check(&auto(r#","memory_limit":"1g""#), containers(1));
    check(&auto(r#","memory_limit":"16g""#), containers(16));
    check(&auto(r#","memory_limit":"2t""#), UNPRICED);
    check(&format!("{},{}", auto(""), output(&[call("a")])), containers(1));
    check(r#""tools":[{"type":"code_interpreter","container":"cntr_1"}]"#, NONE);
    check(r#""tools":[{"type":"shell","environment":{"type":"container_auto","memory_limit":"4g"}}]"#, containers(4));
    check(r#""tools":[{"type":"shell","environment":{"type":"local"}}],"output":[{"type":"shell_call"}]"#, NONE);
    check(r#""tools":[{"type":"shell","environment":{"type":"container_reference"}}]"#, UNPRICED);
    check(r#""output":[{"type":"shell_call"}]"#, UNPRICED);
}

#[test]
fn searches_of_files_are_counted() {
    let items = r#""output":[{"type":"file_search_call"},{"type":"message"},{"type":"file_search_call"}]"#;
    check(items, Ok(ToolCalls { file_searches: Some(2), ..ToolCalls::default() }.counts()));
}

#[test]
fn calls_of_tools_over_the_maximum_make_the_cost_unknown() {
    let items = vec![r#"{"type":"web_search_call"}"#; 2_000].join(",");
    check(&format!(r#""output":[{items}]"#), UNPRICED);
}

#[test]
fn calls_that_only_events_announce_are_counted_once_each() {
    let end = "event: response.completed\ndata: {\"response\":{\"usage\":{\"input_tokens\":1}}}\n\n";
    let file = |count| Ok(ToolCalls { file_searches: Some(count), ..ToolCalls::default() }.counts());
    for (kinds, expected) in [
        (&["web_search_call.completed"][..], searches(1)),
        (&["web_search_call.in_progress", "web_search_call.searching", "web_search_call.completed"], searches(1)),
        (&["web_search_call.in_progress", "web_search_call.completed", "web_search_call.in_progress"], searches(2)),
        (&["code_interpreter_call.interpreting"], containers(1)),
        (&["code_interpreter_call.in_progress", "code_interpreter_call.in_progress"], containers(1)),
        (&["image_generation_call.partial_image"], UNPRICED),
        (&["file_search_call.in_progress", "file_search_call.searching"], file(1)),
        (&["mcp_call.completed"], NONE),
        (&["function_call_arguments.done"], NONE),
    ] {
        let event = |kind: &&str| format!("event: response.{kind}\ndata: {{\"type\":\"response.{kind}\"}}\n\n");
        let nameless = |kind: &&str| format!("data: {{\"type\":\"response.{kind}\"}}\n\n");
        let behind = |kind: &&str| format!("data: {{\"type\":\"response.{kind}\"}}\nevent: response.{kind}\n\n");
        for stream in [
            kinds.iter().map(event).collect::<String>(),
            kinds.iter().map(nameless).collect(),
            kinds.iter().map(behind).collect(),
        ] {
            let stream = stream + end;
            assert_eq!(calls(Format::Responses, ResponseFraming::Events, &stream), expected, "{stream}");
        }
    }
}

/// The response's report decides; a stream's events do not add to it.
#[test]
fn calls_in_events_do_not_count_if_the_response_reports_them() {
    let begun = "event: response.web_search_call.in_progress\ndata: {}\n\n";
    for (response, expected) in [
        (r#""tool_usage":{"web_search":{"num_requests":1}},"#, searches(1)),
        (r#""tool_usage":{"web_search":{"num_requests":0}},"#, NONE),
        (r#""output":[{"type":"web_search_call","action":{"type":"open_page"}}],"#, NONE),
    ] {
        let end = format!("data: {{\"response\":{{{response}\"usage\":{{\"input_tokens\":1}}}}}}\n\n");
        let stream = begun.repeat(3) + &end;
        assert_eq!(calls(Format::Responses, ResponseFraming::Events, &stream), expected, "{stream}");
    }
}

#[test]
fn a_gemini_answer_reports_its_queries_and_maps() {
    let of = |searches, maps_prompts, maps_queries| {
        Ok(ToolCalls { searches, maps_prompts, maps_queries, ..ToolCalls::default() }.counts())
    };
    let maps = r#""groundingChunks":[{"maps":{"uri":"u"}}]"#;
    for (metadata, expected) in [
        ("null".to_owned(), NONE),
        (r#"{"webSearchQueries":[]}"#.to_owned(), NONE),
        (r#"{"webSearchQueries":null,"groundingChunks":null}"#.to_owned(), NONE),
        (r#"{"webSearchQueries":["who won"]}"#.to_owned(), of(Some(1), None, None)),
        (r#"{"webSearchQueries":["a","b","a",""]}"#.to_owned(), of(Some(2), None, None)),
        (r#"{"groundingChunks":[{"web":{"uri":"u"}}],"webSearchQueries":["a"]}"#.to_owned(), of(Some(1), None, None)),
        (format!("{{{maps}}}"), of(None, Some(1), None)),
        (format!(r#"{{{maps},"webSearchQueries":["a","b"]}}"#), of(None, Some(1), Some(2))),
        (r#"{"googleMapsWidgetContextToken":"t"}"#.to_owned(), of(None, Some(1), None)),
        (
            r#"{"groundingChunks":[{"maps":{}},{"web":{}}],"webSearchQueries":["a"]}"#.to_owned(),
            of(Some(1), Some(1), None),
        ),
        (r#"{"webSearchQueries":7}"#.to_owned(), UNPRICED),
        (format!(r#"{{"webSearchQueries":["{}"]}}"#, "x".repeat(70_000)), UNPRICED),
    ] {
        let body = format!(
            r#"{{"candidates":[{{"groundingMetadata":{metadata}}}],"usageMetadata":{{"promptTokenCount":1}}}}"#
        );
        assert_eq!(calls(Format::GenerateContent, ResponseFraming::Json, &body), expected, "{body:.200}");
        let stream =
            format!("data: {body}\n\ndata: {body}\n\ndata: {{\"usageMetadata\":{{\"promptTokenCount\":1}}}}\n\n");
        assert_eq!(calls(Format::GenerateContent, ResponseFraming::Events, &stream), expected, "{stream:.200}");
    }
    let two = r#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["a"]}},{"groundingMetadata":{"webSearchQueries":["b"]}}],
        "usageMetadata":{"promptTokenCount":1}}"#;
    assert_eq!(calls(Format::GenerateContent, ResponseFraming::Json, two), of(Some(2), None, None));
}

#[test]
fn fees_of_compatible_hosts_are_calls_or_unknown() {
    for (fee, expected) in [
        (r#""num_sources_used":0"#, NONE),
        (r#""num_sources_used":4"#, searches(4)),
        (r#""num_search_queries":2"#, searches(2)),
        (r#""citation_tokens":9"#, UNPRICED),
        (r#""prompt_audio_seconds":3"#, UNPRICED),
    ] {
        let chat = format!(r#"{{"usage":{{"prompt_tokens":1,{fee}}}}}"#);
        assert_eq!(calls(Format::Chat, ResponseFraming::Json, &chat), expected, "{chat}");
        let responses = format!(r#"{{"usage":{{"input_tokens":1,{fee}}}}}"#);
        assert_eq!(calls(Format::Responses, ResponseFraming::Json, &responses), expected, "{responses}");
    }
}

#[test]
fn the_usage_of_a_choice_counts_if_the_chunk_has_no_usage() {
    let chunk = |inside: &str, usage: &str| {
        format!("data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0{inside}}}]{usage}}}\n\n")
    };
    let of_choice = r#","finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":2}"#;
    let alone = chunk("", "") + &chunk(of_choice, "") + "data: [DONE]\n\n";
    let beside = chunk(of_choice, r#","usage":{"prompt_tokens":7}"#);
    let null = chunk(of_choice, r#","usage":null"#);
    for (stream, input) in [(alone, 9), (beside, 7), (null, 9)] {
        let (out, seen) = super::chat(&stream);
        assert_eq!(
            (out.as_ref(), seen.usage.and_then(|usage| usage.input)),
            (stream.as_bytes(), Some(Tokens(input))),
            "{stream}"
        );
        assert!(seen.raw_usage.is_some());
    }
}
