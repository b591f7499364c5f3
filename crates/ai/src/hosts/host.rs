//! Hosts with OpenAI's API that differ from it: flat tables, by host of a provider's `base_url`.

/// Hosts whose chat completions obey `max_tokens` alone. DeepSeek ignores `max_completion_tokens`: a limit of 5 gave 76
/// tokens (measured by others, 2026-08-12). Mistral's API reference does not have it.
const MAX_TOKENS_ALONE: [&str; 2] = ["api.deepseek.com", "api.mistral.ai"];
/// Hosts that report usage in the last chunk of each stream. Mistral refuses `stream_options` with 422
/// `extra_forbidden` (openai/openai-agents-python, issue 442).
const REPORT_USAGE_UNASKED: [&str; 1] = ["api.mistral.ai"];
/// Hosts whose endpoints, such as `/chat/completions`, have no path before them.
pub const WITHOUT_PATH: [&str; 1] = ["api.perplexity.ai"];
/// A host that may serve a call by any model of its list `models`. Its models search the web for each request if their name
/// has [`ONLINE`] (openrouter.ai/docs, model fallbacks and web search, 2026-11).
const OPENROUTER: &str = "openrouter.ai";
const ONLINE: &str = "online";

/// Whether `model` of `host` searches the web because of a suffix of its name.
pub(crate) fn searches_by_name(host: &str, model: &str) -> bool {
    takes_models(host) && model.split(':').skip(1).any(|suffix| suffix.eq_ignore_ascii_case(ONLINE))
}

/// Whether `host` may serve a call by another model, which the body lists.
#[must_use]
pub fn takes_models(host: &str) -> bool {
    host.strip_suffix(OPENROUTER).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Whether responses of `host` report their cost.
#[must_use]
pub fn reports_cost(host: &str) -> bool {
    takes_models(host)
}

/// Whether chat completions of `host` obey no other limit of output tokens than `max_tokens`.
pub(crate) fn obeys_max_tokens_alone(host: &str) -> bool {
    MAX_TOKENS_ALONE.contains(&host)
}

/// Whether streams of `host` report usage without `stream_options`, which it refuses.
#[must_use]
pub fn reports_usage_unasked(host: &str) -> bool {
    REPORT_USAGE_UNASKED.contains(&host)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::endpoint::EndpointCall;
    use crate::request::read;

    #[test]
    fn a_stream_of_mistral_is_not_asked_for_its_usage() {
        let body = Bytes::from_static(br#"{ "model":"m", "stream":true,"messages":[]}"#);
        let fields = read(&EndpointCall::from_path("/v1/chat/completions").unwrap(), None, &body).unwrap();
        for (host, sent) in [
            ("api.mistral.ai", r#"{ "model":"n", "stream":true,"messages":[]}"#),
            (
                "api.openai.com",
                r#"{"stream_options":{"include_usage":true}, "model":"n", "stream":true,"messages":[]}"#,
            ),
        ] {
            let out = fields.rewrite(&body, "n", !reports_usage_unasked(host));
            assert_eq!((out.body(), out.usage_injected), (Bytes::from(sent), host == "api.openai.com"), "{host}");
        }
    }
}
