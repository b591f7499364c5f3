//! The JSON of a chunk or a whole completion.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::translate::event::Block;

/// A kind of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prose {
    Text,
    Refusal,
    Reasoning,
}

impl Prose {
    /// Returns the block for such text.
    pub(super) const fn block(self) -> Block {
        match self {
            Self::Text => Block::Text,
            Self::Refusal => Block::Refusal,
            Self::Reasoning => Block::Reasoning,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(default, borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(default, borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(default, borrow)]
    pub(super) delta: Option<Delta<'a>>,
    /// A whole completion has it in place of `delta`.
    #[serde(default, borrow)]
    pub(super) message: Option<Delta<'a>>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
    /// The stop text, or the number of a token, of vLLM.
    #[serde(default, borrow)]
    pub(super) stop_reason: Option<&'a RawValue>,
    /// Moonshot's place for the usage.
    #[serde(default, borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(default, borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
    #[serde(default, borrow)]
    pub(super) reasoning_content: Option<&'a RawValue>,
    /// OpenRouter's name, and vLLM's, for `reasoning_content`.
    #[serde(default, borrow)]
    pub(super) reasoning: Option<&'a RawValue>,
    /// The state of reasoning at OpenRouter and MiniMax.
    #[serde(default, borrow)]
    pub(super) reasoning_details: Option<Vec<&'a RawValue>>,
    #[serde(default, borrow)]
    pub(super) tool_calls: Option<Vec<CallDelta<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct CallDelta<'a> {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default, borrow)]
    pub(super) function: Option<FunctionDelta<'a>>,
    /// Gemini's signature of its reasoning.
    #[serde(default, borrow)]
    pub(super) extra_content: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
pub(super) struct FunctionDelta<'a> {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default, borrow)]
    pub(super) arguments: Option<&'a RawValue>,
}

/// A part of content that is a list. Mistral writes its reasoning in such parts.
#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default, borrow)]
    thinking: Option<&'a RawValue>,
}

/// Returns the texts of content, which is a string or a list of parts. Parts of other kinds are left out.
pub(super) fn text_of(content: &RawValue, prose: Prose) -> Vec<(Prose, String)> {
    if let Ok(text) = serde_json::from_str(content.get()) {
        return vec![(prose, text)];
    }
    let parts: Vec<ContentPart<'_>> = serde_json::from_str(content.get()).unwrap_or_default();
    let texts = parts.into_iter().filter_map(|part| match (part.kind.as_str(), part.text, part.thinking) {
        ("text", Some(text), _) => Some((prose, text)),
        ("thinking", _, Some(thinking)) => Some((Prose::Reasoning, thinking_of(thinking))),
        _ => None,
    });
    texts.collect()
}

fn thinking_of(thinking: &RawValue) -> String {
    let parts = || serde_json::from_str::<Vec<ContentPart<'_>>>(thinking.get()).unwrap_or_default();
    serde_json::from_str(thinking.get())
        .unwrap_or_else(|_| parts().into_iter().filter_map(|part| part.text).collect::<String>())
}
