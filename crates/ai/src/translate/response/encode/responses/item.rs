//! The items of a response's output.

use crate::translate::object_writer::ObjectWriter;
use crate::translate::response::encode::call::{ClientCall, custom_input};

/// An item of the output.
#[derive(Debug)]
pub(super) struct OutputItem {
    /// The id of the item.
    pub(super) id: String,
    /// The kind of the item.
    pub(super) kind: ItemKind,
    /// The text so far, or the arguments of the call.
    pub(super) text: String,
}

/// The kind of an item. A message has one part.
#[derive(Debug)]
pub(super) enum ItemKind {
    Text,
    Refusal,
    Reasoning,
    Call(ClientCall),
}

impl ItemKind {
    /// Returns the beginning of the ids of such items.
    pub(super) const fn prefix(&self) -> &'static str {
        match self {
            Self::Text | Self::Refusal => "msg_",
            Self::Reasoning => "rs_",
            Self::Call(ClientCall { is_custom: true, .. }) => "ctc_",
            Self::Call(_) => "fc_",
        }
    }

    /// Returns the name of the event for a step of the part.
    pub(super) fn part_event(&self, step: &str) -> String {
        match self {
            Self::Reasoning => format!("response.reasoning_summary_part.{step}"),
            Self::Text | Self::Refusal | Self::Call(_) => format!("response.content_part.{step}"),
        }
    }

    /// Returns the name of the event for a step of the text.
    pub(super) fn text_event(&self, step: &str) -> String {
        let text = match self {
            Self::Text => "output_text",
            Self::Refusal => "refusal",
            Self::Reasoning => "reasoning_summary_text",
            Self::Call(ClientCall { is_custom: true, .. }) => "custom_tool_call_input",
            Self::Call(_) => "function_call_arguments",
        };
        format!("response.{text}.{step}")
    }

    /// Returns the field of the whole text.
    pub(super) const fn text_field(&self) -> &'static str {
        match self {
            Self::Text | Self::Reasoning => "text",
            Self::Refusal => "refusal",
            Self::Call(ClientCall { is_custom: true, .. }) => "input",
            Self::Call(_) => "arguments",
        }
    }

    /// Returns the field with the index of the part.
    pub(super) const fn part_index(&self) -> Option<&'static str> {
        match self {
            Self::Text | Self::Refusal => Some("content_index"),
            Self::Reasoning => Some("summary_index"),
            Self::Call(_) => None,
        }
    }
}

impl OutputItem {
    /// Creates an item without text.
    pub(super) const fn new(id: String, kind: ItemKind) -> Self {
        Self { id, kind, text: String::new() }
    }

    /// Whether the item is a call of a custom tool.
    pub(super) const fn is_custom(&self) -> bool {
        matches!(self.kind, ItemKind::Call(ClientCall { is_custom: true, .. }))
    }

    /// Returns the text of the complete item.
    pub(super) fn final_text(&self) -> String {
        match &self.kind {
            ItemKind::Call(call) if call.is_custom => custom_input(&self.text),
            ItemKind::Call(_) if self.text.is_empty() => "{}".to_owned(),
            ItemKind::Text | ItemKind::Refusal | ItemKind::Reasoning | ItemKind::Call(_) => self.text.clone(),
        }
    }

    /// Returns the part with this text; `None` for calls.
    pub(super) fn part(&self, text: &str) -> Option<String> {
        let part = match self.kind {
            ItemKind::Text => ObjectWriter::of_type("output_text")
                .with("text", text)
                .with_raw("annotations", "[]")
                .with_raw("logprobs", "[]"),
            ItemKind::Refusal => ObjectWriter::of_type("refusal").with("refusal", text),
            ItemKind::Reasoning => ObjectWriter::of_type("summary_text").with("text", text),
            ItemKind::Call(_) => return None,
        };
        Some(part.end())
    }

    /// Returns the item at its beginning.
    pub(super) fn begun(&self) -> String {
        self.write("in_progress", "", None)
    }

    /// Returns the complete item; `state` belongs to reasoning.
    pub(super) fn done(&self, state: Option<&str>) -> String {
        self.write("completed", &self.final_text(), state)
    }

    fn write(&self, status: &str, text: &str, state: Option<&str>) -> String {
        let parts = match self.part(text) {
            Some(part) if !text.is_empty() => format!("[{part}]"),
            Some(_) | None => "[]".to_owned(),
        };
        let object = ObjectWriter::new().with("id", &self.id);
        match &self.kind {
            ItemKind::Text | ItemKind::Refusal => {
                let object = object.with("type", "message").with("status", status).with("role", "assistant");
                object.with_raw("content", &parts).end()
            }
            ItemKind::Reasoning => {
                let object = object.with("type", "reasoning").with_raw("summary", &parts);
                object.with("encrypted_content", &state).end()
            }
            ItemKind::Call(call) => {
                let (kind, field) =
                    if call.is_custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
                let object = object.with("type", kind).with("status", status).with("call_id", &call.id);
                let object = object.with("name", &call.name);
                let object = match &call.namespace {
                    Some(namespace) => object.with("namespace", namespace),
                    None => object,
                };
                object.with(field, text).end()
            }
        }
    }
}
