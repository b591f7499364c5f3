//! Chat completions, legacy completions and embeddings: `usage` of the body, or of a stream's last chunk.

use meter::Usage;
use serde::Deserialize;

use super::{Figure, InclusiveFigures, InputDetails, Lenient, OutputDetails};

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChatUsage {
    prompt_tokens: Figure,
    prompt_tokens_details: Lenient<InputDetails>,
    completion_tokens: Figure,
    completion_tokens_details: Lenient<OutputDetails>,
    total_tokens: Figure,
    /// Moonshot reports cache reads in this field (platform.kimi.ai/docs/api/chat, 2026-11-21).
    cached_tokens: Figure,
    /// DeepSeek's reads from its cache; the misses are the rest of the prompt (api-docs.deepseek.com, 2026-11).
    prompt_cache_hit_tokens: Figure,
}

/// Reads a usage object; `None` if it reports no figure.
pub(crate) fn read(json: &[u8]) -> Option<Usage> {
    let Lenient(reported) = serde_json::from_slice::<Lenient<ChatUsage>>(json).ok()?;
    let figures = InclusiveFigures {
        input: reported.prompt_tokens.0,
        output: reported.completion_tokens.0,
        total: reported.total_tokens.0,
        cached_input: reported.cached_tokens.0.or(reported.prompt_cache_hit_tokens.0),
        ..InclusiveFigures::default()
    };
    figures.detailed(&reported.prompt_tokens_details.0, &reported.completion_tokens_details.0).disjoint()
}

#[cfg(test)]
mod tests {
    use access::Tokens;
    use meter::Source;

    use super::*;

