//! Tollgate's mock, which supports every format and lists its models as OpenAI does.

use super::{ExampleCall, ProviderCredential, ProviderDescriptor};
use crate::endpoint::Endpoint;
use crate::format::Dialect;

pub(super) const DESCRIPTOR: ProviderDescriptor = ProviderDescriptor {
    name: "mock",
    own: None,
    base_path: "",
    has_folders: false,
    dialects: &[Dialect::OpenAi, Dialect::Anthropic, Dialect::Google],
    is_for_text: false,
    main_endpoint: Endpoint::ChatCompletions,
    credential: ProviderCredential::OfDialect,
    models_path: "/v1/models",
    models_headers: &[],
    refused_credential: &[401, 403],
    example: ExampleCall {
        endpoint: Endpoint::ChatCompletions,
        query: "",
        body: r#"{"model":"{model}","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
        model: "mock",
    },
};
