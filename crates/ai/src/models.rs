//! Lists of models, in the format of the requesting client; and the maximum tokens of models.

pub mod limits;

use serde::Serialize;

use crate::format::Dialect;
pub use limits::TokenLimits;

/// The creation time of models is unknown, so it is the epoch, as Anthropic does for unknown release dates.
const CREATED: u64 = 0;
const CREATED_AT: &str = "1970-01-01T00:00:00Z";

/// Returns the client's dialect at a path that several APIs share: Google's clients send `x-goog-api-key`, Anthropic's
/// send `anthropic-version`, and other clients send neither.
#[must_use]
pub const fn asking(has_goog_api_key: bool, has_anthropic_version: bool) -> Dialect {
    match (has_goog_api_key, has_anthropic_version) {
        (true, _) => Dialect::Google,
        (false, true) => Dialect::Anthropic,
        (false, false) => Dialect::OpenAi,
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
    owned_by: &'a str,
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

#[derive(Serialize)]
struct GoogleList<'a> {
    models: Vec<GoogleModel<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GoogleModel<'a> {
    /// The id with the prefix `models/`.
    name: String,
    display_name: &'a str,
}

impl<'a> OpenAiModel<'a> {
    const fn of(id: &'a str, owned_by: &'a str) -> Self {
        Self { id, object: "model", created: CREATED, owned_by }
    }
}

impl<'a> AnthropicModel<'a> {
    const fn of(id: &'a str) -> Self {
        Self { kind: "model", id, display_name: id, created_at: CREATED_AT }
    }
}

impl<'a> GoogleModel<'a> {
    fn of(id: &'a str) -> Self {
        Self { name: format!("models/{id}"), display_name: id }
    }
}

/// Returns the body of `GET /v1/models`: one page with every name. `owner` is OpenAI's `owned_by`.
#[must_use]
pub fn list(asking: Dialect, names: &[&str], owner: &str) -> Vec<u8> {
    let names = names.iter().copied();
    match asking {
        Dialect::OpenAi => {
            json(&OpenAiList { object: "list", data: names.map(|name| OpenAiModel::of(name, owner)).collect() })
        }
        Dialect::Anthropic => json(&AnthropicList {
            has_more: false,
            first_id: names.clone().next(),
            last_id: names.clone().next_back(),
            data: names.map(AnthropicModel::of).collect(),
        }),
        Dialect::Google => json(&GoogleList { models: names.map(GoogleModel::of).collect() }),
    }
}

/// Returns the body of `GET /v1/models/{name}`.
#[must_use]
pub fn one(asking: Dialect, name: &str, owner: &str) -> Vec<u8> {
    match asking {
        Dialect::OpenAi => json(&OpenAiModel::of(name, owner)),
        Dialect::Anthropic => json(&AnthropicModel::of(name)),
        Dialect::Google => json(&GoogleModel::of(name)),
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Serializing strings and numbers cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asking: Dialect, names: &[&str], body: &str) {
        assert_eq!(String::from_utf8(list(asking, names, "codexible")).unwrap(), body);
    }

    #[test]
    fn openai_clients_get_their_list() {
        check(
            asking(false, false),
            &["fast", "openai/gpt-5"],
            r#"{"object":"list","data":[{"id":"fast","object":"model","created":0,"owned_by":"codexible"},{"id":"openai/gpt-5","object":"model","created":0,"owned_by":"codexible"}]}"#,
        );
        check(Dialect::OpenAi, &[], r#"{"object":"list","data":[]}"#);
    }

    #[test]
    fn anthropic_clients_receive_the_anthropic_list() {
        check(
            asking(false, true),
            &["a", "b"],
            r#"{"data":[{"type":"model","id":"a","display_name":"a","created_at":"1970-01-01T00:00:00Z"},{"type":"model","id":"b","display_name":"b","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"a","last_id":"b"}"#,
        );
        check(Dialect::Anthropic, &[], r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
    }

    #[test]
    fn google_clients_receive_the_google_list() {
        check(asking(true, false), &["a"], r#"{"models":[{"name":"models/a","displayName":"a"}]}"#);
        check(Dialect::Google, &[], r#"{"models":[]}"#);
    }

    #[test]
    fn one_model_is_an_item_of_the_list() {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Google] {
            let (item, list) = (one(dialect, "m", "o"), list(dialect, &["m"], "o"));
            assert!(String::from_utf8(list).unwrap().contains(std::str::from_utf8(&item).unwrap()));
        }
    }
}