    #[test]
    fn prompt_includes_caches_and_completion_includes_reasoning() {
        let json = br#"{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,
            "prompt_tokens_details":{"cached_tokens":40,"cache_write_tokens":25,"audio_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":20,"rejected_prediction_tokens":3}}"#;
        let usage = read(json).unwrap();
        let expected = Usage {
            source: Source::Reported,
            input: Some(Tokens(35)),
            cached_input: Some(Tokens(40)),
            cache_write_short: Some(Tokens(25)),
            cache_write_long: None,
            output: Some(Tokens(10)),
            reasoning: Some(Tokens(20)),
            audio_input: Some(Tokens(0)),
            ..Usage::empty(Source::Reported)
        };
        assert_eq!((usage, usage.total()), (expected, Tokens(130)));
    }

    #[test]
    fn audio_and_image_tokens_are_subtracted_from_totals_that_include_them() {
        let json = br#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":10,"audio_tokens":30,"image_tokens":20,"text_tokens":50},
            "completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":35,"text_tokens":10}}"#;
        let expected = Usage {
            input: Some(Tokens(40)),
            cached_input: Some(Tokens(10)),
            audio_input: Some(Tokens(30)),
            image_input: Some(Tokens(20)),
            output: Some(Tokens(10)),
            reasoning: Some(Tokens(5)),
            audio_output: Some(Tokens(35)),
            ..Usage::empty(Source::Reported)
        };
        assert_eq!((read(json), expected.total()), (Some(expected), Tokens(150)));
    }

    #[test]
    fn unreported_figures_stay_unknown() {
        let plain = Usage { input: Some(Tokens(9)), output: Some(Tokens(0)), ..Usage::empty(Source::Reported) };
        assert_eq!(read(br#"{"prompt_tokens":9,"completion_tokens":0}"#), Some(plain));
        assert_eq!(read(br#"{"prompt_tokens":9,"completion_tokens":0,"prompt_tokens_details":null}"#), Some(plain));
        let output = Usage { output: Some(Tokens(4)), ..Usage::empty(Source::Reported) };
        assert_eq!(read(br#"{"prompt_tokens":-9,"completion_tokens":4}"#), Some(output));
        for odd in ["7", "[1, {}]", "\"x\"", "true", "{\"cached_tokens\": [2]}", "{\"cached_tokens\": {\"x\": 1}}"] {
            let json = format!(r#"{{"prompt_tokens":9,"prompt_tokens_details":{odd},"completion_tokens":0}}"#);
            assert_eq!(read(json.as_bytes()), Some(plain), "{odd}");
        }
        // Two values for one figure are treated as not reported.
        assert_eq!(read(br#"{"prompt_tokens":9,"prompt_tokens":8}"#), None);
        for nothing in ["{}", "null", "[]", "7", r#"{"prompt_tokens":"9"}"#, r#"{"prompt_tokens":1.5}"#, "{"] {
            assert_eq!(read(nothing.as_bytes()), None, "{nothing}");
        }
    }

    fn check(json: &str, expected: [Option<u64>; 6]) {
        assert_eq!(read(json.as_bytes()).unwrap().classes()[..6], expected.map(|class| class.map(Tokens)), "{json}");
    }

    #[test]
    fn parts_never_exceed_their_sum() {
        check(
            r#"{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":7,"cache_write_tokens":7}}"#,
            [Some(0), Some(5), Some(0), None, None, None],
        );
        check(
            r#"{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":6,
                "cache_write_tokens_details":{"ttl_12h_tokens":8}}}"#,
            [Some(1), Some(2), Some(0), Some(6), None, None],
        );
        check(
            r#"{"completion_tokens":3,"completion_tokens_details":{"reasoning_tokens":8}}"#,
            [None, None, None, None, Some(0), Some(3)],
        );
        check(
            r#"{"prompt_tokens_details":{"cached_tokens":7,"cache_write_tokens":8}}"#,
            [None, Some(7), Some(8), None, None, None],
        );
    }

    #[test]
    fn absurd_figures_are_unknown() {
        let most = 1_u64 << 30;
        check(
            r#"{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":18446744073709551615},
                "completion_tokens":1073741824}"#,
            [Some(5), None, None, None, Some(most), None],
        );
        for absurd in [most + 1, u64::MAX] {
            assert_eq!(read(format!(r#"{{"prompt_tokens":{absurd}}}"#).as_bytes()), None);
        }
    }

    /// Gemini's and xAI's compatible endpoints count like this.
    #[test]
    fn separate_reasoning_tokens_are_not_subtracted_from_the_completion() {
        let details = r#""completion_tokens_details":{"reasoning_tokens":20}"#;
        for (total, completion, reasoning) in [(133, 13, 20), (113, 0, 13), (120, 0, 20), (140, 20, 20), (90, 0, 13)] {
            let json = format!(r#"{{"prompt_tokens":100,"completion_tokens":13,"total_tokens":{total},{details}}}"#);
            check(&json, [Some(100), None, None, None, Some(completion), Some(reasoning)]);
        }
    }

    /// Gemini's compatible endpoint counts thoughts like this: in the total only.
    #[test]
    fn tokens_that_only_the_total_contains_are_output() {
        let json = |total: &str| format!(r#"{{"completion_tokens":3,"prompt_tokens":9,"total_tokens":{total}}}"#);
        for (total, output) in [("105", 96), ("12", 3), ("9", 3), ("null", 3)] {
            check(&json(total), [Some(9), None, None, None, Some(output), None]);
        }
        check(r#"{"prompt_tokens":9,"total_tokens":9}"#, [Some(9), None, None, None, None, None]);
        check(r#"{"completion_tokens":3,"total_tokens":12}"#, [None, None, None, None, Some(3), None]);
    }

    #[test]
    fn cache_figures_of_compatible_hosts_are_read() {
        check(
            r#"{"prompt_tokens":100,"completion_tokens":1,"cached_tokens":90}"#,
            [Some(10), Some(90), None, None, Some(1), None],
        );
        check(
            r#"{"prompt_tokens":100,"cached_tokens":90,"prompt_tokens_details":{"cached_tokens":80}}"#,
            [Some(20), Some(80), None, None, None, None],
        );
        check(
            r#"{"prompt_tokens":100,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36,"completion_tokens":1}"#,
            [Some(36), Some(64), None, None, Some(1), None],
        );
        check(
            r#"{"prompt_tokens":100,"prompt_cache_hit_tokens":90,"prompt_tokens_details":{"cached_tokens":80}}"#,
            [Some(20), Some(80), None, None, None, None],
        );
        check(
            r#"{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":0,"cache_creation_input_tokens":60}}"#,
            [Some(40), Some(0), Some(60), None, None, None],
        );
    }
}
