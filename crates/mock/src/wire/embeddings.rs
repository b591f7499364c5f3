//! Embeddings: OpenAI's `POST /v1/embeddings`, Google's `embedContent` and `batchEmbedContents`.

use ai::Endpoint;

use crate::content::media::{packed, vector};
use crate::json::{Json, object};
use crate::response::MockResponse;

/// Vectors as numbers, or as base64 if the request wants it.
pub(super) fn openai(response: &MockResponse) -> Json {
    let item = |(index, values): (usize, Vec<f32>)| {
        if response.parameters.base64 {
            object! { "object": "embedding", "index": index, "embedding": packed(&values) }
        } else {
            object! { "object": "embedding", "index": index, "embedding": values }
        }
    };
    let items: Vec<Json> = vectors(response).enumerate().map(item).collect();
    let usage = response.tokens.as_ref().map(|tokens| {
        object! { "prompt_tokens": tokens.input_total(), "total_tokens": tokens.total() }
    });
    object! { "object": "list", "data": items, "model": response.model; "usage": usage }
}

/// One vector, or one per request of a batch.
pub(super) fn google(response: &MockResponse) -> Json {
    let embeddings: Vec<Json> = vectors(response).map(|values| object! { "values": values }).collect();
    let usage = response.tokens.as_ref().map(|tokens| {
        let text = object! { "modality": "TEXT", "tokenCount": tokens.input_total() };
        object! { "promptTokenCount": tokens.input_total(), "promptTokenDetails": [text] }
    });
    if response.endpoint == Endpoint::BatchEmbedContents {
        object! { "embeddings": embeddings; "usageMetadata": usage }
    } else {
        object! { "embedding": embeddings.first(); "usageMetadata": usage }
    }
}

fn vectors(response: &MockResponse) -> impl Iterator<Item = Vec<f32>> {
    response.parameters.inputs.iter().map(|input| vector(input.as_bytes(), response.parameters.dimensions))
}
