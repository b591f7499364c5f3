//! The places that a provider allows for the messages of each role.

use super::*;

/// The roles of the messages, and the text of each turn of the system.
fn turns(input: &str) -> String {
    let body = format!(r#"{{"model":"m","input":[{input}],"tools":[{{"type":"function","name":"f"}}]}}"#);
    let out = value(Format::Responses, Format::Messages, &body, "claude-opus-4-8");
    let turn = |message: &serde_json::Value| {
        let role = message["role"].as_str().unwrap();
        let texts: Vec<_> =
            message["content"].as_array().unwrap().iter().filter_map(|block| block["text"].as_str()).collect();
        if texts.is_empty() { role.to_owned() } else { format!("{role}: {}", texts.join("|").replace('\n', " ")) }
    };
    out["messages"].as_array().unwrap().iter().map(turn).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_turn_of_the_system_precedes_the_assistant_or_is_the_last() {
    let said = |role: &str, text: &str| format!(r#"{{"role":"{role}","content":"{text}"}}"#);
    let call = r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#.to_owned();
    let result = r#"{"type":"function_call_output","call_id":"c","output":"1"}"#.to_owned();
    let check = |items: &[String], expected: &str| assert_eq!(turns(&items.join(",")), expected);
    let user = |text: &str| said("user", text);
    let developer = |text: &str| said("developer", text);
    check(&[user("a"), developer("d")], "user: a, system: d");
    check(&[user("a"), developer("d"), said("assistant", "b"), user("c")], "user: a, system: d, assistant: b, user: c");
    check(&[user("a"), developer("d"), user("b")], "user: a|<system> d </system>|b");
    check(
        &[user("a"), call.clone(), result.clone(), developer("d"), user("b")],
        "user: a, assistant, user: <system> d </system>|b",
    );
    check(
        &[user("a"), call.clone(), result.clone(), developer("d"), developer("e")],
        "user: a, assistant, user, system: d|e",
    );
    check(
        &[user("a"), call, result, developer("d"), developer("e"), user("b")],
        "user: a, assistant, user: <system> d  e </system>|b",
    );
}

#[test]
fn a_call_of_the_system_alone_has_a_message_of_the_user() {
    let body = r#"{"model":"m","messages":[{"role":"system","content":"Say hi."}]}"#;
    let out = value(Format::Chat, Format::Responses, body, "gpt-5.2");
    assert_eq!((&out["input"][0]["role"], &out["instructions"]), (&"user".into(), &serde_json::Value::Null));
    assert_eq!(out["input"][0]["content"][0]["text"], "Say hi.");
}

#[test]
fn an_image_of_the_system_is_the_users() {
    let body = r#"{"model":"m","input":[{"role":"developer","content":[{"type":"input_text","text":"See:"},
        {"type":"input_image","image_url":"https://a/b.png"}]},{"role":"user","content":"a"}]}"#;
    let out = value(Format::Responses, Format::Messages, body, "claude-opus-4-8");
    assert_eq!((&out["system"][0]["text"], &out["messages"][0]["role"]), (&"See:".into(), &"user".into()));
    assert_eq!(out["messages"][0]["content"][0]["source"]["url"], "https://a/b.png");
}

#[test]
fn mistral_gets_no_message_of_the_user_directly_after_a_result() {
    let body = |beside: &str, id: &str| {
        format!(
            r#"{{"model":"m","max_tokens":99,"messages":[{{"role":"user","content":"a"}},
            {{"role":"assistant","content":[{{"type":"tool_use","id":"{id}","name":"f","input":{{}}}}]}},
            {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"{id}","content":"1"}}{beside}]}}],
            "tools":[{{"name":"f","input_schema":{{"type":"object"}}}}]}}"#
        )
    };
    let messages = |beside: &str, id: &str, model: &str| {
        value(Format::Messages, Format::Chat, &body(beside, id), model)["messages"].as_array().unwrap().clone()
    };
    let roles = |messages: &[serde_json::Value]| {
        messages.iter().map(|message| message["role"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let text = r#",{"type":"text","text":"<system-reminder>"}"#;
    let image = r#",{"type":"image","source":{"type":"url","url":"https://a"}}"#;
    let with_text = messages(text, "toolu_01AbcDefGhi", "mistral-large-latest");
    assert_eq!(
        (roles(&with_text), &with_text[2]["content"]),
        ("user assistant tool".into(), &"1\n\n<system-reminder>".into())
    );
    let id = with_text[2]["tool_call_id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(with_text[1]["tool_calls"][0]["id"], id);
    assert_eq!(messages(text, "AbcDefGhi", "devstral-2")[2]["tool_call_id"], "AbcDefGhi");
    assert_eq!(roles(&messages(image, "t", "mistralai/mistral-small")), "user assistant tool assistant user");
    assert_eq!(roles(&messages("", "t", "mistral-small")), "user assistant tool");
    let other = messages(text, "toolu_01AbcDefGhi", "qwen3");
    assert_eq!(
        (roles(&other), &other[2]["tool_call_id"]),
        ("user assistant tool user".into(), &"toolu_01AbcDefGhi".into())
    );
}

#[test]
fn reasoning_details_come_back_unchanged() {
    let detail = r#"{"type":"reasoning.encrypted", "data":"ENC==","id":"r1","index":0}"#;
    let items =
        vec![serde_json::value::RawValue::from_string(format!(r#"{{"reasoning_details":[{detail}]}}"#)).unwrap()];
    let TranslationOptions { kind, owner, .. } = options("gemini-like");
    let capsule =
        Capsule { kind, format: Format::Chat, model: "gemini-like".to_owned(), owner: owner.to_owned(), items };
    let call = format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"x"}},
        {{"role":"assistant","content":[{{"type":"thinking","thinking":"hm","signature":"{}"}},{{"type":"tool_use","id":"c1","name":"get","input":{{}}}}]}},
        {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"c1","content":"r"}}]}}],"tools":[{{"name":"get","input_schema":{{"type":"object"}}}}]}}"#,
        capsule.encode().unwrap()
    );
    let sent =
        String::from_utf8(translated(Format::Messages, Format::Chat, &call, "gemini-like").body.to_vec()).unwrap();
    assert!(
        sent.contains(&format!(r#""reasoning_details":[{detail}]"#)) && !sent.contains("reasoning_content"),
        "{sent}"
    );
}
