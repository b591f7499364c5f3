//! Google's Gemini API, and providers with this API.

use super::{ExampleCall, OwnApi, ProviderCredential, ProviderDescriptor};
use crate::endpoint::Endpoint;
use crate::format::Dialect;

pub(super) const DESCRIPTOR: ProviderDescriptor = ProviderDescriptor {
    name: "gemini",
    own: Some(OwnApi { host: "generativelanguage.googleapis.com", variable: "GEMINI_API_KEY" }),
    base_path: "",
    has_folders: false,
    dialects: &[Dialect::Google],
    is_for_text: false,
    main_endpoint: Endpoint::GenerateContent,
    credential: ProviderCredential::Header("x-goog-api-key", ""),
    models_path: "/v1beta/models",
    models_headers: &[],
    // Google reports an invalid credential as a bad request (2026-11-20).
    refused_credential: &[400, 401, 403],
    example: ExampleCall {
        endpoint: Endpoint::StreamGenerateContent,
        query: "?alt=sse",
        body: r#"{"contents":[{"parts":[{"text":"Hello"}]}]}"#,
        model: "gemini-2.5-flash",
    },
};
