use access::{NanoUsd, Tokens};

use super::*;

/// Returns a price with a different rate for each fee, in pico-USD.
fn priced() -> Price {
    let units = UnitRates {
        search: Some(5_000),
        maps_query: Some(7_000),
        container: Some(30_000),
        file_search: Some(3_000),
        ..UnitRates::default()
    };
    Price { units, ..flat() }
}

/// Returns the bound of `text` if a tool without a cap runs `rounds` times: tokens in nano-USD, and the fees beside
/// them.
fn fees(path: &str, text: &str, rounds: u64) -> Option<i64> {
    let bound = extent(path, text).with_tool_rounds(rounds).bound(Some(&priced()), LIMITS);
    Some(bound.money?.0 - bound.tokens.unwrap().0.cast_signed())
}

#[test]
fn a_tool_with_a_cap_is_so_many_more_windows_and_searches() {
    let limited = |cap: &str| {
        let tool = format!(r#"{{"type":"web_search_20250305","name":"web_search"{cap}}}"#);
        body(&format!(r#""max_tokens":7,"tools":[{tool}]"#))
    };
    for (text, rounds, unbounded) in [
        (limited(r#","max_uses":3"#), 3, None),
        (limited(r#","max_uses":0"#), 0, None),
        (limited(""), 10, Some(Reference::ServerTool)),
        (limited(r#","max_uses":null"#), 10, Some(Reference::ServerTool)),
    ] {
        let bound = extent(MESSAGES, &text).with_tool_rounds(10).bound(Some(&priced()), LIMITS);
        assert_eq!(bound.unbounded, unbounded, "{text}");
        assert_eq!(bound.output_tokens_max, Some(Tokens(7 * (rounds + 1))), "{text}");
        let first = text.len() as u64 + 512 + 4_096;
        let tokens = first + 100_000 * rounds + 7 * (rounds + 1);
        assert_eq!(bound.tokens, Some(Tokens(tokens)), "{text}");
        assert_eq!(bound.money, Some(NanoUsd((tokens + 5 * rounds).cast_signed())), "{text}");
    }
    let capped = bound(RESPONSES, &body(r#""max_tool_calls":2,"max_output_tokens":7,"tools":[{"type":"mcp"}]"#));
    assert_eq!((capped.tokens, capped.unbounded), (Some(Tokens(3 * 100_007)), None));
}

#[test]
fn a_tool_without_a_cap_is_run_as_often_as_is_configured() {
    let text = body(r#""max_output_tokens":7,"tools":[{"type":"web_search"}]"#);
    let tokens = |read: Extent| read.bound(None, LIMITS).tokens.unwrap().0;
    let first = text.len() as u64 + 512 + 4_096;
    assert_eq!(tokens(extent(RESPONSES, &text)), first + 100_000 * TOOL_ROUNDS + 7 * (TOOL_ROUNDS + 1));
    for rounds in [1, 2, 50] {
        let expected = first + 100_000 * rounds + 7 * (rounds + 1);
        assert_eq!(tokens(extent(RESPONSES, &text).with_tool_rounds(rounds)), expected, "{rounds}");
    }
}

/// No body contains the tokens that an MCP server or a tool of an unknown kind adds before the first sampling.
#[test]
fn a_tool_that_may_add_to_the_input_is_a_window_more() {
    for (path, inside) in [
        (RESPONSES, r#""max_output_tokens":7,"tools":[{"type":"mcp","server_url":"https://example.com"}]"#),
        (RESPONSES, r#""max_output_tokens":7,"tools":[{"type":"later_tool"}]"#),
        (RESPONSES, r#""max_output_tokens":7,"previous_response_id":"r","tools":[{"type":"web_search"}]"#),
        (MESSAGES, r#""max_tokens":7,"mcp_servers":[{"url":"https://example.com"}]"#),
        (MESSAGES, r#""max_tokens":7,"tools":[{"type":"advisor_20260301","name":"advisor"}]"#),
    ] {
        let bound = extent(path, &body(inside)).with_tool_rounds(1).bound(None, LIMITS);
        assert_eq!(bound.tokens, Some(Tokens(2 * 100_007)), "{inside}");
    }
}

#[test]
fn every_tool_reserves_its_fee() {
    let tools = |tools: &str| body(&format!(r#""max_output_tokens":7,"tools":[{tools}]"#));
    let code = |container: &str| tools(&format!(r#"{{"type":"code_interpreter","container":{container}}}"#));
    let gemini = |tools: &str| format!(r#"{{"tools":[{tools}],"generationConfig":{{"maxOutputTokens":7}}}}"#);
    for (path, text, fee) in [
        (RESPONSES, tools(r#"{"type":"function","name":"web_search"}"#), 0),
        (RESPONSES, tools(r#"{"type":"web_search"}"#), 3 * 5),
        (RESPONSES, tools(r#"{"type":"web_search_preview"},{"type":"file_search"}"#), 3 * 5 + 3 * 3),
        (RESPONSES, code(r#"{"type":"auto"}"#), 30),
        (RESPONSES, code(r#"{"type":"auto","memory_limit":"16g"}"#), 16 * 30),
        (RESPONSES, code(r#"{"type":"auto","memory_limit":"2t"}"#), 64 * 30),
        (RESPONSES, code(r#""cntr_1""#), 30),
        (RESPONSES, tools(r#"{"type":"shell","environment":{"type":"container_auto","memory_limit":"4g"}}"#), 4 * 30),
        (RESPONSES, tools(r#"{"environment":{"type":"local"},"type":"shell"}"#), 0),
        (CHAT, body(r#""max_tokens":7,"web_search_options":{}"#), 3 * 5),
        (CHAT, body(r#""max_tokens":7,"tools":[{"type":"openrouter:web_search","parameters":{}}]"#), 3 * 5),
        (CHAT, body(r#""max_tokens":7,"plugins":[{"id":"web","max_results":2}]"#), 3 * 5),
        (CHAT, body(r#""max_tokens":7,"plugins":[{"id":"response-healing"}]"#), 0),
        (CHAT, body(r#""max_tokens":7,"enable_search":true"#), 3 * 5),
        (CHAT, body(r#""max_tokens":7,"enable_search":false"#), 0),
        (RESPONSES, body(r#""max_output_tokens":7,"plugins":[{"id":"web"}]"#), 3 * 5),
        (MESSAGES, body(r#""max_tokens":7,"tools":[{"type":"web_fetch_20250910","name":"web_fetch"}]"#), 0),
        (GEMINI, gemini(r#"{"googleSearch":{}}"#), 3 * 5),
        (GEMINI, gemini(r#"{"google_maps":{}},{"google_search":{}}"#), 3 * 5 + 3 * 7),
        (GEMINI, gemini(r#"{"codeExecution":{}}"#), 0),
        (GEMINI, gemini(r#"{"functionDeclarations":[{"name":"googleSearch"}]}"#), 0),
    ] {
        assert_eq!(fees(path, &text, 3), Some(fee), "{text}");
    }
}

#[test]
fn a_tool_by_the_prompt_reserves_one_fee() {
    let text = r#"{"tools":[{"googleSearch":{}},{"googleMaps":{}}],"generationConfig":{"maxOutputTokens":7}}"#;
    let units = UnitRates { search_prompt: Some(35_000), maps_prompt: Some(25_000), ..UnitRates::default() };
    let bound = extent(GEMINI, text).with_tool_rounds(9).bound(Some(&Price { units, ..flat() }), LIMITS);
    assert_eq!(bound.money.unwrap().0 - bound.tokens.unwrap().0.cast_signed(), 60);
}

/// A request is never reserved at zero: a search without a known rate bounds no budget.
#[test]
fn a_tool_without_a_rate_has_no_bound_in_money() {
    for (path, inside) in [
        (RESPONSES, r#""max_output_tokens":7,"tools":[{"type":"web_search"}]"#),
        (RESPONSES, r#""max_output_tokens":7,"tools":[{"type":"file_search"}]"#),
        (RESPONSES, r#""max_output_tokens":7,"tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#),
        (CHAT, r#""max_tokens":7,"web_search_options":{}"#),
    ] {
        let read = extent(path, &body(inside));
        let unpriced = read.bound(Some(&flat()), LIMITS);
        assert_eq!((unpriced.money, unpriced.unknown()), (None, Some(MissingFact::Price)), "{inside}");
        assert!(read.bound(Some(&priced()), LIMITS).money.is_some(), "{inside}");
        let left = RemainingBudget { tokens: None, money: Some(NanoUsd(i64::MAX)) };
        assert_eq!(read.clamp(Some(&flat()), LIMITS, left), None, "{inside}");
    }
}

/// The images of gpt-image-2 cost many times the tokens of the model that calls the tool, and no price states them.
#[test]
fn a_tool_that_creates_images_has_no_bound_in_money_even_with_a_cap() {
    let capped = |cap: u64| {
        let tool = r#"{"type":"image_generation","model":"gpt-image-2","quality":"high"}"#;
        let text = body(&format!(r#""max_output_tokens":7,"max_tool_calls":{cap},"tools":[{tool}]"#));
        extent(RESPONSES, &text).bound(Some(&priced()), LIMITS)
    };
    let bound = capped(3);
    assert_eq!((bound.money, bound.unknown(), bound.unbounded), (None, Some(MissingFact::Price), None));
    assert!(bound.tokens.is_some());
    assert!(capped(0).money.is_some(), "the tool cannot run");
}

#[test]
fn a_plugin_with_a_fee_that_no_price_states_has_no_bound_in_money() {
    let text = body(r#""max_tokens":7,"plugins":[{"id":"file-parser"}]"#);
    assert_eq!(extent(CHAT, &text).bound(Some(&priced()), LIMITS).money, None);
}

/// Codex on gpt-5.5 offers a search with each request and sets no limit of output tokens.
#[test]
fn a_call_that_offers_a_search_reserves_two_answers_and_a_window() {
    let prices = Prices::builtin();
    let price = prices.find("openai", ["gpt-5.5"], DAY).unwrap();
    let limits = limits("openai", "gpt-5.5").unwrap();
    let text = r#"{"model":"gpt-5.5","input":"Hi.","tools":[{"type":"web_search"}]}"#;
    let bound = extent(RESPONSES, text).bound(Some(price), Some(limits));
    let input = text.len() as u64 + 512 + 4_096 + limits.input_tokens_max;
    let output = 2 * limits.output_tokens_max;
    let nano = input * 10_000 + output * 45_000 + 10_000_000;
    assert_eq!(bound.money, Some(NanoUsd(nano.cast_signed())));
    assert!(nano < 22_500_000_000, "{nano}");
}

/// xAI's live search is billed per source; the body states the number, or it is at most 50.
#[test]
fn a_live_search_reserves_the_fee_of_each_source() {
    let chat = |inside: &str| body(&format!(r#""max_tokens":7,{inside}"#));
    for (text, fee) in [
        (chat(r#""search_parameters":{"mode":"auto"}"#), (3 + 50) * 5),
        (chat(r#""search_parameters":{}"#), (3 + 50) * 5),
        (chat(r#""search_parameters":{"max_search_results":8,"sources":[{"type":"web"}]}"#), (3 + 8) * 5),
        (chat(r#""search_parameters":{"max_search_results":8,"mode":"off"}"#), 0),
        (chat(r#""search_parameters":{"mode":"off","mode":"on"}"#), (3 + 50) * 5),
        (chat(r#""search_parameters":{"mode":"on","mode":"off"}"#), (3 + 50) * 5),
        (chat(r#""search_parameters":{"max_search_results":8,"max_search_results":2}"#), (3 + 8) * 5),
        (chat(r#""search_parameters":{"max_search_results":0}"#), (3 + 1) * 5),
        (chat(r#""search_parameters":null"#), 0),
        (chat(r#""tools":[{"type":"live_search","mode":"off","max_search_results":1}]"#), (3 + 50) * 5),
        (chat(r#""tools":[{"type":"live_search","sources":[{"type":"x"}]}]"#), (3 + 50) * 5),
        (chat(r#""tools":[{"type":"x_search"}]"#), 3 * 5),
    ] {
        assert_eq!(fees(CHAT, &text, 3), Some(fee), "{text}");
    }
    // Fields of a live search in another tool do not hide it.
    let hidden = chat(r#""tools":[{"type":"web_search","mode":"off"}]"#);
    assert_eq!(extent(CHAT, &hidden).bound(Some(&priced()), LIMITS).unbounded, Some(Reference::ServerTool));
    let responses = body(r#""max_output_tokens":7,"search_parameters":{"max_search_results":2}"#);
    assert_eq!(fees(RESPONSES, &responses, 1), Some((1 + 2) * 5));
    // The search results precede the first sampling.
    let read = extent(CHAT, &chat(r#""search_parameters":{"mode":"on"}"#)).with_tool_rounds(1);
    let bound = read.bound(Some(&priced()), LIMITS);
    assert_eq!((bound.tokens, bound.unbounded), (Some(Tokens(2 * 100_007)), Some(Reference::ServerTool)));
    assert_eq!(read.bound(Some(&flat()), LIMITS).money, None, "a source without a rate");
}

#[test]
fn a_model_that_always_searches_reserves_the_cost_of_a_search() {
    let prices = Prices::builtin();
    let price = prices.find("openai", ["gpt-5-search-api"], DAY);
    let limits = limits("openai", "gpt-5-search-api");
    let text = body(r#""max_tokens":7"#);
    let plain = extent(CHAT, &text).bound(price, limits);
    let bound = extent(CHAT, &text).searching().bound(price, limits);
    let first = text.len() as u64 + 512;
    assert_eq!((plain.tokens, plain.unbounded), (Some(Tokens(first + 7)), None));
    assert_eq!((bound.tokens, bound.unbounded), (Some(Tokens(first + 272_000 + 14)), Some(Reference::ServerTool)));
    let nano = (first + 272_000) * 1_250 + 14 * 10_000 + 10_000_000;
    assert_eq!(bound.money, Some(NanoUsd(nano.cast_signed())), "the fee of the request is that of the search");
}

/// OpenRouter searches for any body if the name of the model says so.
#[test]
fn the_suffix_of_a_model_reserves_a_search_at_its_host() {
    let chat = body(r#""max_tokens":7"#);
    let capped = body(r#""max_output_tokens":7,"max_tool_calls":0"#);
    for (path, text, host, model, fee) in [
        (CHAT, &chat, "openrouter.ai", "openai/gpt-5:online", 3 * 5),
        (CHAT, &chat, "eu.openrouter.ai", "openai/gpt-5:nitro:Online", 3 * 5),
        (RESPONSES, &capped, "openrouter.ai", "openai/gpt-5:online", 3 * 5),
        (CHAT, &chat, "openrouter.ai", "openai/gpt-5", 0),
        (CHAT, &chat, "openrouter.ai", "online", 0),
        (CHAT, &chat, "notopenrouter.ai", "openai/gpt-5:online", 0),
    ] {
        let read = extent(path, text).with_tool_rounds(3).of_model(host, model);
        let bound = read.bound(Some(&priced()), LIMITS);
        assert_eq!(bound.money.unwrap().0 - bound.tokens.unwrap().0.cast_signed(), fee, "{host} {model}");
        assert_eq!(bound.unbounded.is_some(), fee > 0, "{host} {model}");
    }
    let bound = extent(CHAT, &chat).with_tool_rounds(1).of_model("openrouter.ai", "m:online").bound(None, LIMITS);
    assert_eq!(bound.tokens, Some(Tokens(2 * 100_007)), "its results precede the conversation");
    let free = extent("/v1/messages/count_tokens", &chat).of_model("openrouter.ai", "m:online");
    assert_eq!(free.bound(None, None).tokens, Some(Tokens::ZERO));
}
