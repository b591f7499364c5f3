//! Token usage in the words of each format.

use crate::translate::event::TokenUsage;
use crate::translate::object_writer::ObjectWriter;

/// Bytes of text that are one token of an estimate.
const BYTES_PER_TOKEN: usize = 4;

/// Returns the usage object of a chat completion.
pub(super) fn of_chat(usage: &TokenUsage) -> String {
    ObjectWriter::new()
        .with("prompt_tokens", &usage.input())
        .with("completion_tokens", &usage.output)
        .with("total_tokens", &usage.total())
        .with_raw("prompt_tokens_details", &input_details(usage))
        .with_raw("completion_tokens_details", &output_details(usage))
        .end()
}

/// Returns the usage object of a response. OpenAI's SDKs require each of its fields.
pub(super) fn of_responses(usage: &TokenUsage) -> String {
    ObjectWriter::new()
        .with("input_tokens", &usage.input())
        .with_raw("input_tokens_details", &input_details(usage))
        .with("output_tokens", &usage.output)
        .with_raw("output_tokens_details", &output_details(usage))
        .with("total_tokens", &usage.total())
        .end()
}

/// Returns the usage object of a message, and of the end of its stream. Its schema requires each member (read 2026-11-30).
pub(super) fn of_messages(usage: &TokenUsage) -> String {
    let writes = ObjectWriter::new()
        .with("ephemeral_5m_input_tokens", &usage.cache_writes)
        .with("ephemeral_1h_input_tokens", &0)
        .end();
    let details = usage.reasoning.map(|reasoning| ObjectWriter::new().with("thinking_tokens", &reasoning).end());
    ObjectWriter::new()
        .with("input_tokens", &usage.uncached)
        .with("cache_creation_input_tokens", &usage.cache_writes)
        .with("cache_read_input_tokens", &usage.cache_reads)
        .with_raw("cache_creation", &writes)
        .with("output_tokens", &usage.output)
        .with_raw("output_tokens_details", details.as_deref().unwrap_or("null"))
        .with_raw("server_tool_use", "null")
        .with("service_tier", "standard")
        .with_raw("inference_geo", "null")
        .end()
}

/// Returns the usage metadata of Gemini, whose candidates do not include reasoning.
pub(super) fn of_generate_content(usage: &TokenUsage) -> String {
    let reasoning = usage.reasoning.unwrap_or(0);
    let mut object = ObjectWriter::new().with("promptTokenCount", &usage.input());
    if usage.cache_reads > 0 {
        object = object.with("cachedContentTokenCount", &usage.cache_reads);
    }
    object = object.with("candidatesTokenCount", &usage.output.saturating_sub(reasoning));
    if reasoning > 0 {
        object = object.with("thoughtsTokenCount", &reasoning);
    }
    object.with("totalTokenCount", &usage.total()).end()
}

/// Returns usage that is estimated from the lengths of input and output, for clients that need figures at once.
pub(super) fn estimate(input_bytes: usize, output_bytes: usize) -> TokenUsage {
    let tokens = |bytes: usize| u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
    TokenUsage { uncached: tokens(input_bytes), output: tokens(output_bytes).max(1), ..TokenUsage::default() }
}

fn input_details(usage: &TokenUsage) -> String {
    let details = ObjectWriter::new().with("cached_tokens", &usage.cache_reads);
    details.with("cache_write_tokens", &usage.cache_writes).end()
}

fn output_details(usage: &TokenUsage) -> String {
    ObjectWriter::new().with("reasoning_tokens", &usage.reasoning.unwrap_or(0)).end()
}
