//! The known facts of a stream that Tollgate ends before its provider does.

use access::Tokens;
use serde_json::{Value, json};

/// The state of a stream so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Partial<'a> {
    /// The provider's id of the response.
    pub(crate) id: Option<&'a str>,
    /// The name of the responding model.
    pub(crate) model: Option<&'a str>,
    /// The creation time that the provider reported, in Unix seconds; 0 if it reported none.
    pub(crate) created: u64,
    /// Tokens of input and output that the provider reported or that can be distinguished.
    pub(crate) tokens: (Tokens, Tokens),
    /// Messages: the block that has begun and not ended.
    pub(crate) block: Option<u64>,
    /// Events so far. Responses numbers its events from 0, so this is the number of the next one.
    pub(crate) sequence: u64,
}

impl<'a> Partial<'a> {
    /// Returns the same stream after `events` more events.
    pub(crate) const fn after(self, events: u64) -> Self {
        Self { sequence: self.sequence.saturating_add(events), ..self }
    }

    /// Returns the stream before the event that was read last, which another one replaces.
    pub(crate) const fn before_last(self) -> Self {
        Self { sequence: self.sequence.saturating_sub(1), ..self }
    }

    /// Returns the same stream with this id if the provider has given none.
    pub(crate) const fn named(self, id: &'a str) -> Self {
        match self.id {
            Some(_) => self,
            None => Self { id: Some(id), ..self },
        }
    }

    /// Returns a Response object of OpenAI's. It has every field that the published schema requires (the types of
    /// openai 7.55.0 for Node, read 2026-11-21). Its usage is null: OpenAI reports it in the last event only.
    pub(crate) fn response(&self, status: &str, error: &Value, incomplete: &Value) -> Value {
        json!({
            "id": self.id.unwrap_or_default(), "object": "response", "created_at": self.created, "status": status,
            "model": self.model.unwrap_or_default(), "output": [], "usage": null, "error": error,
            "incomplete_details": incomplete, "instructions": null, "metadata": {}, "parallel_tool_calls": true,
            "temperature": null, "top_p": null, "tool_choice": "auto", "tools": [], "access_programs": null
        })
    }
}
