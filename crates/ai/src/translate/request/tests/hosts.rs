//! What the hosts and models of one format accept, and others refuse.

use super::*;

fn refused(from: Format, to: Format, body: &str, model: &str) -> String {
    translate(from, to, body.as_bytes(), &options(model)).unwrap_err().param
}

#[test]
fn a_limit_below_openais_least_is_raised_to_it() {
    for (wanted, sent) in [(1, 16), (16, 16), (17, 17)] {
        let body = format!(r#"{{"model":"m","max_tokens":{wanted},"messages":[{{"role":"user","content":"quota"}}]}}"#);
        let out = value(Format::Messages, Format::Responses, &body, "gpt-5");
        assert_eq!(out["max_output_tokens"], sent);
        assert_eq!(value(Format::Messages, Format::Chat, &body, "qwen3")["max_tokens"], wanted);
    }
}

#[test]
fn openais_models_get_no_chat_that_they_refuse() {
    let messages = r#""messages":[{"role":"user","content":"a"}]"#;
    let body = format!(r#"{{"model":"m","max_tokens":9,"stop_sequences":["END"],{messages}}}"#);
    for (model, param) in
        [("gpt-5", "stop_sequences"), ("gpt-5.1-codex-max", "model"), ("gpt-5-pro-2025-10-06", "model")]
    {
        assert_eq!(refused(Format::Messages, Format::Chat, &body, model), param, "{model}");
    }
    for model in ["gpt-4.1", "gpt-oss-120b", "deepseek-v4-pro", "qwen3"] {
        assert_eq!(value(Format::Messages, Format::Chat, &body, model)["stop"][0], "END", "{model}");
    }
    let without = format!(r#"{{"model":"m","max_tokens":9,{messages}}}"#);
    assert_eq!(refused(Format::Messages, Format::Chat, &without, "gpt-5-codex"), "model");
    assert_eq!(value(Format::Messages, Format::Chat, &without, "gpt-5")["messages"][0]["content"], "a");
}

#[test]
fn openais_models_that_reason_get_no_tools_in_chat_since_gpt_5_4() {
    let body =
        |effort: &str| format!(r#"{{"model":"m","input":"a",{effort}"tools":[{{"type":"function","name":"f"}}]}}"#);
    let high = r#""reasoning":{"effort":"high"},"#;
    let none = r#""reasoning":{"effort":"none"},"#;
    for (model, effort, is_refused) in [
        ("gpt-5.2", high, false),
        ("gpt-5.4", "", false),
        ("gpt-5.4", none, false),
        ("gpt-5.4-mini", high, true),
        ("gpt-5.5", "", true),
        ("gpt-6-astra", none, true),
        ("gpt-4.1", "", false),
    ] {
        for host in ["eu.api.openai.com", "my.openai.azure.com", "vllm.internal"] {
            let options = TranslationOptions { host, ..options(model) };
            let result = translate(Format::Responses, Format::Chat, body(effort).as_bytes(), &options);
            let is_refused = is_refused && host != "vllm.internal";
            assert_eq!(result.is_err(), is_refused, "{model} {effort} {host}");
            if let Err(error) = result {
                assert!(error.param == "model" && error.message.contains("`formats: [responses, chat]`"), "{error}");
            }
        }
    }
    assert!(translate(Format::Responses, Format::Chat, br#"{"model":"m","input":"a"}"#, &options("gpt-5.5")).is_ok());
}

#[test]
fn marks_of_a_cache_are_breakpoints_of_models_that_obey_them() {
    let body = r#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],
        "messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]}"#;
    for (to, items) in [(Format::Chat, "messages"), (Format::Responses, "input")] {
        let out = value(Format::Messages, to, body, "gpt-6-sol");
        let ttl = |at: usize| &out[items][at]["content"][0]["prompt_cache_breakpoint"]["ttl"];
        assert_eq!((ttl(0), ttl(1)), (&"12h".into(), &"30m".into()), "{out}");
    }
    assert!(!value(Format::Messages, Format::Chat, body, "gpt-5.2").to_string().contains("breakpoint"));
}

#[test]
fn messages_of_the_assistant_have_the_phase_of_openais_models() {
    let body = r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"a"},
        {"role":"assistant","content":[{"type":"text","text":"Let me see."},{"type":"tool_use","id":"t","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"1"}]},
        {"role":"assistant","content":"Done."},{"role":"user","content":"b"}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}"#;
    let phases = |model: &str| {
        let out = value(Format::Messages, Format::Responses, body, model);
        let items = out["input"].as_array().unwrap().iter();
        items.filter_map(|item| item["phase"].as_str().map(ToOwned::to_owned)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(phases("gpt-5.3-codex"), "commentary final_answer");
    assert_eq!((phases("gpt-5.2"), phases("qwen3")), (String::new(), String::new()));
}

#[test]
fn chat_gets_the_words_for_details_and_messages_the_media_type_that_they_know() {
    let body = |detail: &str| {
        format!(
            r#"{{"model":"m","input":[{{"role":"user","content":[{{"type":"input_image",{detail}"image_url":"data:image/JPG;base64,AAAA"}}]}}]}}"#
        )
    };
    for (detail, sent) in [
        ("\"detail\":\"original\",", "\"high\""),
        ("\"detail\":\"low\",", "\"low\""),
        ("\"detail\":\"new\",", "null"),
        ("", "null"),
    ] {
        let out = value(Format::Responses, Format::Chat, &body(detail), "qwen3");
        assert_eq!(out["messages"][0]["content"][0]["image_url"]["detail"].to_string(), sent, "{detail}");
    }
    let out = value(Format::Responses, Format::Messages, &body(""), "claude-opus-4-8");
    assert_eq!(out["messages"][0]["content"][0]["source"]["media_type"], "image/jpeg");
}

#[test]
fn an_estimate_of_the_input_does_not_count_the_data_of_an_image_as_text() {
    let data = "A".repeat(100_000);
    let body = format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}]}}]}}"#
    );
    let bytes = translated(Format::Messages, Format::Chat, &body, "qwen3").context.input_bytes;
    assert!((6_000..7_000).contains(&bytes), "{bytes}");
}

#[test]
fn results_that_are_errors_say_so_where_the_format_has_no_field_for_it() {
    let body = |content: &str| {
        format!(
            r#"{{"model":"m","max_tokens":99,"messages":[{{"role":"user","content":"a"}},
            {{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"f","input":{{}}}}]}},
            {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","is_error":true,"content":{content}}}]}}],
            "tools":[{{"name":"f","input_schema":{{"type":"object"}}}}]}}"#
        )
    };
    for (content, sent) in [("\"r\"", "Error: r"), ("\"Error: r\"", "Error: r"), ("[]", "Error:")] {
        let out = value(Format::Messages, Format::Chat, &body(content), "qwen3");
        assert_eq!(out["messages"][2]["content"], sent);
        let out = value(Format::Messages, Format::Responses, &body(content), "gpt-5");
        assert_eq!(out["input"][2]["output"], sent);
    }
    let image = r#"[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]"#;
    let out = value(Format::Messages, Format::Responses, &body(image), "gpt-5");
    assert_eq!(out["input"][2]["output"][0]["text"], "Error:");
}

