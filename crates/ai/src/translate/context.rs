//! What a request determines about the translation of its response.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::format::Format;
use crate::provider::ProviderKind;

/// What the translation of a response needs to know of its request.
#[derive(Debug, Clone)]
pub struct ResponseContext {
    /// The client's format, in which the response is written.
    pub(crate) client: Format,
    /// The provider's format, in which the response is read.
    pub(crate) provider: Format,
    /// The kind of the provider, for the state that only it can read.
    pub(crate) kind: ProviderKind,
    /// Whether the client requested a stream.
    pub(crate) streamed: bool,
    /// Whether the client requested its stream as one JSON array, as only Google's clients can.
    pub(crate) is_array: bool,
    /// Whether the client requested the usage chunk of a chat stream.
    pub(crate) include_usage: bool,
    /// The model's name as the client wrote it.
    pub(crate) model: String,
    /// The provider's name of the model, for the state that only this model can read.
    pub(crate) provider_model: String,
    /// The account at the provider, for the state that only it can read.
    pub(crate) owner: String,
    /// The client's names of tools that have another name at the provider.
    pub(crate) tools: BTreeMap<String, ToolOrigin>,
    /// The texts that end the response, as the client wrote them.
    pub(crate) stop_sequences: Vec<String>,
    /// The length of the client's body, from which the tokens of its input are estimated.
    pub(crate) input_bytes: usize,
    /// The fields of a Responses request that its response repeats, such as `instructions`, in JSON. Long values are left out.
    pub(crate) echo: Vec<(&'static str, Box<RawValue>)>,
}

/// A tool as the client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToolOrigin {
    /// A function without a namespace.
    Function {
        /// The client's name of the tool.
        name: String,
    },
    /// A function in a namespace of the Responses API.
    Namespaced {
        /// The name of the namespace.
        namespace: String,
        /// The client's name within the namespace.
        name: String,
    },
    /// A tool with text as input, of the Responses or the Chat Completions API. At the provider it is a function with one
    /// string, `input`.
    Custom {
        /// The namespace, if any.
        namespace: Option<String>,
        /// The client's name of the tool.
        name: String,
    },
}

impl ResponseContext {
    /// Returns the client's tool for the provider's name of it.
    pub(crate) fn tool(&self, name: &str) -> ToolOrigin {
        self.tools.get(name).cloned().unwrap_or_else(|| ToolOrigin::Function { name: name.to_owned() })
    }
}
