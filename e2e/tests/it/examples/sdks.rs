//! The example of the official clients, with the mock (no key set) and with providers.

use e2e::Mock;

use super::{Example, SAID, first_key};

/// The models that the programs request, and the number of their requests. OpenAI's model is also that of the deployment of
/// the Azure class.
const MODELS: [(&str, u64); 3] = [("gpt-5-mini", 4), ("claude-haiku-4-5", 2), ("gemini-2.5-flash", 2)];
/// The number of programs, each of which sends one request.
const PROGRAMS: usize = 8;

#[tokio::test]
async fn official_sdks_need_only_their_environment() {
    let example = Example::read("sdks");
    let gateway = example.start(&[]).await;
    let key = first_key(&gateway);
    assert_eq!(example.run(&gateway, &key).await, vec![format!("{SAID}\n"); PROGRAMS]);
}

#[tokio::test]
async fn providers_receive_the_models_of_official_sdks_and_no_key_of_a_client() {
    let example = Example::read("sdks");
    let provider = Mock::start().await;
    let gateway = example.start_before(&provider, &example.exports).await;
    let key = first_key(&gateway);
    assert_eq!(example.run(&gateway, &key).await, vec![format!("{SAID}\n"); PROGRAMS]);
    for (model, requests) in MODELS {
        let seen = provider.seen(model).await;
        assert_eq!(seen["requests"], requests, "{model}: {seen}");
        assert!(!seen.to_string().contains(&key), "{model}: clients' keys must not reach a provider: {seen}");
    }
    assert_eq!(gateway.used(&key).await, 8);
}
