//! Features of Gemini: streams as events and as arrays, embeddings, and free token counts.

use e2e::Answer;
use serde_json::{Value, json};

use super::asks::{Ask, EndpointServer};
use crate::store;

/// Returns the elements of a stream that is one JSON array.
fn elements(answer: &Answer) -> Vec<Value> {
    answer.json().as_array().unwrap_or_else(|| panic!("not an array: {}", answer.text())).clone()
}

fn printed(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect()
}

#[tokio::test]
async fn content_is_equal_as_a_whole_as_events_and_as_an_array() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    let whole = line.send(&Ask::named("gemini"), "tokens-5", &key).await.expect(200);
    assert_eq!(whole.header("content-type"), Some("application/json"));
    let events = line.send(&Ask::named("gemini-events"), "tokens-5", &key).await.expect(200);
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert!(!events.text().contains("\n:") && !events.text().starts_with(':'), "Google's SDKs crash on comments");
    let array = line.send(&Ask::named("gemini-array"), "tokens-5", &key).await.expect(200);
    assert!(array.header("content-type").unwrap().starts_with("application/json"));
    let events: Vec<Value> = events.events().iter().map(|event| event.json()).collect();
    let elements = elements(&array);
    assert!(events.len() > 5 && events.len() == elements.len(), "{} {}", events.len(), elements.len());
    let text = printed(&[whole.json()]);
    assert_eq!(text, "word ".repeat(5));
    for chunks in [&events, &elements] {
        assert_eq!(printed(chunks), text);
        let last = chunks.last().unwrap();
        assert_eq!(last["candidates"][0]["finishReason"], "STOP");
        assert_eq!(last["usageMetadata"]["candidatesTokenCount"], 5);
    }
    for answer in [&whole, &array] {
        let row = store::row(line.gateway.folder(), answer).await;
        assert_eq!((&row["output"], &row["reasoning"], &row["status"]), (&json!(5), &json!(0), &json!(200)), "{row}");
    }
}

#[tokio::test]
async fn tokens_are_counted_for_nothing_and_vectors_are_not() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    for name in ["gemini-counted", "gemini-counted-v1"] {
        let counted = line.send(&Ask::named(name), name, &key).await.expect(200).json();
        assert!(counted["totalTokens"].as_u64().is_some_and(|tokens| tokens > 0), "{counted}");
    }
    let one = line.send(&Ask::named("embed"), "embed", &key).await.expect(200).json();
    assert_eq!(one["embedding"]["values"].as_array().unwrap().len(), 64);
    let two = line.send(&Ask::named("batch-v1"), "batch", &key).await.expect(200).json();
    assert_eq!(two["embeddings"].as_array().unwrap().len(), 2);
    let usage = line.gateway.counted(&key, 2).await;
    assert_eq!((&usage["credits"], &usage["unpriced_requests"]), (&json!(2), &json!(0)), "{usage}");
    assert_eq!(store::all_events(line.gateway.folder()).await.len(), 2, "free requests have no usage event");
}

#[tokio::test]
async fn tool_is_called_and_its_result_is_sent_back() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    for name in ["gemini", "gemini-events", "gemini-array"] {
        let answer = line.send(&Ask::named(name), "tool", &key).await.expect(200);
        assert!(answer.text().contains("functionCall") && answer.text().contains("thoughtSignature"), "{name}");
    }
}
