//! The content of a response, before `wire` writes it in a format.

use std::borrow::Cow;

use ai::{Endpoint, Format};

use crate::behaviour::Behaviour;
use crate::call_body::{CallBody, Modality, ToolCall};
use crate::content::text::ResponseText;
use crate::timing::MockTiming;

/// The creation time of every response: 2026-01-01T00:00:00Z, in Unix seconds.
pub(crate) const CREATED: u64 = 1_767_225_600;

const GREETING: &str =
    "Hello from the mock provider: this answer is scripted, comes word by word, and is always the same.";
/// The arguments of a call if the request declares no tool.
const CALL_ARGUMENTS: &str = r#"{"city": "Jakarta"}"#;
/// The reasoning tokens of a response.
const REASONING: u64 = 8;

/// OpenAI's speech and transcriptions: bytes per second (16 kHz of 16 bits) and tokens per second.
const SOUND_BYTES_PER_S: usize = 32_000;
const SOUND_TOKENS_PER_S: u64 = 10;
/// The tokens of a sound and of a picture in a conversation.
const SOUND_TOKENS: u64 = 64;
const PICTURE_TOKENS: u64 = 258;
/// The tokens of a generated picture.
const MADE_TOKENS: u64 = 1_056;
/// Small, so that a body is readable; `dimensions` overrides it.
const DIMENSIONS: u32 = 64;

/// One response. Equal request bodies give equal responses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MockResponse {
    /// The id of the request body, [`BodySummary::id`].
    pub(crate) id: String,
    pub(crate) endpoint: Endpoint,
    /// The model's name as the request spells it.
    pub(crate) model: String,
    pub(crate) content: ResponseContent,
    /// `None`: the response reports no usage.
    pub(crate) tokens: Option<TokenCounts>,
    /// Whether the request wants a usage chunk in a chat stream.
    pub(crate) include_usage: bool,
    pub(crate) parameters: OutputParameters,
    /// The modality of the output tokens; a stream carries text in any case.
    pub(crate) modality: Modality,
}

/// Parameters of the request for output other than text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutputParameters {
    /// The texts to embed or to moderate.
    pub(crate) inputs: Vec<String>,
    pub(crate) dimensions: u32,
    pub(crate) base64: bool,
    pub(crate) pictures: u32,
    pub(crate) partial_pictures: u32,
    /// The field `response_format`, if it is a string.
    pub(crate) form: Option<String>,
    /// The duration of the uploaded sound.
    pub(crate) seconds: u64,
}

/// Text, or the call of one tool with its arguments as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ResponseContent {
    Text(ResponseText),
    ToolCall { tool: String, arguments: ResponseText },
}

/// Token counts. `input`, `cached` and `cache_write` are disjoint; `input` includes sound and pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TokenCounts {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
    pub(crate) sound: u64,
    pub(crate) pictures: u64,
}

impl TokenCounts {
    fn from_request(request: &CallBody<'_>, body: BodySummary<'_>, format: Format, output: u64) -> Self {
        let text = input_tokens(body.bytes);
        match format {
            Format::Chat | Format::Responses | Format::Messages | Format::GenerateContent => {
                let media = request.media();
                Self::cached(text, output).with(media.sounds * SOUND_TOKENS, media.pictures * PICTURE_TOKENS)
            }
            Format::Completions => Self { input: text, output, ..Self::default() },
            Format::Embeddings | Format::EmbedContent | Format::Moderations => Self { input: text, ..Self::default() },
            Format::Speech => Self { input: text, output: output * SOUND_TOKENS_PER_S, ..Self::default() },
            Format::Images => Self { input: input_tokens(body.text_bytes()), output, ..Self::default() }
                .with(0, body.files * PICTURE_TOKENS),
            Format::Transcription => Self { input: input_tokens(body.text_bytes()), output, ..Self::default() }
                .with(body.seconds() * SOUND_TOKENS_PER_S, 0),
        }
    }

    /// A quarter of the input is read from the cache, an eighth is written to it.
    const fn cached(total: u64, output: u64) -> Self {
        let cached = total / 4;
        let cache_write = total / 8;
        let input = total - cached - cache_write;
        Self { input, cached, cache_write, output, reasoning: REASONING, sound: 0, pictures: 0 }
    }

