//! The body as the upstream gets it.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::Asked;

/// A body after its edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// What is sent; the caller's own bytes, uncopied, where nothing changed.
    pub body: Bytes,
    /// Whether usage was asked for that the caller did not ask for: its extra chunk must be taken out of the answer.
    pub usage_injected: bool,
}

impl Asked {
    /// Edits `body`, which must be the one that was read: the model becomes `upstream_model` where it is another, and
    /// with `include_usage` a chat stream is made to tell its usage.
    #[must_use]
    pub fn rewrite(&self, body: &Bytes, upstream_model: &str, include_usage: bool) -> Rewritten {
        let model = (self.model != upstream_model).then(|| (&self.model_at, quoted(upstream_model)));
        let usage = self.usage_edit.as_ref().filter(|_| include_usage);
        let usage_injected = usage.is_some();
        let mut edits: Vec<(&Range<usize>, Cow<'_, str>)> =
            model.into_iter().chain(usage.map(|edit| (&edit.at, Cow::Borrowed(edit.text)))).collect();
        if edits.is_empty() {
            return Rewritten { body: body.clone(), usage_injected };
        }
        edits.sort_by_key(|(at, _)| at.start);
        Rewritten { body: apply(body, &edits), usage_injected }
    }
}

fn apply(body: &[u8], edits: &[(&Range<usize>, Cow<'_, str>)]) -> Bytes {
    let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut out = Vec::with_capacity(body.len() + added);
    let mut from = 0;
    for (at, text) in edits {
        out.extend_from_slice(body.get(from..at.start).unwrap_or_default());
        out.extend_from_slice(text.as_bytes());
        from = at.end;
    }
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    out.into()
}

fn quoted(name: &str) -> Cow<'static, str> {
    // A string always serialises.
    Cow::Owned(serde_json::to_string(name).unwrap_or_default())
}
