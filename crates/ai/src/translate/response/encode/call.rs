//! A tool call as the client knows the tool.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::ObjectWriter;
use crate::translate::context::ToolOrigin;

/// A call of a client's tool.
#[derive(Debug)]
pub(super) struct ClientCall {
    /// The id of the call for the client.
    pub(super) id: String,
    /// The client's name of the tool.
    pub(super) name: String,
    /// The namespace of the tool, in the Responses API.
    pub(super) namespace: Option<String>,
    /// Whether the tool's input is text. The provider wrote a JSON object with the one string `input`.
    pub(super) is_custom: bool,
    /// The state of the reasoning before the call, in a capsule; for Chat.
    pub(super) state: Option<String>,
}

#[derive(Deserialize)]
struct CustomInput {
    input: String,
}

impl ClientCall {
    /// Creates a call of the tool.
    pub(super) fn new(id: String, origin: ToolOrigin, state: Option<String>) -> Self {
        let (namespace, name, is_custom) = match origin {
            ToolOrigin::Function { name } => (None, name, false),
            ToolOrigin::Namespaced { namespace, name } => (Some(namespace), name, false),
            ToolOrigin::Custom { namespace, name } => (namespace, name, true),
        };
        Self { id, name, namespace, is_custom, state }
    }
}

/// Returns the text for a custom tool. Arguments of another form are the text themselves.
pub(super) fn custom_input(arguments: &str) -> String {
    match serde_json::from_str::<CustomInput>(arguments) {
        Ok(CustomInput { input }) => input,
        Err(_) => arguments.to_owned(),
    }
}

/// Returns the arguments as an object, which Messages requires.
pub(super) fn object(arguments: &str) -> String {
    match arguments.trim() {
        "" => "{}".to_owned(),
        json if json.starts_with('{') && serde_json::from_str::<&RawValue>(json).is_ok() => json.to_owned(),
        text => ObjectWriter::new().with("_invalid", text).end(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_messages_are_always_an_object() {
        for (arguments, expected) in [
            ("", "{}"),
            (" {\"b\":1, \"a\":12345678901234567890} ", "{\"b\":1, \"a\":12345678901234567890}"),
            ("{\"a\":", "{\"_invalid\":\"{\\\"a\\\":\"}"),
            ("[1]", "{\"_invalid\":\"[1]\"}"),
        ] {
            assert_eq!(object(arguments), expected);
        }
    }

    #[test]
    fn custom_tools_receive_their_text() {
        assert_eq!(custom_input(r#"{"input":"*** Begin\n"}"#), "*** Begin\n");
        assert_eq!(custom_input("*** Begin"), "*** Begin");
    }
}
