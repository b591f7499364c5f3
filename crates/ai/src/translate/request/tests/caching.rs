//! Cache marks of clients, and fields that do not arrive.

use serde_json::json;

use super::*;

fn sent(to: Format, model: &str, call: &serde_json::Value) -> (serde_json::Value, Vec<String>) {
    let translated = translate(Format::Chat, to, call.to_string().as_bytes(), &options(model)).unwrap();
    (serde_json::from_slice(&translated.body).unwrap(), translated.dropped)
}

#[test]
fn marks_of_chat_clients_arrive_on_their_blocks() {
    let short = json!({"type": "ephemeral"});
    let long = json!({"type": "ephemeral", "ttl": "1h"});
    let part = |text: &str, mark: &serde_json::Value| json!({"type": "text", "text": text, "cache_control": mark});
    let tool = json!({"type": "function", "cache_control": short, "function": {"name": "t", "parameters": {"type": "object", "properties": {}}}});
    let call = json!({"model": "m", "tools": [tool], "messages": [
        {"role": "system", "content": [part("long", &long)]},
        {"role": "user", "content": "a", "cache_control": short},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": [part("r", &short)]},
        {"role": "user", "content": [part("fifth", &short)]},
    ]});
    let (body, dropped) = sent(Format::Messages, "claude-opus-4-8", &call);
    assert_eq!(body["tools"][0]["cache_control"], short);
    assert_eq!(body["system"][0]["cache_control"], long);
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], short);
    assert_eq!(body["messages"][2]["content"][0]["cache_control"], short, "the result has the mark of its part");
    assert_eq!(body.to_string().matches("cache_control").count(), 4, "{body}");
    assert!(body.get("cache_control").is_none() && dropped.is_empty(), "{dropped:?}");
    for (to, model) in [(Format::GenerateContent, "gemini-3-pro"), (Format::Responses, "gpt-5")] {
        let (body, dropped) = sent(to, model, &call);
        assert!(
            !body.to_string().contains("cache_control") && dropped.contains(&"cache_control".to_owned()),
            "{dropped:?}"
        );
    }
}

#[test]
fn a_long_system_prompt_is_marked_without_tools() {
    let call = |bytes: usize| json!({"model": "m", "messages": [{"role": "system", "content": "x".repeat(bytes)}, {"role": "user", "content": "a"}]});
    let mark = |bytes| sent(Format::Messages, "claude-opus-4-8", &call(bytes)).0["system"][0]["cache_control"].clone();
    assert_eq!((mark(100), mark(5_000)), (serde_json::Value::Null, json!({"type": "ephemeral"})));
}

#[test]
fn fields_that_do_not_arrive_are_named() {
    let call = json!({"model": "m", "user": "u", "messages": [{"role": "user", "name": "ada", "content": "a"}]});
    assert_eq!(sent(Format::Messages, "claude-opus-4-8", &call).1, ["messages[0].name", "user"]);
    let source = json!({"type": "text", "media_type": "text/plain", "data": "d"});
    let document = json!({"type": "document", "source": source, "citations": {"enabled": true}, "context": "c"});
    let call = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [document]}]});
    let names = translated(Format::Messages, Format::Chat, &call.to_string(), "qwen3").dropped;
    assert_eq!(names, ["messages[0].content[0].citations", "messages[0].content[0].context"]);
    let call = json!({"model": "m", "input": "x", "max_tool_calls": 3});
    assert_eq!(translated(Format::Responses, Format::Chat, &call.to_string(), "qwen3").dropped, ["max_tool_calls"]);
    let refusing = TranslationOptions { dropped: DroppedFields::Refuse, ..options("qwen3") };
    assert!(translate(Format::Responses, Format::Chat, call.to_string().as_bytes(), &refusing).is_ok());
}

#[test]
fn images_of_the_model_return_to_gemini_and_are_named_elsewhere() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
    let call = json!({"model": "m", "messages": [
        {"role": "user", "content": "draw"}, {"role": "assistant", "content": "", "images": [image]}, {"role": "user", "content": "again"},
    ]});
    let (body, dropped) = sent(Format::GenerateContent, "gemini-2.5-flash-image", &call);
    let data = json!({"inlineData": {"mimeType": "image/png", "data": "AA=="}});
    assert_eq!((&body["contents"][1]["parts"], dropped), (&json!([data]), Vec::new()), "{body}");
    let (body, dropped) = sent(Format::Messages, "claude-opus-4-8", &call);
    assert!(!body.to_string().contains("AA==") && dropped == ["messages[1].images"], "{dropped:?}");
}
