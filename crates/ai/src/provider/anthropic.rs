//! Anthropic, and providers with its API.

use super::{ExampleCall, OwnApi, ProviderCredential, ProviderDescriptor};
use crate::endpoint::Endpoint;
use crate::format::Dialect;

pub(super) const DESCRIPTOR: ProviderDescriptor = ProviderDescriptor {
    name: "anthropic",
    own: Some(OwnApi { host: "api.anthropic.com", variable: "ANTHROPIC_API_KEY" }),
    base_path: "",
    has_folders: false,
    dialects: &[Dialect::Anthropic],
    is_for_text: false,
    main_endpoint: Endpoint::Messages,
    credential: ProviderCredential::Header("x-api-key", ""),
    models_path: "/v1/models",
    models_headers: &[("anthropic-version", "2023-06-01")],
    refused_credential: &[401, 403],
    example: ExampleCall {
        endpoint: Endpoint::Messages,
        query: "",
        body: r#"{"model":"{model}","max_tokens":256,"stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
        model: "claude-haiku-4-5",
    },
};
