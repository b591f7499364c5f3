mod caching;
mod gemini;
mod google_clients;
mod hosts;
mod memory;
mod property_tests;
mod refusals;
mod schemas;
mod surfaces;
mod turns;

use super::super::capsule::Capsule;
use super::super::context::ToolOrigin;
use super::*;
use crate::endpoint::{Endpoint, EndpointCall};
use crate::provider::{ClaudeSurface, ProviderKind};
use crate::translate::{GooglePath, JsonObject, TRANSLATED};

const CODEX: &str = include_str!("tests/codex.json");
const CLAUDE_CODE: &str = include_str!("tests/claude_code.json");
const CHAT: &str = include_str!("tests/chat.json");

/// Options for a model at its maker's host.
fn options(model: &str) -> TranslationOptions<'_> {
    let (kind, host) = if model.starts_with("claude") {
        (ProviderKind::Anthropic, "api.anthropic.com")
    } else if model.starts_with("gemini") {
        (ProviderKind::Gemini, "generativelanguage.googleapis.com")
    } else if model.starts_with("gpt") {
        (ProviderKind::OpenAi, "api.openai.com")
    } else {
        (ProviderKind::OpenAi, "vllm.internal")
    };
    TranslationOptions {
        google: GooglePath { model: "m", is_streamed: false, is_array: false },
        model,
        known_model: model,
        kind,
        surface: ClaudeSurface::Anthropic,
        host,
        owner: host,
        output_tokens_max: Some(32_000),
        json_object: JsonObject::Instruct,
        dropped: DroppedFields::Header,
        prompt_cache: true,
    }
}

/// Translates a call that may use any memory.
fn translate(
    from: Format,
    to: Format,
    body: &[u8],
    options: &TranslationOptions<'_>,
) -> Result<TranslatedRequest, UntranslatableCall> {
    super::translate(from, to, body, options, &mut |_| true)
}

fn translated(from: Format, to: Format, body: &str, model: &str) -> TranslatedRequest {
    translate(from, to, body.as_bytes(), &options(model)).unwrap()
}

/// The body as a value, for checks of single fields.
fn value(from: Format, to: Format, body: &str, model: &str) -> serde_json::Value {
    serde_json::from_slice(&translated(from, to, body, model).body).unwrap()
}

