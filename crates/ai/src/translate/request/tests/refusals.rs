//! Fields that are refused or left out, and their names in the error or the header.

use super::*;

/// A body of each format with a field.
fn body(from: Format, field: &str) -> String {
    let messages = r#""max_tokens":9,"messages":[{"role":"user","content":"a"}]"#;
    let rest = if from == Format::Responses { r#""input":"a""# } else { messages };
    let field = if field.contains("\"messages\":") || field.contains("\"input\":") {
        field.to_owned()
    } else {
        format!("{field},{rest}")
    };
    format!(r#"{{"model":"m",{field}}}"#)
}

fn refused(from: Format, to: Format, field: &str, model: &str) -> UntranslatableCall {
    translate(from, to, body(from, field).as_bytes(), &options(model)).unwrap_err()
}

fn check_refused(from: Format, to: Format, field: &str, param: &str) {
    let error = refused(from, to, field, "claude-sonnet-4-5");
    assert_eq!(error.param, param, "{field}: {error}");
    assert!(error.message.contains(&format!("`{param}` ")), "{error}");
}

#[test]
fn fields_without_a_meaning_at_the_provider_are_refused_by_name() {
    for (from, to, field, param) in [
        (Format::Chat, Format::Messages, r#""n":2"#, "n"),
        (Format::Chat, Format::Responses, r#""n":2"#, "n"),
        (Format::Chat, Format::Messages, r#""logprobs":true"#, "logprobs"),
        (Format::Chat, Format::Messages, r#""logit_bias":{"1":2}"#, "logit_bias"),
        (Format::Chat, Format::Messages, r#""prediction":{"type":"content"}"#, "prediction"),
        (Format::Chat, Format::Messages, r#""modalities":["text","audio"]"#, "modalities"),
        (Format::Chat, Format::Responses, r#""stop":["a"]"#, "stop"),
        (Format::Messages, Format::Responses, r#""stop_sequences":["a"]"#, "stop_sequences"),
        (Format::Messages, Format::Chat, r#""mcp_servers":[{"url":"x"}]"#, "mcp_servers"),
        (Format::Messages, Format::Chat, r#""container":"x""#, "container"),
        (Format::Responses, Format::Chat, r#""previous_response_id":"x""#, "previous_response_id"),
        (Format::Responses, Format::Chat, r#""conversation":"x""#, "conversation"),
        (Format::Responses, Format::Chat, r#""prompt":{"id":"x"}"#, "prompt"),
        (Format::Responses, Format::Chat, r#""include":["message.output_text.logprobs"]"#, "include"),
        (
            Format::Responses,
            Format::Chat,
            r#""tools":[{"type":"web_search"}],"tool_choice":{"type":"web_search"}"#,
            "tool_choice",
        ),
        (Format::Responses, Format::Chat, r#""tool_choice":{"type":"function","name":"f"}"#, "tool_choice.name"),
        (Format::Chat, Format::Messages, r#""messages":7"#, "messages"),
        (Format::Chat, Format::Messages, r#""temperature":"1""#, "temperature"),
        (Format::Chat, Format::Messages, r#""reasoning_effort":"much""#, "reasoning_effort"),
    ] {
        check_refused(from, to, field, param);
    }
}

#[test]
fn parts_that_the_provider_does_not_take_are_refused_with_their_path() {
    for (from, to, field, param) in [
        (Format::Responses, Format::Messages, r#""input":[{"type":"item_reference","id":"x"}]"#, "input[0].id"),
        (Format::Responses, Format::Messages, r#""input":[{"type":"compaction_trigger"}]"#, "input[0].type"),
        (
            Format::Responses,
            Format::Messages,
            r#""input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]"#,
            "input[0].content[0].file_id",
        ),
        (
            Format::Chat,
            Format::Messages,
            r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"format":"wav","data":"AA"}}]}]"#,
            "messages[0].content[0].input_audio",
        ),
        (
            Format::Chat,
            Format::Responses,
            r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"format":"wav","data":"AA"}}]}]"#,
            "messages[0].content[0].input_audio",
        ),
        (
            Format::Responses,
            Format::GenerateContent,
            r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"https://a"}]}]"#,
            "input[0].content[0]",
        ),
        (
            Format::Chat,
            Format::Messages,
            r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"gs://x"}}]}]"#,
            "messages[0].content[0].image_url.url",
        ),
        (
            Format::Chat,
            Format::Messages,
            r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:audio/wav;base64,AA"}}]}]"#,
            "messages[0].content[0].file",
        ),
        (
            Format::Messages,
            Format::Chat,
            r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://a"}}]}]"#,
            "messages[0].content[0]",
        ),
        (
            Format::Chat,
            Format::Messages,
            r#""messages":[{"role":"assistant","tool_calls":[{"id":"x","function":{"name":"f"}}]}]"#,
            "messages[0]",
        ),
        (
            Format::Chat,
            Format::Messages,
            r#""messages":[{"role":"tool","tool_call_id":"x","content":"a"}]"#,
            "messages[0]",
        ),
        (Format::Chat, Format::Messages, r#""messages":[{"role":"function","content":"a"}]"#, "messages[0].role"),
        (
            Format::Messages,
            Format::Chat,
            r#""messages":[{"role":"user","content":[{"type":"search_result","content":[{"type":"search_result","content":[{"type":"search_result","content":[{"type":"search_result","content":[{"type":"search_result","content":[{"type":"search_result","content":[{"type":"search_result","content":[{"type":"search_result","content":[{"type":"search_result","content":[{"type":"search_result","content":[{"type":"search_result","content":[]}]}]}]}]}]}]}]}]}]}]}]}]"#,
            "messages[0].content[0].content[0].content[0].content[0].content[0].content[0].content[0].content[0].content[0].content[0].content[0]",
        ),
    ] {
        check_refused(from, to, field, param);
    }
}

#[test]
fn a_forced_call_is_refused_by_models_that_always_think() {
    let field = r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required""#;
    assert_eq!(refused(Format::Chat, Format::Messages, field, "claude-opus-5-5").param, "tool_choice");
    for (model, effort) in [("claude-opus-4-6", "high"), ("claude-haiku-4-5", "high"), ("claude-opus-4-8", "none")] {
        let field = format!(r#"{field},"reasoning_effort":"{effort}""#);
        let out = value(Format::Chat, Format::Messages, &body(Format::Chat, &field), model);
        assert_eq!(out["tool_choice"]["type"], "any", "{model}");
    }
}

#[test]
fn fields_that_are_left_out_are_named() {
    let chat = Format::Chat;
    let responses = Format::Responses;
    let messages = Format::Messages;
    for (from, to, field, model, dropped) in [
        (chat, messages, r#""stop":["\n","END"]"#, "claude-opus-5", "stop"),
        (chat, messages, r#""stop":"END""#, "claude-opus-5", ""),
        (chat, messages, r#""seed":1,"presence_penalty":0.5"#, "claude-opus-5", "seed,presence_penalty"),
        (chat, messages, r#""temperature":0.5,"top_p":0.5,"top_k":3"#, "claude-opus-5", "temperature,top_p,top_k"),
        (chat, messages, r#""temperature":0.5,"top_p":0.5,"top_k":3"#, "claude-haiku-4-5", "top_p"),
        (chat, messages, r#""temperature":0.5,"top_p":0.5,"top_k":3"#, "claude-3-haiku", ""),
        (
            chat,
            messages,
            r#""user":"u","metadata":{"a":"b"},"store":true,"logprobs":false,"n":1,"temperature":1,"presence_penalty":0.0,"service_tier":"auto""#,
            "claude-opus-5",
            "user",
        ),
        (chat, messages, r#""service_tier":"priority","verbosity":"low""#, "claude-opus-5", "verbosity,service_tier"),
        (chat, responses, r#""temperature":0.5"#, "gpt-5.2", "temperature"),
        (chat, responses, r#""web_search_options":{}"#, "gpt-4.1", "web_search_options"),
        (messages, chat, r#""top_k":3,"speed":"fast""#, "qwen3", "speed,top_k"),
        (messages, chat, r#""output_config":{"effort":"high"}"#, "qwen3", "output_config.effort"),
        (messages, chat, r#""thinking":{"type":"disabled"}"#, "qwen3", ""),
        (
            messages,
            chat,
            r#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#,
            "qwen3",
            "context_management",
        ),
        (responses, chat, r#""text":{"verbosity":"low"},"truncation":"auto""#, "qwen3", "truncation,text.verbosity"),
        (responses, chat, r#""tools":[{"type":"web_search"}]"#, "qwen3", "tools[0]"),
        (
            responses,
            chat,
            r#""input":[{"type":"web_search_call","id":"x"},{"role":"user","content":"a"}]"#,
            "qwen3",
            "input[0]",
        ),
    ] {
        let out = translated(from, to, &body(from, field), model);
        assert_eq!(out.dropped.join(","), dropped, "{field} {model}");
    }
}

#[test]
fn fields_that_would_be_left_out_are_refused_on_request() {
    let options = TranslationOptions { dropped: DroppedFields::Refuse, ..options("claude-opus-5") };
    let error = translate(Format::Chat, Format::Messages, body(Format::Chat, r#""seed":1"#).as_bytes(), &options);
    assert_eq!(error.unwrap_err().param, "seed");
}

#[test]
fn one_json_object_is_requested_in_words_or_refused() {
    let body = body(Format::Chat, r#""response_format":{"type":"json_object"}"#);
    let out = value(Format::Chat, Format::Messages, &body, "claude-opus-5");
    assert!(out["system"][0]["text"].as_str().unwrap().contains("one JSON object"));
    assert_eq!(value(Format::Chat, Format::Responses, &body, "gpt-5.2")["text"]["format"]["type"], "json_object");
    let options = TranslationOptions { json_object: JsonObject::Refuse, ..options("claude-opus-5") };
    let error = translate(Format::Chat, Format::Messages, body.as_bytes(), &options).unwrap_err();
    assert_eq!(error.param, "response_format.type");
}

#[test]
fn a_choice_among_tools_is_kept_or_only_they_are_sent() {
    let field = r#""tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}],
        "tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"g"}]}"#;
    let body = body(Format::Responses, field);
    let out = value(Format::Responses, Format::Messages, &body, "claude-opus-4-8");
    assert_eq!((out["tools"].as_array().unwrap().len(), &out["tool_choice"]["type"]), (1, &"any".into()));
    let out = value(Format::Responses, Format::Chat, &body, "qwen3");
    assert_eq!((out["tools"].as_array().unwrap().len(), &out["tool_choice"]), (1, &"required".into()));
    let out = value(Format::Responses, Format::Chat, &body, "gpt-5.2");
    assert_eq!(
        (out["tools"].as_array().unwrap().len(), &out["tool_choice"]["allowed_tools"]["mode"]),
        (2, &"required".into())
    );
}
