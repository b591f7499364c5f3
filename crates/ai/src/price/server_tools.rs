//! Prices of the tools that a provider runs itself: searches, Google Maps, containers, stored files.
//!
//! Rates by provider and model, in pico-USD per call (1 USD per thousand calls is 1,000,000,000). Tollgate does not
//! know the unused part of Google's free daily calls, so Google's rates are an upper bound.

use meter::UnitRates;

/// The source of the rates, and the day.
pub const SOURCE: &str = "LiteLLM model_prices_and_context_window.json 1.109.1 and llm_cost_calc, MIT (developers.openai.com/api/docs/pricing, \
     platform.claude.com/docs/en/about-claude/pricing, ai.google.dev/gemini-api/docs/pricing)";
/// The day on which the rates were read, `YYYY-MM-DD`.
pub const AS_OF: &str = "2026-11-21";

/// 10 USD per thousand searches: Anthropic, and OpenAI's reasoning models.
const SEARCH: u64 = 10_000_000_000;
/// 25 USD per thousand searches: `web_search_preview` of OpenAI's models that do not reason. Their `web_search` costs
/// [`SEARCH`]. The response does not always report which tool it was, so the higher rate applies.
const SEARCH_PREVIEW: u64 = 25_000_000_000;
/// 0.03 USD per container and gigabyte: 1, 4, 16 and 64 GB cost 0.03, 0.12, 0.48 and 1.92 USD.
const CONTAINER: u64 = 30_000_000_000;
/// 2.50 USD per thousand searches of stored files.
const FILE_SEARCH: u64 = 2_500_000_000;
/// 35 USD per thousand prompts that Google's search grounded, on Gemini 2.5.
const SEARCH_PROMPT: u64 = 35_000_000_000;
/// 25 USD per thousand prompts that Google Maps grounded, on Gemini 2.5.
const MAPS_PROMPT: u64 = 25_000_000_000;
/// 14 USD per thousand queries to Google's search or Maps, since Gemini 3.
const QUERY: u64 = 14_000_000_000;

/// Returns the rates of `model` at `provider`; all are `None` if none is known.
pub(super) fn rates(provider: &str, model: &str) -> UnitRates {
    match provider {
        "openai" => UnitRates {
            search: Some(if model.starts_with("gpt-4") { SEARCH_PREVIEW } else { SEARCH }),
            container: Some(CONTAINER),
            file_search: Some(FILE_SEARCH),
            ..UnitRates::default()
        },
        "anthropic" => UnitRates { search: Some(SEARCH), ..UnitRates::default() },
        "gemini" if model.starts_with("gemini-2.") => {
            UnitRates { search_prompt: Some(SEARCH_PROMPT), maps_prompt: Some(MAPS_PROMPT), ..UnitRates::default() }
        }
        "gemini" => UnitRates { search: Some(QUERY), maps_query: Some(QUERY), ..UnitRates::default() },
        // Arbitrary figures, as for all prices of the mock.
        "mock" => UnitRates {
            search: Some(SEARCH),
            maps_query: Some(QUERY),
            container: Some(CONTAINER),
            file_search: Some(FILE_SEARCH),
            ..UnitRates::default()
        },
        _ => UnitRates::default(),
    }
}

#[cfg(test)]
mod tests {
    use access::{Day, NanoUsd};
    use meter::{Source, ToolCalls, Usage};

    use crate::price::Prices;

    /// The day 2026-11-21 in UTC.
    const DAY: Day = Day(20_778);

    fn check(name: &str, tools: ToolCalls, cost: Option<i64>) {
        let (provider, model) = name.split_once('/').unwrap();
        let prices = Prices::builtin();
        let usage = Usage { input: Some(0), tools, ..Usage::empty(Source::Reported) };
        let price = prices.find(provider, [model], DAY).unwrap();
        assert_eq!(price.cost(&usage), cost.map(NanoUsd), "{name} {tools:?}");
        let lines = price.lines(&usage).map(|lines| meter::rating::total(&lines));
        assert_eq!(lines, cost.map(NanoUsd), "{name} {tools:?}");
    }

    /// The figures of the providers' pages, per thousand calls.
    #[test]
    fn every_tool_costs_what_its_page_says() {
        let searches = ToolCalls { searches: Some(1_000), ..ToolCalls::default() };
        for (name, dollars) in [
            ("anthropic/claude-haiku-4-5", 10),
            ("anthropic/claude-opus-5-5", 10),
            ("openai/gpt-5.4", 10),
            ("openai/gpt-5.5", 10),
            ("openai/chat-latest", 10),
            ("openai/gpt-4o", 25),
            ("openai/gpt-4.1-mini", 25),
            ("gemini/gemini-3.6-flash", 14),
            ("gemini/gemini-flash-latest", 14),
            ("gemini/gemini-4-argon", 14),
        ] {
            check(name, searches, Some(dollars * 1_000_000_000));
        }
        check("gemini/gemini-2.5-flash", searches, Some(35_000_000));
        let maps = ToolCalls { maps_prompts: Some(1), ..ToolCalls::default() };
        check("gemini/gemini-2.5-flash", maps, Some(25_000_000));
        check("gemini/gemini-3-flash-preview", maps, None);
        check("gemini/gemini-3-flash-preview", ToolCalls { maps_queries: Some(3), ..maps }, Some(42_000_000));
        let code = ToolCalls { containers: Some(4), file_searches: Some(2), ..ToolCalls::default() };
        check("openai/gpt-5", code, Some(125_000_000));
        check("anthropic/claude-haiku-4-5", code, None);
    }

    #[test]
    fn without_tokens_the_cost_of_a_tool_call_alone_is_not_the_answers() {
        let usage =
            Usage { tools: ToolCalls { searches: Some(1), ..ToolCalls::default() }, ..Usage::empty(Source::Reported) };
        assert_eq!(Prices::builtin().find("openai", ["gpt-5"], DAY).unwrap().cost(&usage), None);
    }
}
