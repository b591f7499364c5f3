//! Google Cloud's Vertex AI: models of Google, of Anthropic, and others behind an endpoint with OpenAI's API.
//!
//! The name of a model decides its publisher, and so its path and its only format.

use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::path_call::{IN_SEGMENT, PathCall, is_nameable};
use super::{ExampleCall, ProviderCredential, ProviderDescriptor};
use crate::endpoint::Endpoint;
use crate::format::{Dialect, Format};
use crate::request::HostedMessages;

pub(super) const DESCRIPTOR: ProviderDescriptor = ProviderDescriptor {
    name: "vertex",
    own: None,
    base_path: "",
    has_folders: true,
    dialects: &[Dialect::Google, Dialect::Anthropic, Dialect::OpenAi],
    is_for_text: true,
    main_endpoint: Endpoint::GenerateContent,
    credential: ProviderCredential::Header("authorization", "Bearer "),
    models_path: "",
    models_headers: &[],
    refused_credential: &[400, 401, 403],
    example: ExampleCall {
        endpoint: Endpoint::StreamGenerateContent,
        query: "?alt=sse",
        body: r#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}"#,
        model: "gemini-2.5-flash",
    },
};

/// The form of bodies of Messages. Features are named in the header `anthropic-beta`, as at Anthropic.
pub(super) const MESSAGES: HostedMessages =
    HostedMessages { version: "vertex-2023-10-16", has_stream: true, beta: |_| None };
/// The beginning of the names of Anthropic's models, such as `claude-haiku-4-5@20251001`.
const CLAUDE: &str = "claude";
/// Characters of a model's name that are not encoded. Anthropic's names have an `@` before their date.
const IN_MODEL: AsciiSet = IN_SEGMENT.remove(b'@');

/// Returns the only format of a model. Names of OpenAI's endpoint contain their publisher: `google/gemini-2.5-flash`.
pub(super) fn format_of_model(model: &str) -> Format {
    if model.contains('/') {
        Format::Chat
    } else if model.starts_with(CLAUDE) {
        Format::Messages
    } else {
        Format::GenerateContent
    }
}

/// Returns path and query of a call below `folder`. `None` for other endpoints, and for a name that a later reader of the path
/// would resolve (RFC 3986, 5.2.4).
pub(super) fn target(folder: &str, call: PathCall<'_>) -> Option<String> {
    let PathCall { called, model, query, is_streamed } = call;
    let name = Some(model).filter(|model| is_nameable(model))?;
    let name = utf8_percent_encode(name, &IN_MODEL);
    let of = |publisher: &str, verb: &str| Some(format!("{folder}/publishers/{publisher}/models/{name}:{verb}"));
    match called.endpoint {
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent | Endpoint::GeminiCountTokens => {
            let (_, verb) = called.endpoint.path().rsplit_once(':')?;
            let target = called.target(model, query);
            let query = target.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
            of("google", &format!("{verb}{query}"))
        }
        Endpoint::Messages => of("anthropic", if is_streamed { "streamRawPredict" } else { "rawPredict" }),
        // The body names the model.
        Endpoint::CountTokens => Some(format!("{folder}/publishers/anthropic/models/count-tokens:rawPredict")),
        Endpoint::ChatCompletions => Some(format!("{folder}/endpoints/openapi/chat/completions")),
        Endpoint::Completions
        | Endpoint::Responses
        | Endpoint::InputTokens
        | Endpoint::Compact
        | Endpoint::Embeddings
        | Endpoint::ImagesGenerations
        | Endpoint::ImagesEdits
        | Endpoint::AudioSpeech
        | Endpoint::AudioTranscriptions
        | Endpoint::AudioTranslations
        | Endpoint::Moderations
        | Endpoint::EmbedContent
        | Endpoint::BatchEmbedContents
        | Endpoint::Models
        | Endpoint::Model
        | Endpoint::Root => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointCall;

    const FOLDER: &str = "/v1/projects/p/locations/global";

    fn target_of(path: &str, model: &str, query: Option<&str>, is_streamed: bool) -> Option<String> {
        let called = EndpointCall::from_path(path).unwrap();
        target(FOLDER, PathCall { called: &called, model, query, is_streamed })
    }

    #[test]
    fn the_publisher_of_a_model_is_in_its_path() {
        const STREAM: &str = "/v1beta/models/x:streamGenerateContent";
        for (path, model, is_streamed, expected) in [
            (
                "/v1beta/models/x:generateContent",
                "gemini-2.5-pro",
                false,
                "publishers/google/models/gemini-2.5-pro:generateContent?alt=sse",
            ),
            (STREAM, "a b:c/d", true, "publishers/google/models/a%20b%3Ac%2Fd:streamGenerateContent?alt=sse"),
            (
                "/v1/models/x:countTokens",
                "gemini-2.5-pro",
                false,
                "publishers/google/models/gemini-2.5-pro:countTokens?alt=sse",
            ),
            (
                "/v1/messages",
                "claude-opus-4-8@default",
                false,
                "publishers/anthropic/models/claude-opus-4-8@default:rawPredict",
            ),
            ("/v1/messages", "claude-opus-4-8", true, "publishers/anthropic/models/claude-opus-4-8:streamRawPredict"),
            (
                "/v1/messages/count_tokens",
                "claude-opus-4-8",
                false,
                "publishers/anthropic/models/count-tokens:rawPredict",
            ),
            ("/v1/chat/completions", "google/gemini-2.5-pro", true, "endpoints/openapi/chat/completions"),
        ] {
            let target = target_of(path, model, Some("key=secret&alt=sse&beta=true"), is_streamed);
            assert_eq!(target, Some(format!("{FOLDER}/{expected}")), "{path}");
        }
        for model in ["", ".", ".."] {
            assert_eq!(target_of("/v1/messages", model, None, false), None, "{model:?}");
        }
        assert_eq!(target_of("/v1/responses", "google/m", None, false), None);
    }

    #[test]
    fn the_name_of_a_model_decides_its_format() {
        for (model, expected) in [
            ("gemini-2.5-flash", Format::GenerateContent),
            ("claude-haiku-4-5@20251001", Format::Messages),
            ("meta/llama-4-maverick-17b-128e-instruct-maas", Format::Chat),
            ("google/gemini-2.5-flash", Format::Chat),
        ] {
            assert_eq!(format_of_model(model), expected, "{model}");
        }
    }
}
