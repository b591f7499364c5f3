//! Vectors: OpenAI's `POST /v1/embeddings`, Google's `embedContent` and `batchEmbedContents`.

use ai::Endpoint;

use crate::answer::Answer;
use crate::json::{Json, object};
use crate::media::{packed, vector};

/// Vectors as numbers, or as base64 where that was asked for.
pub(super) fn openai(answer: &Answer) -> Json {
    let item = |(index, values): (usize, Vec<f32>)| {
        if answer.made.base64 {
            object! { "object": "embedding", "index": index, "embedding": packed(&values) }
        } else {
            object! { "object": "embedding", "index": index, "embedding": values }
        }
    };
    let items: Vec<Json> = vectors(answer).enumerate().map(item).collect();
    let usage = answer.figures.as_ref().map(|figures| {
        object! { "prompt_tokens": figures.input_total(), "total_tokens": figures.total() }
    });
    object! { "object": "list", "data": items, "model": answer.model; "usage": usage }
}

/// One vector or, of a batch, each.
pub(super) fn google(answer: &Answer) -> Json {
    let embeddings: Vec<Json> = vectors(answer).map(|values| object! { "values": values }).collect();
    let usage = answer.figures.as_ref().map(|figures| {
        let text = object! { "modality": "TEXT", "tokenCount": figures.input_total() };
        object! { "promptTokenCount": figures.input_total(), "promptTokenDetails": [text] }
    });
    if answer.endpoint == Endpoint::BatchEmbedContents {
        object! { "embeddings": embeddings; "usageMetadata": usage }
    } else {
        object! { "embedding": embeddings.first(); "usageMetadata": usage }
    }
}

fn vectors(answer: &Answer) -> impl Iterator<Item = Vec<f32>> {
    answer.made.inputs.iter().map(|input| vector(input.as_bytes(), answer.made.dimensions))
}