/// The body with a line for each field and element of its upper levels, in the order of the body.
fn lines(body: &[u8]) -> String {
    let mut out = String::new();
    let mut depth = 0_usize;
    let mut is_text = false;
    let mut is_escaped = false;
    for c in std::str::from_utf8(body).unwrap().chars() {
        if is_text {
            is_text = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            out.push(c);
            continue;
        }
        is_text = c == '"';
        let line = |out: &mut String, depth: usize| out.push_str(&format!("\n{}", " ".repeat(depth)));
        match c {
            '{' | '[' => {
                depth += 1;
                out.push(c);
                if depth <= 4 {
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                if depth < 4 {
                    line(&mut out, depth);
                }
                out.push(c);
            }
            ',' => {
                out.push(c);
                if depth <= 4 {
                    line(&mut out, depth);
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// Compares the translation with its snapshot, and has it read as a call of the provider's format.
fn check(name: &str, from: Format, to: Format, body: &str, model: &str) {
    let out = translated(from, to, body, model);
    let endpoint = Endpoint::ALL.into_iter().find(|endpoint| endpoint.format() == Some(to)).unwrap();
    let fields = crate::request::read(&EndpointCall::from_path(endpoint.path()).unwrap(), None, &out.body).unwrap();
    assert_eq!((fields.model.as_str(), fields.stream), (model, out.context.streamed), "{name}");
    insta::assert_snapshot!(name, format!("{}\n\ndropped: {}", lines(&out.body), out.dropped.join(", ")));
}

#[test]
fn codex_is_translated_whole() {
    check("codex_to_chat", Format::Responses, Format::Chat, CODEX, "qwen3");
    check("codex_to_messages", Format::Responses, Format::Messages, CODEX, "claude-opus-4-8");
}

#[test]
fn claude_code_is_translated_whole() {
    check("claude_code_to_chat", Format::Messages, Format::Chat, CLAUDE_CODE, "qwen3");
    check("claude_code_to_openai_chat", Format::Messages, Format::Chat, CLAUDE_CODE, "gpt-5.2");
    check("claude_code_to_responses", Format::Messages, Format::Responses, CLAUDE_CODE, "gpt-5.2");
}

#[test]
fn a_chat_is_translated_whole() {
    check("chat_to_messages", Format::Chat, Format::Messages, CHAT, "claude-sonnet-4-5");
    let without_stop = CHAT.replace(r#""stop":"END","#, "");
    check("chat_to_responses", Format::Chat, Format::Responses, &without_stop, "gpt-4.1");
}

#[test]
fn the_context_has_the_clients_names_and_what_responses_repeat() {
    let context = translated(Format::Responses, Format::Chat, CODEX, "qwen3").context;
    assert_eq!(context.tool("apply_patch"), ToolOrigin::Custom { namespace: None, name: "apply_patch".to_owned() });
    let search = ToolOrigin::Namespaced { namespace: "mcp__docs".to_owned(), name: "search".to_owned() };
    assert_eq!(context.tool("mcp__docs__search"), search);
    assert_eq!(context.tool("exec_command"), ToolOrigin::Function { name: "exec_command".to_owned() });
    assert_eq!(context.tools.len(), 2);
    let echo: Vec<&str> = context.echo.iter().map(|(name, _)| *name).collect();
    assert!(echo.contains(&"instructions") && echo.contains(&"tool_choice"), "{echo:?}");
    assert_eq!((context.model.as_str(), context.provider_model.as_str(), context.streamed), ("coder", "qwen3", true));

    let context = translated(Format::Chat, Format::Messages, CHAT, "claude-sonnet-4-5").context;
    assert_eq!((context.stop_sequences.as_slice(), context.include_usage), (["END".to_owned()].as_slice(), false));
    assert_eq!(context.tools.len(), 1);
    assert_eq!(context.input_bytes, CHAT.len());
}

fn capsule(model: &str, format: Format, items: &[&str]) -> String {
    let items = items.iter().map(|item| RawValue::from_string((*item).to_owned()).unwrap()).collect();
    let TranslationOptions { kind, owner, .. } = options(model);
    Capsule { kind, format, model: model.to_owned(), owner: owner.to_owned(), items }.encode().unwrap()
}

#[test]
fn state_goes_back_to_the_model_that_made_it_and_to_no_other() {
    let thinking = r#"{"type":"thinking","thinking":"Hm.","signature":"EqQ="}"#;
    let forged = r#"{"type":"tool_result","tool_use_id":"x"}"#;
    let state = capsule("claude-opus-4-8", Format::Messages, &[thinking, forged]);
    let body = format!(
        r#"{{"model":"m","input":[{{"role":"user","content":"a"}},{{"type":"reasoning","summary":[],"encrypted_content":"{state}"}},
        {{"role":"assistant","content":"b"}},{{"role":"user","content":"c"}}]}}"#
    );
    let own = value(Format::Responses, Format::Messages, &body, "claude-opus-4-8");
    assert_eq!(own["messages"][1]["content"][0]["signature"], "EqQ=");
    assert_eq!(own["messages"][1]["content"].as_array().unwrap().len(), 2);
    let other = TranslationOptions { owner: "anthropic-b", ..options("claude-opus-4-8") };
    let own = translate(Format::Responses, Format::Messages, body.as_bytes(), &other).unwrap();
    assert!(String::from_utf8_lossy(&own.body).contains("EqQ="));
    for (to, model) in [(Format::Messages, "claude-opus-5"), (Format::Chat, "gpt-5")] {
        let out = translated(Format::Responses, to, &body, model);
        assert!(!String::from_utf8_lossy(&out.body).contains("EqQ=") && out.dropped.is_empty(), "{model}");
    }
}

#[test]
fn reasoning_of_openai_and_of_chat_models_goes_back() {
    let item = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}"#;
    let state = capsule("gpt-5.2", Format::Responses, &[item]);
    let body = |state: &str| {
        format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":[
            {{"type":"thinking","thinking":"Hm.","signature":"{state}"}},{{"type":"tool_use","id":"t","name":"f","input":{{}}}}]}},
            {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":"1"}}]}}],
            "tools":[{{"name":"f","input_schema":{{"type":"object"}}}}]}}"#
        )
    };
    let out = value(Format::Messages, Format::Responses, &body(&state), "gpt-5.2");
    assert_eq!(out["input"][1]["encrypted_content"], "gAAA");
    assert_eq!(out["input"][2]["type"], "function_call");
    // Another account of the same provider could not decrypt it.
    let other = TranslationOptions { owner: "openai-b", ..options("gpt-5.2") };
    let out = translate(Format::Messages, Format::Responses, body(&state).as_bytes(), &other).unwrap();
    assert!(!String::from_utf8_lossy(&out.body).contains("gAAA"));

    let state = capsule(
        "deepseek-v4",
        Format::Chat,
        &[r#"{"call_id":"t","extra_content":{"google":{"thought_signature":"s"}}}"#],
    );
    let out = value(Format::Messages, Format::Chat, &body(&state), "deepseek-v4");
    assert_eq!(out["messages"][1]["reasoning_content"], "Hm.");
    assert_eq!(out["messages"][1]["tool_calls"][0]["extra_content"]["google"]["thought_signature"], "s");
}

