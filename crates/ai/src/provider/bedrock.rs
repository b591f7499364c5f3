//! Amazon Bedrock's `mantle` endpoint, which has the APIs of Anthropic and OpenAI.

use super::{ExampleCall, ProviderCredential, ProviderDescriptor};
use crate::endpoint::Endpoint;
use crate::format::Dialect;

pub(super) const DESCRIPTOR: ProviderDescriptor = ProviderDescriptor {
    name: "bedrock",
    own: None,
    base_path: "",
    has_folders: true,
    dialects: &[Dialect::Anthropic, Dialect::OpenAi],
    is_for_text: true,
    main_endpoint: Endpoint::Messages,
    credential: ProviderCredential::Header("authorization", "Bearer "),
    models_path: "/openai/v1/models",
    models_headers: &[],
    refused_credential: &[401, 403],
    example: ExampleCall {
        endpoint: Endpoint::Messages,
        query: "",
        body: r#"{"model":"{model}","max_tokens":256,"stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
        model: "anthropic.claude-haiku-4-5",
    },
};
