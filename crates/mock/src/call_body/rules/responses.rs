//! Rules of Responses.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fields::{BrokenRule, list, text};

const CALLS: [&str; 2] = ["function_call", "custom_tool_call"];
const RESULTS: [&str; 2] = ["function_call_output", "custom_tool_call_output"];

pub(super) fn check(body: &Value) -> Result<(), BrokenRule> {
    // The rest of the conversation is at the provider.
    if ["previous_response_id", "conversation"].iter().any(|name| body.get(name).is_some_and(|value| !value.is_null()))
    {
        return Ok(());
    }
    let items = list(body, "input");
    if items.iter().any(|item| text(item, "type") == Some("item_reference")) {
        return Ok(());
    }
    let of_kinds = |kinds: [&str; 2]| {
        let is_one = move |item: &&Value| text(item, "type").is_some_and(|kind| kinds.contains(&kind));
        let items = items.iter().filter(is_one);
        items.filter_map(|item| text(item, "call_id")).collect::<BTreeSet<&str>>()
    };
    let calls = of_kinds(CALLS);
    let results = of_kinds(RESULTS);
    if let Some(id) = results.difference(&calls).next() {
        return Err(BrokenRule::new(
            "input",
            format!("No tool call found for function call output with call_id {id}."),
        ));
    }
    match calls.difference(&results).next() {
        Some(id) => Err(BrokenRule::new("input", format!("No tool output found for function call {id}."))),
        None => Ok(()),
    }
}
