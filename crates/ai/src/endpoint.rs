//! The LLM endpoints: method and path.

use crate::format::Format;

/// What can be called under `ai.prefix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/messages/count_tokens`.
    CountTokens,
    /// `GET /v1/models`.
    Models,
    /// `HEAD /` and `GET /`: clients warm their connection up with it (Claude Code, without a credential).
    Root,
}

/// What a method and a path lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// This endpoint.
    Endpoint(Endpoint),
    /// The path is an endpoint's, the method is not.
    WrongMethod {
        /// The `Allow` header's value.
        allow: &'static str,
    },
    /// No endpoint has this path.
    None,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 6] =
        [Self::ChatCompletions, Self::Responses, Self::Messages, Self::CountTokens, Self::Models, Self::Root];

    /// Finds the endpoint of `path`, which comes after `ai.prefix` and without its query; compared byte for byte.
    #[must_use]
    pub fn find(method: &str, path: &str) -> Found {
        let path = if path.is_empty() { "/" } else { path };
        match Self::ALL.into_iter().find(|endpoint| endpoint.path() == path) {
            None => Found::None,
            Some(endpoint) if endpoint.allow().split(", ").any(|allowed| allowed == method) => {
                Found::Endpoint(endpoint)
            }
            Some(endpoint) => Found::WrongMethod { allow: endpoint.allow() },
        }
    }

    /// The path after `ai.prefix`.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::Models => "/v1/models",
            Self::Root => "/",
        }
    }

    /// The language of its bodies and errors; `None` where it follows the asking client ([`crate::models::Client`]).
    #[must_use]
    pub const fn format(self) -> Option<Format> {
        match self {
            Self::ChatCompletions => Some(Format::Chat),
            Self::Responses => Some(Format::Responses),
            Self::Messages | Self::CountTokens => Some(Format::Messages),
            Self::Models | Self::Root => None,
        }
    }

    /// Whether a call costs no quota.
    #[must_use]
    pub const fn free(self) -> bool {
        match self {
            Self::ChatCompletions | Self::Responses | Self::Messages => false,
            Self::CountTokens | Self::Models | Self::Root => true,
        }
    }

    const fn allow(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Responses | Self::Messages | Self::CountTokens => "POST",
            Self::Models => "GET",
            Self::Root => "GET, HEAD",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, path: &str, found: Found) {
        assert_eq!(Endpoint::find(method, path), found, "{method} {path}");
    }

    #[test]
    fn paths_lead_to_their_endpoints() {
        check("POST", "/v1/chat/completions", Found::Endpoint(Endpoint::ChatCompletions));
        check("POST", "/v1/responses", Found::Endpoint(Endpoint::Responses));
        check("POST", "/v1/messages", Found::Endpoint(Endpoint::Messages));
        check("POST", "/v1/messages/count_tokens", Found::Endpoint(Endpoint::CountTokens));
        check("GET", "/v1/models", Found::Endpoint(Endpoint::Models));
        check("GET", "/", Found::Endpoint(Endpoint::Root));
        check("HEAD", "/", Found::Endpoint(Endpoint::Root));
        check("HEAD", "", Found::Endpoint(Endpoint::Root));
    }

    #[test]
    fn other_methods_are_told_which_are_allowed() {
        check("GET", "/v1/responses", Found::WrongMethod { allow: "POST" });
        check("POST", "/v1/models", Found::WrongMethod { allow: "GET" });
        check("DELETE", "/", Found::WrongMethod { allow: "GET, HEAD" });
        check("post", "/v1/messages", Found::WrongMethod { allow: "POST" });
    }

    #[test]
    fn other_paths_are_no_endpoint() {
        for path in ["/v1", "/v1/", "/v1/messages/", "/V1/messages", "/v1/embeddings", "/v1/responses/abc", "v1/models"]
        {
            check("POST", path, Found::None);
        }
    }
}
