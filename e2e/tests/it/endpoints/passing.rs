//! Bytes that the provider receives of a request, and the client of a response.

use std::rc::Rc;

use e2e::setup::CREDENTIAL;
use e2e::{Call, Gateway, Setup, sha256};
use serde_json::{Value, json};

use super::asks::{ALL, Ask, EndpointServer, each, sound};

#[tokio::test]
async fn all_bytes_pass_unchanged_except_for_the_models_name() {
    let line = Rc::new(EndpointServer::new().await);
    let key = line.gateway.key().await;
    let checked = each(ALL, |ask| {
        let line = Rc::clone(&line);
        let key = key.clone();
        Box::pin(async move { check_both_ways(&ask, &line, &key).await })
    });
    assert_eq!(checked.await.len(), ALL.len());
}

async fn check_both_ways(ask: &Ask, line: &EndpointServer, key: &str) {
    let answer = line.send(ask, ask.name, key).await.expect(200);
    let (target, direct) = ask.at_the_provider();
    let seen = line.mock.seen(ask.name).await;
    assert_eq!((&seen["requests"], &seen["method"], &seen["target"]), (&json!(1), &json!("POST"), &json!(target)));
    assert_eq!(seen["bodies"], json!([sha256(&ask.body(ask.name))]), "{}", ask.name);
    assert_eq!(seen["headers"]["content-type"], ask.content_type(), "{}", ask.name);
    let credentials = seen["credentials"].as_array().unwrap();
    let is_own = |credential: &Value| credential.as_str().is_some_and(|text| text.ends_with(CREDENTIAL));
    assert!(credentials.len() == 1 && credentials.iter().all(is_own), "{}: {credentials:?}", ask.name);
    assert!(!seen.to_string().contains(key), "{seen}");
    if ask.is_form() {
        check_parts(ask, &seen);
    }
    let own = direct.send(line.mock.address()).await.expect(200);
    assert_eq!(answer.header("content-type"), own.header("content-type"), "{}", ask.name);
    assert!(answer.whole && !own.body.is_empty(), "{}", ask.name);
    let expected = as_requested(&own.body, ask.name);
    assert_eq!(sha256(&answer.body), sha256(&expected), "{}: {} {}", ask.name, answer.text(), own.text());
}

/// The provider's response with the model's name as the client wrote it, also where octets before it are damaged. Each octet is a
/// character meanwhile.
pub(super) fn as_requested(body: &[u8], model: &str) -> Vec<u8> {
    let mut text: String = body.iter().map(|octet| char::from(*octet)).collect();
    for key in ["\"model\":\"", "\"modelVersion\":\""] {
        let mut parts = text.split(key);
        let mut renamed = parts.next().unwrap().to_owned();
        for part in parts {
            renamed += key;
            match part.split_once('"') {
                Some((value, after)) if value.ends_with(model) => renamed += &format!("up/{model}\"{after}"),
                _ => renamed += part,
            }
        }
        text = renamed;
    }
    text.chars().map(|letter| u8::try_from(letter).unwrap()).collect()
}

fn check_parts(ask: &Ask, seen: &Value) {
    let parts = seen["parts"].as_array().unwrap();
    let file = parts.iter().find(|part| !part["filename"].is_null()).unwrap();
    assert_eq!(file["sha256"], sha256(&sound()), "{}", ask.name);
    assert_eq!((&file["filename"], &file["content_type"]), (&json!("a \u{e9}.wav"), &json!("audio/wav")));
    let model = parts.iter().find(|part| part["name"] == "model").unwrap();
    assert_eq!(model["sha256"], sha256(ask.name.as_bytes()), "{}", ask.name);
}

/// Google's REST examples put the key in the query, which logs would record.
#[tokio::test]
async fn key_in_the_query_is_accepted_as_googles_clients_send_it_and_not_forwarded() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    for (path, verb) in [("/v1beta", "generateContent"), ("/v1", "streamGenerateContent")] {
        let body = json!({"contents": [{"parts": [{"text": "hi"}]}]});
        let target = format!("{path}/models/up/by-query:{verb}?alt=sse&key={key}&x=1");
        let call = Call::json(&target, &body);
        line.gateway.call(call.clone()).await.expect(200);
        line.gateway.call(call.header("x-goog-api-key", &key)).await.expect(200);
        let seen = line.mock.seen("by-query").await;
        assert_eq!(seen["target"], format!("{path}/models/by-query:{verb}?alt=sse"));
        assert!(!seen.to_string().contains(&key), "{seen}");
    }
    assert_eq!(line.mock.requests("by-query").await, 4);
    assert!(!line.gateway.stderr().contains(&key), "the log contains a key");
}

#[tokio::test]
async fn deployment_in_azures_path_is_the_model_whatever_the_body_contains() {
    let alias = "[{name: my-deployment, targets: [{provider: up, model: real/name:1}]}]";
    let mock = e2e::Mock::start().await;
    let gateway = Gateway::start(Setup::provider("mock", mock.address()).section("models", alias)).await;
    let key = gateway.key().await;
    for body in [
        r#"{"messages":[],"model":"something-else"}"#,
        r#"{"messages":[]}"#,
        r#"{ "model":"my-deployment","messages":[] }"#,
    ] {
        let target = "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21";
        gateway.call(Call::post(target, body).header("api-key", &key)).await.expect(200);
        let seen = mock.seen("real/name:1").await;
        assert_eq!(seen["target"], "/v1/chat/completions");
    }
    assert_eq!(mock.requests("real/name:1").await, 3);
}

#[tokio::test]
async fn names_of_models_are_replaced_in_paths_bodies_and_forms() {
    let alias = "[{name: fast, targets: [{provider: up, model: \"org/real-model:2\"}]}]";
    let mock = e2e::Mock::start().await;
    let gateway = Gateway::start(Setup::provider("mock", mock.address()).section("models", alias)).await;
    let key = gateway.key().await;
    let mut count = 0;
    for name in ["embeddings", "edits", "transcriptions", "gemini", "batch-v1", "azure-chat"] {
        let ask = Ask::named(name);
        gateway.call(ask.with_key("fast", &key)).await.expect(200);
        count += 1;
        let seen = mock.seen("org/real-model:2").await;
        assert_eq!(seen["requests"], count, "{name}");
        let (target, _) = ask.at_the_provider();
        let in_path = target.replace(&format!("/{name}:"), "/org/real-model%3A2:");
        assert_eq!(seen["target"], in_path, "{name}");
        let bodies = seen["bodies"].as_array().unwrap();
        assert_eq!(*bodies.last().unwrap(), sha256(&ask.body("org/real-model:2")), "{name}");
    }
}

#[tokio::test]
async fn completions_streams_gain_the_usage_and_lose_it_again() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    let asks = json!({"model": "up/tokens-3", "prompt": "hi", "stream": true});
    let answer = line.gateway.call(Call::json("/v1/completions", &asks).key(&key)).await.expect(200);
    let events = answer.events();
    assert_eq!(events.last().unwrap().data, "[DONE]");
    assert!(events.iter().all(|event| event.json()["usage"].is_null()), "{}", answer.text());
    let row = crate::store::row(line.gateway.folder(), &answer).await;
    assert_eq!((&row["output"], &row["streamed"]), (&json!(3), &json!(1)), "{row}");
    assert!(row["cost_nano"].as_i64().is_some_and(|cost| cost > 0), "{row}");
}
