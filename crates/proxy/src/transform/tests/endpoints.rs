use ai::EndpointCall;

use super::*;
use crate::client::head::tests::head;
use crate::upstream::outgoing::tests::outgoing;

/// Checks the target of a request to `received` below the prefix `/llm` at a provider whose base URL has the path `base`.
fn check(kind: ProviderKind, base: &str, received: &str, expected: &str) {
    let head = head(&format!("POST /llm{received}"), &[]);
    let called = EndpointCall::from_path(received.split('?').next().unwrap()).unwrap();
    let call = PathCall { called: &called, model: "m", query: head.query(), is_streamed: false };
    let target = to_endpoint(call, "/llm", (kind, &ProviderPaths::OfKind)).unwrap();
    let target = outgoing(head, base, target).target().concat();
    assert_eq!(String::from_utf8(target).unwrap(), expected, "{kind:?} {base} {received}");
}

#[test]
fn the_path_of_an_endpoint_follows_the_base_url_of_its_provider() {
    for (base, expected) in [
        ("/v1", "/v1/chat/completions"),
        ("/openai/v1", "/openai/v1/chat/completions"),
        ("/api/paas/v4", "/api/paas/v4/chat/completions"),
        ("/v1beta/openai", "/v1beta/openai/chat/completions"),
        ("", "/chat/completions"),
    ] {
        for received in [
            "/v1/chat/completions",
            "/v1/chat/completions?key=x",
            "/openai/deployments/m/chat/completions?api-version=2024-10-21",
        ] {
            check(ProviderKind::OpenAi, base, received, expected);
        }
    }
    check(ProviderKind::Anthropic, "/anthropic", "/v1/messages", "/anthropic/v1/messages");
    check(ProviderKind::Gemini, "", "/v1beta/models/x:generateContent", "/v1beta/models/m:generateContent");
    check(ProviderKind::Bedrock, "/vpc", "/v1/messages", "/vpc/anthropic/v1/messages");
    check(ProviderKind::AzureOpenAi, "", "/v1/responses", "/openai/v1/responses");
    check(ProviderKind::Mock, "", "/v1/chat/completions", "/v1/chat/completions");
}
