//! Gemini's `usageMetadata`, in every chunk of a stream; the last chunk's figures are those of the whole response.

use access::Tokens;
use meter::{Source, Usage};
use serde::Deserialize;

use super::lenient::{List, Word};
use super::{Figure, Lenient, reported, take};
use crate::price::{PriceTerms, Tier};

/// The prompt includes cached tokens and the candidates exclude thoughts; input of tools is reported beside the prompt.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct GoogleUsageMetadata {
    prompt_token_count: Figure,
    #[serde(alias = "promptTokenDetails")]
    prompt_tokens_details: List<OfModality>,
    cached_content_token_count: Figure,
    cache_tokens_details: List<OfModality>,
    tool_use_prompt_token_count: Figure,
    tool_use_prompt_tokens_details: List<OfModality>,
    candidates_token_count: Figure,
    candidates_tokens_details: List<OfModality>,
    thoughts_token_count: Figure,
    traffic_type: Word,
    service_tier: Word,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OfModality {
    modality: Word,
    token_count: Figure,
}

/// The facts that a usage object reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GoogleUsage {
    pub(crate) usage: Usage,
    /// The terms of service. `None` for prepaid or unknown traffic, for cached audio, and for generated or embedded
    /// video, which have rates of their own. Cached text, images and video share one rate
    /// (ai.google.dev/gemini-api/docs/pricing, 2026-11-21).
    pub(crate) terms: Option<PriceTerms>,
}

/// Reads a usage object; `None` if it reports no figure.
pub(crate) fn read(json: &[u8], embeds: bool) -> Option<GoogleUsage> {
    let Lenient(object) = serde_json::from_slice::<Lenient<GoogleUsageMetadata>>(json).ok()?;
    let heard = |modality: &str| {
        let [prompt, tools] = [&object.prompt_tokens_details, &object.tool_use_prompt_tokens_details]
            .map(|details| modality_tokens(details, modality));
        let cached = modality_tokens(&object.cache_tokens_details, modality).unwrap_or(0);
        let fresh = prompt.map(|prompt| prompt.saturating_sub(cached));
        fresh.map_or(tools, |fresh| Some(fresh.saturating_add(tools.unwrap_or(0))))
    };
    let mut prompt = object.prompt_token_count.0.unwrap_or(u64::MAX);
    let cached_input = take(&mut prompt, object.cached_content_token_count.0);
    let tools = object.tool_use_prompt_token_count.0;
    let mut input = prompt.saturating_add(tools.unwrap_or(0));
    let audio_input = take(&mut input, heard("AUDIO"));
    let image_input = take(&mut input, heard("IMAGE"));
    let mut output = object.candidates_token_count.0.unwrap_or(u64::MAX);
    let audio_output = take(&mut output, modality_tokens(&object.candidates_tokens_details, "AUDIO"));
    let image_output = take(&mut output, modality_tokens(&object.candidates_tokens_details, "IMAGE"));
    let usage = reported(Usage {
        input: object.prompt_token_count.0.map(|_| Tokens(input)),
        cached_input: cached_input.map(Tokens),
        output: object.candidates_token_count.0.map(|_| Tokens(output)),
        reasoning: object.thoughts_token_count.0.map(Tokens),
        audio_input: audio_input.map(Tokens),
        image_input: image_input.map(Tokens),
        audio_output: audio_output.map(Tokens),
        image_output: image_output.map(Tokens),
        ..Usage::empty(Source::Reported)
    })?;
    let has = |details, modality| modality_tokens(details, modality).is_some_and(|tokens| tokens > 0);
    let special = has(&object.cache_tokens_details, "AUDIO")
        || has(&object.candidates_tokens_details, "VIDEO")
        || (embeds && has(&object.prompt_tokens_details, "VIDEO"));
    let tier = if special { None } else { tier([object.traffic_type, object.service_tier]) };
    Some(GoogleUsage { usage, terms: tier.map(|tier| PriceTerms { tier, us: false }) })
}

/// Returns the tier that both words name; either may be missing. `None` if one is unknown or they disagree.
fn tier(words: [Word; 2]) -> Option<Tier> {
    let [traffic, service] = words.map(|word| word.0.map_or(Some(Tier::Standard), |word| Tier::of_google(&word)));
    match (traffic?, service?) {
        (Tier::Standard, tier) | (tier, Tier::Standard) => Some(tier),
        (traffic, service) => (traffic == service).then_some(traffic),
    }
}

