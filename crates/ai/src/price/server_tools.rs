//! Prices of the tools that a provider runs itself: searches, Google Maps, containers, stored files.
//!
//! Rates by provider and model, in pico-USD per call (1 USD per thousand calls is 1,000,000,000). Tollgate does not
//! know the unused part of Google's free daily calls, so Google's rates are an upper bound.

use meter::UnitRates;

use super::names::{ANY, FINE_TUNED, REGIONAL_HOSTS, fine_tuned, undated};

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

/// Models of OpenAI that search the web in each request, which no usage reports, and the fee of one search for each
/// request.
const SEARCHING: [(&str, u64); 3] = [
    ("gpt-4o-mini-search-preview", SEARCH_PREVIEW),
    ("gpt-4o-search-preview", SEARCH_PREVIEW),
    ("gpt-5-search-api", SEARCH),
];

/// Perplexity's models and their fee per request, which depends on the size of its search (5 to 12 and 6 to 14 USD per
/// thousand requests). The table has the highest fee, so that a cost is never too low. The fee covers the searches that
/// the usage reports.
const PERPLEXITY: [(&str, u64); 2] = [("sonar", 12_000_000_000), ("sonar-pro", 14_000_000_000)];

/// Whether `model` searches the web in each request to `provider`, for any body.
#[must_use]
pub fn always_searches(provider: &str, model: &str) -> bool {
    request_fee(provider, model).is_some()
}

/// Returns the fee per request to a model that always searches.
fn request_fee(provider: &str, model: &str) -> Option<u64> {
    if provider != "openai" && !REGIONAL_HOSTS.contains(&provider) {
        return None;
    }
    let model = undated(model);
    SEARCHING.iter().find(|(name, _)| *name == model).map(|(_, rate)| *rate)
}

