//! Calls of the client's tools in responses.

use access::Tokens;

use super::*;

fn calls(format: Format, framing: ResponseFraming, body: &str) -> bool {
    let whole = tapped(Tap::new(format, framing, false), [body.as_bytes()]).1.has_called_tools;
    let bytes = body.as_bytes().chunks(1);
    assert_eq!(tapped(Tap::new(format, framing, false), bytes).1.has_called_tools, whole, "{body}");
    whole
}

#[test]
fn a_response_shows_whether_the_model_called_a_tool() {
    use Format::{Chat, Messages, Responses};
    use ResponseFraming::{Events, Json};
    let chunk = |reason: &str| {
        format!(
            "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":{reason}}}]}}\n\ndata: [DONE]\n\n"
        )
    };
    let delta = |reason: &str| {
        format!(
            "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\"}},\"usage\":{{\"output_tokens\":1}}}}\n\n"
        )
    };
    let done = |kind: &str| {
        format!(
            "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"id\":\"r\",\"output\":[{{\"type\":\"message\"}},{{\"type\":\"{kind}\"}}]}}}}\n\n"
        )
    };
    let arguments =
        "event: response.function_call_arguments.done\ndata: {\"type\":\"response.function_call_arguments.done\"}\n\n";
    for (format, framing, body, expected) in [
        (Chat, Events, chunk("\"tool_calls\""), true),
        (Chat, Events, chunk("\"stop\""), false),
        (Chat, Events, chunk("null"), false),
        (Chat, Json, r#"{"choices":[{"finish_reason":"function_call"}]}"#.to_owned(), true),
        (Chat, Json, r#"{"choices":[{"finish_reason":"length"}],"tool_calls":[]}"#.to_owned(), false),
        (Messages, Events, delta("tool_use"), true),
        (Messages, Events, delta("end_turn"), false),
        (Messages, Json, r#"{"stop_reason":"tool_use","content":[]}"#.to_owned(), true),
        (Messages, Json, r#"{"stop_reason":"end_turn"}"#.to_owned(), false),
        (Responses, Events, done("custom_tool_call"), true),
        (Responses, Events, done("web_search_call"), false),
        (Responses, Events, arguments.to_owned(), true),
        (Responses, Json, r#"{"output":[{"type":"function_call"}]}"#.to_owned(), true),
        (Responses, Json, r#"{"output":[{"type":"reasoning"}]}"#.to_owned(), false),
        (Format::GenerateContent, Json, r#"{"candidates":[{"finishReason":"STOP"}]}"#.to_owned(), false),
    ] {
        assert_eq!(calls(format, framing, &body), expected, "{body}");
    }
}

#[test]
fn a_compaction_has_usage() {
    let body = r#"{"id":"cmp_1","object":"response.compaction","created_at":1,"output":[{"type":"compaction","id":"c","encrypted_content":"ENC"}],"usage":{"input_tokens":1000,"output_tokens":100,"total_tokens":1100}}"#;
    let facts = tapped(Tap::new(Format::Responses, ResponseFraming::Json, false), [body.as_bytes()]).1;
    let usage = facts.usage.unwrap();
    assert_eq!((usage.input, usage.output), (Some(Tokens(1_000)), Some(Tokens(100))));
}
