//! The formats of the Gemini API.

use serde_json::{Value, json};

use crate::wire::{RunningMock, ask_google, quick, start};

fn path(model: &str, verb: &str) -> String {
    format!("/v1beta/models/{model}:{verb}")
}

async fn array(mock: &RunningMock, model: &str) -> Vec<Value> {
    let reply = mock.post(&path(model, "streamGenerateContent"), &ask_google("")).await;
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    serde_json::from_value(reply.json()).unwrap()
}

fn printed(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk.pointer("/candidates/0/content/parts/0/text")?.as_str()).collect()
}

#[tokio::test]
async fn whole_answers_count_thoughts_and_cache() {
    let mock = start(quick()).await;
    for version in ["v1", "v1beta"] {
        let response = mock.post(&format!("/{version}/models/echo:generateContent"), &ask_google("")).await.json();
        assert_eq!(response["candidates"][0]["content"]["parts"], json!([{ "text": "say é  this\nback" }]));
        assert_eq!(response["candidates"][0]["finishReason"], "STOP");
        let count = |name: &str| response["usageMetadata"][name].as_u64().unwrap();
        let total = u64::try_from(ask_google("").len() / 4).unwrap();
        assert_eq!((count("promptTokenCount"), count("cachedContentTokenCount")), (total, total / 4));
        assert_eq!((count("candidatesTokenCount"), count("thoughtsTokenCount")), (3, 8));
        assert_eq!(count("totalTokenCount"), total + 3 + 8);
    }
}

