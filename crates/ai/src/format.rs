//! Wire formats, and which kinds of provider speak them.

/// A wire format: a request's body, its answer and its stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    /// The word in logs, metrics and usage events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
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
    /// Our mock: every format.
    Mock,
}

impl ProviderKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::OpenAi, Self::Anthropic, Self::Mock];

    /// The word in the configuration and in the price table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
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
            Self::Mock => None,
        }
    }

    /// Whether its API has an endpoint for `format`.
    #[must_use]
    pub const fn speaks(self, format: Format) -> bool {
        match (self, format) {
            (Self::Mock, _)
            | (Self::OpenAi, Format::Chat | Format::Responses)
            | (Self::Anthropic, Format::Messages) => true,
            (Self::OpenAi, Format::Messages) | (Self::Anthropic, Format::Chat | Format::Responses) => false,
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
        assert_eq!(ProviderKind::parse("gemini"), None);
    }

    #[test]
    fn every_format_is_spoken_by_the_mock_and_one_provider() {
        for format in Format::ALL {
            let speakers: Vec<_> = ProviderKind::ALL.into_iter().filter(|kind| kind.speaks(format)).collect();
            assert_eq!((speakers.len(), speakers.last()), (2, Some(&ProviderKind::Mock)), "{}", format.name());
        }
    }
}