    fn with(self, sound: u64, pictures: u64) -> Self {
        Self { input: self.input + sound + pictures, sound, pictures, ..self }
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

/// One token per four bytes, and at least one.
pub(crate) fn input_tokens(body_bytes: usize) -> u64 {
    u64::try_from(body_bytes / 4).unwrap_or(u64::MAX).max(1)
}

impl MockResponse {
    pub(crate) fn to(request: &CallBody<'_>, endpoint: Endpoint, body: BodySummary<'_>, options: &MockTiming) -> Self {
        let behaviour = request.behaviour();
        let format = endpoint.format().unwrap_or(Format::Chat);
        let parameters = OutputParameters::from_request(request, format, body);
        let content = content(request, format, options);
        let output = match (format, behaviour) {
            (Format::Images, Behaviour::Tokens { count, .. }) => u64::from(count),
            (Format::Images, _) => u64::from(parameters.pictures) * MADE_TOKENS,
            _ => content.pieces(),
        };
        let mut tokens = TokenCounts::from_request(request, body, format, output);
        if matches!(behaviour, Behaviour::Tokens { .. }) {
            tokens.reasoning = 0;
        }
        Self {
            id: body.id().to_owned(),
            endpoint,
            model: request.model.clone().into_owned(),
            content,
            tokens: (behaviour != Behaviour::NoUsage).then_some(tokens),
            include_usage: request.wants_usage(),
            parameters,
            modality: request.modality(),
        }
    }
}

impl MockResponse {
    /// The output tokens that are sound, and those that are pictures.
    pub(crate) fn output_media(&self) -> (u64, u64) {
        let output = self.tokens.map_or(0, |tokens| tokens.output);
        match self.modality {
            Modality::Text => (0, 0),
            Modality::Sound => (output, 0),
            Modality::Picture => (0, output),
        }
    }

    /// The format of the endpoint; chat completions if it has none.
    pub(crate) const fn format(&self) -> Format {
        match self.endpoint.format() {
            Some(format) => format,
            None => Format::Chat,
        }
    }
}

impl OutputParameters {
    fn from_request(request: &CallBody<'_>, format: Format, body: BodySummary<'_>) -> Self {
        let has_inputs = matches!(format, Format::Embeddings | Format::EmbedContent | Format::Moderations);
        let has_form = matches!(format, Format::Images | Format::Speech | Format::Transcription);
        Self {
            inputs: if has_inputs { request.inputs() } else { Vec::new() },
            dimensions: request.dimensions().unwrap_or(DIMENSIONS),
            base64: request.wants_base64(),
            pictures: request.count(),
            partial_pictures: request.partial_images(),
            form: if has_form { request.response_format() } else { None },
            seconds: body.seconds(),
        }
    }
}

/// The properties of a request body that determine the response: length, SHA-256 in hex, and files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodySummary<'a> {
    pub(crate) bytes: usize,
    pub(crate) hash_hex: &'a str,
    pub(crate) files: u64,
    pub(crate) file_bytes: usize,
}

impl<'a> BodySummary<'a> {
    /// The first 24 hex digits of the hash, for ids.
    pub(crate) fn id(&self) -> &'a str {
        self.hash_hex.get(..24).unwrap_or(self.hash_hex)
    }

    const fn text_bytes(&self) -> usize {
        self.bytes.saturating_sub(self.file_bytes)
    }

    fn seconds(&self) -> u64 {
        u64::try_from(self.file_bytes.div_ceil(SOUND_BYTES_PER_S)).unwrap_or(u64::MAX).max(1)
    }
}

impl ResponseContent {
    pub(crate) const fn text(&self) -> &ResponseText {
        match self {
            Self::Text(text) | Self::ToolCall { arguments: text, .. } => text,
        }
    }

    fn pieces(&self) -> u64 {
        self.text().pieces()
    }
}

fn content(request: &CallBody<'_>, format: Format, options: &MockTiming) -> ResponseContent {
    let words = |text| ResponseContent::Text(ResponseText::Words(text));
    match request.behaviour() {
        Behaviour::Tool if has_tools(format) && !request.ends_with_tool_result() => {
            let call = request.demanded_tool().or_else(|| request.first_tool());
            call.map_or_else(weather_call, tool_call)
        }
        Behaviour::Tokens { count, .. } => {
            ResponseContent::Text(ResponseText::Repeated { word: "word ", times: count })
        }
        Behaviour::Long => {
            let ticks = options.long_for.as_millis() / options.long_pace.as_millis().max(1);
            ResponseContent::Text(ResponseText::Repeated {
                word: "tick ",
                times: u32::try_from(ticks).unwrap_or(u32::MAX),
            })
        }
        Behaviour::Echo => words(Cow::Owned(request.last_user_text())),
        _ if has_tools(format) => {
            let demanded = || if request.ends_with_tool_result() { None } else { request.demanded_tool() };
            let document = request.document().map(|document| words(Cow::Owned(document)));
            document.or_else(|| demanded().map(tool_call)).unwrap_or_else(|| words(Cow::Borrowed(GREETING)))
        }
        _ => words(Cow::Borrowed(GREETING)),
    }
}

fn tool_call(ToolCall { name, arguments }: ToolCall) -> ResponseContent {
    ResponseContent::ToolCall { tool: name, arguments: ResponseText::Words(arguments.into()) }
}

/// The call if the request declares no tool.
fn weather_call() -> ResponseContent {
    let arguments = ResponseText::Words(Cow::Borrowed(CALL_ARGUMENTS));
    ResponseContent::ToolCall { tool: String::from("get_weather"), arguments }
}

const fn has_tools(format: Format) -> bool {
    matches!(format, Format::Chat | Format::Responses | Format::Messages | Format::GenerateContent)
}
