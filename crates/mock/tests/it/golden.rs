//! The exact bytes of every endpoint, whole and streamed. A changed snapshot is a change that clients see.

use crate::wire::{CHAT, COMPLETIONS, MESSAGES, RESPONSES, RunningMock, quick, start};

/// A body that is valid for each endpoint that takes JSON.
const BODY: &str = r#"{"model":"echo","prompt":"a b","input":"a b","contents":[{"parts":[{"text":"a b"}]}],"content":{},"requests":[{}],"messages":[{"role":"user","content":"a b"}],"dimensions":2"#;

async fn check(mock: &RunningMock, name: &str, path: &str, more: &str) {
    let reply = mock.post(path, &format!("{BODY}{more}}}")).await;
    let kind = reply.header("content-type").unwrap();
    insta::assert_snapshot!(name, format!("{} {kind}\n\n{}", reply.status, reply.body().replace('\r', "\\r")));
}

#[tokio::test]
async fn bytes_match_the_snapshots() {
    let mock = start(quick()).await;
    let streamed = r#","stream":true,"stream_options":{"include_usage":true}"#;
    let limit = r#","max_tokens":64"#;
    for (name, path, more) in [
        ("chat", CHAT, ""),
        ("responses", RESPONSES, ""),
        ("messages", MESSAGES, limit),
        ("completions", COMPLETIONS, ""),
    ] {
        check(&mock, name, path, more).await;
        check(&mock, &format!("{name}_stream"), path, &format!("{more}{streamed}")).await;
    }
    for (name, verb) in [
        ("gemini", "generateContent"),
        ("gemini_stream", "streamGenerateContent?alt=sse"),
        ("gemini_array", "streamGenerateContent"),
        ("gemini_count", "countTokens"),
        ("gemini_embed", "embedContent"),
        ("gemini_embed_batch", "batchEmbedContents"),
    ] {
        check(&mock, name, &format!("/v1beta/models/echo:{verb}"), "").await;
    }
    check(&mock, "embeddings", "/v1/embeddings", "").await;
    check(&mock, "embeddings_base64", "/v1/embeddings", r#","encoding_format":"base64""#).await;
    check(&mock, "images", "/v1/images/generations", "").await;
    check(&mock, "images_stream", "/v1/images/generations", streamed).await;
    check(&mock, "moderations", "/v1/moderations", "").await;
    check(&mock, "count_tokens", "/v1/messages/count_tokens", "").await;
    check(&mock, "input_tokens", "/v1/responses/input_tokens", "").await;
    check(&mock, "compact", "/v1/responses/compact", "").await;
}
