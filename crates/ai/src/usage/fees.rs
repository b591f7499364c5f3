//! Usage that OpenAI-compatible providers report in their usage object and sell beside the tokens.
//!
//! Searches are counted, so that a price with a rate for searches covers them. Usage without a class makes the cost
//! unknown.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use meter::ToolCalls;
use serde::Deserialize;

use super::lenient::Seconds;
use super::{Figure, Lenient};

/// Field names of 2026-11-21: docs.x.ai (the first three), docs.perplexity.ai (the next two), docs.mistral.ai (the
/// next), openrouter.ai/docs (the last two, of which a response has one).
#[derive(Default, Deserialize)]
#[serde(default)]
struct FeeFields {
    num_sources_used: Figure,
    num_server_side_tools_used: Figure,
    /// The number of calls of each of xAI's tools.
    server_side_tool_usage_details: Lenient<BTreeMap<String, Figure>>,
    num_search_queries: Figure,
    citation_tokens: Figure,
    prompt_audio_seconds: Seconds,
    server_tool_use: Lenient<RouterToolCalls>,
    server_tool_use_details: Lenient<RouterToolCalls>,
}

/// Calls of OpenRouter's tools. The executed ones include its own searches and fetches, but not those of a model's own
/// provider.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RouterToolCalls {
    web_search_requests: Figure,
    web_fetch_requests: Figure,
    tool_calls_executed: Figure,
}

/// A part of each name of [`FeeFields`], and the beginning of an escape, with which a name may be written.
static NAME_PARTS: LazyLock<[Finder<'static>; 6]> = LazyLock::new(|| {
    ["\"num_s", "_side_tool_", "citation_", "_audio_seconds", "server_tool_use", "\\"].map(Finder::new)
});

/// Fees that are charged beside the tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fees {
    /// The number of calls that have a rate.
    pub(crate) tools: ToolCalls,
    /// Whether something was used that no rate covers.
    pub(crate) unpriced: bool,
}

/// Calls of xAI's tools, grouped by their price.
#[derive(Default)]
struct XaiToolCalls {
    searches: u64,
    file_searches: u64,
    /// Calls of tools that cost only their tokens.
    free: u64,
    /// Calls of any other tool.
    others: u64,
}

impl XaiToolCalls {
    /// Counts calls by price. Searches of X cost as much as searches of the web; calls of an MCP server cost only
    /// tokens.
    fn from_details(details: &BTreeMap<String, Figure>) -> Self {
        let mut calls = Self::default();
        for (tool, count) in details {
            let of_tool = match tool.as_str() {
                "web_search_calls" | "x_search_calls" => &mut calls.searches,
                "file_search_calls" | "document_search_calls" => &mut calls.file_searches,
                "mcp_calls" => &mut calls.free,
                _ => &mut calls.others,
            };
            *of_tool = of_tool.saturating_add(count.0.unwrap_or(0));
        }
        calls
    }

    fn all(&self) -> u64 {
        [self.file_searches, self.free, self.others].into_iter().fold(self.searches, u64::saturating_add)
    }
}

