//! Wire formats, the provider that defines each, and the kinds of provider that support them.

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

/// The API that a provider supports: `providers[].kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// OpenAI, or a compatible provider.
    OpenAi,
    /// Anthropic, or a compatible provider.
    Anthropic,
    /// Google's Gemini API, or a compatible provider.
    Gemini,
    /// Tollgate's mock: it supports every format.
    Mock,
}

impl ProviderKind {
    /// Every kind of provider.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Mock];

    /// Returns the name in the configuration and in the price table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Mock => "mock",
        }
    }

    /// Parses the name in the configuration.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Returns the host of the provider's own API; `None` for the mock.
    #[must_use]
    pub const fn own_host(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("api.openai.com"),
            Self::Anthropic => Some("api.anthropic.com"),
            Self::Gemini => Some("generativelanguage.googleapis.com"),
            Self::Mock => None,
        }
    }

    /// Returns the credential's header, in lowercase, and the prefix of the credential in its value. The mock uses the
    /// header of the provider of `dialect`.
    #[must_use]
    pub const fn credential_header(self, dialect: Dialect) -> (&'static str, &'static str) {
        match (self, dialect) {
            (Self::OpenAi, _) | (Self::Mock, Dialect::OpenAi) => ("authorization", "Bearer "),
            (Self::Anthropic, _) | (Self::Mock, Dialect::Anthropic) => ("x-api-key", ""),
            (Self::Gemini, _) | (Self::Mock, Dialect::Google) => ("x-goog-api-key", ""),
        }
    }

    /// Returns the dialect of the provider's API; the mock supports each, and lists its models as OpenAI does.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::OpenAi | Self::Mock => Dialect::OpenAi,
            Self::Anthropic => Dialect::Anthropic,
            Self::Gemini => Dialect::Google,
        }
    }

    /// Returns the path at which a provider lists its models, free of charge, and further headers that it requires.
    #[must_use]
    pub const fn models(self) -> (&'static str, &'static [(&'static str, &'static str)]) {
        match self {
            Self::OpenAi | Self::Mock => ("/v1/models", &[]),
            Self::Anthropic => ("/v1/models", &[("anthropic-version", "2023-06-01")]),
            Self::Gemini => ("/v1beta/models", &[]),
        }
    }

    /// Whether the provider answers an invalid credential with `status`. Google reports it as a bad request
    /// (2026-11-20).
    #[must_use]
    pub const fn refuses_credential(self, status: u16) -> bool {
        match self {
            Self::OpenAi | Self::Anthropic | Self::Mock => matches!(status, 401 | 403),
            Self::Gemini => matches!(status, 400 | 401 | 403),
        }
    }

    /// Whether the provider's API has endpoints for `format`.
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
