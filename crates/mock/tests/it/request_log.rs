//! The request log and the plain routes.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::wire::{CHAT, MESSAGES, ask, quick, start};

fn sha256(body: &str) -> String {
    Sha256::digest(body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn requests_are_logged_by_model_with_their_bodies() {
    let mock = start(quick()).await;
    let one = ask("mock/echo", "");
    let two = ask("echo", ", \"odd\" :  1 ");
    mock.post(CHAT, &one).await;
    mock.post("/v1/messages?beta=true", &two).await;
    mock.post(MESSAGES, &ask("529", "")).await;
    let seen = mock.seen().await;
    let echo = &seen["models"]["echo"];
    assert_eq!(echo["requests"], 2);
    assert_eq!(echo["bodies"], json!([sha256(&one), sha256(&two)]));
    assert_eq!(echo["target"], "/v1/messages?beta=true");
    assert_eq!(echo["headers"]["x-test"], "1, 2");
    assert_eq!(seen["models"]["529"]["requests"], 1);
}

#[tokio::test]
async fn reset_deletes_the_log() {
    let mock = start(quick()).await;
    mock.post(CHAT, &ask("mock", "")).await;
    assert_eq!(mock.post("/mock/reset", "").await.status, 200);
    assert_eq!(mock.seen().await, json!({ "models": {} }));
}

#[tokio::test]
async fn echo_returns_the_body_and_its_hash() {
    let mock = start(quick()).await;
    let body = "any bytes, \r\n\r\n not JSON";
    let reply = mock.post("/echo/below?x=1", body).await;
    assert_eq!(reply.body(), body);
    assert_eq!(reply.header("x-body-sha256"), Some(sha256(body).as_str()));
    let plain = &mock.seen().await["models"]["plain"];
    assert_eq!((&plain["bodies"], &plain["target"]), (&json!([sha256(body)]), &json!("/echo/below?x=1")));
}

#[tokio::test]
async fn plain_is_100_bytes() {
    let mock = start(quick()).await;
    for method in ["GET", "POST"] {
        let reply = mock.send(method, "/plain", "").await;
        assert_eq!((reply.status, reply.body().len()), (200, 100));
    }
    assert_eq!(mock.seen().await["models"]["plain"]["requests"], 2);
}

#[tokio::test]
async fn plain_bytes_have_the_size_in_the_path() {
    let mock = start(quick()).await;
    let check = async |size: &str, status: u16, bytes: Option<usize>| {
        let reply = mock.send("GET", &format!("/plain/bytes/{size}"), "").await;
        assert_eq!(reply.status, status, "{size}");
        if let Some(bytes) = bytes {
            assert_eq!(reply.body().len(), bytes, "{size}");
            assert_eq!(reply.header("content-length"), Some(size));
        }
    };
    for bytes in [0_usize, 1, 100, 16_384, 65_536, 1_048_576] {
        check(&bytes.to_string(), 200, Some(bytes)).await;
    }
    for size in ["1048577", "-1", "many", "99999999999999999999", ""] {
        check(size, 404, None).await;
    }
    assert_eq!(mock.seen().await["models"]["plain"]["requests"], 6);
    let reply = mock.send("GET", "/plain/json", "").await;
    assert_eq!(
        (reply.status, reply.body().len(), reply.header("content-type")),
        (200, 16_384, Some("application/json"))
    );
    assert!(serde_json::from_str::<serde_json::Value>(&reply.body()).unwrap()[9]["id"] == 9);
}

#[tokio::test]
async fn the_log_has_the_parts_of_forms_and_all_credentials() {
    let mock = start(quick()).await;
    let path = "/v1/audio/transcriptions?x=1";
    mock.form(path, b"sound", &[("model", "mock/whisper-1"), ("prompt", "p")]).await;
    let seen = mock.seen().await["models"]["whisper-1"].clone();
    assert_eq!((&seen["method"], &seen["target"]), (&json!("POST"), &json!(path)));
    assert_eq!(
        seen["parts"][0],
        json!({ "name": "file", "filename": "a.wav", "content_type": "audio/wav", "bytes": 5, "sha256": sha256("sound") })
    );
    let names: Vec<_> = seen["parts"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["file", "model", "prompt"]);

    mock.with(&format!("POST {CHAT}"), &[("x-api-key", "mine")], ask("mock", "").as_bytes()).await;
    mock.post(CHAT, &ask("mock", "")).await;
    let seen = mock.seen().await["models"]["mock"].clone();
    assert_eq!((&seen["requests"], &seen["credentials"]), (&json!(2), &json!(["x-api-key: mine"])));
}

#[tokio::test]
async fn unreadable_calls_and_model_lists_are_logged() {
    let mock = start(quick()).await;
    mock.post(CHAT, "{").await;
    mock.send("GET", "/v1/models", "").await;
    let seen = mock.seen().await;
    assert_eq!(seen["models"]["(unreadable)"]["requests"], 1);
    assert_eq!(seen["models"]["(models)"]["target"], "/v1/models");
}
