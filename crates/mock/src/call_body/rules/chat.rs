//! Rules of Chat Completions.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fields::{BrokenRule, list, stops, text};

const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];
const STOPS_MAX: usize = 4;

pub(super) fn check(body: &Value) -> Result<(), BrokenRule> {
    stops(body, "stop", STOPS_MAX)?;
    if body.get("stream_options").is_some_and(|options| !options.is_null())
        && body.get("stream") != Some(&Value::Bool(true))
    {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(BrokenRule::new("stream_options", message));
    }
    let mut unanswered: BTreeSet<&str> = BTreeSet::new();
    for (at, message) in list(body, "messages").iter().enumerate() {
        let role = text(message, "role").unwrap_or_default();
        if !ROLES.contains(&role) {
            let known = ROLES.map(|role| format!("'{role}'")).join(", ");
            let message = format!("Invalid value: '{role}'. Supported values are: {known}.");
            return Err(BrokenRule::new(format!("messages[{at}].role"), message));
        }
        if role == "tool" {
            let id = text(message, "tool_call_id").unwrap_or_default();
            if !unanswered.remove(id) {
                let message = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.";
                return Err(BrokenRule::new(format!("messages.[{at}].role"), message));
            }
            continue;
        }
        all_answered(&unanswered)?;
        unanswered = list(message, "tool_calls").iter().filter_map(|call| text(call, "id")).collect();
    }
    all_answered(&unanswered)
}

fn all_answered(unanswered: &BTreeSet<&str>) -> Result<(), BrokenRule> {
    if unanswered.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = unanswered.iter().copied().collect();
    let message = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
                   The following tool_call_ids did not have response messages";
    Err(BrokenRule::new("messages", format!("{message}: {}", ids.join(", "))))
}
