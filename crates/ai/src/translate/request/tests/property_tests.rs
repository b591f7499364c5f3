use proptest::prelude::*;

use super::*;

/// Words that the decoders know, so that arbitrary objects reach them.
const WORDS: &[&str] = &[
    "model",
    "messages",
    "input",
    "tools",
    "role",
    "content",
    "type",
    "text",
    "user",
    "assistant",
    "system",
    "tool",
    "function",
    "name",
    "arguments",
    "id",
    "call_id",
    "tool_call_id",
    "tool_use_id",
    "tool_calls",
    "tool_use",
    "tool_result",
    "function_call",
    "function_call_output",
    "image_url",
    "url",
    "source",
    "base64",
    "media_type",
    "data",
    "input_text",
    "output_text",
    "thinking",
    "signature",
    "reasoning",
    "effort",
    "high",
    "namespace",
    "custom",
    "tool_choice",
    "auto",
    "allowed_tools",
    "parameters",
    "input_schema",
    "format",
    "json_schema",
    "schema",
    "response_format",
    "output_config",
    "data:image/png;base64,AA",
    "https://a",
    "cache_control",
    "stop",
    "max_tokens",
    "temperature",
    "encrypted_content",
    "contents",
    "parts",
    "functionCall",
    "functionResponse",
    "thoughtSignature",
    "inlineData",
    "mimeType",
    "text/plain",
    "functionDeclarations",
    "generationConfig",
    "responseSchema",
    "thinkingConfig",
    "thinkingBudget",
    "toolConfig",
    "é\u{0}",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => any::<String>()]
}

/// A JSON value, as text.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        word().prop_map(|word| json::quoted(&word)),
        any::<i64>().prop_map(|number| number.to_string()),
        prop::sample::select(&["null", "true", "1e400", "\"\\ud800\"", "{}", "[]"][..]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|values| json::list(&values)),
            prop::collection::vec((word(), inner), 0..6).prop_map(|fields| object(&fields)),
        ]
    })
}

fn object(fields: &[(String, String)]) -> String {
    let mut out = json::ObjectWriter::new();
    for (name, value) in fields {
        out.raw(name, value);
    }
    out.finish()
}

/// A message or item that is nearly valid.
fn item() -> impl Strategy<Value = String> {
    let role = prop::sample::select(&["user", "assistant", "system", "tool"][..]);
    let kind = prop::sample::select(
        &["message", "function_call", "function_call_output", "reasoning", "text", "tool_use", "tool_result"][..],
    );
    (role, kind, json(), json(), prop::sample::select(&["a", "b"][..])).prop_map(|(role, kind, content, other, id)| {
        format!(
            r#"{{"role":"{role}","type":"{kind}","content":{content},"call_id":"{id}","tool_call_id":"{id}","name":"f","output":{other},"parts":[{{"functionCall":{{"name":"f","args":{other}}}}},{{"functionResponse":{{"name":"f","response":{content}}}}},{content}],"tool_calls":[{{"id":"{id}","function":{{"name":"f","arguments":{other}}}}}]}}"#
        )
    })
}

fn check_any(body: &str) {
    for from in TRANSLATED {
        for (to, model) in [
            (Format::Chat, "gpt-6-sol"),
            (Format::Chat, "m"),
            (Format::Responses, "gpt-5"),
            (Format::Messages, "claude-opus-4-8"),
            (Format::GenerateContent, "gemini-3.8-flash"),
        ] {
            if let Ok(out) = translate(from, to, body.as_bytes(), &options(model)) {
                let read = serde_json::from_slice::<&RawValue>(&out.body);
                assert!(read.is_ok(), "{body}: {}", String::from_utf8_lossy(&out.body));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_json_gives_json_or_an_error(body in json()) {
        check_any(&body);
    }

    #[test]
    fn any_fields_of_a_call_give_json_or_an_error(
        fields in prop::collection::vec((word(), json()), 0..6),
        items in prop::collection::vec(item(), 0..5),
    ) {
        let mut fields = fields;
        let items = json::list(&items);
        fields.extend([("model".to_owned(), "\"m\"".to_owned()), ("messages".to_owned(), items.clone()), ("contents".to_owned(), items.clone()), ("input".to_owned(), items)]);
        check_any(&object(&fields));
    }

    #[test]
    fn any_text_survives_every_translation(text in "[a-z\"\\\\\u{0}é😀]{1,20}") {
        let quoted = json::quoted(&text);
        let body = format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":{quoted}}}],"input":{quoted},"contents":[{{"parts":[{{"text":{quoted}}}]}}]}}"#);
        for from in TRANSLATED {
            for to in TRANSLATED.into_iter().filter(|to| *to != from) {
                let out = value(from, to, &body, "gpt-5");
                let content = if to == Format::Responses {
                    &out["input"][0]["content"]
                } else if to == Format::GenerateContent {
                    &out["contents"][0]["parts"]
                } else {
                    &out["messages"][0]["content"]
                };
                let found = if to == Format::Chat { content } else { &content[0]["text"] };
                prop_assert_eq!(found.as_str(), Some(text.as_str()));
            }
        }
    }
}
