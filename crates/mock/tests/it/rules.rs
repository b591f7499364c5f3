//! Calls that break a rule of the real provider, and calls that keep it.

use serde_json::{Value, json};

use crate::wire::{CHAT, MESSAGES, RESPONSES, RunningMock, quick, start};

const GENERATE: &str = "/v1beta/models/mock:generateContent";

/// Checks the part of the error's message; `None` if the call is served.
async fn check(mock: &RunningMock, path: &str, body: &Value, expected: Option<&str>) {
    let reply = mock.post(path, &body.to_string()).await;
    match expected {
        None => assert_eq!(reply.status, 200, "{body} {}", reply.body()),
        Some(part) => {
            assert_eq!(reply.status, 400, "{body}");
            let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(part), "{body}: {message}");
        }
    }
}

/// Returns a call of Messages with these fields beside the usual ones.
fn message(more: &Value, turns: &Value) -> Value {
    let mut body = json!({"model": "mock", "max_tokens": 2_000, "messages": turns});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn messages_keep_the_rules_of_anthropic() {
    let mock = start(quick()).await;
    let user = json!([{"role": "user", "content": "a"}]);
    let marked = json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}});
    for (more, expected) in [
        (json!({}), None),
        (json!({"max_tokens": null}), Some("max_tokens: Field required")),
        (json!({"max_tokens": null, "model": "count-tokens"}), None),
        (json!({"max_tokens": null, "thread": {"id": "thread_a"}}), None),
        (json!({"max_tokens": 0}), Some("greater than or equal to 1")),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 1_024}}), None),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 100}}), Some("greater than or equal to 1024")),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 2_000}}), Some("`max_tokens` must be greater")),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1_024}, "tool_choice": {"type": "any"}}),
            Some("forces tool use"),
        ),
        (
            json!({"tools": [{"name": "f", "input_schema": {}}, {"name": "f", "input_schema": {}}]}),
            Some("must be unique"),
        ),
        (json!({"tools": [{"name": "a b", "input_schema": {}}]}), Some("should match pattern")),
        (json!({"system": [marked, marked, marked, marked]}), None),
        (json!({"system": [marked, marked, marked, marked], "cache_control": {"type": "ephemeral"}}), Some("Found 5")),
    ] {
        check(&mock, MESSAGES, &message(&more, &user), expected).await;
    }
    let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]});
    let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]});
    let thinking = json!({"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": ""}]});
    let empty = json!({"role": "user", "content": [{"type": "text", "text": ""}]});
    let user = &user[0];
    for (turns, expected) in [
        (json!([user, call, result]), None),
        (json!([user, call, user]), Some("without `tool_result` blocks")),
        (json!([user, user, result]), Some("unexpected `tool_use_id`")),
        (json!([user, thinking]), Some("signature: Field required")),
        (json!([empty]), Some("must be non-empty")),
        (json!([{"role": "assistant", "content": "a"}]), Some("first message must use")),
        (json!([{"role": "system", "content": "a"}]), Some("Unexpected role")),
        (json!([user, {"role": "system", "content": "a"}]), None),
        (json!([user, {"role": "tool", "content": "a"}]), Some("messages.1.role")),
    ] {
        check(&mock, MESSAGES, &message(&json!({}), &turns), expected).await;
    }
}

#[tokio::test]
async fn chat_completions_and_responses_keep_the_rules_of_openai() {
    let mock = start(quick()).await;
    let user = json!({"role": "user", "content": "a"});
    let call = json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let result = json!({"role": "tool", "tool_call_id": "c", "content": "x"});
    for (turns, expected) in [
        (json!([user, call, result]), None),
        (json!([user, call, user]), Some("must be followed by tool messages")),
        (json!([user, call]), Some("must be followed by tool messages")),
        (json!([user, result]), Some("must be a response to a preceeding message")),
        (json!([{"role": "model", "content": "a"}]), Some("Invalid value: 'model'")),
    ] {
        check(&mock, CHAT, &json!({"model": "mock", "messages": turns}), expected).await;
    }
    for (more, expected) in [
        (json!({"stop": ["a", "b", "c", "d"]}), None),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), Some("maximum length 4")),
        (json!({"stream_options": {"include_usage": true}}), Some("only allowed when 'stream' is enabled")),
    ] {
        let mut body = json!({"model": "mock", "messages": [user]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        check(&mock, CHAT, &body, expected).await;
    }
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let result = json!({"type": "function_call_output", "call_id": "c", "output": "x"});
    for (items, expected) in [
        (json!([call, result]), None),
        (json!([call]), Some("No tool output found")),
        (json!([result]), Some("No tool call found")),
        (json!([{"type": "item_reference", "id": "fc_1"}, result]), None),
    ] {
        check(&mock, RESPONSES, &json!({"model": "mock", "input": items}), expected).await;
    }
}

#[tokio::test]
async fn gemini_pairs_calls_and_results() {
    let mock = start(quick()).await;
    let user = json!({"role": "user", "parts": [{"text": "a"}]});
    let call = json!({"functionCall": {"name": "f", "args": {}}});
    let result = json!({"functionResponse": {"name": "f", "response": {}}});
    let model = |parts: Value| json!({"role": "model", "parts": parts});
    let answer = |parts: Value| json!({"role": "user", "parts": parts});
    for (contents, expected) in [
        (json!([user, model(json!([call])), answer(json!([result]))]), None),
        (json!([user, model(json!([call, call])), answer(json!([result]))]), Some("number of function response parts")),
        (json!([user, model(json!([call])), user]), Some("immediately after a function call turn")),
        (json!([user, answer(json!([result]))]), Some("number of function response parts")),
        (json!([{"role": "assistant", "parts": [{"text": "a"}]}]), Some("valid role")),
    ] {
        check(&mock, GENERATE, &json!({"contents": contents}), expected).await;
    }
    let stops = |count: usize| json!({"contents": [user], "generationConfig": {"stopSequences": vec!["a"; count]}});
    check(&mock, GENERATE, &stops(5), None).await;
    check(&mock, GENERATE, &stops(6), Some("maximum length 5")).await;
}
