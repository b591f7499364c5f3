//! The LLM endpoints: method and path.

mod unserved;

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::format::{Dialect, Format};

pub use unserved::{Shape, UnservedPath, unprefixed, unserved};

/// An endpoint under `ai.prefix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`: OpenAI's chat completions.
    ChatCompletions,
    /// `POST /v1/completions`: OpenAI's legacy completions.
    Completions,
    /// `POST /v1/responses`: OpenAI's Responses.
    Responses,
    /// `POST /v1/responses/input_tokens`: the token counting of OpenAI's Responses.
    InputTokens,
    /// `POST /v1/responses/compact`: shortens the input of later Responses.
    Compact,
    /// `POST /v1/messages`: Anthropic's Messages.
    Messages,
    /// `POST /v1/messages/count_tokens`: Anthropic's token counting.
    CountTokens,
    /// `POST /v1/embeddings`: OpenAI's embeddings.
    Embeddings,
    /// `POST /v1/images/generations`: generates images from text.
    ImagesGenerations,
    /// `POST /v1/images/edits`: edits images.
    ImagesEdits,
    /// `POST /v1/audio/speech`: converts text into audio.
    AudioSpeech,
    /// `POST /v1/audio/transcriptions`: converts audio into text.
    AudioTranscriptions,
    /// `POST /v1/audio/translations`: converts audio into English text.
    AudioTranslations,
    /// `POST /v1/moderations`: OpenAI's moderations.
    Moderations,
    /// `POST /v1beta/models/{model}:generateContent`; like all of Gemini's endpoints also under `/v1`.
    GenerateContent,
    /// `POST /v1beta/models/{model}:streamGenerateContent`: Gemini's stream.
    StreamGenerateContent,
    /// `POST /v1beta/models/{model}:countTokens`: Gemini's token counting.
    GeminiCountTokens,
    /// `POST /v1beta/models/{model}:embedContent`: one embedding of Gemini's.
    EmbedContent,
    /// `POST /v1beta/models/{model}:batchEmbedContents`: several embeddings of Gemini's.
    BatchEmbedContents,
    /// `GET /v1/models` and `GET /v1beta/models`.
    Models,
    /// `GET /v1/models/{model}` and `GET /v1beta/models/{model}`.
    Model,
    /// `HEAD /` and `GET /`: clients open their connection with it (Claude Code, without a credential).
    Root,
}

/// An endpoint and the path that called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointCall<'a> {
    /// The endpoint of the path.
    pub endpoint: Endpoint,
    /// The model or Azure deployment that the path names, percent-decoded.
    pub model: Option<Cow<'a, str>>,
    /// The dialect of the path; `None` if several APIs share it and headers decide ([`crate::models::asking`]).
    pub dialect: Option<Dialect>,
    version: &'static str,
}

/// The result of looking up a method and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointMatch<'a> {
    /// The method and path call this endpoint.
    Endpoint(EndpointCall<'a>),
    /// The path is an endpoint's, but the method is not allowed.
    WrongMethod {
        /// The endpoint with this path.
        called: EndpointCall<'a>,
        /// The value of the `Allow` header.
        allow: &'static str,
    },
    /// No endpoint has this path.
    None,
}

/// Maximum number of parts, between slashes, of a model's name in Azure's paths.
const MODEL_PARTS_MAX: usize = 8;

/// Characters of a model's name that are not encoded in a path: RFC 3986's unreserved characters, and `/` for Google's
/// names.
const IN_PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

