//! The examples of the official clients, with the mock (no key set) and with a provider.

use e2e::Mock;

use super::{Example, SAID, first_key};

/// Asserts that both programs of an example print the mock's text, and that the provider receives `model` from each.
async fn check(name: &str, model: &str) {
    let example = Example::read(name);
    let gateway = example.start(&[]).await;
    let key = first_key(&gateway);
    assert_eq!(example.run(&gateway, &key).await, vec![format!("{SAID}\n"); 2], "{name}");

    let provider = Mock::start().await;
    let gateway = example.start_before(&provider, &example.exports).await;
    let key = first_key(&gateway);
    assert_eq!(example.run(&gateway, &key).await, vec![format!("{SAID}\n"); 2], "{name}");
    let seen = provider.seen(model).await;
    assert_eq!(seen["requests"], 2, "{name}: {seen}");
    assert!(!seen.to_string().contains(&key), "{name}: clients' keys must not reach a provider: {seen}");
    assert_eq!(gateway.used(&key).await, 2, "{name}");
}

#[tokio::test]
async fn openai_sdk_needs_only_its_environment() {
    check("openai-sdk", "gpt-5-mini").await;
}

#[tokio::test]
async fn anthropic_sdk_needs_only_its_environment() {
    check("anthropic-sdk", "claude-haiku-4-5").await;
}

#[tokio::test]
async fn google_sdk_needs_only_its_environment() {
    check("google-sdk", "gemini-2.5-flash").await;
}

#[tokio::test]
async fn azure_openai_sdk_finds_its_deployment_among_the_models() {
    check("azure-openai-sdk", "gpt-5-mini").await;
}
