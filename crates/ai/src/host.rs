//! Hosts with OpenAI's API that differ from it: flat tables, by host of a provider's `base_url`.

/// Hosts whose chat completions obey `max_tokens` alone. DeepSeek ignores `max_completion_tokens`: a limit of 5 gave 76
/// tokens (measured by others, 2026-08-12). Mistral's API reference does not have it.
const MAX_TOKENS_ALONE: [&str; 2] = ["api.deepseek.com", "api.mistral.ai"];

/// Whether chat completions of `host` obey no other limit of output tokens than `max_tokens`.
pub(crate) fn obeys_max_tokens_alone(host: &str) -> bool {
    MAX_TOKENS_ALONE.contains(&host)
}