impl Endpoint {
    /// Every endpoint, in order of declaration.
    pub const ALL: [Self; 22] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::InputTokens,
        Self::Compact,
        Self::Messages,
        Self::CountTokens,
        Self::Embeddings,
        Self::ImagesGenerations,
        Self::ImagesEdits,
        Self::AudioSpeech,
        Self::AudioTranscriptions,
        Self::AudioTranslations,
        Self::Moderations,
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::GeminiCountTokens,
        Self::EmbedContent,
        Self::BatchEmbedContents,
        Self::Models,
        Self::Model,
        Self::Root,
    ];

    /// Finds the endpoint of `path`, which is the part after `ai.prefix` without the query.
    ///
    /// Besides the paths of [`Endpoint::path`], the paths of Azure's clients are accepted:
    /// `/openai/deployments/{deployment}/…`, where the deployment is the model, `/openai/v1/…` and `/openai/…`.
    #[must_use]
    pub fn find<'a>(method: &str, path: &'a str) -> EndpointMatch<'a> {
        let Some(called) = EndpointCall::from_path(path) else { return EndpointMatch::None };
        let allow = called.endpoint.allow();
        if allow.split(", ").any(|allowed| allowed == method) {
            EndpointMatch::Endpoint(called)
        } else {
            EndpointMatch::WrongMethod { called, allow }
        }
    }

    /// Returns the path after `ai.prefix`, with `{model}` in place of a model's name.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Responses => "/v1/responses",
            Self::InputTokens => "/v1/responses/input_tokens",
            Self::Compact => "/v1/responses/compact",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::Embeddings => "/v1/embeddings",
            Self::ImagesGenerations => "/v1/images/generations",
            Self::ImagesEdits => "/v1/images/edits",
            Self::AudioSpeech => "/v1/audio/speech",
            Self::AudioTranscriptions => "/v1/audio/transcriptions",
            Self::AudioTranslations => "/v1/audio/translations",
            Self::Moderations => "/v1/moderations",
            Self::GenerateContent => "/v1beta/models/{model}:generateContent",
            Self::StreamGenerateContent => "/v1beta/models/{model}:streamGenerateContent",
            Self::GeminiCountTokens => "/v1beta/models/{model}:countTokens",
            Self::EmbedContent => "/v1beta/models/{model}:embedContent",
            Self::BatchEmbedContents => "/v1beta/models/{model}:batchEmbedContents",
            Self::Models => "/v1/models",
            Self::Model => "/v1/models/{model}",
            Self::Root => "/",
        }
    }

    /// Returns the format of its bodies and errors; `None` if it depends on the client.
    #[must_use]
    pub const fn format(self) -> Option<Format> {
        match self {
            Self::ChatCompletions => Some(Format::Chat),
            Self::Completions => Some(Format::Completions),
            Self::Responses | Self::InputTokens | Self::Compact => Some(Format::Responses),
            Self::Messages | Self::CountTokens => Some(Format::Messages),
            Self::Embeddings => Some(Format::Embeddings),
            Self::ImagesGenerations | Self::ImagesEdits => Some(Format::Images),
            Self::AudioSpeech => Some(Format::Speech),
            Self::AudioTranscriptions | Self::AudioTranslations => Some(Format::Transcription),
            Self::Moderations => Some(Format::Moderations),
            Self::GenerateContent | Self::StreamGenerateContent | Self::GeminiCountTokens => {
                Some(Format::GenerateContent)
            }
            Self::EmbedContent | Self::BatchEmbedContents => Some(Format::EmbedContent),
            Self::Models | Self::Model | Self::Root => None,
        }
    }

    /// Returns the endpoint of calls for text in `format`; Gemini has one for streams.
    const fn of_format(format: Format, is_streamed: bool) -> Option<Self> {
        match format {
            Format::Chat => Some(Self::ChatCompletions),
            Format::Responses => Some(Self::Responses),
            Format::Messages => Some(Self::Messages),
            Format::GenerateContent if is_streamed => Some(Self::StreamGenerateContent),
            Format::GenerateContent => Some(Self::GenerateContent),
            Format::Completions
            | Format::Embeddings
            | Format::EmbedContent
            | Format::Images
            | Format::Speech
            | Format::Transcription
            | Format::Moderations => None,
        }
    }

    /// Returns the endpoint that counts the tokens of calls in `format`.
    #[must_use]
    pub const fn counter_of(format: Format) -> Option<Self> {
        match format {
            Format::Responses => Some(Self::InputTokens),
            Format::Messages => Some(Self::CountTokens),
            Format::GenerateContent => Some(Self::GeminiCountTokens),
            Format::Chat
            | Format::Completions
            | Format::Embeddings
            | Format::EmbedContent
            | Format::Images
            | Format::Speech
            | Format::Transcription
            | Format::Moderations => None,
        }
    }

    /// Whether the endpoint counts the tokens of a call.
    #[must_use]
    pub const fn counts_tokens(self) -> bool {
        matches!(self, Self::InputTokens | Self::CountTokens | Self::GeminiCountTokens)
    }

    /// Whether a request costs no quota.
    #[must_use]
    pub const fn free(self) -> bool {
        self.counts_tokens() || matches!(self, Self::Models | Self::Model | Self::Root)
    }

    const fn allow(self) -> &'static str {
        match self {
            Self::Models | Self::Model => "GET",
            Self::Root => "GET, HEAD",
            Self::ChatCompletions
            | Self::Completions
            | Self::Responses
            | Self::InputTokens
            | Self::Compact
            | Self::Messages
            | Self::CountTokens
            | Self::Embeddings
            | Self::ImagesGenerations
            | Self::ImagesEdits
            | Self::AudioSpeech
            | Self::AudioTranscriptions
            | Self::AudioTranslations
            | Self::Moderations
            | Self::GenerateContent
            | Self::StreamGenerateContent
            | Self::GeminiCountTokens
            | Self::EmbedContent
            | Self::BatchEmbedContents => "POST",
        }
    }

    /// Returns the endpoint of OpenAI's API, or one that shares its `/v1`, whose path ends in `rest`.
    fn below_v1(rest: &str) -> Option<Self> {
        let fixed = |endpoint: &Self| endpoint.path().strip_prefix("/v1/") == Some(rest);
        Self::ALL.into_iter().find(fixed).filter(|endpoint| *endpoint != Self::Model)
    }

    /// Returns the endpoint of Gemini's method name after a model's name.
    fn of_verb(verb: &str) -> Option<Self> {
        match verb {
            "generateContent" => Some(Self::GenerateContent),
            "streamGenerateContent" => Some(Self::StreamGenerateContent),
            "countTokens" => Some(Self::GeminiCountTokens),
            "embedContent" => Some(Self::EmbedContent),
            "batchEmbedContents" => Some(Self::BatchEmbedContents),
            _ => None,
        }
    }
}

