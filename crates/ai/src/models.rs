//! Lists of models, in the shape of the client that asks.

use serde::Serialize;

use crate::format::Format;

/// Nobody says when a model was made, so it is the epoch, as Anthropic does for release dates that it does not know.
const CREATED: u64 = 0;
const CREATED_AT: &str = "1970-01-01T00:00:00Z";
const OWNED_BY: &str = "tollgate";

/// Whose SDK asks: the path is the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// OpenAI's, and whoever says nothing.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

impl Client {
    /// Who asks: every client of Anthropic's sends `anthropic-version`, no other does.
    #[must_use]
    pub const fn of(has_anthropic_version: bool) -> Self {
        if has_anthropic_version { Self::Anthropic } else { Self::OpenAi }
    }

    /// The format whose errors it reads.
    #[must_use]
    pub const fn format(self) -> Format {
        match self {
            Self::OpenAi => Format::Chat,
            Self::Anthropic => Format::Messages,
        }
    }
}

#[derive(Serialize)]
struct OpenAiList<'a> {
    object: &'static str,
    data: Vec<OpenAiModel<'a>>,
}

#[derive(Serialize)]
struct OpenAiModel<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

#[derive(Serialize)]
struct AnthropicList<'a> {
    data: Vec<AnthropicModel<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AnthropicModel<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
}

/// The body of `GET /v1/models`: one page with every name.
#[must_use]
pub fn list(asking: Client, names: &[&str]) -> Vec<u8> {
    let names = names.iter().copied();
    let body = match asking {
        Client::OpenAi => serde_json::to_vec(&OpenAiList {
            object: "list",
            data: names.map(|id| OpenAiModel { id, object: "model", created: CREATED, owned_by: OWNED_BY }).collect(),
        }),
        Client::Anthropic => serde_json::to_vec(&AnthropicList {
            has_more: false,
            first_id: names.clone().next(),
            last_id: names.clone().next_back(),
            data: names
                .map(|id| AnthropicModel { kind: "model", id, display_name: id, created_at: CREATED_AT })
                .collect(),
        }),
    };
    // Strings and numbers always serialise.
    body.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asking: Client, names: &[&str], body: &str) {
        assert_eq!(String::from_utf8(list(asking, names)).unwrap(), body);
    }

    #[test]
    fn openai_clients_get_their_list() {
        check(
            Client::of(false),
            &["fast", "openai/gpt-5"],
            r#"{"object":"list","data":[{"id":"fast","object":"model","created":0,"owned_by":"tollgate"},{"id":"openai/gpt-5","object":"model","created":0,"owned_by":"tollgate"}]}"#,
        );
        check(Client::OpenAi, &[], r#"{"object":"list","data":[]}"#);
    }

    #[test]
    fn anthropic_clients_get_theirs() {
        check(
            Client::of(true),
            &["a", "b"],
            r#"{"data":[{"type":"model","id":"a","display_name":"a","created_at":"1970-01-01T00:00:00Z"},{"type":"model","id":"b","display_name":"b","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"a","last_id":"b"}"#,
        );
        check(Client::Anthropic, &[], r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
    }
}