#[tokio::test]
async fn sounds_and_pictures_are_counted_by_modality() {
    let mock = start(quick()).await;
    let parts =
        r#"[{"inlineData":{"mimeType":"audio/wav","data":""}},{"inlineData":{"mimeType":"image/png","data":""}}]"#;
    let body = format!(r#"{{"contents":[{{"parts":{parts}}}]}}"#);
    let usage = &mock.post(&path("mock", "generateContent"), &body).await.json()["usageMetadata"];
    let details = usage["promptTokensDetails"].as_array().unwrap();
    assert_eq!(
        details[1..],
        [json!({"modality": "AUDIO", "tokenCount": 64}), json!({"modality": "IMAGE", "tokenCount": 258})]
    );
    let sum: u64 = details.iter().map(|detail| detail["tokenCount"].as_u64().unwrap()).sum();
    assert_eq!(usage["promptTokenCount"], sum);
}

#[tokio::test]
async fn output_has_the_requested_modality() {
    let mock = start(quick()).await;
    for (requested, mime) in [("AUDIO", "audio/wav"), ("IMAGE", "image/png")] {
        let config = format!(r#","generationConfig":{{"responseModalities":["{requested}"]}}"#);
        let response = mock.post(&path("mock", "generateContent"), &ask_google(&config)).await.json();
        assert_eq!(response["candidates"][0]["content"]["parts"][0]["inlineData"]["mimeType"], mime);
        let details = "/usageMetadata/candidatesTokensDetails";
        let count = &response["usageMetadata"]["candidatesTokenCount"];
        assert_eq!(response.pointer(details).unwrap(), &json!([{ "modality": requested, "tokenCount": count }]));
    }
}

#[tokio::test]
async fn streams_count_cumulatively_and_have_no_comments() {
    let mock = start(quick()).await;
    for model in ["echo", "comments"] {
        let reply = mock.post(&path(model, "streamGenerateContent?alt=sse"), &ask_google("")).await;
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        assert!(reply.body().split("\r\n\r\n").all(|event| event.is_empty() || event.starts_with("data: {")));
        let chunks = reply.events();
        let counts: Vec<u64> =
            chunks.iter().map(|chunk| chunk["usageMetadata"]["candidatesTokenCount"].as_u64().unwrap()).collect();
        let last = counts.len() as u64 - 1;
        assert_eq!(counts, (1..=last).chain([last]).collect::<Vec<_>>());
        let end = chunks.last().unwrap();
        assert_eq!(end["candidates"][0]["finishReason"], "STOP");
        assert_eq!(
            end["usageMetadata"]["totalTokenCount"],
            chunks[chunks.len() - 2]["usageMetadata"]["totalTokenCount"]
        );
    }
    let chunks = mock.post(&path("echo", "streamGenerateContent?alt=sse"), &ask_google("")).await.events();
    assert_eq!(printed(&chunks), "say é  this\nback");
}

#[tokio::test]
async fn without_sse_a_stream_is_one_array() {
    let mock = start(quick()).await;
    let chunks = array(&mock, "echo").await;
    assert_eq!((printed(&chunks).as_str(), chunks.len()), ("say é  this\nback", 4));
    assert_eq!(array(&mock, "tokens-50").await.len(), 51);
    assert_eq!(array(&mock, "error-event").await.last().unwrap()["error"]["status"], "UNAVAILABLE");
}

#[tokio::test]
async fn tools_are_called_in_one_part() {
    let mock = start(quick()).await;
    let tools = ask_google(
        r#","tools":[{"functionDeclarations":[{"name":"look_up","parameters":{"type":"OBJECT","properties":{"city":{"type":"STRING"}},"required":["city"]}}]}]"#,
    );
    for verb in ["generateContent", "streamGenerateContent?alt=sse"] {
        let reply = mock.post(&path("tool", verb), &tools).await;
        let first = if verb.contains("sse") { reply.events().swap_remove(0) } else { reply.json() };
        let part = &first["candidates"][0]["content"]["parts"][0];
        assert_eq!(
            (&part["functionCall"]["name"], &part["functionCall"]["args"]),
            (&json!("look_up"), &json!({ "city": "Jakarta" }))
        );
        assert!(part["thoughtSignature"].is_string());
    }
    let after = r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"look_up","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"look_up","response":{}}}]}]}"#;
    let response = mock.post(&path("tool", "generateContent"), after).await.json();
    assert!(response["candidates"][0]["content"]["parts"][0]["text"].is_string());
}

#[tokio::test]
async fn tokens_are_counted_without_output() {
    let mock = start(quick()).await;
    let counted = mock.post(&path("mock", "countTokens"), &ask_google("")).await.json();
    assert_eq!(counted["totalTokens"], ask_google("").len() / 4);
}

#[tokio::test]
async fn embeddings_are_one_or_a_batch() {
    let mock = start(quick()).await;
    let one = mock.post(&path("mock", "embedContent"), r#"{"content":{"parts":[{"text":"a"}]}}"#).await.json();
    assert_eq!(one["embedding"]["values"].as_array().unwrap().len(), 64);
    assert!(one["usageMetadata"]["promptTokenCount"].as_u64() > Some(0));
    let requests = r#"{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]}"#;
    let batch = mock.post(&path("mock", "batchEmbedContents"), requests).await.json();
    assert_eq!(batch["embeddings"].as_array().unwrap().len(), 2);
    assert_ne!(batch["embeddings"][0], batch["embeddings"][1]);
}

#[tokio::test]
async fn refusals_have_a_status_and_details() {
    let mock = start(quick()).await;
    let refused = |value: &Value| value["error"].clone();
    for (model, status) in
        [("429", "RESOURCE_EXHAUSTED"), ("500", "INTERNAL"), ("503", "UNAVAILABLE"), ("400", "INVALID_ARGUMENT")]
    {
        for verb in ["generateContent", "streamGenerateContent?alt=sse", "streamGenerateContent"] {
            let reply = mock.post(&path(model, verb), &ask_google("")).await;
            let body = reply.json();
            let error = refused(body.get(0).unwrap_or(&body));
            assert_eq!(body.is_array(), verb == "streamGenerateContent");
            assert_eq!((error["code"].to_string().as_str(), &error["status"]), (model, &json!(status)), "{verb}");
            let delay = error.pointer("/details/1/retryDelay").and_then(Value::as_str);
            assert_eq!(delay, (model == "429").then_some("1s"));
            assert_eq!(
                (reply.header("retry-after"), reply.header("x-request-id"), reply.header("set-cookie")),
                (None, None, None)
            );
        }
    }
    let empty = mock.post(&path("mock", "generateContent"), "{}").await;
    assert_eq!((empty.status, refused(&empty.json())["status"].clone()), (400, json!("INVALID_ARGUMENT")));
    let unknown = mock.post("/v1beta/models/mock:predict", "{}").await;
    assert_eq!((unknown.status, refused(&unknown.json())["status"].clone()), (405, json!("INVALID_ARGUMENT")));
}