impl<'a> EndpointCall<'a> {
    /// Returns the same call without a borrowed path.
    #[must_use]
    pub fn into_owned(self) -> EndpointCall<'static> {
        let Self { endpoint, model, dialect, version } = self;
        EndpointCall { endpoint, model: model.map(|model| Cow::Owned(model.into_owned())), dialect, version }
    }

    /// Whether the client's path and query are sent to the provider unchanged.
    #[must_use]
    pub const fn is_verbatim(&self) -> bool {
        self.version.is_empty()
    }

    /// Returns the endpoint at `path` for any method.
    #[must_use]
    pub fn from_path(path: &'a str) -> Option<Self> {
        if path.is_empty() || path == "/" {
            return Some(Self { endpoint: Endpoint::Root, model: None, dialect: None, version: "" });
        }
        if let Some(rest) = path.strip_prefix("/v1/") {
            return Self::openai(rest).or_else(|| Self::google("v1", None, rest));
        }
        if let Some(rest) = path.strip_prefix("/v1beta/") {
            return Self::google("v1beta", Some(Dialect::Google), rest);
        }
        let rest = path.strip_prefix("/openai/")?;
        let Some(deployed) = rest.strip_prefix("deployments/") else {
            return Self::azure(rest.strip_prefix("v1/").unwrap_or(rest));
        };
        Self::deployed(deployed)
    }

    /// Reads Azure's `{deployment}/…`, below `deployments/`. A deployment named `PROVIDER/MODEL` may contain an
    /// unescaped slash (LangChain's AzureChatOpenAI), so the first rest that is an endpoint's path decides.
    fn deployed(path: &'a str) -> Option<Self> {
        let split = |(at, _): (usize, &str)| Some((path.get(..at)?, path.get(at + 1..)?));
        let splits = path.match_indices('/').take(MODEL_PARTS_MAX).filter_map(split);
        let mut found = splits.filter_map(|(deployment, rest)| {
            let called = Self::azure(rest).filter(|called| called.endpoint.format().is_some())?;
            Some((deployment, called))
        });
        let (deployment, called) = found.next()?;
        Some(Self { model: Some(decoded(deployment)?), ..called })
    }

    /// Returns a call for text in `format`. `model` is the provider's own name of the model, which may become a part of the
    /// path: `None` if it cannot, or if the format is not for text.
    #[must_use]
    pub fn of_format(format: Format, is_streamed: bool, model: &str) -> Option<EndpointCall<'static>> {
        Self::in_format(format, Endpoint::of_format(format, is_streamed)?, model)
    }

    /// Returns the call that counts the tokens of a call in `format`. `None` if the format has no such endpoint, or the path cannot
    /// contain the provider's own name of the model.
    #[must_use]
    pub fn counter(format: Format, model: &str) -> Option<EndpointCall<'static>> {
        Self::in_format(format, Endpoint::counter_of(format)?, model)
    }

    fn in_format(format: Format, endpoint: Endpoint, model: &str) -> Option<EndpointCall<'static>> {
        let dialect = Some(format.dialect());
        if format != Format::GenerateContent {
            return Some(EndpointCall { endpoint, model: None, dialect, version: "" });
        }
        let model = Some(Cow::Owned(model.to_owned())).filter(|model| is_part_of_path(model))?;
        Some(EndpointCall { endpoint, model: Some(model), dialect, version: "v1beta" })
    }

    /// Returns path and query for the provider and its model `model`. Query parameters are forwarded if the format
    /// defines them and they change neither the account nor the reading of usage; others are removed. For example, a
    /// `key` is a credential, and Google's `fields` or `callback` would make usage unreadable.
    #[must_use]
    pub fn target(&self, model: &str, query: Option<&str>) -> String {
        let path = self.endpoint.path();
        let mut target = match path.split_once("{model}") {
            Some((_, verb)) => {
                format!("/{}/models/{}{verb}", self.version, utf8_percent_encode(model, &IN_PATH))
            }
            None => path.to_owned(),
        };
        let is_forwarded = |pair: &&str| self.passes(pair);
        for (at, pair) in query.into_iter().flat_map(|query| query.split('&')).filter(is_forwarded).enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(pair);
        }
        target
    }

    /// Whether a query parameter is forwarded. Names and values are compared decoded, as the provider reads them.
    fn passes(&self, pair: &str) -> bool {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name).decode_utf8_lossy();
        let value = percent_decode_str(value).decode_utf8_lossy();
        match (self.dialect, &*name) {
            (Some(Dialect::Anthropic), "beta") => true,
            // On Azure's paths the parameter belongs to Azure's API, and not to the provider's.
            (Some(Dialect::OpenAi), "api-version") => self.version != "azure",
            (Some(Dialect::Google), "alt" | "$alt") => matches!(&*value, "sse" | "json"),
            _ => false,
        }
    }

    fn openai(rest: &'a str) -> Option<Self> {
        let endpoint = Endpoint::below_v1(rest)?;
        let dialect = endpoint.format().map(Format::dialect);
        Some(Self { endpoint, model: None, dialect, version: "" })
    }

    fn azure(rest: &'a str) -> Option<Self> {
        let named = rest.strip_prefix("models/").and_then(decoded).map(|model| (Endpoint::Model, Some(model)));
        let (endpoint, model) = named.or_else(|| Some((Endpoint::below_v1(rest)?, None)))?;
        let dialect = endpoint.format().map_or(Dialect::OpenAi, Format::dialect);
        (dialect == Dialect::OpenAi).then_some(Self { endpoint, model, dialect: Some(dialect), version: "azure" })
    }

    fn google(version: &'static str, dialect: Option<Dialect>, rest: &'a str) -> Option<Self> {
        if rest == "models" {
            return Some(Self { endpoint: Endpoint::Models, model: None, dialect, version });
        }
        let verb_of = |named: &'a str| {
            let (model, verb) = named.rsplit_once(':')?;
            Some((model, Endpoint::of_verb(verb)?))
        };
        let (model, endpoint) = match rest.strip_prefix("models/") {
            Some("") => return None,
            Some(named) => verb_of(named).unwrap_or((named, Endpoint::Model)),
            // The AI SDK leaves `models/` out before a name with a slash.
            None => verb_of(rest).filter(|(model, _)| model.contains('/') && unserved::is_model(model))?,
        };
        let dialect = endpoint.format().map(Format::dialect).or(dialect);
        // Clients that list models send the whole name back, behind `models/` again.
        let model = model.strip_prefix("models/").unwrap_or(model);
        Some(Self { endpoint, model: Some(decoded(model)?), dialect, version })
    }
}

/// Decodes a name of a path. `None` if it is not UTF-8, or cannot be a part of a path.
fn decoded(name: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(name).decode_utf8().ok().filter(|name| is_part_of_path(name))
}

/// Whether a name is not empty, and contains neither `.` nor `..` as a part: a later reader of the path resolves them
/// (RFC 3986, 5.2.4) and would use another folder.
pub(crate) fn is_part_of_path(name: &str) -> bool {
    !name.is_empty() && !name.split(['/', '\\']).any(|part| matches!(part, "." | ".."))
}

#[cfg(test)]
mod tests;
