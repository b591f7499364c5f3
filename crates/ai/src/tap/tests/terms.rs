use super::*;
use crate::price::Tier;

const STANDARD: Option<PriceTerms> = Some(PriceTerms { tier: Tier::Standard, us: false });

fn tier_terms(tier: Tier) -> Option<PriceTerms> {
    Some(PriceTerms { tier, us: false })
}

/// Returns the terms of a response whose cost is known.
fn terms(format: Format, framing: ResponseFraming, bytes: &str) -> Option<PriceTerms> {
    let seen = seen(format, framing, bytes.as_bytes());
    if seen.unknown.is_none() { seen.terms } else { None }
}

/// The terms determine a part of the cost, although a tool has no rate.
#[test]
fn terms_are_reported_with_the_reason_of_an_unknown_cost() {
    let body = r#"{"usage":{"prompt_tokens":9,"citation_tokens":4},"service_tier":"flex"}"#;
    let seen = seen(Format::Chat, ResponseFraming::Json, body.as_bytes());
    assert_eq!((seen.terms, seen.unknown), (tier_terms(Tier::Flex), Some(UnknownCost::UnpricedTool)));
}

#[test]
fn openai_reports_the_tier_beside_the_usage() {
    let chat = |tier: &str| format!(r#"{{"usage":{{"prompt_tokens":1}},"service_tier":{tier}}}"#);
    let responses = |tier: &str| format!(r#"{{"usage":{{"input_tokens":1}},"service_tier":{tier}}}"#);
    for (tier, expected) in [
        (r#""default""#, STANDARD),
        (r#""standard""#, STANDARD),
        (r#""auto""#, STANDARD),
        ("null", STANDARD),
        ("7", STANDARD),
        (r#""flex""#, tier_terms(Tier::Flex)),
        (r#""priority""#, tier_terms(Tier::Priority)),
        (r#""fast""#, tier_terms(Tier::Priority)),
        (r#""ultrafast""#, tier_terms(Tier::Ultrafast)),
        (r#""scale""#, None),
        (r#""later""#, None),
    ] {
        for (format, body) in [(Format::Chat, chat(tier)), (Format::Responses, responses(tier))] {
            assert_eq!(terms(format, ResponseFraming::Json, &body), expected, "{format:?} {tier}");
        }
        let event = format!(r#"data: {{"type":"response.completed","response":{}}}"#, responses(tier));
        assert_eq!(terms(Format::Responses, ResponseFraming::Events, &event), expected, "{event}");
    }
    let unreported = r#"{"service_tier":"default"}"#;
    assert_eq!(terms(Format::Chat, ResponseFraming::Json, unreported), None, "there is nothing to price");
}

#[test]
fn anthropic_reports_terms_in_the_usage() {
    for (reported, expected) in [
        (r#""service_tier":"standard","speed":"standard","inference_geo":"global""#, STANDARD),
        (r#""service_tier":null,"inference_geo":"not_available""#, STANDARD),
        (r#""service_tier":"priority""#, None),
        (r#""service_tier":"batch""#, tier_terms(Tier::Batch)),
        (r#""speed":"fast""#, tier_terms(Tier::Fast)),
        (r#""inference_geo":"us""#, Some(PriceTerms { tier: Tier::Standard, us: true })),
        (r#""server_tool_use":{"web_search_requests":0,"web_fetch_requests":2}"#, STANDARD),
        (r#""server_tool_use":{"web_search_requests":1}"#, STANDARD),
        (r#""cache_read_input_tokens":-1"#, None),
    ] {
        let usage = format!(r#""usage":{{"input_tokens":1,{reported}}}"#);
        assert_eq!(terms(Format::Messages, ResponseFraming::Json, &format!("{{{usage}}}")), expected, "{reported}");
        let stream = format!("data: {{\"message\":{{{usage}}}}}\n\ndata: {{\"usage\":{{\"output_tokens\":2}}}}\n\n");
        assert_eq!(terms(Format::Messages, ResponseFraming::Events, &stream), expected, "{stream}");
    }
    let other = r#"{"model":"a","usage":{"input_tokens":1,"iterations":[{"type":"message","model":"b"}]}}"#;
    assert_eq!(terms(Format::Messages, ResponseFraming::Json, other), None);
    assert_eq!(terms(Format::Messages, ResponseFraming::Json, &other.replace("\"b\"", "\"a-20260101\"")), STANDARD);
}

#[test]
fn figures_that_are_no_counts_have_no_price() {
    for (figure, expected) in
        [("9", STANDARD), ("null", STANDARD), ("-9", None), ("9.0", None), ("10000000000000000000", None)]
    {
        let body = format!(r#"{{"usage":{{"prompt_tokens":{figure},"completion_tokens":4}}}}"#);
        assert_eq!(terms(Format::Chat, ResponseFraming::Json, &body), expected, "{body}");
    }
}

#[test]
fn of_several_tiers_in_a_stream_the_last_counts() {
    let chunk =
        |tier: &str| format!("data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{}}],\"service_tier\":{tier}}}\n\n");
    for (tiers, expected) in [
        (["\"auto\"", "\"default\"", "\"default\""], STANDARD),
        (["\"auto\"", "\"priority\"", "null"], tier_terms(Tier::Priority)),
        (["\"default\"", "\"defaults\"", "null"], None),
        (["\"flex\"", "null", "\"default\""], STANDARD),
        (["\"flex\"", "\"flex\"", "\"fl\\u0065x\""], tier_terms(Tier::Flex)),
        (["\"later\"", "\"defau\\u006ct\"", "null"], STANDARD),
        (["\"default\"", "\"default\",\"service_tier\" : \"flex\"", "null"], tier_terms(Tier::Flex)),
    ] {
        let stream = tiers.map(chunk).concat() + CHUNK;
        assert_eq!(super::chat(&stream).1.terms, expected, "{stream}");
    }
}

#[test]
fn the_usage_is_stored_unchanged() {
    let raw = |format, framing, bytes: &str| seen(format, framing, bytes.as_bytes()).raw_usage;
    let body = r#"{"usage": {"prompt_tokens": 3 , "x":[1e400]}}"#;
    assert_eq!(
        raw(Format::Chat, ResponseFraming::Json, body).as_deref(),
        Some(r#"{"prompt_tokens": 3 , "x":[1e400]}"#)
    );
    let chunks = "data: {\"usageMetadata\":{\"promptTokenCount\":3}}\n\n".repeat(2) + "data: {}\n\n";
    let raw_google = raw(Format::GenerateContent, ResponseFraming::Events, &chunks);
    assert_eq!(raw_google.as_deref(), Some(r#"{"promptTokenCount":3}"#));
    let start = r#"data: {"message":{"usage":{"input_tokens":5}}}"#;
    let stream = format!("{start}\n\ndata: {{\"usage\":{{\"output_tokens\":2}}}}\n\n");
    let both = r#"[{"input_tokens":5},{"output_tokens":2}]"#;
    assert_eq!(raw(Format::Messages, ResponseFraming::Events, &stream).as_deref(), Some(both));
    assert_eq!(raw(Format::Messages, ResponseFraming::Events, start).as_deref(), Some(r#"{"input_tokens":5}"#));
    assert_eq!(raw(Format::Chat, ResponseFraming::Json, r#"{"usage":null}"#), None);
}
