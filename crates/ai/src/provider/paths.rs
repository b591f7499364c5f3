//! The paths of a provider's endpoints, behind its base URL.

use percent_encoding::utf8_percent_encode;

use super::path_call::{IN_SEGMENT, PathCall, is_nameable};
use super::{ClaudeSurface, ProviderKind, bedrock, vertex};
use crate::endpoint::Endpoint;
use crate::format::{Dialect, Format};
use crate::request::HostedMessages;

/// The beginning of the paths of OpenAI's API and of those that share its version.
const V1: &str = "/v1";

/// How the paths of a provider's endpoints follow from those of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProviderPaths {
    /// The paths of the kind.
    #[default]
    OfKind,
    /// Those of an API of Azure with this date: the path has the name of the deployment, and the query the date.
    AzureDated(Box<str>),
    /// Those of Bedrock's `runtime` endpoint: the path has the model, and says whether the response is a stream.
    BedrockRuntime,
    /// Those of Vertex AI below this folder, `/v1/projects/P/locations/L`: the path has the publisher of the model.
    Vertex(Box<str>),
}

impl ProviderPaths {
    /// Whether a path differs from the API's by its beginning alone, and the query passes: the path that the client sent
    /// can be sent without the kind's [`base_path`](super::ProviderDescriptor::base_path).
    #[must_use]
    pub const fn are_of_api(&self, kind: ProviderKind) -> bool {
        matches!(self, Self::OfKind) && !kind.descriptor().has_folders
    }

    /// Returns path and query of a call behind the base URL. `None` if the path cannot contain the model.
    #[must_use]
    pub fn target(&self, kind: ProviderKind, call: PathCall<'_>) -> Option<String> {
        let PathCall { called, model, query, is_streamed: _ } = call;
        match self {
            Self::AzureDated(version) => return dated(called.endpoint, model, version),
            Self::BedrockRuntime => return bedrock::runtime_target(call),
            Self::Vertex(folder) => return vertex::target(folder, call),
            Self::OfKind => {}
        }
        if called.endpoint.path().contains("{model}") && !is_nameable(model) {
            return None;
        }
        let descriptor = kind.descriptor();
        if descriptor.has_folders {
            // Parameters of the client belong to another API.
            return Some(format!("{}{}", folder(called.endpoint), called.target(model, None)));
        }
        let mut target = called.target(model, query);
        if target.starts_with(descriptor.base_path) {
            target.replace_range(..descriptor.base_path.len(), "");
        }
        Some(target)
    }

    /// Whether the API lacks a format for text that others of its kind have.
    #[must_use]
    pub fn lacks(&self, format: Format) -> bool {
        *self == Self::BedrockRuntime && format != Format::Messages
    }

    /// Whether the API has an endpoint that others of its kind have.
    #[must_use]
    pub fn have(&self, endpoint: Endpoint) -> bool {
        *self != Self::BedrockRuntime || endpoint == Endpoint::Messages
    }

    /// Returns the form of a body for `endpoint`, if the API takes Messages in another form than Anthropic's own.
    #[must_use]
    pub fn hosted(&self, endpoint: Endpoint) -> Option<HostedMessages> {
        match self {
            Self::BedrockRuntime if endpoint == Endpoint::Messages => Some(bedrock::RUNTIME_MESSAGES),
            Self::Vertex(_) if endpoint == Endpoint::Messages => Some(vertex::MESSAGES),
            Self::OfKind | Self::AzureDated(_) | Self::BedrockRuntime | Self::Vertex(_) => None,
        }
    }

    /// Returns path and query behind the base URL at which the provider lists its models.
    #[must_use]
    pub fn models_target(&self, kind: ProviderKind) -> String {
        match self {
            Self::OfKind => kind.descriptor().models_path.to_owned(),
            Self::AzureDated(version) => format!("/openai/models?api-version={version}"),
            // It lists no models. This is the smallest list that it has.
            Self::BedrockRuntime => bedrock::RUNTIME_LIST.to_owned(),
            // It lists no models of a project; this path only names the project.
            Self::Vertex(folder) => folder.to_string(),
        }
    }
}

impl ClaudeSurface {
    /// Returns the API that a provider with these paths has.
    #[must_use]
    pub const fn of_provider(kind: ProviderKind, paths: &ProviderPaths) -> Self {
        match (kind, paths) {
            (_, ProviderPaths::BedrockRuntime) => Self::BedrockRuntime,
            (_, ProviderPaths::Vertex(_)) => Self::Vertex,
            (ProviderKind::Bedrock, _) => Self::BedrockMantle,
            (_, ProviderPaths::OfKind | ProviderPaths::AzureDated(_)) => Self::Anthropic,
        }
    }
}

