//! OpenAI, and providers with its API. OpenAI's clients have the version of the API, `/v1`, in their base URL.

use super::{ExampleCall, OwnApi, ProviderCredential, ProviderDescriptor};
use crate::endpoint::Endpoint;
use crate::format::Dialect;

pub(super) const DESCRIPTOR: ProviderDescriptor = ProviderDescriptor {
    name: "openai",
    own: Some(OwnApi { host: "api.openai.com", variable: "OPENAI_API_KEY" }),
    base_path: "/v1",
    has_folders: false,
    dialects: &[Dialect::OpenAi],
    is_for_text: false,
    main_endpoint: Endpoint::ChatCompletions,
    credential: ProviderCredential::Header("authorization", "Bearer "),
    models_path: "/models",
    models_headers: &[],
    refused_credential: &[401, 403],
    example: ExampleCall {
        endpoint: Endpoint::ChatCompletions,
        query: "",
        body: r#"{"model":"{model}","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
        model: "gpt-5-mini",
    },
};
