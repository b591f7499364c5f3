//! The paths of a provider's endpoints, behind its base URL.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::ProviderKind;
use crate::endpoint::{Endpoint, EndpointCall};
use crate::format::Dialect;

/// Characters of a deployment's name that are not encoded: RFC 3986's unreserved characters.
const IN_SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
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
}

impl ProviderPaths {
    /// Whether a path differs from the API's by its beginning alone, and the query passes: the path that the client sent
    /// can be sent without the kind's [`base_path`](super::ProviderDescriptor::base_path).
    #[must_use]
    pub const fn are_of_api(&self, kind: ProviderKind) -> bool {
        matches!(self, Self::OfKind) && !kind.descriptor().has_folders
    }

    /// Returns path and query of a call behind the base URL. `model` is the provider's own name of the model, `query` that of
    /// the client. `None` if the path cannot contain the model.
    #[must_use]
    pub fn target(
        &self,
        kind: ProviderKind,
        called: &EndpointCall<'_>,
        model: &str,
        query: Option<&str>,
    ) -> Option<String> {
        if let Self::AzureDated(version) = self {
            return dated(called.endpoint, model, version);
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

    /// Returns path and query behind the base URL at which the provider lists its models.
    #[must_use]
    pub fn models_target(&self, kind: ProviderKind) -> String {
        match self {
            Self::OfKind => kind.descriptor().models_path.to_owned(),
            Self::AzureDated(version) => format!("/openai/models?api-version={version}"),
        }
    }
}

/// Returns the target of an API of Azure with a date. A name of a deployment that a later reader of the path would resolve
/// (RFC 3986, 5.2.4) has none.
fn dated(endpoint: Endpoint, model: &str, version: &str) -> Option<String> {
    let rest = endpoint.path().strip_prefix(V1)?;
    if endpoint == Endpoint::Responses {
        return Some(format!("/openai{rest}?api-version={version}"));
    }
    let deployment = Some(model).filter(|model| !matches!(*model, "" | "." | ".."))?;
    let deployment = utf8_percent_encode(deployment, &IN_SEGMENT);
    Some(format!("/openai/deployments/{deployment}{rest}?api-version={version}"))
}

/// Returns the folder of the API that has this endpoint.
fn folder(endpoint: Endpoint) -> &'static str {
    match endpoint.format().map(crate::format::Format::dialect) {
        Some(Dialect::Anthropic) => "/anthropic",
        Some(Dialect::OpenAi | Dialect::Google) | None => "/openai",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the target of a call at `received`, a path that may have a query.
    fn check(paths: &ProviderPaths, kind: ProviderKind, received: &str, expected: &str) {
        let (path, query) = received.split_once('?').map_or((received, None), |(path, query)| (path, Some(query)));
        let called = EndpointCall::at(path).unwrap();
        let target = paths.target(kind, &called, "my model/2", query);
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
        assert_eq!(paths.models_target(ProviderKind::AzureOpenAi), "/openai/models?api-version=2024-10-21");
        let called = EndpointCall::at("/v1/chat/completions").unwrap();
        for model in ["", ".", ".."] {
            assert_eq!(paths.target(ProviderKind::AzureOpenAi, &called, model, None), None, "{model:?}");
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
