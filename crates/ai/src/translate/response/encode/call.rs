//! A tool call as the client knows the tool.

use serde::Deserialize;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_tools_receive_their_text() {
        assert_eq!(custom_input(r#"{"input":"*** Begin\n"}"#), "*** Begin\n");
        assert_eq!(custom_input("*** Begin"), "*** Begin");
    }
}
