//! The JSON of events, responses and items.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(super) struct ResponseEvent<'a> {
    #[serde(rename = "type", default, borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) output_index: Option<u64>,
    #[serde(default)]
    pub(super) content_index: Option<u64>,
    #[serde(default)]
    pub(super) summary_index: Option<u64>,
    #[serde(default, borrow)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Response<'a> {
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default, borrow)]
    pub(super) output: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    pub(super) incomplete_details: Option<IncompleteDetails>,
    #[serde(default, borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct IncompleteDetails {
    #[serde(default)]
    pub(super) reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ResponseItem<'a> {
    #[serde(rename = "type", default, borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) call_id: Option<String>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default, borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) input: Option<String>,
    #[serde(default)]
    pub(super) content: Option<Vec<ItemPart>>,
    #[serde(default)]
    pub(super) summary: Option<Vec<ItemPart>>,
    #[serde(default)]
    pub(super) encrypted_content: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ItemPart {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
}

impl ResponseItem<'_> {
    /// Returns the reasoning, or its summary.
    pub(super) fn reasoning(&self) -> String {
        let texts = |parts: &Option<Vec<ItemPart>>| {
            let texts = parts.iter().flatten().filter_map(|part| part.text.clone());
            texts.collect::<Vec<_>>().join("\n\n")
        };
        let summary = texts(&self.summary);
        if summary.is_empty() { texts(&self.content) } else { summary }
    }

    /// Returns the id of a call; empty if it has none.
    pub(super) fn id_of_call(&self) -> &str {
        self.call_id.as_deref().or(self.id.as_deref()).unwrap_or_default()
    }

    /// Returns the JSON of the arguments of a call. The text of a custom tool is the field `input`, as in its definition.
    pub(super) fn arguments(&self) -> String {
        if let Some(input) = &self.input {
            return serde_json::json!({"input": input}).to_string();
        }
        let Some(json) = self.arguments else { return String::new() };
        serde_json::from_str(json.get()).unwrap_or_else(|_| json.get().to_owned())
    }
}
