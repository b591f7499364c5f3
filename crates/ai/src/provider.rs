//! The kinds of providers. A kind is a file with its [`ProviderDescriptor`], and a row in the table of this file.

mod anthropic;
mod azure_openai;
mod bedrock;
mod gemini;
mod mock;
mod openai;
mod path_call;
mod paths;
mod surface;
mod vertex;

use crate::endpoint::Endpoint;
use crate::format::{Dialect, Format};

pub use path_call::PathCall;
pub use paths::ProviderPaths;
pub use surface::ClaudeSurface;

/// The facts about one kind of provider that the gateway needs.
#[derive(Debug)]
pub struct ProviderDescriptor {
    /// The name in the configuration and in the price table.
    pub name: &'static str,
    /// The provider's own API; `None` if each account or region has another host, and for the mock.
    pub own: Option<OwnApi>,
    /// The path of the provider's own base URL, as its clients configure it: `/v1`, or nothing. The paths of endpoints
    /// begin with it; base URLs of other hosts may have another path in its place.
    pub base_path: &'static str,
    /// Whether the paths of each API are in its folder: `/openai` or `/anthropic`.
    pub has_folders: bool,
    /// The dialects of the API, the main one first.
    pub dialects: &'static [Dialect],
    /// Whether the API has no other calls than those for text.
    pub is_for_text: bool,
    /// The main endpoint for text.
    pub main_endpoint: Endpoint,
    /// How requests to the provider authenticate.
    pub credential: ProviderCredential,
    /// The path behind a base URL at which the provider lists its models, free of charge.
    pub models_path: &'static str,
    /// Further headers that the list of models requires.
    pub models_headers: &'static [(&'static str, &'static str)],
    /// The statuses of the response to an invalid credential.
    pub refused_credential: &'static [u16],
    /// A request that the provider serves.
    pub example: ExampleCall,
}

/// The API that the provider itself serves.
#[derive(Debug)]
pub struct OwnApi {
    /// The host of its URL.
    pub host: &'static str,
    /// The environment variable that contains the credential, as the provider's clients read it.
    pub variable: &'static str,
}

/// The header that contains the credential.
#[derive(Debug, Clone, Copy)]
pub enum ProviderCredential {
    /// This header, in lowercase, and the prefix of the credential in its value.
    Header(&'static str, &'static str),
    /// The header of the provider that defines the dialect of the request.
    OfDialect,
}

/// A streamed request for text.
#[derive(Debug)]
pub struct ExampleCall {
    /// The endpoint, whose path may contain `{model}`.
    pub endpoint: Endpoint,
    /// The query with its `?`, or nothing.
    pub query: &'static str,
    /// The body as JSON without a `'`; it may contain `{model}`.
    pub body: &'static str,
    /// A model of the provider's own API.
    pub model: &'static str,
}

/// Declares the kinds: `Kind = module;` with the documentation of the kind.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $module:ident;)+) => {
        /// The API that a provider supports: `providers[].kind`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProviderKind {
            $($(#[$doc])* $kind,)+
        }

        impl ProviderKind {
            /// Every kind of provider, with its name.
            pub const NAMED: &[(&'static str, Self)] = &[$(($module::DESCRIPTOR.name, Self::$kind)),+];

            /// Returns the facts about this kind.
            #[must_use]
            pub const fn descriptor(self) -> &'static ProviderDescriptor {
                match self {
                    $(Self::$kind => &$module::DESCRIPTOR,)+
                }
            }
        }
    };
}

kinds! {
    /// OpenAI, or a compatible provider.
    OpenAi = openai;
    /// Anthropic, or a compatible provider.
    Anthropic = anthropic;
    /// Google's Gemini API, or a compatible provider.
    Gemini = gemini;
    /// OpenAI's models at Azure.
    AzureOpenAi = azure_openai;
    /// Amazon Bedrock's `mantle` endpoint.
    Bedrock = bedrock;
    /// Google Cloud's Vertex AI, with the models of several publishers.
    Vertex = vertex;
    /// Tollgate's mock: it supports every format.
    Mock = mock;
}

impl Dialect {
    /// The kind whose provider defines the dialect.
    const fn provider(self) -> ProviderKind {
        match self {
            Self::OpenAi => ProviderKind::OpenAi,
            Self::Anthropic => ProviderKind::Anthropic,
            Self::Google => ProviderKind::Gemini,
        }
    }
}