/// Returns the tokens of a modality; `None` if none are reported.
fn modality_tokens(details: &List<OfModality>, modality: &str) -> Option<u64> {
    let named = |detail: &&OfModality| detail.modality.0.as_deref() == Some(modality);
    details.0.iter().filter(named).filter_map(|detail| detail.token_count.0).reduce(u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use access::Tokens;

    use super::*;

    fn usage(json: &str) -> Usage {
        read(json.as_bytes(), false).unwrap().usage
    }

    #[test]
    fn prompt_includes_the_cache_and_candidates_exclude_thoughts() {
        let json = r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":30,"thoughtsTokenCount":20,
            "toolUsePromptTokenCount":7,"totalTokenCount":157,"trafficType":"ON_DEMAND"}"#;
        let expected = Usage {
            input: Some(Tokens(67)),
            cached_input: Some(Tokens(40)),
            output: Some(Tokens(30)),
            reasoning: Some(Tokens(20)),
            ..Usage::empty(Source::Reported)
        };
        assert_eq!(usage(json), expected);
        assert_eq!(expected.total(), Tokens(157));
        assert_eq!(read(json.as_bytes(), false).unwrap().terms, Some(PriceTerms::default()));
    }

    #[test]
    fn media_are_classes_of_their_own_and_video_and_documents_are_not() {
        let json = r#"{"promptTokenCount":100,"candidatesTokenCount":1290,"totalTokenCount":1390,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":10},{"modality":"AUDIO","tokenCount":30},
                {"modality":"IMAGE","tokenCount":20},{"modality":"VIDEO","tokenCount":25},{"modality":"DOCUMENT","tokenCount":15}],
            "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]}"#;
        let expected = Usage {
            input: Some(Tokens(50)),
            audio_input: Some(Tokens(30)),
            image_input: Some(Tokens(20)),
            output: Some(Tokens(0)),
            image_output: Some(Tokens(1290)),
            ..Usage::empty(Source::Reported)
        };
        assert_eq!((usage(json), expected.total()), (expected, Tokens(1390)));
        assert_eq!(read(json.as_bytes(), false).unwrap().terms, Some(PriceTerms::default()));
        assert_eq!(read(json.as_bytes(), true).unwrap().terms, None, "embedded video has a rate of its own");
    }

    #[test]
    fn images_and_video_of_a_cache_have_its_rate_and_audio_has_another() {
        for (modality, terms) in [
            ("TEXT", Some(PriceTerms::default())),
            ("IMAGE", Some(PriceTerms::default())),
            ("VIDEO", Some(PriceTerms::default())),
            ("DOCUMENT", Some(PriceTerms::default())),
            ("AUDIO", None),
        ] {
            let json = format!(
                r#"{{"promptTokenCount":10000,"cachedContentTokenCount":8000,"candidatesTokenCount":100,
                "cacheTokensDetails":[{{"modality":"{modality}","tokenCount":6000}},{{"modality":"TEXT","tokenCount":2000}}]}}"#
            );
            let figures = read(json.as_bytes(), false).unwrap();
            let classes = (figures.usage.input, figures.usage.cached_input, figures.usage.output);
            assert_eq!(
                (classes, figures.terms),
                ((Some(Tokens(2_000)), Some(Tokens(8_000)), Some(Tokens(100))), terms),
                "{modality}"
            );
        }
    }

    #[test]
    fn audio_of_a_cache_is_within_the_cached() {
        let json = r#"{"promptTokenCount":100,"cachedContentTokenCount":60,
            "promptTokensDetails":[{"modality":"AUDIO","tokenCount":70},{"modality":"TEXT","tokenCount":30}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":50},{"modality":"TEXT","tokenCount":10}]}"#;
        let figures = read(json.as_bytes(), false).unwrap();
        let classes = (figures.usage.input, figures.usage.cached_input, figures.usage.audio_input, figures.terms);
        assert_eq!(classes, (Some(Tokens(20)), Some(Tokens(60)), Some(Tokens(20)), None));
    }

    #[test]
    fn traffic_type_and_tier_determine_the_terms() {
        for (words, tier) in [
            (r#""trafficType":null"#, Some(Tier::Standard)),
            (r#""trafficType":"""#, Some(Tier::Standard)),
            (r#""trafficType":7"#, Some(Tier::Standard)),
            (r#""trafficType":"on_demand""#, Some(Tier::Standard)),
            (r#""trafficType":"ON_DEMAND_FLEX""#, Some(Tier::Flex)),
            (r#""trafficType":"PROVISIONED_THROUGHPUT""#, None),
            (r#""serviceTier":"priority""#, Some(Tier::Priority)),
            (r#""serviceTier":"later""#, None),
            (r#""serviceTier":"flex","trafficType":"ON_DEMAND""#, Some(Tier::Flex)),
            (r#""serviceTier":"flex","trafficType":"ON_DEMAND_FLEX""#, Some(Tier::Flex)),
            (r#""serviceTier":"flex","trafficType":"ON_DEMAND_PRIORITY""#, None),
        ] {
            let json = format!(r#"{{"promptTokenCount":1,{words}}}"#);
            let terms = read(json.as_bytes(), false).unwrap().terms;
            assert_eq!(terms, tier.map(|tier| PriceTerms { tier, us: false }), "{words}");
        }
    }

    #[test]
    fn parts_never_exceed_their_sum_and_invalid_figures_are_unknown() {
        let details =
            r#""promptTokensDetails":[{"modality":"AUDIO","tokenCount":9},{"modality":"AUDIO","tokenCount":9},7,null]"#;
        let odd = usage(&format!(r#"{{"promptTokenCount":10,"cachedContentTokenCount":4,{details}}}"#));
        assert_eq!((odd.input, odd.cached_input, odd.audio_input), (Some(Tokens(0)), Some(Tokens(4)), Some(Tokens(6))));
        for details in ["7", "{}", "\"x\"", "null", "[[{}]]", "true", "-1", "1.5"] {
            let json = format!(r#"{{"promptTokenCount":3,"candidatesTokenCount":-4,"promptTokensDetails":{details}}}"#);
            assert_eq!(
                (usage(&json).input, usage(&json).output, usage(&json).audio_input),
                (Some(Tokens(3)), None, None)
            );
        }
        for nothing in
            ["{}", "null", "[]", "{", r#"{"promptTokenCount":-1}"#, r#"{"promptTokenCount":10000000000000000000}"#]
        {
            assert_eq!(read(nothing.as_bytes(), false), None, "{nothing}");
        }
        assert_eq!(read(br#"{"promptTokenCount":1,"promptTokenCount":2}"#, false), None);
    }
}
