//! Rewrites the body for the upstream.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::{RequestFields, Shape};
use crate::response_edits::RestoredValue;

/// A limit to be written into a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoweredLimit {
    /// Maximum tokens of each response.
    pub max_tokens: u64,
    pub(crate) edits: Vec<(Range<usize>, String)>,
}

/// The edits that make a request one of its user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedFields {
    /// The ranges of the body, and the JSON that replaces each.
    pub(crate) edits: Vec<(Range<usize>, String)>,
    /// The values that the response may repeat.
    pub restored: Vec<RestoredValue>,
}

/// A body with its edits applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewrittenBody {
    /// The bytes to send, in order: slices of the client's body, which is not copied, and the edits between them.
    pub segments: Vec<Bytes>,
    /// Whether Tollgate requested usage that the client did not request: the extra chunk must be removed from the
    /// response.
    pub usage_injected: bool,
}

impl RewrittenBody {
    /// Joins the segments into one body: a copy, unless nothing was changed.
    #[must_use]
    pub fn body(&self) -> Bytes {
        match self.segments.as_slice() {
            [only] => only.clone(),
            segments => segments.concat().into(),
        }
    }
}

impl RequestFields {
    /// Adds the lower limit of output tokens that [`Extent::clamp`](crate::bound::Extent::clamp) computed for the same
    /// body.
    #[must_use]
    pub fn with_limit(self, lowered: LoweredLimit) -> Self {
        Self { limit_edits: lowered.edits, ..self }
    }

    /// Takes the edits that make the same body one of its user.
    #[must_use]
    pub fn with_owned(self, owned: &mut OwnedFields) -> Self {
        Self { owned_edits: std::mem::take(&mut owned.edits), ..self }
    }

    /// Applies the edits to `body`, which must be the body that was read. Every model name that differs becomes
    /// `upstream_model`. With `include_usage`, a chat or completions stream is made to report its usage. A
    /// [lowered](Self::with_limit) limit is written, a [hosted](Self::hosted) call has its form, and an [owned](Self::with_owned) one the
    /// provider's ids.
    #[must_use]
    pub fn rewrite(&self, body: &Bytes, upstream_model: &str, include_usage: bool) -> RewrittenBody {
        let same = self.model == upstream_model;
        let models = self.models.iter().filter(|place| !(same && place.agrees));
        let models = models.map(|place| (&place.at, place.shape.text(upstream_model)));
        let usage = if include_usage { self.usage_edit.as_ref() } else { None };
        let usage_injected = usage.is_some();
        let mut edits: Vec<(&Range<usize>, Cow<'_, str>)> =
            models.chain(usage.map(|edit| (&edit.at, Cow::Borrowed(edit.text)))).collect();
        let written = self.limit_edits.iter().chain(&self.hosted_edits).chain(&self.owned_edits);
        edits.extend(written.map(|(at, text)| (at, Cow::Borrowed(text.as_str()))));
        if edits.is_empty() {
            return RewrittenBody { segments: vec![body.clone()], usage_injected };
        }
        // An insertion precedes the removal of what follows it.
        edits.sort_by_key(|(at, _)| (at.start, at.end));
        RewrittenBody { segments: apply(body, &edits), usage_injected }
    }
}

impl Shape {
    /// Returns the text that names `model` in this syntax.
    fn text<'a>(&self, model: &'a str) -> Cow<'a, str> {
        match self {
            Self::Json => quoted(model),
            Self::Google => quoted(&format!("models/{model}")),
            Self::Form => Cow::Borrowed(model),
            Self::Field => format!("\"model\":{},", quoted(model)).into(),
            Self::OnlyField => format!("\"model\":{}", quoted(model)).into(),
            Self::Part { delimiter } => {
                format!("{delimiter}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n").into()
            }
        }
    }
}

/// Returns the unchanged parts of `body` and the replacement texts between them.
fn apply(body: &Bytes, edits: &[(&Range<usize>, Cow<'_, str>)]) -> Vec<Bytes> {
    let mut segments = Vec::with_capacity(2 * edits.len() + 1);
    let mut from = 0;
    let keep = |segments: &mut Vec<Bytes>, part: Range<usize>| {
        if body.get(part.clone()).is_some_and(|part| !part.is_empty()) {
            segments.push(body.slice(part));
        }
    };
    for (at, text) in edits {
        keep(&mut segments, from..at.start);
        segments.push(Bytes::copy_from_slice(text.as_bytes()));
        from = at.end;
    }
    keep(&mut segments, from..body.len());
    segments
}

fn quoted(name: &str) -> Cow<'static, str> {
    // Serializing a string cannot fail.
    Cow::Owned(serde_json::to_string(name).unwrap_or_default())
}
