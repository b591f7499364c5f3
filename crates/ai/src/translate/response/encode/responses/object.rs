//! The response object of the Responses API.

use serde_json::value::RawValue;

use crate::translate::object_writer::ObjectWriter;
use crate::translate::response::encode::identity::Identity;

/// Fields that OpenAI's schema requires, or that its responses always have, with the value for a request without them.
/// Tollgate stores no response.
const DEFAULTS: [(&str, &str); 19] = [
    ("background", "false"),
    ("error", "null"),
    ("incomplete_details", "null"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("service_tier", "\"default\""),
    ("store", "false"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
    ("access_programs", "null"),
];

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
        let own = ["error", "incomplete_details", "id", "object", "created_at", "model", "status", "output", "usage"];
        let echo = echo.iter().filter(|(key, _)| !own.contains(key));
        // A line feed would end the line of an event.
        let echo = echo.map(|(key, value)| ((*key).to_owned(), value.get().replace(['\n', '\r'], " ")));
        let mut tail: Vec<(String, String)> = echo.collect();
        for (key, value) in DEFAULTS {
            if !tail.iter().any(|(present, _)| present == key) {
                tail.push((key.to_owned(), value.to_owned()));
            }
        }
        Self { head, tail, usage: None }
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
