//! What the mock says, before it takes a format's shape.

use std::borrow::Cow;

use crate::asked::Asked;
use crate::behaviour::Behaviour;
use crate::server::Options;
use crate::text::Text;

/// When every answer was made: 2026-01-01T00:00:00Z, in Unix seconds.
pub(crate) const CREATED: u64 = 1_767_225_600;

const GREETING: &str =
    "Hello from the mock provider: this answer costs nothing, comes word by word, and is always the same.";
const CALL_ARGUMENTS: &str = r#"{"city": "Jakarta"}"#;
const REASONING: u64 = 8;

/// One answer. The same body gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// [`Body::id`].
    pub(crate) id: String,
    /// The model's name as it was asked for.
    pub(crate) model: String,
    pub(crate) content: Content,
    /// `None`: nothing is said of tokens.
    pub(crate) figures: Option<Figures>,
    /// Chat streams: whether the caller asked for the chunk with the usage.
    pub(crate) include_usage: bool,
}

/// Text, or the call of one tool with its arguments as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Says(Text),
    Calls { tool: String, arguments: Text },
}

/// Tokens by disjoint class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

impl Figures {
    /// A quarter of the input comes from the cache, an eighth is written to it.
    fn of(body_bytes: usize, output: u64, reasoning: u64) -> Self {
        let total = input_tokens(body_bytes);
        let (cached, cache_write) = (total / 4, total / 8);
        Self { input: total - cached - cache_write, cached, cache_write, output, reasoning }
    }

    pub(crate) const fn input_total(&self) -> u64 {
        self.input + self.cached + self.cache_write
    }

    pub(crate) const fn output_total(&self) -> u64 {
        self.output + self.reasoning
    }

    pub(crate) const fn total(&self) -> u64 {
        self.input_total() + self.output_total()
    }
}

/// Four bytes are a token, and a body has at least one.
pub(crate) fn input_tokens(body_bytes: usize) -> u64 {
    u64::try_from(body_bytes / 4).unwrap_or(u64::MAX).max(1)
}

impl Answer {
    pub(crate) fn to(asked: &Asked<'_>, body: Body<'_>, options: &Options) -> Self {
        let behaviour = asked.behaviour();
        let content = content(asked, behaviour, options);
        let output = content.pieces();
        let reasoning = if matches!(behaviour, Behaviour::Tokens { .. }) { 0 } else { REASONING };
        let figures = (behaviour != Behaviour::NoUsage).then(|| Figures::of(body.bytes, output, reasoning));
        Self {
            id: body.id().to_owned(),
            model: asked.model.clone().into_owned(),
            content,
            figures,
            include_usage: asked.wants_usage(),
        }
    }
}

/// What an answer takes from the body it answers: its length, and its SHA-256 in hex.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a> {
    pub(crate) bytes: usize,
    pub(crate) hash_hex: &'a str,
}

impl<'a> Body<'a> {
    /// 24 hex digits, to make ids of.
    pub(crate) fn id(&self) -> &'a str {
        self.hash_hex.get(..24).unwrap_or(self.hash_hex)
    }
}

impl Content {
    pub(crate) const fn text(&self) -> &Text {
        match self {
            Self::Says(text) | Self::Calls { arguments: text, .. } => text,
        }
    }

    fn pieces(&self) -> u64 {
        self.text().pieces()
    }
}

fn content(asked: &Asked<'_>, behaviour: Behaviour, options: &Options) -> Content {
    match behaviour {
        Behaviour::Tool if !asked.ends_with_tool_result() => Content::Calls {
            tool: asked.first_tool().unwrap_or_else(|| String::from("get_weather")),
            arguments: Text::Words(Cow::Borrowed(CALL_ARGUMENTS)),
        },
        Behaviour::Echo => Content::Says(Text::Words(Cow::Owned(asked.last_user_text()))),
        Behaviour::Tokens { count, .. } => Content::Says(Text::Repeated { word: "word ", times: count }),
        Behaviour::Long => {
            let ticks = options.long_for.as_millis() / options.long_pace.as_millis().max(1);
            Content::Says(Text::Repeated { word: "tick ", times: u32::try_from(ticks).unwrap_or(u32::MAX) })
        }
        Behaviour::Normal
        | Behaviour::Slow
        | Behaviour::RateLimited
        | Behaviour::Failed
        | Behaviour::Overloaded
        | Behaviour::Cut
        | Behaviour::NoUsage
        | Behaviour::Tool
        | Behaviour::Instant => Content::Says(Text::Words(Cow::Borrowed(GREETING))),
    }
}