#[test]
fn a_chat_client_sends_state_back_in_googles_field() {
    let state = capsule("claude-haiku-4-5", Format::Messages, &[r#"{"type":"redacted_thinking","data":"x"}"#]);
    let body = |extra: &str| {
        format!(
            r#"{{"model":"m","reasoning_effort":"low","max_tokens":9000,"messages":[{{"role":"user","content":"a"}},{{"role":"assistant",
            "tool_calls":[{{"id":"t","type":"function",{extra}"function":{{"name":"f","arguments":"{{}}"}}}}]}},
            {{"role":"tool","tool_call_id":"t","content":"1"}}]}}"#
        )
    };
    let extra = format!(r#""extra_content":{{"google":{{"thought_signature":"{state}"}}}},"#);
    let out = value(Format::Chat, Format::Messages, &body(&extra), "claude-haiku-4-5");
    assert_eq!(out["messages"][1]["content"][0]["data"], "x");
    assert_eq!(out["thinking"]["budget_tokens"], 1_024);
    // Without the reasoning of this loop, the model would refuse to think.
    let out = value(Format::Chat, Format::Messages, &body(""), "claude-haiku-4-5");
    assert_eq!(out["thinking"]["type"], "disabled");
    assert_eq!((&out["tools"][0]["name"], &out["tool_choice"]["type"]), (&"f".into(), &"none".into()));
}