impl ProviderKind {
    /// Returns every kind of provider.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMED.iter().map(|(_, kind)| *kind)
    }

    /// Returns the name in the configuration and in the price table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.descriptor().name
    }

    /// Parses the name in the configuration.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::all().find(|kind| kind.as_str() == word)
    }

    /// Returns the base URL of the provider's own API, as its clients configure it; `None` if it has no single one.
    #[must_use]
    pub fn own_url(self) -> Option<String> {
        let descriptor = self.descriptor();
        descriptor.own.as_ref().map(|own| format!("https://{}{}", own.host, descriptor.base_path))
    }

    /// Returns the credential's header, in lowercase, and the prefix of the credential in its value, for a request of
    /// `dialect`.
    #[must_use]
    pub const fn credential_header(self, dialect: Dialect) -> (&'static str, &'static str) {
        match (self.descriptor().credential, dialect.provider().descriptor().credential) {
            (ProviderCredential::Header(name, prefix), _)
            | (ProviderCredential::OfDialect, ProviderCredential::Header(name, prefix)) => (name, prefix),
            (ProviderCredential::OfDialect, ProviderCredential::OfDialect) => ("authorization", "Bearer "),
        }
    }

    /// Returns the main dialect of the provider's API, in which it lists its models.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        self.descriptor().dialects.first().copied().unwrap_or(Dialect::OpenAi)
    }

    /// Whether the provider's API has endpoints for `format`.
    #[must_use]
    pub fn speaks(self, format: Format) -> bool {
        let ProviderDescriptor { dialects, is_for_text, .. } = self.descriptor();
        let is_text = matches!(format, Format::Chat | Format::Responses | Format::Messages | Format::GenerateContent);
        dialects.contains(&format.dialect()) && (is_text || !is_for_text) && !self.lacks(format)
    }

    /// Whether the provider's API may have `endpoint`, if it has the format. Some endpoints of Responses are OpenAI's alone; other
    /// servers with this format have the main one.
    #[must_use]
    pub const fn has(self, endpoint: Endpoint) -> bool {
        !matches!(endpoint, Endpoint::InputTokens | Endpoint::Compact)
            || matches!(self, Self::OpenAi | Self::AzureOpenAi | Self::Mock)
    }

    /// Whether the API lacks a format for text of a dialect that it has.
    fn lacks(self, format: Format) -> bool {
        self == Self::Vertex && format == Format::Responses
    }

    /// Returns the only format for text in which the provider serves `model`; `None` if the name does not decide that.
    #[must_use]
    pub fn format_of_model(self, model: &str) -> Option<Format> {
        (self == Self::Vertex).then(|| vertex::format_of_model(model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for kind in ProviderKind::all() {
            assert_eq!(ProviderKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(ProviderKind::parse("ollama"), None);
    }

    #[test]
    fn every_format_is_spoken_by_the_mock_and_one_provider() {
        for format in Format::ALL {
            let speakers: Vec<_> = ProviderKind::all().filter(|kind| kind.speaks(format)).collect();
            assert!(speakers.len() > 1 && speakers.last() == Some(&ProviderKind::Mock), "{}", format.name());
        }
    }

    #[test]
    fn a_kind_authenticates_as_its_clients_do_and_the_mock_as_each_of_them() {
        for (kind, header) in [
            (ProviderKind::OpenAi, ("authorization", "Bearer ")),
            (ProviderKind::Anthropic, ("x-api-key", "")),
            (ProviderKind::Gemini, ("x-goog-api-key", "")),
        ] {
            assert_eq!(kind.credential_header(Dialect::OpenAi), header);
            assert_eq!(ProviderKind::Mock.credential_header(kind.dialect()), header);
        }
        for (kind, header) in [
            (ProviderKind::AzureOpenAi, ("api-key", "")),
            (ProviderKind::Bedrock, ("authorization", "Bearer ")),
            (ProviderKind::Vertex, ("authorization", "Bearer ")),
        ] {
            assert!(
                [Dialect::OpenAi, Dialect::Anthropic].iter().all(|dialect| kind.credential_header(*dialect) == header)
            );
        }
    }

    #[test]
    fn every_kind_speaks_its_endpoints_and_its_example_is_json() {
        for kind in ProviderKind::all() {
            let ProviderDescriptor { main_endpoint, example, own, .. } = kind.descriptor();
            for endpoint in [*main_endpoint, example.endpoint] {
                assert!(kind.speaks(endpoint.format().unwrap()), "{kind:?} {endpoint:?}");
            }
            assert!(serde_json::from_str::<serde_json::Value>(example.body).is_ok() && !example.body.contains('\''));
            let has_own = matches!(kind, ProviderKind::OpenAi | ProviderKind::Anthropic | ProviderKind::Gemini);
            assert_eq!(own.is_some(), has_own, "{kind:?}");
        }
    }
}
