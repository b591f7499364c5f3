//! Wire formats, whose they are, and which kinds of provider speak them.

/// Whose API a path belongs to: the shape of errors and lists, and where clients put their credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's, and of whoever says nothing else.
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Google's Gemini API.
    Google,
}

/// A wire format: a request's body, its answer and its stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
    /// Gemini's `generateContent` and `streamGenerateContent`.
    GenerateContent,
    /// OpenAI's legacy completions.
    Completions,
    /// OpenAI's embeddings.
    Embeddings,
    /// Gemini's `embedContent` and `batchEmbedContents`.
    EmbedContent,
    /// OpenAI's images, made and edited.
    Images,
    /// OpenAI's speech: text in, audio out.
    Speech,
    /// OpenAI's transcriptions and translations: audio in, text out.
    Transcription,
    /// OpenAI's moderations.
    Moderations,
}

impl Format {
    /// Every format.
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

    /// The word in logs, metrics and usage events.
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

    /// Whose it is.
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

/// Whose API a provider speaks: `providers[].kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// OpenAI, or who speaks like it.
    OpenAi,
    /// Anthropic, or who speaks like it.
    Anthropic,
    /// Google's Gemini API, or who speaks like it.
    Gemini,
    /// Our mock: every format.
    Mock,
}

impl ProviderKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Mock];

    /// The word in the configuration and in the price table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Mock => "mock",
        }
    }

    /// Reads the configuration's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The host of its own API; `None` for the mock.
    #[must_use]
    pub const fn own_host(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("api.openai.com"),
            Self::Anthropic => Some("api.anthropic.com"),
            Self::Gemini => Some("generativelanguage.googleapis.com"),
            Self::Mock => None,
        }
    }

    /// The header in which it takes a credential, in lowercase, and what stands before the credential there. The mock takes
    /// it where the provider of `dialect` does.
    #[must_use]
    pub const fn credential_header(self, dialect: Dialect) -> (&'static str, &'static str) {
        match (self, dialect) {
            (Self::OpenAi, _) | (Self::Mock, Dialect::OpenAi) => ("authorization", "Bearer "),
            (Self::Anthropic, _) | (Self::Mock, Dialect::Anthropic) => ("x-api-key", ""),
            (Self::Gemini, _) | (Self::Mock, Dialect::Google) => ("x-goog-api-key", ""),
        }
    }

    /// Whose API it speaks; the mock speaks each, and lists its models as OpenAI does.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::OpenAi | Self::Mock => Dialect::OpenAi,
            Self::Anthropic => Dialect::Anthropic,
            Self::Gemini => Dialect::Google,
        }
    }

    /// Where it lists its models, to whom has a credential and for nothing: a path, and headers that it asks for besides.
    #[must_use]
    pub const fn models(self) -> (&'static str, &'static [(&'static str, &'static str)]) {
        match self {
            Self::OpenAi | Self::Mock => ("/v1/models", &[]),
            Self::Anthropic => ("/v1/models", &[("anthropic-version", "2023-06-01")]),
            Self::Gemini => ("/v1beta/models", &[]),
        }
    }

    /// Whether it answers a credential that opens nothing with `status`. Google calls it a bad request (2026-11-20).
    #[must_use]
    pub const fn refuses_credential(self, status: u16) -> bool {
        match self {
            Self::OpenAi | Self::Anthropic | Self::Mock => matches!(status, 401 | 403),
            Self::Gemini => matches!(status, 400 | 401 | 403),
        }
    }

    /// Whether its API has endpoints for `format`.
    #[must_use]
    pub const fn speaks(self, format: Format) -> bool {
        match (self, format.dialect()) {
            (Self::Mock, _)
            | (Self::OpenAi, Dialect::OpenAi)
            | (Self::Anthropic, Dialect::Anthropic)
            | (Self::Gemini, Dialect::Google) => true,
            (Self::OpenAi | Self::Anthropic | Self::Gemini, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for kind in ProviderKind::ALL {
            assert_eq!(ProviderKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(ProviderKind::parse("bedrock"), None);
    }

    #[test]
    fn every_format_is_spoken_by_the_mock_and_one_provider() {
        for format in Format::ALL {
            let speakers: Vec<_> = ProviderKind::ALL.into_iter().filter(|kind| kind.speaks(format)).collect();
            assert_eq!((speakers.len(), speakers.last()), (2, Some(&ProviderKind::Mock)), "{}", format.name());
        }
    }
}
