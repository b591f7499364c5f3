//! A call in a neutral form, with every field that Chat Completions, Responses or Messages can express.
//!
//! Text borrows from the client's body. Schemas and arguments remain JSON text as the client wrote it: prompt caches depend on
//! the order of keys.

use std::borrow::Cow;
use std::fmt;
use std::mem::size_of;

use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::context::ToolOrigin;
use crate::format::Format;

/// A call; see the module.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// The format of the client's body.
    pub(super) from: Format,
    /// The model's name as the client wrote it.
    pub(super) model: String,
    pub(super) stream: bool,
    /// Whether the client requested the usage chunk of a chat stream.
    pub(super) include_usage: bool,
    pub(super) messages: Vec<Message<'a>>,
    pub(super) tools: Vec<OfferedTool<'a>>,
    pub(super) tool_choice: Option<ToolChoice>,
    pub(super) parallel_tools: Option<bool>,
    pub(super) output_tokens_max: Option<u64>,
    pub(super) sampling: Sampling<'a>,
    pub(super) stop: Vec<String>,
    pub(super) output: OutputFormat<'a>,
    pub(super) verbosity: Option<Cow<'a, str>>,
    pub(super) reasoning: Reasoning,
    /// The key or session under which the provider caches the prompt.
    pub(super) cache_key: Option<CacheKey<'a>>,
    /// Fields that only OpenAI knows, such as `service_tier`.
    pub(super) openai: Vec<(&'static str, &'a RawValue)>,
    /// The fields that a response of the Responses API repeats.
    pub(super) echo: Vec<(&'static str, &'a RawValue)>,
}

/// How tokens are chosen. The values are numbers, as the client wrote them.
#[derive(Debug, Default)]
pub(super) struct Sampling<'a> {
    pub(super) temperature: Option<&'a RawValue>,
    pub(super) top_p: Option<&'a RawValue>,
    pub(super) top_k: Option<&'a RawValue>,
    pub(super) seed: Option<&'a RawValue>,
    pub(super) frequency_penalty: Option<&'a RawValue>,
    pub(super) presence_penalty: Option<&'a RawValue>,
}

#[derive(Debug)]
pub(super) enum CacheKey<'a> {
    /// The value of OpenAI's `prompt_cache_key`.
    Key(Cow<'a, str>),
    /// The session of a client of Messages.
    Session(String),
}

/// A message. A call may have hundreds of thousands, so a message with a text allocates no further memory.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) role: Role,
    pub(super) parts: Parts<'a>,
    /// The path of the message in the client's body.
    pub(super) path: MessagePath,
}

/// The parts of a message or of a result; most have one.
pub(super) type Parts<'a> = SmallVec<[Part<'a>; 1]>;

/// The path of a message in the client's body, such as `messages[2]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessagePath(u32);

impl MessagePath {
    /// The fields with messages.
    const FIELDS: [&'static str; 7] =
        ["messages", "input", "contents", "system", "instructions", "systemInstruction", "system_instruction"];
    /// The number of bits for the number of a message, from 1; 0 for a field that is one message.
    const NUMBER_BITS: u32 = 28;
    const NUMBER_MAX: u32 = (1 << Self::NUMBER_BITS) - 1;

    /// Returns the path that begins with one of the fields.
    pub(super) fn new(path: &str) -> Self {
        let (field, number) = match path.split_once('[') {
            Some((field, rest)) => (field, rest.split(']').next().and_then(|number| number.parse::<u32>().ok())),
            None => (path, None),
        };
        let field = (0..).zip(Self::FIELDS).find(|(_, known)| *known == field).map_or(0, |(place, _)| place);
        let number = number.map_or(0, |number| number.saturating_add(1).min(Self::NUMBER_MAX));
        Self(field << Self::NUMBER_BITS | number)
    }
}

impl fmt::Display for MessagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = usize::try_from(self.0 >> Self::NUMBER_BITS).unwrap_or_default();
        f.write_str(Self::FIELDS.get(place).copied().unwrap_or_default())?;
        match (self.0 & Self::NUMBER_MAX).checked_sub(1) {
            Some(number) => write!(f, "[{number}]"),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Instructions of the developer: `system` and `developer`.
    System,
    /// The user, and results of tools.
    User,
    Assistant,
}

#[derive(Debug)]
pub(super) enum Part<'a> {
    Text(TextPart<'a>),
    /// The assistant's reason not to respond.
    Refusal(Cow<'a, str>),
    Image(Box<Image<'a>>),
    File(Box<File<'a>>),
    ToolCall(Box<ToolCall<'a>>),
    ToolResult(Box<ToolResult<'a>>),
    State(Box<State<'a>>),
}

#[derive(Debug)]
pub(super) struct TextPart<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) cache: Option<CacheMark>,
}

/// The end of a prefix that the provider caches, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheMark {
    Short,
    Long,
}

#[derive(Debug)]
pub(super) struct Image<'a> {
    pub(super) source: Source<'a>,
    /// The value of OpenAI's `detail`.
    pub(super) detail: Option<Cow<'a, str>>,
    pub(super) path: String,
}

#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) source: Source<'a>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) path: String,
}

#[derive(Debug)]
pub(super) enum Source<'a> {
    Url(Cow<'a, str>),
    Base64 { media_type: Cow<'a, str>, data: Cow<'a, str> },
}

#[derive(Debug)]
pub(super) struct ToolCall<'a> {
    /// The id at the provider.
    pub(super) id: String,
    /// The name at the provider.
    pub(super) name: String,
    /// The arguments: JSON, unless the model wrote something else.
    pub(super) arguments: Cow<'a, str>,
}

#[derive(Debug)]
pub(super) struct ToolResult<'a> {
    /// The id of the call at the provider.
    pub(super) call_id: String,
    /// Texts, images and files.
    pub(super) content: Parts<'a>,
    pub(super) is_error: bool,
    pub(super) cache: Option<CacheMark>,
    pub(super) path: String,
}

