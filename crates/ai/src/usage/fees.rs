//! Usage that OpenAI-compatible providers report in their usage object and sell beside the tokens.
//!
//! Searches are counted, so that a price with a rate for searches covers them. Usage without a class makes the cost
//! unknown.

use meter::ToolCalls;
use serde::Deserialize;

use super::lenient::Seconds;
use super::{Figure, Part};

/// Field names of 2026-11-21: docs.x.ai (the first three), docs.perplexity.ai (the next two), docs.mistral.ai (the
/// last).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    num_sources_used: Figure,
    num_server_side_tools_used: Figure,
    server_side_tool_usage_details: Part<ToolCounts>,
    num_search_queries: Figure,
    citation_tokens: Figure,
    prompt_audio_seconds: Seconds,
}

/// xAI's calls by tool. Searches of X cost as much as searches of the web.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ToolCounts {
    web_search_calls: Figure,
    x_search_calls: Figure,
    code_interpreter_calls: Figure,
    file_search_calls: Figure,
    document_search_calls: Figure,
}

/// Fees that are charged beside the tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fees {
    /// The number of calls that have a rate.
    pub(crate) tools: ToolCalls,
    /// Whether something was used that no rate covers.
    pub(crate) unpriced: bool,
}

/// Reads the fees of a usage object.
pub(crate) fn read(json: &[u8]) -> Fees {
    let Ok(Part(object)) = serde_json::from_slice::<Part<Object>>(json) else { return Fees::default() };
    let used = |figure: &Figure| figure.0.filter(|count| *count > 0);
    let ToolCounts { web_search_calls, x_search_calls, code_interpreter_calls, file_search_calls, .. } =
        &object.server_side_tool_usage_details.0;
    let document_search_calls = &object.server_side_tool_usage_details.0.document_search_calls;
    let by_tool = [used(web_search_calls), used(x_search_calls)];
    let by_tool = by_tool.into_iter().flatten().reduce(u64::saturating_add);
    let others = [code_interpreter_calls, file_search_calls, document_search_calls];
    let others = others.into_iter().any(|count| used(count).is_some());
    let searches = by_tool.or_else(|| used(&object.num_search_queries)).or_else(|| used(&object.num_sources_used));
    // A number of tool calls without their kinds has no rate.
    let is_vague = used(&object.num_server_side_tools_used).is_some() && searches.is_none();
    let heard = object.prompt_audio_seconds.0.is_some_and(|milliseconds| milliseconds > 0);
    Fees {
        tools: ToolCalls { searches, ..ToolCalls::default() },
        unpriced: others || is_vague || heard || used(&object.citation_tokens).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_counted_and_what_has_no_rate_makes_the_cost_unknown() {
        for (json, searches, unpriced) in [
            ("{}", None, false),
            ("null", None, false),
            (r#"{"num_sources_used":0,"num_search_queries":0,"citation_tokens":0}"#, None, false),
            (r#"{"num_sources_used":12}"#, Some(12), false),
            (r#"{"num_search_queries":3}"#, Some(3), false),
            (r#"{"num_search_queries":3,"citation_tokens":9}"#, Some(3), true),
            (r#"{"num_server_side_tools_used":2}"#, None, true),
            (r#"{"server_side_tool_usage_details":{"web_search_calls":2,"x_search_calls":1}}"#, Some(3), false),
            (r#"{"server_side_tool_usage_details":{"code_interpreter_calls":1}}"#, None, true),
            (r#"{"prompt_audio_seconds":12}"#, None, true),
            (r#"{"prompt_audio_seconds":0.5}"#, None, true),
            (r#"{"prompt_audio_seconds":{}}"#, None, false),
            (r#"{"prompt_audio_seconds":null}"#, None, false),
        ] {
            let fees = read(json.as_bytes());
            assert_eq!((fees.tools.searches, fees.unpriced), (searches, unpriced), "{json}");
        }
    }
}
