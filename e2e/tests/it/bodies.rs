//! Request bodies in each format, as clients send them.

use serde_json::{Value, json};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const RESPONSES: &str = "/v1/responses";
pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const COUNT_TOKENS: &str = "/v1/messages/count_tokens";

/// An LLM format, with its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Chat,
    Responses,
    Messages,
}

impl Format {
    pub(crate) const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Chat => CHAT,
            Self::Responses => RESPONSES,
            Self::Messages => MESSAGES,
        }
    }

    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "openai",
            Self::Messages => "anthropic",
        }
    }

    /// Returns a complete request body for `model`.
    pub(crate) fn body(self, model: &str, stream: bool) -> Value {
        let mut body = match self {
            Self::Chat => json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}),
            Self::Responses => json!({"model": model, "input": "hi"}),
            Self::Messages => {
                json!({"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]})
            }
        };
        if stream {
            body["stream"] = true.into();
        }
        body
    }
}