/// Reads the fees of a usage object. Most objects have none, which is known without parsing them.
pub(crate) fn read(json: &[u8]) -> Fees {
    if NAME_PARTS.iter().all(|part| part.find(json).is_none()) {
        return Fees::default();
    }
    let Ok(Lenient(object)) = serde_json::from_slice::<Lenient<FeeFields>>(json) else { return Fees::default() };
    let used = |figure: &Figure| figure.0.filter(|count| *count > 0);
    let calls = XaiToolCalls::from_details(&object.server_side_tool_usage_details.0);
    let counted = |count: u64| (count > 0).then_some(count);
    let routed = [&object.server_tool_use.0, &object.server_tool_use_details.0];
    let most = |figure: fn(&RouterToolCalls) -> &Figure| routed.iter().filter_map(|calls| used(figure(calls))).max();
    let routed_searches = most(|calls| &calls.web_search_requests);
    let searches = counted(calls.searches).or(routed_searches);
    let searches = searches.or_else(|| used(&object.num_search_queries)).or_else(|| used(&object.num_sources_used));
    // Calls of an unknown tool have no rate.
    let is_vague = used(&object.num_server_side_tools_used) > counted(calls.all())
        || most(|calls| &calls.tool_calls_executed) > routed_searches
        || most(|calls| &calls.web_fetch_requests).is_some();
    let heard = object.prompt_audio_seconds.0.is_some_and(|milliseconds| milliseconds > 0);
    Fees {
        tools: ToolCalls { searches, file_searches: counted(calls.file_searches), ..ToolCalls::default() },
        unpriced: calls.others > 0 || is_vague || heard || used(&object.citation_tokens).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_counted_and_usage_without_a_rate_makes_the_cost_unknown() {
        for (json, searches, unpriced) in [
            ("{}", None, false),
            ("null", None, false),
            (r#"{"num_sources_used":0,"num_search_queries":0,"citation_tokens":0}"#, None, false),
            (r#"{"num_sources_used":12}"#, Some(12), false),
            (r#"{"num_search_queries":3}"#, Some(3), false),
            (r#"{"num_search_queries":3,"citation_tokens":9}"#, Some(3), true),
            (r#"{"citation_tokens":9}"#, None, true),
            (r#"{"num_server_side_tools_used":2}"#, None, true),
            (r#"{"server_side_tool_usage_details":{"web_search_calls":2,"x_search_calls":1}}"#, Some(3), false),
            (r#"{"server_side_tool_usage_details":{"code_interpreter_calls":1}}"#, None, true),
            (r#"{"server_side_tool_usage_details":{"later_calls":1}}"#, None, true),
            (
                r#"{"server_side_tool_usage_details":{"later_calls":0,"x_search_calls":null,"web_search_calls":"x"}}"#,
                None,
                false,
            ),
            (r#"{"server_side_tool_usage_details":[1]}"#, None, false),
            // Calls are counted in total and by tool: either all of them are known, or some are not.
            (r#"{"num_server_side_tools_used":0}"#, None, false),
            (r#"{"num_server_side_tools_used":2,"num_sources_used":4}"#, Some(4), true),
            (
                r#"{"num_server_side_tools_used":3,"server_side_tool_usage_details":{"web_search_calls":2,"x_search_calls":1}}"#,
                Some(3),
                false,
            ),
            (
                r#"{"num_server_side_tools_used":4,"server_side_tool_usage_details":{"web_search_calls":2,"mcp_calls":2}}"#,
                Some(2),
                false,
            ),
            (
                r#"{"num_server_side_tools_used":4,"server_side_tool_usage_details":{"web_search_calls":2,"x_search_calls":1}}"#,
                Some(3),
                true,
            ),
            (r#"{"server_tool_use":{"web_search_requests":2}}"#, Some(2), false),
            (r#"{"server_tool_use":{"web_search_requests":2,"tool_calls_executed":2}}"#, Some(2), false),
            (r#"{"server_tool_use_details":{"web_search_requests":2,"tool_calls_executed":3}}"#, Some(2), true),
            (r#"{"server_tool_use":{"web_search_requests":0,"tool_calls_executed":1}}"#, None, true),
            (r#"{"server_tool_use":{"web_search_requests":1,"web_fetch_requests":1}}"#, Some(1), true),
            (
                r#"{"server_tool_use":{"web_search_requests":0,"web_fetch_requests":0,"tool_calls_executed":0}}"#,
                None,
                false,
            ),
            (r#"{"server_tool_use":null}"#, None, false),
            (r#"{"prompt_audio_seconds":12}"#, None, true),
            (r#"{"prompt_audio_seconds":0.5}"#, None, true),
            (r#"{"prompt_audio_seconds":{}}"#, None, false),
            (r#"{"prompt_audio_seconds":null}"#, None, false),
            (r#"{"\u0063itation\u005ftokens":9}"#, None, true),
        ] {
            let fees = read(json.as_bytes());
            assert_eq!((fees.tools.searches, fees.unpriced), (searches, unpriced), "{json}");
        }
    }

    #[test]
    fn searches_of_files_are_counted_apart() {
        let json = r#"{"num_server_side_tools_used":5,"server_side_tool_usage_details":
            {"web_search_calls":1,"file_search_calls":2,"document_search_calls":2}}"#;
        let fees = read(json.as_bytes());
        let tools = ToolCalls { searches: Some(1), file_searches: Some(4), ..ToolCalls::default() };
        assert_eq!(fees, Fees { tools, unpriced: false });
    }
}
