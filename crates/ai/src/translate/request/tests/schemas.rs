//! Schemas, and calls for JSON, in the forms that providers take.

use serde_json::json;

use super::*;

#[test]
fn schemas_for_gemini_have_no_references_but_recursive_ones() {
    let schema = json!({"type": "object", "properties": {"o": {"$ref": "#/definitions/Q", "title": "O"}}, "definitions": {"Q": {"type": "object"}}});
    let call = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "t", "parameters": schema}}]});
    let sent = value(Format::Chat, Format::GenerateContent, &call.to_string(), "gemini-3-pro");
    let expected = json!({"type": "object", "properties": {"o": {"type": "object", "title": "O"}}});
    assert_eq!(sent["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"], expected);
    let call = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}});
    let sent = value(Format::Chat, Format::GenerateContent, &call.to_string(), "gemini-3-pro");
    assert_eq!(sent["generationConfig"]["responseJsonSchema"], expected);
}

#[test]
fn arguments_for_anthropic_have_no_alternatives_at_their_top() {
    let branch = |name: &str| json!({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]});
    let call = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "t", "parameters": {"anyOf": [branch("a"), branch("b")]}}}]});
    let sent = value(Format::Chat, Format::Messages, &call.to_string(), "claude-opus-4-8");
    let expected = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    assert_eq!(sent["tools"][0]["input_schema"], expected);
}

#[test]
fn a_call_for_json_names_it_where_openai_requires_the_word() {
    let call = |text: &str| json!({"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": {"responseMimeType": "application/json"}});
    for (to, text, is_added) in [
        (Format::Chat, "list colors", true),
        (Format::Chat, "list colors as Json", false),
        (Format::Responses, "list colors", true),
        (Format::Responses, "list colors as JSON", false),
    ] {
        let sent = value(Format::GenerateContent, to, &call(text).to_string(), "gpt-4o").to_string();
        assert_eq!(sent.contains("exactly one JSON object"), is_added, "{to:?} {text} {sent}");
    }
}
