//! Calls that are translated for hosts of Claude other than Anthropic.

use serde_json::json;

use super::*;

const HOSTS: [ClaudeSurface; 3] = [ClaudeSurface::Vertex, ClaudeSurface::BedrockRuntime, ClaudeSurface::BedrockMantle];

/// Returns a Chat call as a Claude at `surface` gets it.
fn sent(surface: ClaudeSurface, call: &serde_json::Value) -> serde_json::Value {
    let options = TranslationOptions { surface, ..options("claude-opus-4-8") };
    let translated = translate(Format::Chat, Format::Messages, call.to_string().as_bytes(), &options).unwrap();
    serde_json::from_slice(&translated.body).unwrap()
}

#[test]
fn a_prompt_with_tools_is_marked_where_the_host_takes_a_mark() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}});
    let call =
        |messages: serde_json::Value| json!({"model": "m", "messages": messages, "tools": [tool("a"), tool("b")]});
    let mark = json!({"type": "ephemeral"});
    let system = json!({"role": "system", "content": "s"});
    let user = json!({"role": "user", "content": "x"});
    let with_system = call(json!([system, user]));
    assert_eq!(sent(ClaudeSurface::Anthropic, &with_system)["cache_control"], mark);
    for host in HOSTS {
        let body = sent(host, &with_system);
        assert!(body.get("cache_control").is_none(), "{host:?}");
        assert_eq!((&body["system"][0]["cache_control"], body["tools"][1].get("cache_control")), (&mark, None));
        let body = sent(host, &call(json!([user])));
        assert_eq!((body.get("cache_control"), &body["tools"][1]["cache_control"]), (None, &mark), "{host:?}");
        assert!(body["tools"][0].get("cache_control").is_none());
    }
}

#[test]
fn turns_of_the_system_are_those_of_the_user_at_hosts_without_them() {
    let call = json!({"model": "m", "messages": [
        {"role": "user", "content": "x"}, {"role": "system", "content": "agents"}, {"role": "assistant", "content": "y"},
        {"role": "user", "content": "z"},
    ]});
    assert_eq!(sent(ClaudeSurface::Anthropic, &call)["messages"][1]["role"], "system");
    for host in HOSTS {
        let body = sent(host, &call);
        assert_eq!(body["messages"][0]["content"][1]["text"], "<system>\nagents\n</system>", "{host:?} {body}");
    }
}
