//! Paths of LLM clients: model names with a slash, and endpoints that are not served.

use e2e::{Call, Gateway, Setup, Upstream};
use serde_json::json;

use super::asks::Dialect;

#[tokio::test]
async fn a_model_with_a_slash_is_served_in_every_path() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let messages = json!({"messages": [{"role": "user", "content": "hi"}]});
    let contents = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    for (path, body) in [
        ("/openai/deployments/mock/echo/chat/completions?api-version=2024-10-21", &messages),
        ("/openai/deployments/mock%2Fecho/chat/completions?api-version=2024-10-21", &messages),
        ("/v1beta/mock/echo:generateContent", &contents),
        ("/v1beta/models/mock/echo:generateContent", &contents),
        ("/v1beta/models/mock%2Fecho:generateContent", &contents),
        ("/v1/mock/echo:streamGenerateContent?alt=sse", &contents),
    ] {
        let answer = gateway.call(Call::json(path, body).key(&key)).await.expect(200);
        assert!(answer.text().contains("hi"), "{path}: {}", answer.text());
    }
    assert_eq!(gateway.mock().requests("echo").await, 6);
}

#[tokio::test]
async fn paths_that_are_not_served_are_404_in_their_clients_format() {
    let upstream = Upstream::answering("200 OK", "a route's").await;
    let routes = "{path: /v1/files, upstreams: backend, auth: {type: none}}";
    let gateway = Gateway::start(Setup::routed(upstream.address(), routes).flag("--mock")).await;
    let key = gateway.key().await;
    let words = ["route_not_found", "not_found_error", "NOT_FOUND"];
    for (path, dialect, says) in [
        ("/v1/batches", Dialect::OpenAi, "Batch API"),
        ("/v1/responses/resp_1", Dialect::OpenAi, "stored responses"),
        ("/v1/realtime", Dialect::OpenAi, "Realtime"),
        ("/v1/rerank", Dialect::OpenAi, "reranking"),
        ("/v1/messages/batches", Dialect::Anthropic, "Message Batches"),
        ("/v1beta/cachedContents", Dialect::Google, "caching"),
        ("/v1/projects/p/locations/l/publishers/google/models/m:generateContent", Dialect::Google, "Vertex"),
        ("/chat/completions", Dialect::OpenAi, "the endpoint is /v1/chat/completions"),
        ("/v1/v1/messages", Dialect::Anthropic, "the endpoint is /v1/messages"),
        ("/v1/chat/completions/", Dialect::OpenAi, "the endpoint is /v1/chat/completions"),
    ] {
        let answer = gateway.call(Call::json(path, &json!({"model": "mock"})).key(&key)).await;
        let word = match dialect {
            Dialect::OpenAi | Dialect::Azure => words[0],
            Dialect::Anthropic => words[1],
            Dialect::Google => words[2],
        };
        dialect.check(&answer, 404, "route_not_found", word);
        assert!(answer.text().contains(says), "{path}: {}", answer.text());
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{path}");
    }
    // Clients of Anthropic and OpenAI share this path.
    let shared = Call::get("/v1/files/f").header("anthropic-version", "2023-06-01").key(&key);
    Dialect::Anthropic.check(&gateway.call(shared).await, 404, "route_not_found", "not_found_error");
    let bedrock = gateway.call(Call::json("/model/anthropic.claude/invoke", &json!({})).key(&key)).await.expect(404);
    assert_eq!(bedrock.header("x-amzn-errortype"), Some("ResourceNotFoundException"));
    assert!(bedrock.json()["message"].as_str().unwrap().contains("Bedrock"), "{}", bedrock.text());
    // A configured route takes precedence.
    assert_eq!(gateway.call(Call::get("/v1/files")).await.expect(200).text(), "a route's");
}

#[tokio::test]
async fn requests_without_the_prefix_are_refused_with_the_right_path() {
    let gateway = Gateway::start(Setup::mocked().section("ai", "{prefix: /llm}")).await;
    let call = Call::json("/v1/messages", &json!({"model": "mock"})).key(&gateway.key().await);
    let answer = gateway.call(call).await;
    Dialect::Anthropic.check(&answer, 404, "route_not_found", "not_found_error");
    assert!(answer.text().contains("the endpoint is /llm/v1/messages"), "{}", answer.text());
}

#[tokio::test]
async fn responses_in_the_background_are_400_and_name_the_field() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let body = json!({"model": "mock", "input": "hi", "background": true});
    let answer = gateway.call(Call::json("/v1/responses", &body).key(&key)).await.expect(400);
    let error = &answer.json()["error"];
    assert_eq!((&error["param"], &error["type"]), (&json!("background"), &json!("invalid_request_error")));
    let body = json!({"model": "mock", "input": "hi", "background": false});
    gateway.call(Call::json("/v1/responses", &body).key(&key)).await.expect(200);
    assert_eq!(gateway.mock().requests("mock").await, 1);
}
