//! Amazon Bedrock: its `mantle` endpoint, which has the APIs of Anthropic and OpenAI, and the paths of its `runtime` endpoint.

use percent_encoding::utf8_percent_encode;

use super::path_call::{IN_SEGMENT, PathCall, is_nameable};
use super::{ClaudeSurface, ExampleCall, ProviderCredential, ProviderDescriptor};
use crate::endpoint::Endpoint;
use crate::format::Dialect;
use crate::request::HostedMessages;

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

/// The form of bodies of Messages at the `runtime` endpoint.
pub(super) const RUNTIME_MESSAGES: HostedMessages = HostedMessages {
    version: "bedrock-2023-05-31",
    has_stream: false,
    beta: |beta| ClaudeSurface::BedrockRuntime.beta(beta),
};
/// A list of the `runtime` endpoint that is free of charge: one asynchronous call.
pub(super) const RUNTIME_LIST: &str = "/async-invoke?maxResults=1";

/// Returns the path of a call at the `runtime` endpoint. A model may be an ARN, whose slashes are encoded too. `None` for other
/// endpoints, and for a name that a later reader of the path would resolve (RFC 3986, 5.2.4).
pub(super) fn runtime_target(call: PathCall<'_>) -> Option<String> {
    let PathCall { called, model, is_streamed, .. } = call;
    let name = Some(model).filter(|model| is_nameable(model))?;
    let name = utf8_percent_encode(name, &IN_SEGMENT);
    let operation = match (called.endpoint, is_streamed) {
        (Endpoint::Messages, true) => "invoke-with-response-stream",
        (Endpoint::Messages, false) => "invoke",
        _ => return None,
    };
    Some(format!("/model/{name}/{operation}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointCall;

    #[test]
    fn the_path_of_the_runtime_has_the_encoded_model_and_the_kind_of_response() {
        let target = |path: &str, model: &str, is_streamed: bool| {
            let called = EndpointCall::from_path(path).unwrap();
            runtime_target(PathCall { called: &called, model, query: Some("beta=true"), is_streamed })
        };
        let messages = |model: &str, is_streamed| target("/v1/messages", model, is_streamed);
        let path = messages("eu.anthropic.claude-haiku-4-5-20251001-v1:0", false);
        assert_eq!(path.as_deref(), Some("/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke"));
        let path = messages("arn:aws:bedrock:eu-west-1:1:application-inference-profile/a", true);
        let encoded = "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Aapplication-inference-profile%2Fa";
        assert_eq!(path, Some(format!("/model/{encoded}/invoke-with-response-stream")));
        for model in ["", ".", ".."] {
            assert_eq!(messages(model, false), None, "{model:?}");
        }
        assert_eq!(target("/v1/messages/count_tokens", "m", false), None);
        assert_eq!(target("/v1/chat/completions", "m", false), None);
    }
}