#[test]
fn neighbours_of_the_user_are_one_message_outside_openai() {
    let body = r#"{"model":"m","input":[{"role":"developer","content":"s"},{"role":"user","content":"a"},{"role":"user","content":"b"},
        {"role":"developer","content":"c"},{"role":"assistant","content":"d"},{"role":"developer","content":"e"},{"role":"user","content":"f"}]}"#;
    let roles = |model: &str| {
        let out = value(Format::Responses, Format::Chat, body, model);
        let messages = out["messages"].as_array().unwrap().clone();
        messages.iter().map(|message| message["role"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(roles("qwen3"), "system user assistant user");
    assert_eq!(roles("gpt-4.1"), "system user user system assistant system user");
    let out = value(Format::Responses, Format::Chat, body, "qwen3");
    assert_eq!(out["messages"][1]["content"], "a\n\nb\n\n<system>\nc\n</system>");
}

#[test]
fn a_tool_is_strict_only_where_anthropic_accepts_it() {
    let tool = |name: &str, keyword: &str| {
        format!(
            r#"{{"type":"function","function":{{"name":"{name}","strict":true,"parameters":{{"type":"object","properties":{{"a":{{"type":"integer"{keyword}}}}},"required":["a"],"additionalProperties":false}}}}}}"#
        )
    };
    let body = |tools: &[String]| {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"tools":[{}]}}"#, tools.join(","))
    };
    let out = translated(
        Format::Chat,
        Format::Messages,
        &body(&[tool("f", ",\"minimum\":1"), tool("g", "")]),
        "claude-opus-4-8",
    );
    assert_eq!(out.dropped, ["tools.strict"]);
    let sent: serde_json::Value = serde_json::from_slice(&out.body).unwrap();
    assert!(sent["tools"][0]["strict"].is_null() && sent["tools"][1]["strict"] == true, "{sent}");
    assert_eq!(sent["tools"][0]["input_schema"]["properties"]["a"]["minimum"], 1);
    let out = translated(Format::Chat, Format::Messages, &body(&[tool("g", "")]), "claude-sonnet-4-5");
    assert_eq!(out.dropped, ["tools.strict"], "it is not known whether the model has strict tools");

    let many: Vec<String> = (0..21).map(|number| tool(&format!("f{number}"), "")).collect();
    let sent = value(Format::Chat, Format::Messages, &body(&many), "claude-opus-4-8");
    let strict = sent["tools"].as_array().unwrap().iter().filter(|tool| tool["strict"] == true);
    assert_eq!(strict.count(), 20);
}

#[test]
fn a_tool_of_the_same_name_replaces_the_earlier_one_and_does_not_count() {
    let body = |names: &mut dyn Iterator<Item = usize>| {
        let tool = |(at, name)| format!(r#"{{"type":"function","name":"t{name}","description":"{at}"}}"#);
        let tools: Vec<String> = names.enumerate().map(tool).collect();
        let items = format!(r#"{{"type":"additional_tools","tools":[{}]}}"#, tools.join(","));
        format!(r#"{{"model":"m","input":[{items},{{"role":"user","content":"a"}}]}}"#)
    };
    let repeated = body(&mut (0..1_024).chain(std::iter::repeat_n(1_023, 20_000)));
    let out = value(Format::Responses, Format::Chat, &repeated, "qwen3");
    let tools = out["tools"].as_array().unwrap();
    let last = &tools[1_023]["function"];
    assert_eq!((tools.len(), &last["name"], &last["description"]), (1_024, &"t1023".into(), &"21023".into()));
    assert_eq!(refused(Format::Responses, Format::Chat, &body(&mut (0..1_025)), "qwen3"), "input[0].tools[1024]");
}
