//! The response object of the Responses API.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::translate::object_writer::{ObjectWriter, list};
use crate::translate::response::encode::identity::Identity;

/// Fields that the schemas of OpenAI or Open Responses require (read 2026-11-30), or that responses always have, with the value
/// for a request without them. Tollgate stores no response.
const DEFAULTS: [(&str, &str); 26] = [
    ("background", "false"),
    ("completed_at", "null"),
    ("error", "null"),
    ("frequency_penalty", "0"),
    ("incomplete_details", "null"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("presence_penalty", "0"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", "\"default\""),
    ("store", "false"),
    ("temperature", "1"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
    ("access_programs", "null"),
];
/// Members that the schemas require of a tool, of `reasoning` and of `text`, which clients may leave out.
const OF_TOOL: [(&str, &str); 3] = [("description", "null"), ("parameters", "null"), ("strict", "null")];
const OF_REASONING: [(&str, &str); 2] = [("effort", "null"), ("summary", "null")];
const OF_TEXT: [(&str, &str); 1] = [("format", r#"{"type":"text"}"#)];

/// The fields of a response that do not change.
#[derive(Debug, Clone)]
pub(in crate::translate::response::encode) struct ResponseObject {
    head: String,
    tail: Vec<(String, String)>,
    usage: Option<String>,
}

impl ResponseObject {
    /// Creates the object of a response by `model`, which repeats fields of the request.
    pub(in crate::translate::response::encode) fn new(
        identity: &Identity,
        model: &str,
        echo: &[(&'static str, Box<RawValue>)],
    ) -> Self {
        let head = ObjectWriter::new().with("id", &identity.response("resp_")).with("object", "response");
        let head = head.with("created_at", &identity.created).with("model", model).end();
        let head = head.strip_suffix('}').unwrap_or(&head).to_owned();
        const OWN: [&str; 10] = [
            "error",
            "incomplete_details",
            "id",
            "object",
            "created_at",
            "completed_at",
            "model",
            "status",
            "output",
            "usage",
        ];
        let echo = echo.iter().filter(|(key, value)| !OWN.contains(key) && value.get() != "null");
        // A line feed would end the line of an event.
        let echo = echo.map(|(key, value)| ((*key).to_owned(), whole(key, value.get()).replace(['\n', '\r'], " ")));
        let mut tail: Vec<(String, String)> = echo.collect();
        for (key, value) in DEFAULTS {
            if !tail.iter().any(|(present, _)| present == key) {
                tail.push((key.to_owned(), value.to_owned()));
            }
        }
        Self { head, tail, usage: None }
    }

    /// Sets the time of the end, in seconds since 1970.
    pub(super) fn completed(mut self, unix_seconds: u64) -> Self {
        for (key, value) in &mut self.tail {
            if key == "completed_at" {
                *value = unix_seconds.to_string();
            }
        }
        self
    }

    /// Sets the usage object.
    pub(super) fn with_usage(self, usage: Option<String>) -> Self {
        Self { usage, ..self }
    }

    /// Returns the response; `field` replaces one of its other fields.
    pub(super) fn write(&self, status: &str, output: &str, field: Option<(&str, &str)>) -> String {
        let mut object = ObjectWriter::new().with("status", status).with_raw("output", output);
        for (key, value) in &self.tail {
            let value = field.filter(|(replaced, _)| replaced == key).map_or(value.as_str(), |(_, value)| value);
            object = object.with_raw(key, value);
        }
        let object = object.with_raw("usage", self.usage.as_deref().unwrap_or("null")).end();
        format!("{},{}", self.head, object.strip_prefix('{').unwrap_or(&object))
    }
}

/// Returns a value that a response repeats, with the members that the schemas require of it.
fn whole(key: &str, json: &str) -> String {
    match key {
        "reasoning" => with_members(json, &OF_REASONING),
        "text" => with_members(json, &OF_TEXT),
        "tools" => {
            let Ok(tools) = serde_json::from_str::<Vec<&RawValue>>(json) else { return json.to_owned() };
            let tool = |tool: &&RawValue| {
                let is_function =
                    serde_json::from_str::<Typed<'_>>(tool.get()).is_ok_and(|tool| tool.kind == "function");
                if is_function { with_members(tool.get(), &OF_TOOL) } else { tool.get().to_owned() }
            };
            list(&tools.iter().map(tool).collect::<Vec<_>>())
        }
        _ => json.to_owned(),
    }
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

/// Returns an object with further members at its end, unless it has them; other JSON as it is.
fn with_members(json: &str, members: &[(&str, &str)]) -> String {
    let Ok(fields) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(json) else { return json.to_owned() };
    let Some(open) = json.trim_end().strip_suffix('}') else { return json.to_owned() };
    let mut object = open.to_owned();
    let mut is_empty = fields.is_empty();
    for (name, value) in members.iter().filter(|(name, _)| !fields.contains_key(*name)) {
        let comma = if is_empty { "" } else { "," };
        object.push_str(&format!("{comma}\"{name}\":{value}"));
        is_empty = false;
    }
    object.push('}');
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_a_client_leaves_out_are_added() {
        for (key, json, expected) in [
            ("reasoning", "{}", r#"{"effort":null,"summary":null}"#),
            ("reasoning", r#"{"effort":"low" }"#, r#"{"effort":"low" ,"summary":null}"#),
            ("text", r#"{"verbosity":"low"}"#, r#"{"verbosity":"low","format":{"type":"text"}}"#),
            (
                "tools",
                r#"[{"type":"function","name":"f","strict":true},{"type":"web_search"}]"#,
                r#"[{"type":"function","name":"f","strict":true,"description":null,"parameters":null},{"type":"web_search"}]"#,
            ),
            ("tools", "7", "7"),
            ("text", "[]", "[]"),
            ("metadata", "{}", "{}"),
        ] {
            assert_eq!(whole(key, json), expected);
        }
    }
}