/// Returns the target of an API of Azure with a date. A name of a deployment that a later reader of the path would resolve
/// (RFC 3986, 5.2.4) has none.
fn dated(endpoint: Endpoint, model: &str, version: &str) -> Option<String> {
    let rest = endpoint.path().strip_prefix(V1)?;
    if endpoint.format() == Some(Format::Responses) {
        return Some(format!("/openai{rest}?api-version={version}"));
    }
    let deployment = Some(model).filter(|model| is_nameable(model))?;
    let deployment = utf8_percent_encode(deployment, &IN_SEGMENT);
    Some(format!("/openai/deployments/{deployment}{rest}?api-version={version}"))
}

/// Returns the folder of the API that has this endpoint.
fn folder(endpoint: Endpoint) -> &'static str {
    match endpoint.format().map(Format::dialect) {
        Some(Dialect::Anthropic) => "/anthropic",
        Some(Dialect::OpenAi | Dialect::Google) | None => "/openai",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointCall;

    /// Checks the target of a call at `received`, a path that may have a query.
    fn check(paths: &ProviderPaths, kind: ProviderKind, received: &str, expected: &str) {
        let (path, query) = received.split_once('?').map_or((received, None), |(path, query)| (path, Some(query)));
        let called = EndpointCall::from_path(path).unwrap();
        let target = paths.target(kind, PathCall { called: &called, model: "my model/2", query, is_streamed: false });
        assert_eq!(target.as_deref(), Some(expected), "{kind:?} {paths:?} {received}");
    }

    #[test]
    fn azures_first_version_has_the_paths_of_openai_in_its_folder() {
        let check = |received: &str, expected: &str| {
            check(&ProviderPaths::OfKind, ProviderKind::AzureOpenAi, received, expected);
        };
        check("/v1/chat/completions?api-version=2024-06-01", "/openai/v1/chat/completions");
        check("/openai/deployments/other/chat/completions", "/openai/v1/chat/completions");
        check("/v1/responses", "/openai/v1/responses");
        check("/v1/responses/compact", "/openai/v1/responses/compact");
        check("/v1/embeddings", "/openai/v1/embeddings");
        assert_eq!(ProviderPaths::OfKind.models_target(ProviderKind::AzureOpenAi), "/openai/v1/models");
    }

    #[test]
    fn a_date_of_azure_moves_the_deployment_into_the_path_except_for_responses() {
        let paths = ProviderPaths::AzureDated("2024-10-21".into());
        let check = |received: &str, expected: &str| {
            let received = format!("{received}?api-version=2023-01-01&key=x");
            check(&paths, ProviderKind::AzureOpenAi, &received, expected);
        };
        let deployed = |rest: &str| format!("/openai/deployments/my%20model%2F2/{rest}?api-version=2024-10-21");
        check("/v1/chat/completions", &deployed("chat/completions"));
        check("/openai/deployments/other/embeddings", &deployed("embeddings"));
        check("/v1/audio/transcriptions", &deployed("audio/transcriptions"));
        check("/v1/responses", "/openai/responses?api-version=2024-10-21");
        check("/v1/responses/compact", "/openai/responses/compact?api-version=2024-10-21");
        check("/openai/responses/input_tokens", "/openai/responses/input_tokens?api-version=2024-10-21");
        assert_eq!(paths.models_target(ProviderKind::AzureOpenAi), "/openai/models?api-version=2024-10-21");
        let called = EndpointCall::from_path("/v1/chat/completions").unwrap();
        for model in ["", ".", ".."] {
            let call = PathCall { called: &called, model, query: None, is_streamed: false };
            assert_eq!(paths.target(ProviderKind::AzureOpenAi, call), None, "{model:?}");
        }
    }

    #[test]
    fn bedrock_has_a_folder_for_each_api() {
        for (received, expected) in [
            ("/v1/messages", "/anthropic/v1/messages"),
            ("/v1/messages/count_tokens", "/anthropic/v1/messages/count_tokens"),
            ("/v1/chat/completions", "/openai/v1/chat/completions"),
            ("/v1/responses", "/openai/v1/responses"),
        ] {
            check(&ProviderPaths::OfKind, ProviderKind::Bedrock, &format!("{received}?beta=true"), expected);
        }
    }

    #[test]
    fn other_kinds_keep_the_paths_of_their_api_and_its_parameters() {
        for (kind, received, expected) in [
            (ProviderKind::OpenAi, "/v1/chat/completions", "/chat/completions"),
            (ProviderKind::Anthropic, "/v1/messages", "/v1/messages?beta=true"),
            (ProviderKind::Gemini, "/v1beta/models/x:generateContent", "/v1beta/models/my%20model/2:generateContent"),
        ] {
            assert!(ProviderPaths::OfKind.are_of_api(kind));
            check(&ProviderPaths::OfKind, kind, &format!("{received}?beta=true"), expected);
        }
        assert!(!ProviderPaths::OfKind.are_of_api(ProviderKind::Bedrock));
    }
}