/// Reasoning of the target itself, which it receives back.
#[derive(Debug)]
pub(super) struct State<'a> {
    /// Elements of the target's format.
    pub(super) items: Vec<Box<RawValue>>,
    /// The reasoning that the client was shown.
    pub(super) text: Option<Cow<'a, str>>,
}

#[derive(Debug)]
pub(super) struct OfferedTool<'a> {
    /// The name at the provider.
    pub(super) name: String,
    pub(super) origin: ToolOrigin,
    pub(super) description: Option<Cow<'a, str>>,
    /// The JSON schema of the arguments; `None`: no arguments.
    pub(super) schema: Option<Cow<'a, str>>,
    pub(super) strict: Option<bool>,
    pub(super) cache: Option<CacheMark>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ToolChoice {
    Auto,
    None,
    /// At least one call.
    Required,
    /// A call of this tool, by its name at the provider.
    Tool(String),
    /// Calls of these tools only.
    Among {
        required: bool,
        names: Vec<String>,
    },
}

impl ToolChoice {
    /// Whether the model must call a tool.
    pub(super) const fn is_forced(&self) -> bool {
        matches!(self, Self::Required | Self::Tool(_) | Self::Among { required: true, .. })
    }
}

#[derive(Debug)]
pub(super) enum OutputFormat<'a> {
    Text,
    /// One JSON object without a schema.
    JsonObject,
    JsonSchema(OutputSchema<'a>),
}

#[derive(Debug)]
pub(super) struct OutputSchema<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) description: Option<Cow<'a, str>>,
    pub(super) schema: Cow<'a, RawValue>,
    pub(super) strict: Option<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Reasoning {
    pub(super) effort: Option<Effort>,
    /// Whether the client requests reasoning, with any effort.
    pub(super) requested: bool,
    /// Whether the client requests readable reasoning; `None`: as the provider does by default.
    pub(super) shown: Option<bool>,
    /// The path of the field in the client's call, for `x-tollgate-dropped`.
    pub(super) path: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    const WORDS: [(&'static str, Self); 8] = [
        ("none", Self::None),
        ("minimal", Self::Minimal),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("xhigh", Self::Xhigh),
        ("max", Self::Max),
        // Some models of Codex's list have it above `max`.
        ("ultra", Self::Max),
    ];

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(name, _)| *name == word).map(|(_, effort)| *effort)
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }
}

impl<'a> Part<'a> {
    /// A text without a mark.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(TextPart { text: text.into(), cache: None })
    }

    /// Returns the bytes that the part uses besides its place in a list, without those of the parts in a result.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(part) => owned_bytes(&part.text),
            Self::Refusal(words) => owned_bytes(words),
            Self::Image(image) => size_of::<Image<'_>>() + image.source.bytes() + image.path.len(),
            Self::File(file) => size_of::<File<'_>>() + file.source.bytes() + file.path.len(),
            Self::ToolCall(call) => {
                size_of::<ToolCall<'_>>() + call.id.len() + call.name.len() + owned_bytes(&call.arguments)
            }
            Self::ToolResult(result) => size_of::<ToolResult<'_>>() + result.call_id.len() + result.path.len(),
            Self::State(state) => {
                let items: usize = state.items.iter().map(|item| item.get().len() + size_of::<Box<RawValue>>()).sum();
                size_of::<State<'_>>() + items + state.text.as_ref().map_or(0, owned_bytes)
            }
        }
    }
}

/// Returns the bytes of a text that is not a part of the client's body.
#[expect(clippy::ptr_arg, reason = "a borrowed text has none")]
fn owned_bytes(text: &Cow<'_, str>) -> usize {
    match text {
        Cow::Borrowed(_) => 0,
        Cow::Owned(text) => text.capacity(),
    }
}

impl Source<'_> {
    fn bytes(&self) -> usize {
        match self {
            Self::Url(url) => owned_bytes(url),
            Self::Base64 { media_type, data } => owned_bytes(media_type) + owned_bytes(data),
        }
    }
}

impl Message<'_> {
    pub(super) fn has_calls(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::ToolCall(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_one_text_has_48_bytes() {
        assert_eq!((size_of::<Part<'_>>(), size_of::<Message<'_>>()), (32, 48));
        assert_eq!((Part::text("a").bytes(), Part::text("a".repeat(100)).bytes()), (0, 100));
    }

    #[test]
    fn paths_of_messages_are_written_as_they_were_read() {
        for path in ["messages[0]", "messages[268435453]", "input[3]", "input", "contents[12]", "system_instruction"] {
            assert_eq!(MessagePath::new(path).to_string(), path);
        }
        assert_eq!(MessagePath::new("messages[4294967295]").to_string(), "messages[268435454]");
        assert_eq!(MessagePath::new("messages[2].content[1]").to_string(), "messages[2]");
    }
}
