//! Calls of Gemini, whose body has no model and no stream.

use super::*;

fn gemini(from: Format, body: &str, model: &str) -> serde_json::Value {
    value(from, Format::GenerateContent, body, model)
}

#[test]
fn claude_code_and_codex_are_translated_whole() {
    let codex = CODEX.replace("https://example.com/a.png", "data:image/png;base64,BBBB");
    for (name, from, body, model) in [
        ("claude_code_to_gemini", Format::Messages, CLAUDE_CODE, "gemini-3.8-flash"),
        ("codex_to_gemini", Format::Responses, &codex, "gemini-2.5-pro"),
    ] {
        let out = translated(from, Format::GenerateContent, body, model);
        assert!(out.context.streamed);
        insta::assert_snapshot!(name, format!("{}\n\ndropped: {}", lines(&out.body), out.dropped.join(", ")));
    }
}

#[test]
fn thinking_is_a_level_or_a_budget() {
    for (effort, model, sent) in [
        ("none", "gemini-3.5-flash", r#"{"thinkingLevel":"MINIMAL"}"#),
        ("none", "gemini-3.8-flash", r#"{"thinkingLevel":"LOW"}"#),
        ("none", "gemini-3-pro-preview", r#"{"thinkingLevel":"LOW"}"#),
        ("none", "gemini-3.1-pro-preview", r#"{"thinkingLevel":"LOW"}"#),
        ("max", "gemini-4-argon", r#"{"thinkingLevel":"HIGH"}"#),
        ("none", "gemini-2.5-flash", r#"{"thinkingBudget":0}"#),
        ("none", "gemini-2.5-pro", r#"{"thinkingBudget":1024}"#),
        ("high", "gemini-2.5-pro", r#"{"thinkingBudget":4096}"#),
        ("high", "gemini-2.0-flash", "null"),
    ] {
        let body =
            format!(r#"{{"model":"m","reasoning_effort":"{effort}","messages":[{{"role":"user","content":"a"}}]}}"#);
        let out = gemini(Format::Chat, &body, model);
        assert_eq!(out["generationConfig"]["thinkingConfig"].to_string(), sent, "{effort} {model}");
    }
}

#[test]
fn penalties_are_sent_only_to_models_that_take_them() {
    let body =
        r#"{"model":"m","presence_penalty":0.5,"frequency_penalty":0,"messages":[{"role":"user","content":"a"}]}"#;
    let out = translated(Format::Chat, Format::GenerateContent, body, "gemini-3.5-flash");
    assert!(!String::from_utf8_lossy(&out.body).contains("Penalty"));
    assert_eq!(out.dropped, ["presence_penalty"]);
    assert_eq!(gemini(Format::Chat, body, "gemini-2.0-flash")["generationConfig"]["presencePenalty"], 0.5);
}

#[test]
fn json_beside_tools_is_refused_before_gemini_3() {
    let body = |choice: &str| {
        format!(
            r#"{{"model":"m","input":"a","tools":[{{"type":"function","name":"f"}}],"tool_choice":"{choice}",
            "text":{{"format":{{"type":"json_schema","name":"n","schema":{{"type":"object"}}}}}}}}"#
        )
    };
    let translate = |choice: &str, model: &str| {
        translate(Format::Responses, Format::GenerateContent, body(choice).as_bytes(), &options(model))
    };
    assert_eq!(translate("auto", "gemini-2.5-flash").unwrap_err().param, "text.format");
    assert!(translate("none", "gemini-2.5-flash").is_ok() && translate("auto", "gemini-3.5-flash").is_ok());
}

#[test]
fn a_choice_of_tools_has_a_mode() {
    for (choice, sent) in [
        (r#""auto""#, r#"{"mode":"AUTO"}"#),
        (r#""none""#, r#"{"mode":"NONE"}"#),
        (r#""required""#, r#"{"mode":"ANY"}"#),
        (r#"{"type":"function","name":"f"}"#, r#"{"allowedFunctionNames":["f"],"mode":"ANY"}"#),
        (
            r#"{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]}"#,
            r#"{"allowedFunctionNames":["f"],"mode":"VALIDATED"}"#,
        ),
    ] {
        let body = format!(
            r#"{{"model":"m","input":"a","tools":[{{"type":"function","name":"f"}},{{"type":"function","name":"g"}}],"tool_choice":{choice}}}"#
        );
        let out = gemini(Format::Responses, &body, "gemini-3.5-flash");
        assert_eq!(out["toolConfig"]["functionCallingConfig"].to_string(), sent);
    }
}

#[test]
fn signatures_go_back_and_a_lost_one_has_a_placeholder() {
    let state = capsule("gemini-3.5-flash", Format::GenerateContent, &[r#"{"call_id":"a","thoughtSignature":"sig"}"#]);
    let body = |state: &str| {
        format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":[
            {{"type":"redacted_thinking","data":"{state}"}},{{"type":"tool_use","id":"a","name":"f","input":{{}}}},
            {{"type":"tool_use","id":"b","name":"f","input":{{}}}}]}},{{"role":"user","content":[
            {{"type":"tool_result","tool_use_id":"a","content":"1"}},{{"type":"tool_result","tool_use_id":"b","content":"2","is_error":true}}]}}],
            "tools":[{{"name":"f","input_schema":{{"type":"object"}}}}]}}"#
        )
    };
    let parts =
        |state: &str, model: &str| gemini(Format::Messages, &body(state), model)["contents"][1]["parts"].clone();
    let own = parts(&state, "gemini-3.5-flash");
    assert_eq!((&own[0]["thoughtSignature"], &own[1]["thoughtSignature"]), (&"sig".into(), &serde_json::Value::Null));
    assert_eq!(parts("x", "gemini-3.5-flash")[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(parts(&state, "gemini-2.5-flash")[0]["thoughtSignature"], serde_json::Value::Null);
    let results = &gemini(Format::Messages, &body(&state), "gemini-3.5-flash")["contents"][2]["parts"];
    assert_eq!(results[0]["functionResponse"]["response"]["output"], "1");
    assert_eq!(results[1]["functionResponse"]["response"]["error"], "2");
    assert_eq!(results[1]["functionResponse"]["name"], "f");
}

#[test]
fn sound_and_json_have_their_fields() {
    let body = r#"{"model":"m","temperature":0.5,"response_format":{"type":"json_object"},"messages":[{"role":"user",
        "content":[{"type":"input_audio","input_audio":{"format":"wav","data":"AA=="}}]}]}"#;
    let out = gemini(Format::Chat, body, "gemini-3.5-flash");
    assert_eq!(out["contents"][0]["parts"][0]["inlineData"]["mimeType"], "audio/wav");
    assert_eq!(out["generationConfig"]["responseMimeType"], "application/json");
    assert_eq!(out["generationConfig"]["temperature"], 0.5);
    let dropped = translated(Format::Chat, Format::GenerateContent, body, "gemini-3.8-flash").dropped;
    assert_eq!(dropped, ["temperature"]);
}
