//! Validation of requests by path, and the headers of each provider.

use serde_json::{Value, json};

use crate::wire::{CHAT, MESSAGES, Reply, RunningMock, ask, ask_google, quick, start};

const GENERATE: &str = "/v1/models/mock:generateContent";
const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";

async fn with(mock: &RunningMock, path: &str, header: (&str, &str)) -> Reply {
    let body = if path == GENERATE { ask_google("") } else { ask("mock", "") };
    mock.with(&format!("POST {path}"), &[header], body.as_bytes()).await
}

fn refused(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{}", reply.body());
    reply.json()["error"].clone()
}

#[tokio::test]
async fn credentials_are_accepted_in_the_headers_of_the_providers_clients() {
    let mock = start(quick()).await;
    let azure = "/openai/deployments/mock/chat/completions?api-version=2024-10-21";
    for (path, name, taken) in [
        (CHAT, "authorization", true),
        (CHAT, "x-api-key", false),
        (CHAT, "api-key", false),
        (CHAT, "x-goog-api-key", false),
        (azure, "api-key", true),
        (azure, "authorization", true),
        (azure, "x-api-key", false),
        (MESSAGES, "authorization", true),
        (MESSAGES, "x-api-key", true),
        (MESSAGES, "x-goog-api-key", false),
        (GENERATE, "x-goog-api-key", true),
        (GENERATE, "authorization", false),
        (GENERATE, "x-api-key", false),
    ] {
        let reply = with(&mock, path, (name, "Bearer k")).await;
        if taken {
            assert_eq!(reply.status, 200, "{path} {name}");
            continue;
        }
        let error = refused(&reply, 401);
        assert!(error["message"].as_str().unwrap().ends_with(name), "{error}");
        let words =
            ["/code", "/type", "/status"].map(|at| error.pointer(at).and_then(Value::as_str).unwrap_or_default());
        let own = ["invalid_api_key", "authentication_error", "UNAUTHENTICATED"];
        assert!(own.iter().any(|word| words.contains(word)), "{path} {name}: {error}");
    }
}

#[tokio::test]
async fn a_credential_that_begins_with_wrong_is_refused() {
    let mock = start(quick()).await;
    let azure = "/openai/deployments/mock/chat/completions?api-version=2024-10-21";
    for (path, name, value, taken) in [
        (CHAT, "authorization", "Bearer wrong-key", false),
        (CHAT, "authorization", "Bearer right-key", true),
        (CHAT, "authorization", "Bearer not-wrong", true),
        (azure, "api-key", "wrong-key", false),
        (MESSAGES, "x-api-key", "wrong-key", false),
        (GENERATE, "x-goog-api-key", "wrong-key", false),
        (GENERATE, "x-goog-api-key", "right-key", true),
    ] {
        let reply = with(&mock, path, (name, value)).await;
        if taken {
            assert_eq!(reply.status, 200, "{path} {value}");
        } else {
            let message = refused(&reply, 401)["message"].as_str().unwrap().to_owned();
            assert!(message.contains("begins with `wrong`") && !message.contains(value), "{message}");
        }
    }
    for (value, status) in [("Bearer wrong-key", 401), ("Bearer right-key", 200)] {
        assert_eq!(mock.with("GET /v1/models", &[("authorization", value)], b"").await.status, status);
    }
}

#[tokio::test]
async fn bodies_of_another_content_type_are_refused() {
    let mock = start(quick()).await;
    let code = |error: &Value| error["code"].as_str().map(str::to_owned);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"] {
        let error = refused(&with(&mock, CHAT, ("content-type", kind)).await, 415);
        assert_eq!(code(&error).as_deref(), Some("unsupported_content_type"));
        refused(&with(&mock, GENERATE, ("content-type", kind)).await, 415);
    }
    assert_eq!(with(&mock, CHAT, ("content-type", "application/json; charset=utf-8")).await.status, 200);
    refused(&with(&mock, CHAT, ("content-encoding", "gzip")).await, 415);
    refused(&mock.post(TRANSCRIPTIONS, &ask("mock", "")).await, 415);
}

#[tokio::test]
async fn forms_have_a_boundary_a_model_and_a_file() {
    let mock = start(quick()).await;
    let form = async |kind: &str, body: &str| {
        let reply = mock.with(&format!("POST {TRANSCRIPTIONS}"), &[("content-type", kind)], body.as_bytes()).await;
        refused(&reply, 400)["message"].as_str().unwrap().to_owned()
    };
    let model = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmock\r\n--b";
    assert!(form("multipart/form-data", model).await.contains("no `boundary` of"));
    assert!(form("multipart/form-data; boundary=b", model).await.contains("has no end"));
    assert!(form("multipart/form-data; boundary=b", &format!("{model}--")).await.contains("'file'"));
    let reply = mock.form(TRANSCRIPTIONS, b"sound", &[]).await;
    assert!(refused(&reply, 400)["message"].as_str().unwrap().contains("a model"));
}

