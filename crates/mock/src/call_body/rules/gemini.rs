//! Rules of Gemini.

use serde_json::Value;

use super::fields::{BrokenRule, list, stops, text};

const STOPS_MAX: usize = 5;

pub(super) fn check(body: &Value) -> Result<(), BrokenRule> {
    if let Some(config) = body.get("generationConfig").or_else(|| body.get("generation_config")) {
        stops(config, "stopSequences", STOPS_MAX)?;
    }
    let mut calls = 0;
    for content in list(body, "contents") {
        let role = text(content, "role").unwrap_or("user");
        if !["user", "model", "function"].contains(&role) {
            return Err(BrokenRule::new("contents", "Please use a valid role: user, model."));
        }
        let results = count(content, ["functionResponse", "function_response"]);
        if results > 0 && results != calls {
            let message = "Please ensure that the number of function response parts is equal to the number of function call parts of \
                           the function call turn.";
            return Err(BrokenRule::new("contents", message));
        }
        if calls > 0 && results == 0 {
            let message = "Please ensure that function response turn comes immediately after a function call turn.";
            return Err(BrokenRule::new("contents", message));
        }
        calls = count(content, ["functionCall", "function_call"]);
    }
    Ok(())
}

/// Returns the number of parts with one of these names.
fn count(content: &Value, names: [&str; 2]) -> usize {
    list(content, "parts").iter().filter(|part| names.iter().any(|name| part.get(name).is_some())).count()
}