/// Returns the rates of `model` in a price table's part `provider`: the name of a kind of provider, or a host. All are
/// `None` if none is known.
pub(super) fn rates(provider: &str, model: &str) -> UnitRates {
    let provider = if REGIONAL_HOSTS.contains(&provider) { "openai" } else { provider };
    // A fine-tuned model has the fees of its base.
    let base = fine_tuned(model);
    let base = base.strip_prefix(FINE_TUNED).unwrap_or(base);
    match provider {
        "openai" => UnitRates {
            search: Some(if base.starts_with("gpt-4") { SEARCH_PREVIEW } else { SEARCH }),
            container: Some(CONTAINER),
            file_search: Some(FILE_SEARCH),
            request: request_fee(provider, model),
            ..UnitRates::default()
        },
        "anthropic" => UnitRates { search: Some(SEARCH), ..UnitRates::default() },
        "gemini" if base.starts_with("gemini-2.") => {
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
        "api.perplexity.ai" => {
            let request = PERPLEXITY.iter().find(|(name, _)| *name == model).map(|(_, rate)| *rate);
            UnitRates { request, search: request.map(|_| 0), ..UnitRates::default() }
        }
        _ => UnitRates::default(),
    }
}

/// Returns `own` with the fees that it lacks. A fee per prompt and one per call exclude each other: if `own` has one of
/// them, the other is not added. A price of every model (`*`) gets none, as the fees differ between models of one
/// provider.
pub(super) fn filled(own: UnitRates, provider: &str, model: &str) -> UnitRates {
    if model == ANY && provider != "mock" {
        return own;
    }
    let known = rates(provider, model);
    let unless = |other: Option<u64>, rate: Option<u64>| if other.is_none() { rate } else { None };
    // A fee of the request that covers the searches is not added to the row's own fee of a search.
    let covers_own_searches = known.search == Some(0) && own.search.is_some();
    let known_request = if covers_own_searches { None } else { known.request };
    UnitRates {
        search: own.search.or(unless(own.search_prompt, known.search)),
        search_prompt: own.search_prompt.or(unless(own.search, known.search_prompt)),
        maps_query: own.maps_query.or(unless(own.maps_prompt, known.maps_query)),
        maps_prompt: own.maps_prompt.or(unless(own.maps_query, known.maps_prompt)),
        container: own.container.or(known.container),
        file_search: own.file_search.or(known.file_search),
        request: own.request.or(known_request),
        ..own
    }
}

#[cfg(test)]
mod tests {
    use access::{Day, NanoUsd, Tokens};
    use meter::{Source, ToolCalls, Usage};

    use super::*;
    use crate::price::Prices;

    /// The day 2026-11-21 in UTC.
    const DAY: Day = Day(20_778);

    fn check(name: &str, tools: ToolCalls, cost: Option<i64>) {
        let (provider, model) = name.split_once('/').unwrap();
        let prices = Prices::builtin();
        let usage = Usage { input: Some(Tokens(0)), tools, ..Usage::empty(Source::Reported) };
        let price = prices.find(provider, [model], DAY).unwrap();
        assert_eq!(price.cost(&usage), cost.map(NanoUsd), "{name} {tools:?}");
        let lines = price.lines(&usage).map(|lines| meter::rating::total(&lines));
        assert_eq!(lines, cost.map(NanoUsd), "{name} {tools:?}");
    }

    /// The figures of the providers' pages, per thousand calls.
    #[test]
    fn every_tool_has_the_published_fee() {
        let searches = ToolCalls { searches: Some(1_000), ..ToolCalls::default() };
        for (name, dollars) in [
            ("anthropic/claude-haiku-4-5", 10),
            ("anthropic/claude-opus-5-5", 10),
            ("openai/gpt-5.4", 10),
            ("openai/gpt-5.5", 10),
            ("openai/chat-latest", 10),
            ("openai/gpt-4o", 25),
            ("openai/gpt-4.1-mini", 25),
            ("openai/ft:gpt-4.1-2025-04-14:acme::Bx7", 25),
            ("openai/ft:gpt-4o-mini-2024-07-18", 25),
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
    fn a_price_keeps_its_own_fees_and_gets_those_that_it_leaves_out() {
        let own = |search, search_prompt| UnitRates { search, search_prompt, image: Some(1), ..UnitRates::default() };
        let openai = UnitRates { container: Some(CONTAINER), file_search: Some(FILE_SEARCH), ..UnitRates::default() };
        let maps = UnitRates { maps_prompt: Some(MAPS_PROMPT), ..UnitRates::default() };
        let maps_query = UnitRates { maps_query: Some(QUERY), ..UnitRates::default() };
        let image = Some(1);
        for (provider, model, own, expected) in [
            ("openai", "gpt-9", own(None, None), UnitRates { image, search: Some(SEARCH), ..openai }),
            ("openai", "gpt-9", own(Some(7), None), UnitRates { image, search: Some(7), ..openai }),
            ("openai", "gpt-9", own(None, Some(7)), UnitRates { image, search_prompt: Some(7), ..openai }),
            (
                "eu.api.openai.com",
                "gpt-4.1",
                own(None, None),
                UnitRates { image, search: Some(SEARCH_PREVIEW), ..openai },
            ),
            (
                "anthropic",
                "claude-9",
                own(None, None),
                UnitRates { image, search: Some(SEARCH), ..UnitRates::default() },
            ),
            ("gemini", "gemini-2.5-pro", own(Some(7), None), UnitRates { image, search: Some(7), ..maps }),
            (
                "gemini",
                "gemini-2.5-pro",
                own(None, None),
                UnitRates { image, search_prompt: Some(SEARCH_PROMPT), ..maps },
            ),
            ("gemini", "gemini-9", own(Some(7), None), UnitRates { image, search: Some(7), ..maps_query }),
            ("api.x.ai", "grok-9", own(None, None), own(None, None)),
            ("openai", "*", own(None, None), own(None, None)),
            (
                "api.perplexity.ai",
                "sonar-pro",
                own(None, None),
                UnitRates { image, search: Some(0), request: Some(14_000_000_000), ..UnitRates::default() },
            ),
            ("api.perplexity.ai", "sonar-pro", own(Some(7), None), own(Some(7), None)),
            (
                "openai",
                "gpt-5-search-api-2025-10-14",
                own(None, None),
                UnitRates { image, search: Some(SEARCH), request: Some(SEARCH), ..openai },
            ),
        ] {
            assert_eq!(filled(own, provider, model), expected, "{provider}/{model} {own:?}");
        }
        let maps_by_query = UnitRates { maps_query: Some(7), ..UnitRates::default() };
        let filled = filled(maps_by_query, "gemini", "gemini-2.5-pro");
        assert_eq!((filled.maps_query, filled.maps_prompt), (Some(7), None));
    }

    #[test]
    fn models_that_always_search_are_recognized_by_name() {
        for (provider, model, expected) in [
            ("openai", "gpt-5-search-api", true),
            ("openai", "gpt-5-search-api-2025-10-14", true),
            ("us.api.openai.com", "gpt-4o-search-preview-2025-03-11", true),
            ("openai", "gpt-5", false),
            ("api.example.com", "gpt-5-search-api", false),
        ] {
            assert_eq!(always_searches(provider, model), expected, "{provider}/{model}");
        }
    }

    #[test]
    fn without_tokens_the_cost_of_a_tool_call_alone_is_not_the_answers() {
        let usage =
            Usage { tools: ToolCalls { searches: Some(1), ..ToolCalls::default() }, ..Usage::empty(Source::Reported) };
        assert_eq!(Prices::builtin().find("openai", ["gpt-5"], DAY).unwrap().cost(&usage), None);
    }
}