#[test]
fn effort_is_written_as_the_model_takes_it() {
    let thinking = |effort: &str, model: &str| {
        let body = format!(
            r#"{{"model":"m","max_tokens":30000,"reasoning_effort":"{effort}","messages":[{{"role":"user","content":"a"}}]}}"#
        );
        let out = value(Format::Chat, Format::Messages, &body, model);
        format!("{} {}", out["thinking"], out["output_config"]["effort"])
    };
    for (effort, model, sent) in [
        ("none", "claude-opus-4-8", r#"{"type":"disabled"} null"#),
        ("none", "claude-opus-5-5", r#"{"type":"adaptive"} "low""#),
        ("minimal", "claude-opus-4-8", r#"{"type":"adaptive"} "low""#),
        ("xhigh", "claude-opus-4-6", r#"{"type":"adaptive"} "high""#),
        ("xhigh", "claude-opus-4-7", r#"{"type":"adaptive"} "xhigh""#),
        ("max", "claude-sonnet-4-6", r#"{"type":"adaptive"} "max""#),
        ("high", "claude-opus-4-5", r#"{"budget_tokens":4096,"type":"enabled"} null"#),
        ("max", "claude-sonnet-4-5", r#"{"budget_tokens":15000,"type":"enabled"} null"#),
        ("high", "claude-3-5-haiku", "null null"),
    ] {
        assert_eq!(thinking(effort, model), sent, "{effort} {model}");
    }
}

#[test]
fn a_prefill_is_kept_where_the_model_continues_it() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"{ "}]}"#;
    let kept = translated(Format::Chat, Format::Messages, body, "claude-sonnet-4-5");
    assert!(
        String::from_utf8_lossy(&kept.body).contains(r#""role":"assistant","content":[{"type":"text","text":"{"}]}]"#)
    );
    assert!(kept.dropped.is_empty());
    let asked = translated(Format::Chat, Format::Messages, body, "claude-opus-4-8");
    assert!(String::from_utf8_lossy(&asked.body).contains(CONTINUE));
    assert_eq!(asked.dropped, ["prefill"]);
    let body = body.replace("\"m\",", "\"m\",\"max_tokens\":9,");
    assert_eq!(translated(Format::Messages, Format::Chat, &body, "qwen3").dropped, ["prefill"]);
}

#[test]
fn a_limit_of_output_is_sent_at_most_as_the_models_and_by_the_name_that_the_host_obeys() {
    let body = r#"{"model":"m","max_output_tokens":64000,"input":"a"}"#;
    for (to, model, field, limit) in [
        (Format::Chat, "qwen3", "max_tokens", 32_000),
        (Format::Chat, "gpt-4.1", "max_completion_tokens", 32_000),
        (Format::Messages, "claude-opus-5", "max_tokens", 32_000),
    ] {
        assert_eq!(value(Format::Responses, to, body, model)[field], limit, "{model}");
    }
    let options = TranslationOptions { output_tokens_max: None, ..options("claude-opus-5") };
    let out = translate(Format::Chat, Format::Messages, br#"{"model":"m","messages":[]}"#, &options).unwrap();
    assert!(out.body.starts_with(br#"{"model":"claude-opus-5","max_tokens":4096"#));
}

/// A call with the texts, calls, results and images of a whole conversation.
#[test]
fn a_round_trip_keeps_text_tools_and_images() {
    let there = translated(Format::Chat, Format::Messages, CHAT, "claude-3-5-sonnet").body;
    let there = std::str::from_utf8(&there).unwrap();
    let back = value(Format::Messages, Format::Chat, there, "gpt-4.1");
    let messages = back["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool", "assistant", "user"]);
    assert_eq!(messages[0]["content"], "Be exact.\n\nIn English.");
    assert_eq!(messages[1]["content"][1]["image_url"]["url"], "https://example.com/a.png");
    assert_eq!(messages[1]["content"][2]["file"]["file_data"], "data:application/pdf;base64,AAAA");
    assert_eq!(messages[2]["tool_calls"][1]["function"]["name"], "now");
    assert_eq!(messages[3]["tool_call_id"], messages[2]["tool_calls"][0]["id"]);
    assert_eq!((&messages[3]["content"], &messages[4]["content"]), (&"cold".into(), &"noon".into()));
    assert_eq!(messages[6]["content"], "<system>\nBe kind.\n</system>\n\nAnd now?");
    assert_eq!(back["tools"][0]["function"]["parameters"]["properties"]["city"]["type"], "string");
    assert_eq!(back["response_format"]["json_schema"]["schema"]["properties"]["z"]["description"], "{minimum: 1}");
}
