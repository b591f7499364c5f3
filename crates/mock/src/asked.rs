//! What the mock reads of a request's body. Lenient on purpose: what it does not know, it does not look at.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::behaviour::Behaviour;

/// The body's top level.
#[derive(Deserialize)]
pub(crate) struct Asked<'a> {
    #[serde(borrow)]
    pub(crate) model: Cow<'a, str>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

impl<'a> Asked<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// The model's name without the provider's prefix.
    pub(crate) fn name(&self) -> &str {
        self.model.strip_prefix("mock/").unwrap_or(&self.model)
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        Behaviour::of(self.name())
    }

    pub(crate) fn streamed(&self) -> bool {
        self.stream == Some(true)
    }

    pub(crate) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true))
    }

    /// The text of the last user message; empty where there is none.
    pub(crate) fn last_user_text(&self) -> String {
        match self.turns() {
            Value::String(text) => text,
            Value::Array(turns) => {
                let last = turns.iter().rev().find(|turn| field(turn, "role") == Some("user"));
                last.and_then(|turn| turn.get("content")).map(text_of).unwrap_or_default()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
        }
    }

    /// Whether the conversation ends with a tool's result, in any of the three formats.
    pub(crate) fn ends_with_tool_result(&self) -> bool {
        let turns = self.turns();
        let Some(last) = turns.as_array().and_then(|turns| turns.last()) else { return false };
        let parts = last.get("content").and_then(Value::as_array);
        field(last, "role") == Some("tool")
            || field(last, "type") == Some("function_call_output")
            || parts.is_some_and(|parts| parts.iter().any(|part| field(part, "type") == Some("tool_result")))
    }

    /// The name of the first function among the tools.
    pub(crate) fn first_tool(&self) -> Option<String> {
        let tools: Vec<Value> = serde_json::from_str(self.tools?.get()).ok()?;
        let name = |tool: &Value| field(tool.get("function").unwrap_or(tool), "name").map(str::to_owned);
        tools.iter().find_map(name)
    }

    fn turns(&self) -> Value {
        self.messages.or(self.input).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }
}

fn field<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn text_of(content: &Value) -> String {
    match content.as_array() {
        Some(parts) => parts.iter().filter_map(|part| field(part, "text")).collect(),
        None => content.as_str().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_user_text_is_found_in_every_shape() {
        let check = |body: &str, text: &str| assert_eq!(Asked::read(body.as_bytes()).unwrap().last_user_text(), text);
        check(r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":"b\n"}]}"#, "b\n");
        check(r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"é"}]}]}"#, "é");
        check(r#"{"model":"m","input":"plain"}"#, "plain");
        check(r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"x"}]}]}"#, "x");
        check(r#"{"model":"m","messages":[{"role":"system","content":"a"}]}"#, "");
        check(r#"{"model":"m"}"#, "");
    }

    #[test]
    fn first_tool_and_tool_results_are_found_in_every_shape() {
        let check = |body: &str, tool: Option<&str>, result: bool| {
            let asked = Asked::read(body.as_bytes()).unwrap();
            assert_eq!(asked.first_tool().as_deref(), tool, "{body}");
            assert_eq!(asked.ends_with_tool_result(), result, "{body}");
        };
        check(r#"{"model":"m","tools":[{"type":"function","function":{"name":"f"}}]}"#, Some("f"), false);
        check(r#"{"model":"m","tools":[{"type":"web_search"},{"type":"function","name":"g"}]}"#, Some("g"), false);
        check(r#"{"model":"m","messages":[{"role":"tool","content":"1"}]}"#, None, true);
        check(r#"{"model":"m","input":[{"type":"function_call_output","output":"1"}]}"#, None, true);
        check(r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result"}]}]}"#, None, true);
    }

    #[test]
    fn prefix_of_the_provider_is_no_part_of_the_name() {
        for body in [r#"{"model":"slow"}"#, r#"{"model":"mock/slow"}"#] {
            let asked = Asked::read(body.as_bytes()).unwrap();
            assert_eq!((asked.name(), asked.behaviour()), ("slow", Behaviour::Slow));
        }
    }

    #[test]
    fn body_without_model_is_refused() {
        assert!(Asked::read(b"{}").is_err());
        assert!(Asked::read(b"{\"model\":").is_err());
    }
}
