//! A call as the path of its endpoint names it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use crate::endpoint::{EndpointCall, is_part_of_path};

/// Characters of a model's name that are not encoded: RFC 3986's unreserved characters.
pub(super) const IN_SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A call for the path of a provider's endpoint.
#[derive(Debug, Clone, Copy)]
pub struct PathCall<'a> {
    /// The endpoint that is called.
    pub called: &'a EndpointCall<'a>,
    /// The provider's own name of the model.
    pub model: &'a str,
    /// The query of the client.
    pub query: Option<&'a str>,
    /// Whether the client requested a stream.
    pub is_streamed: bool,
}

/// Whether the path of a provider may contain the name of a model or a deployment: no later reader of the path, which may
/// decode it again, resolves a part of the name (RFC 3986, 5.2.4).
pub(super) fn is_nameable(model: &str) -> bool {
    let is_resolved = |escape: &str| {
        let digits = escape.get(..2).unwrap_or_default();
        ["2e", "2f", "5c", "25"].iter().any(|resolved| digits.eq_ignore_ascii_case(resolved))
    };
    is_part_of_path(model) && !model.split('%').skip(1).any(is_resolved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{ProviderKind, ProviderPaths};

    #[test]
    fn no_name_of_a_model_leaves_its_place_in_a_path() {
        let of = [
            (ProviderPaths::AzureDated("2024-10-21".into()), ProviderKind::AzureOpenAi, "/v1/chat/completions"),
            (ProviderPaths::BedrockRuntime, ProviderKind::Bedrock, "/v1/messages"),
            (ProviderPaths::Vertex("/v1/p".into()), ProviderKind::Vertex, "/v1/messages"),
            (ProviderPaths::Vertex("/v1/p".into()), ProviderKind::Vertex, "/v1beta/models/m:generateContent"),
            (ProviderPaths::OfKind, ProviderKind::Gemini, "/v1beta/models/m:streamGenerateContent"),
        ];
        for (paths, kind, path) in of {
            let called = EndpointCall::from_path(path).unwrap();
            let target =
                |model| paths.target(kind, PathCall { called: &called, model, query: None, is_streamed: false });
            for model in [
                "",
                ".",
                "..",
                "../x",
                "x/..",
                "x/../y",
                "x/./y",
                "..\\x",
                "%2e%2e",
                "%2E./x",
                "..%2fx",
                "x%2F..",
                "a%2Fb",
                "a%5cb",
                "%252e%252e",
                "a%252Fb",
            ] {
                assert_eq!(target(model), None, "{model} at {paths:?}");
            }
            for model in ["m", "a.b", "a..b", "...", "org/model:v1", "100%", "a%20b", "arn:aws:x/y"] {
                assert!(target(model).is_some(), "{model} at {paths:?}");
            }
        }
    }
}
