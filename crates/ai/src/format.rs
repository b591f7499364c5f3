//! Wire formats, and the provider that defines each.

/// The provider whose API a path belongs to: it determines the shape of errors and lists, and the client's credential
/// header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's API, and the default of other APIs.
    OpenAi,
    /// Anthropic's API, with Messages.
    Anthropic,
    /// The Gemini API of Google.
    Google,
}

/// A wire format: a request's body, its response and its stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The Chat Completions API of OpenAI.
    Chat,
    /// The Responses API of OpenAI.
    Responses,
    /// The Messages API of Anthropic.
    Messages,
    /// Gemini's `generateContent` and `streamGenerateContent`.
    GenerateContent,
    /// OpenAI's legacy completions API.
    Completions,
    /// OpenAI's API for embeddings.
    Embeddings,
    /// Gemini's `embedContent` and `batchEmbedContents`.
    EmbedContent,
    /// OpenAI's images, generated and edited.
    Images,
    /// OpenAI's speech: text in, audio out.
    Speech,
    /// OpenAI's transcriptions and translations: audio in, text out.
    Transcription,
    /// OpenAI's API for moderations.
    Moderations,
}

impl Format {
    /// Every format, in order of declaration.
    pub const ALL: [Self; 11] = [
        Self::Chat,
        Self::Responses,
        Self::Messages,
        Self::GenerateContent,
        Self::Completions,
        Self::Embeddings,
        Self::EmbedContent,
        Self::Images,
        Self::Speech,
        Self::Transcription,
        Self::Moderations,
    ];

    /// Returns the name in logs, metrics and usage events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::GenerateContent => "generate_content",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::EmbedContent => "embed_content",
            Self::Images => "images",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Moderations => "moderations",
        }
    }

    /// Returns the dialect that the format belongs to.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Chat
            | Self::Responses
            | Self::Completions
            | Self::Embeddings
            | Self::Images
            | Self::Speech
            | Self::Transcription
            | Self::Moderations => Dialect::OpenAi,
            Self::Messages => Dialect::Anthropic,
            Self::GenerateContent | Self::EmbedContent => Dialect::Google,
        }
    }
}
