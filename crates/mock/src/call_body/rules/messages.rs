//! Rules of Anthropic's Messages.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fields::{BrokenRule, list, text};

const CACHE_MARKS_MAX: usize = 4;
const THINKING_TOKENS_MIN: u64 = 1_024;

/// The model in whose name Vertex AI counts tokens, which needs no limit.
const COUNTER: &str = "count-tokens";

pub(super) fn check(model: &str, body: &Value) -> Result<(), BrokenRule> {
    // The rest of the conversation is at the provider.
    if body.get("thread").is_some_and(|thread| !thread.is_null()) {
        return Ok(());
    }
    if model != COUNTER {
        thinking(body, limit(body)?)?;
    }
    tools(body)?;
    let marks = marks(body);
    if marks > CACHE_MARKS_MAX {
        let message = format!("A maximum of 4 blocks with cache_control may be provided. Found {marks}.");
        return Err(BrokenRule::new("cache_control", message));
    }
    for (at, message) in list(body, "messages").iter().enumerate() {
        role(at, message)?;
        for (nth, block) in list(message, "content").iter().enumerate() {
            content(&format!("messages.{at}.content.{nth}"), block)?;
        }
    }
    results(body)
}

/// Returns `max_tokens`, which is required.
fn limit(body: &Value) -> Result<u64, BrokenRule> {
    match body.get("max_tokens") {
        None | Some(Value::Null) => Err(BrokenRule::new("max_tokens", "max_tokens: Field required")),
        Some(limit) => limit
            .as_u64()
            .filter(|limit| *limit > 0)
            .ok_or_else(|| BrokenRule::new("max_tokens", "max_tokens: Input should be greater than or equal to 1")),
    }
}

fn thinking(body: &Value, max_tokens: u64) -> Result<(), BrokenRule> {
    let Some(thinking) = body.get("thinking").filter(|thinking| text(thinking, "type") == Some("enabled")) else {
        return Ok(());
    };
    let budget = thinking.get("budget_tokens").and_then(Value::as_u64).unwrap_or(0);
    if budget < THINKING_TOKENS_MIN {
        let message = "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024";
        return Err(BrokenRule::new("thinking", message));
    }
    if budget >= max_tokens {
        return Err(BrokenRule::new("max_tokens", "`max_tokens` must be greater than `thinking.budget_tokens`."));
    }
    let is_forced = body
        .get("tool_choice")
        .and_then(|choice| text(choice, "type"))
        .is_some_and(|kind| kind == "any" || kind == "tool");
    if is_forced {
        return Err(BrokenRule::new("tool_choice", "Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(())
}

fn tools(body: &Value) -> Result<(), BrokenRule> {
    let mut known = BTreeSet::new();
    for (at, tool) in list(body, "tools").iter().enumerate() {
        let Some(name) = text(tool, "name") else { continue };
        if !known.insert(name) {
            return Err(BrokenRule::new("tools", "tools: Tool names must be unique."));
        }
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.is_empty() || name.len() > 128 || !name.bytes().all(is_valid) {
            let message = format!("tools.{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'");
            return Err(BrokenRule::new("tools", message));
        }
    }
    Ok(())
}

/// Returns the number of marks for the cache.
fn marks(value: &Value) -> usize {
    match value {
        Value::Object(fields) => {
            let own = usize::from(fields.get("cache_control").is_some_and(|mark| !mark.is_null()));
            // Inputs and schemas of tools may have any field.
            let inside =
                fields.iter().filter(|(name, _)| !["input", "input_schema", "metadata"].contains(&name.as_str()));
            own + inside.map(|(_, value)| marks(value)).sum::<usize>()
        }
        Value::Array(values) => values.iter().map(marks).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn role(at: usize, message: &Value) -> Result<(), BrokenRule> {
    let role = text(message, "role").unwrap_or_default();
    match role {
        "user" => Ok(()),
        // Some models take a system turn behind a user's.
        "assistant" | "system" if at > 0 => Ok(()),
        "assistant" => Err(BrokenRule::new("messages", "messages: first message must use the \"user\" role")),
        "system" => Err(BrokenRule::new(
            "messages",
            "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \"system\" as an \
             input message role.",
        )),
        _ => Err(BrokenRule::new("messages", format!("messages.{at}.role: Input should be 'user' or 'assistant'"))),
    }
}

fn content(place: &str, block: &Value) -> Result<(), BrokenRule> {
    match text(block, "type") {
        Some("text") if text(block, "text").is_none_or(str::is_empty) => {
            Err(BrokenRule::new("messages", format!("{place}: text content blocks must be non-empty")))
        }
        Some("thinking") if text(block, "signature").is_none_or(str::is_empty) => {
            Err(BrokenRule::new("messages", format!("{place}.thinking.signature: Field required")))
        }
        Some("tool_use") if !block.get("input").is_some_and(Value::is_object) => {
            Err(BrokenRule::new("messages", format!("{place}.tool_use.input: Input should be a valid dictionary")))
        }
        _ => Ok(()),
    }
}

/// Checks that each call has its result in the next turn, and each result its call in the turn before. Turns of one role are one
/// turn.
fn results(body: &Value) -> Result<(), BrokenRule> {
    let mut turns: Vec<(&str, usize, Vec<&Value>)> = Vec::new();
    for (at, message) in list(body, "messages").iter().enumerate() {
        let role = text(message, "role").unwrap_or_default();
        let blocks = list(message, "content").iter();
        match turns.last_mut() {
            _ if role == "system" => {}
            Some((last, _, all)) if *last == role => all.extend(blocks),
            _ => turns.push((role, at, blocks.collect())),
        }
    }
    let ids = |blocks: &[&'_ Value], kind: &str, name: &str| -> BTreeSet<String> {
        let of_kind = blocks.iter().filter(|block| text(block, "type") == Some(kind));
        of_kind.filter_map(|block| text(block, name)).map(str::to_owned).collect()
    };
    let mut called = BTreeSet::new();
    for (_, at, blocks) in turns {
        let results = ids(&blocks, "tool_result", "tool_use_id");
        if let Some(id) = called.difference(&results).next() {
            let message = format!(
                "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}."
            );
            return Err(BrokenRule::new("messages", message));
        }
        if let Some(id) = results.difference(&called).next() {
            let message = format!("messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}.");
            return Err(BrokenRule::new("messages", message));
        }
        called = ids(&blocks, "tool_use", "id");
    }
    Ok(())
}
