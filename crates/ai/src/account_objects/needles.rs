//! Texts without which a body has no reference: most bodies have none, and are not read token by token.

use std::sync::LazyLock;

use aho_corasick::packed::{Config, MatchKind, Searcher};
use memchr::memmem::{self, Finder};

use crate::format::Format;

/// Begins of keys, ids and addresses. A key in the body begins with a quote.
const NEEDLES: [&str; 36] = [
    "\"file_id",
    "\"previous_response_id\"",
    "\"conversation\"",
    "\"container",
    "\"approval_request_id\"",
    "\"vector_store",
    "\"connector_id\"",
    "\"skill_id\"",
    "\"cachedContent\"",
    "\"cached_content\"",
    "\"fileSearchStore",
    "\"file_search_store",
    "\"library_ids\"",
    "\"guardrail",
    "\"audio\"",
    "\"voice\"",
    "\"retrieval\"",
    "\"vertexAiSearch\"",
    "\"vertex_ai_search\"",
    "\"vertexRagStore\"",
    "\"vertex_rag_store\"",
    "\"externalApi\"",
    "\"external_api\"",
    "\"data_sources\"",
    "\"dataSources\"",
    "\"safety_identifier\"",
    "\"user\":",
    "\"user\" :",
    "-tgo-",
    "gs://",
    "s3://",
    "arn:",
    "GS://",
    "S3://",
    "\"files/",
    "googleapis.com/",
];
/// Texts that matter in the Responses API: items with ids, stored prompts, and keys of `metadata`.
const OF_RESPONSES: [&str; 3] = ["\"id\"", "\"prompt\"", "\"metadata\""];
/// Texts that matter in other formats of OpenAI.
const OF_OPENAI: [&str; 1] = ["\"metadata\""];

static RESPONSES: LazyLock<Option<Searcher>> = LazyLock::new(|| searcher(&OF_RESPONSES));
static OPENAI: LazyLock<Option<Searcher>> = LazyLock::new(|| searcher(&OF_OPENAI));
static OTHER: LazyLock<Option<Searcher>> = LazyLock::new(|| searcher(&[]));
/// The start of each escape that can represent an ASCII letter.
static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\\u00"));

/// Returns a searcher for the common texts and these; `None` if the processor lacks its instructions.
fn searcher(more: &[&str]) -> Option<Searcher> {
    Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(NEEDLES.iter().chain(more)).build()
}

/// Whether a body may have a reference, or another value with a prefix than that of its session.
pub(super) fn may_refer(format: Format, body: &[u8]) -> bool {
    let searcher = match format {
        Format::Responses => &RESPONSES,
        Format::Messages | Format::GenerateContent | Format::EmbedContent => &OTHER,
        Format::Chat
        | Format::Completions
        | Format::Embeddings
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => &OPENAI,
    };
    let has_needle = searcher.as_ref().is_none_or(|searcher| searcher.find(body).is_some());
    has_needle || has_escaped_letter(body)
}

/// Whether an escape represents a letter or another character of a key.
fn has_escaped_letter(body: &[u8]) -> bool {
    ESCAPE.find_iter(body).any(|at| matches!(body.get(at + 4), Some(b'2'..=b'7')))
}

/// Whether a body says that the provider does not store the response.
pub(super) fn is_unstored(body: &[u8]) -> bool {
    const KEY: &[u8] = b"\"store\"";
    memmem::find_iter(body, KEY).any(|at| {
        let rest = body.get(at + KEY.len()..).unwrap_or_default().trim_ascii_start();
        rest.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"false"))
    })
}

/// Whether a body may run code in a container, which makes files.
pub(super) fn has_container(body: &[u8]) -> bool {
    [&b"code_"[..], b"container", b"shell", b"\"skills\""].iter().any(|needle| memmem::find(body, needle).is_some())
}

/// Whether a body may request audio.
pub(super) fn has_audio(body: &[u8]) -> bool {
    memmem::find(body, b"audio").is_some()
}
