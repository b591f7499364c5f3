//! OpenAI's models at Azure, whose names are those of deployments.

use super::{ExampleCall, ProviderCredential, ProviderDescriptor};
use crate::endpoint::Endpoint;
use crate::format::Dialect;

pub(super) const DESCRIPTOR: ProviderDescriptor = ProviderDescriptor {
    name: "azure_openai",
    own: None,
    base_path: "",
    has_folders: true,
    dialects: &[Dialect::OpenAi],
    is_for_text: false,
    main_endpoint: Endpoint::ChatCompletions,
    credential: ProviderCredential::Header("api-key", ""),
    models_path: "/openai/v1/models",
    models_headers: &[],
    refused_credential: &[401, 403],
    example: ExampleCall {
        endpoint: Endpoint::ChatCompletions,
        query: "",
        body: r#"{"model":"{model}","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
        model: "my-deployment",
    },
};