#[tokio::test]
async fn a_missing_parameter_is_named() {
    let mock = start(quick()).await;
    for (path, param) in [("/v1/embeddings", "input"), ("/v1/audio/speech", "input"), ("/v1/moderations", "input")] {
        assert_eq!(refused(&mock.post(path, r#"{"model":"mock"}"#).await, 400)["param"], param);
    }
    for (verb, param) in
        [("generateContent", "contents"), ("embedContent", "content"), ("batchEmbedContents", "requests")]
    {
        let error = refused(&mock.post(&format!("/v1beta/models/mock:{verb}"), "{}").await, 400);
        assert!(error["message"].as_str().unwrap().contains(&format!("'{param}'")), "{error}");
    }
}

#[tokio::test]
async fn azure_names_the_model_in_the_path() {
    let mock = start(quick()).await;
    for path in ["/openai/deployments/echo/chat/completions?api-version=2024-10-21", "/openai/v1/chat/completions"] {
        let reply = mock.post(path, &ask("echo", "")).await;
        assert_eq!(
            (reply.status, reply.json()["choices"][0]["message"]["content"].clone()),
            (200, json!("say é  this\nback"))
        );
        assert_eq!((reply.header("apim-request-id").is_some(), reply.header("openai-organization")), (true, None));
    }
}

#[tokio::test]
async fn responses_have_the_headers_of_the_provider() {
    let mock = start(quick()).await;
    let names = async |path: &str, body: &str| mock.post(path, body).await.head;
    for model in ["mock", "429"] {
        let openai = names(CHAT, &ask(model, "")).await;
        for name in
            ["x-request-id", "openai-processing-ms", "openai-organization", "x-ratelimit-reset-tokens", "set-cookie"]
        {
            assert!(openai.contains(&format!("\r\n{name}: ")), "{name}");
        }
        let anthropic = names(MESSAGES, &ask(model, "")).await;
        for name in
            ["request-id", "anthropic-organization-id", "anthropic-ratelimit-input-tokens-remaining", "set-cookie"]
        {
            assert!(anthropic.contains(&format!("\r\n{name}: ")), "{name}");
        }
        let google = names(&format!("/v1beta/models/{model}:generateContent"), &ask_google("")).await;
        for name in ["request-id", "ratelimit", "cookie"] {
            assert!(!google.contains(name), "{name}: {google}");
        }
    }
}

#[tokio::test]
async fn statuses_redirects_pages_and_empty_bodies_are_sent() {
    let mock = start(quick()).await;
    for status in [400, 402, 403, 408, 409, 422, 502, 504] {
        let reply = mock.post(MESSAGES, &ask(&format!("status-{status}"), "")).await;
        assert_eq!((reply.status, reply.json()["type"].clone()), (status, json!("error")));
    }
    let moved = mock.post(CHAT, &ask("status-307", "")).await;
    assert_eq!((moved.status, moved.header("location")), (307, Some("http://127.0.0.1:9/mock")));
    assert_eq!(mock.post(CHAT, &ask("status-201", "")).await.status, 201);
    for (model, status) in [("html", 200), ("html-502", 502)] {
        let page = mock.post(CHAT, &ask(model, r#","stream":true"#)).await;
        assert_eq!((page.status, page.header("content-type")), (status, Some("text/html; charset=utf-8")));
        assert!(page.body().starts_with("<!DOCTYPE html>"));
    }
    let empty = mock.post(CHAT, &ask("empty", "")).await;
    assert_eq!((empty.status, empty.body().as_str()), (200, ""));
    let bomb = mock.post(CHAT, &ask("headers-500", "")).await;
    assert_eq!(bomb.head.matches("\r\nx-mock-").count(), 500);
    assert_eq!(mock.post(CHAT, &ask("retry-after-20", "")).await.header("retry-after"), Some("20"));
    let quota = mock.post(CHAT, &ask("quota", "")).await;
    assert_eq!(
        (refused(&quota, 429)["code"].clone(), quota.header("retry-after")),
        (json!("insufficient_quota"), None)
    );
}

#[tokio::test]
async fn flaky_refuses_the_first_requests_of_each_id() {
    let mock = start(quick()).await;
    let ask_as = async |id: &str, model: &str| {
        mock.with(&format!("POST {CHAT}"), &[("x-request-id", id)], ask(model, "").as_bytes()).await.status
    };
    let mut statuses = Vec::new();
    for id in ["a", "a", "b", "a", "a", "b", "b"] {
        statuses.push(ask_as(id, "flaky-2").await);
    }
    assert_eq!(statuses, [503, 503, 503, 200, 200, 503, 200]);
    assert_eq!(ask_as("a", "flaky-1-other").await, 503);
    mock.post("/mock/reset", "").await;
    assert_eq!(ask_as("a", "flaky-2").await, 503);
}
