//! Maximum input and output tokens of models: a flat table with date and source, like the prices.
//!
//! The figures are those of LiteLLM's `model_prices_and_context_window.json` (release 1.109.1, MIT licence, © 2023
//! Berri AI), for the models of the price table whose makers publish both figures. Embedding models have no output
//! tokens. Corrections, as read on 2026-11-21: gpt-5.4 and 5.5 accept as input the rest of their window beside the
//! output, as the later families do. The output of gemini-4-argon is that of its siblings, as the file repeats the
//! input there.
//!
//! No source states how gpt-5-pro divides its window of 400,000: a request for a short response may fill nearly all of
//! it with input, and a response has up to 272,000. Each figure is therefore the highest that can occur, not a part of
//! one window.
//!
//! No maker publishes a limit for images and speech. These figures are presumed, above every measured value. An image
//! has at most 12,329 tokens of gpt-image-2 (OpenAI's forum, 2026-04-21) and 6,240 of the models before it. A form
//! holds 16 images and 32,000 characters. Speech has 1,250 tokens a minute, and 2,000 tokens of text last less than 26
//! minutes.

use crate::price::{fine_tuned, undated};

pub use crate::price::TokenLimits;

/// The day on which the figures were read, `YYYY-MM-DD`.
pub const AS_OF: &str = "2026-11-21";
/// The source of the figures.
pub const SOURCE: &str = "LiteLLM model_prices_and_context_window.json 1.109.1, MIT";

impl TokenLimits {
    /// Returns the limits of the first of `names` that is listed for `provider` (a name of
    /// [`ProviderKind::as_str`](crate::ProviderKind::as_str)), with or without its date; `None` if they are unknown.
    #[must_use]
    pub fn find<'a>(provider: &str, names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let rows = match provider {
            "anthropic" => ANTHROPIC,
            "gemini" => GEMINI,
            "openai" => OPENAI,
            "mock" => return Some(MOCK),
            _ => return None,
        };
        let row = |name: &str| rows.binary_search_by_key(&name, |(name, ..)| name).ok().and_then(|at| rows.get(at));
        let forms = |name| {
            let base = fine_tuned(name);
            let base = base.strip_prefix("ft:").unwrap_or(base);
            [name, undated(name), base, undated(base)]
        };
        let (_, input_tokens_max, output_tokens_max) =
            names.into_iter().find_map(|name| forms(name).into_iter().find_map(row))?;
        Some(Self { input_tokens_max: *input_tokens_max, output_tokens_max: *output_tokens_max })
    }
}

/// A model and its maximum input and output tokens; rows are sorted by name.
type LimitsRow = (&'static str, u64, u64);

/// A form of 16 images of at most 16,384 tokens, and 32,000 characters of at most four bytes.
const IMAGE_FORM: u64 = 16 * 16_384 + 128_000;

/// Arbitrary figures: the mock enforces no limit.
const MOCK: TokenLimits = TokenLimits { input_tokens_max: 1_000_000, output_tokens_max: 4_096 };

#[rustfmt::skip]
const ANTHROPIC: &[LimitsRow] = &[
    ("claude-fable-5", 1_000_000, 128_000),
    ("claude-fable-5-1", 1_000_000, 128_000),
    ("claude-haiku-4-5", 200_000, 64_000),
    ("claude-haiku-5-5", 1_000_000, 128_000),
    ("claude-mythos-5", 1_000_000, 128_000),
    ("claude-mythos-5-1", 1_000_000, 128_000),
    ("claude-opus-4-5", 200_000, 64_000),
    ("claude-opus-4-6", 1_000_000, 128_000),
    ("claude-opus-4-7", 1_000_000, 128_000),
    ("claude-opus-4-8", 1_000_000, 128_000),
    ("claude-opus-5", 1_000_000, 128_000),
    ("claude-opus-5-5", 1_000_000, 128_000),
    ("claude-sonnet-4-5", 200_000, 64_000),
    ("claude-sonnet-4-6", 1_000_000, 128_000),
    ("claude-sonnet-5", 1_000_000, 128_000),
    ("claude-sonnet-5-5", 1_000_000, 128_000),
];

#[rustfmt::skip]
const GEMINI: &[LimitsRow] = &[
    ("gemini-2.5-flash", 1_048_576, 65_536),
    ("gemini-2.5-flash-image", 65_536, 32_768),
    ("gemini-2.5-flash-lite", 1_048_576, 65_536),
    ("gemini-2.5-pro", 1_048_576, 65_536),
    ("gemini-3-flash-preview", 1_048_576, 65_536),
    ("gemini-3-pro-image", 65_536, 32_768),
    ("gemini-3.1-flash-image", 131_072, 32_768),
    ("gemini-3.1-flash-lite", 1_048_576, 65_536),
    ("gemini-3.1-flash-lite-image", 65_536, 4_096),
    ("gemini-3.1-pro-preview", 1_048_576, 65_536),
    ("gemini-3.1-pro-preview-customtools", 1_048_576, 65_536),
    ("gemini-3.5-flash", 1_048_576, 65_536),
    ("gemini-3.5-flash-lite", 1_048_576, 65_536),
    ("gemini-3.5-transcribe", 98_304, 32_768),
    ("gemini-3.6-flash", 1_048_576, 65_536),
    ("gemini-3.7-flash", 1_048_576, 65_536),
    ("gemini-3.8-flash", 1_048_576, 65_536),
    ("gemini-3.8-flash-lite-tts", 8_192, 16_384),
    ("gemini-3.8-flash-tts", 8_192, 16_384),
    ("gemini-4-argon", 1_048_576, 65_536),
    ("gemini-embedding-001", 2_048, 0),
    ("gemini-embedding-2", 8_192, 0),
    ("gemini-embedding-2-preview", 8_192, 0),
    ("gemini-flash-latest", 1_048_576, 65_536),
    ("gemini-flash-lite-latest", 1_048_576, 65_536),
    ("gemini-nano-banana-2.1", 131_072, 32_768),
    ("gemini-omni-1.1-flash", 1_048_576, 65_536),
    ("gemini-pro-latest", 1_048_576, 65_536),
    ("gemini-robotics-er-2-preview", 131_072, 65_536),
    ("gemini-robotics-er-2-streaming-preview", 131_072, 65_536),
    ("nano-banana-pro-preview", 65_536, 32_768),
];

#[rustfmt::skip]
const OPENAI: &[LimitsRow] = &[
    ("chat-latest", 400_000, 128_000),
    ("chatgpt-image-latest", IMAGE_FORM, 16_384),
    ("gpt-4.1", 1_047_576, 32_768),
    ("gpt-4.1-mini", 1_047_576, 32_768),
    ("gpt-4o", 128_000, 16_384),
    ("gpt-4o-2024-05-13", 128_000, 4_096),
    ("gpt-4o-audio-preview-2024-12-17", 128_000, 16_384),
    ("gpt-4o-audio-preview-2025-06-03", 128_000, 16_384),
    ("gpt-4o-mini", 128_000, 16_384),
    ("gpt-4o-mini-audio-preview-2024-12-17", 128_000, 16_384),
    ("gpt-4o-mini-search-preview", 128_000, 16_384),
    ("gpt-4o-mini-transcribe", 16_000, 2_000),
    ("gpt-4o-mini-tts", 2_000, 32_768),
    ("gpt-4o-search-preview", 128_000, 16_384),
    ("gpt-4o-transcribe", 16_000, 2_000),
    ("gpt-4o-transcribe-diarize", 16_000, 2_000),
    ("gpt-5", 272_000, 128_000),
    ("gpt-5-mini", 272_000, 128_000),
    ("gpt-5-nano", 272_000, 128_000),
    ("gpt-5-pro", 400_000, 272_000),
    ("gpt-5-search-api", 272_000, 128_000),
    ("gpt-5.1", 272_000, 128_000),
    ("gpt-5.2", 272_000, 128_000),
    ("gpt-5.2-pro", 272_000, 128_000),
    ("gpt-5.3-codex", 272_000, 128_000),
    ("gpt-5.4", 922_000, 128_000),
    ("gpt-5.4-mini", 272_000, 128_000),
    ("gpt-5.4-nano", 272_000, 128_000),
    ("gpt-5.4-pro", 922_000, 128_000),
    ("gpt-5.5", 922_000, 128_000),
    ("gpt-5.5-pro", 922_000, 128_000),
    ("gpt-5.6", 922_000, 128_000),
    ("gpt-5.6-luna", 922_000, 128_000),
    ("gpt-5.6-sol", 922_000, 128_000),
    ("gpt-5.6-terra", 922_000, 128_000),
    ("gpt-6-astra", 922_000, 128_000),
    ("gpt-6-luna", 922_000, 128_000),
    ("gpt-6-sol", 922_000, 128_000),
    ("gpt-6.1-sol", 922_000, 128_000),
    ("gpt-6.1-terra", 922_000, 128_000),
    ("gpt-audio", 128_000, 16_384),
    ("gpt-audio-1.5", 128_000, 16_384),
    ("gpt-audio-mini", 128_000, 16_384),
    ("gpt-image-1-mini", IMAGE_FORM, 16_384),
    ("gpt-image-1.5", IMAGE_FORM, 16_384),
    ("gpt-image-2", IMAGE_FORM, 32_768),
    ("gpt-image-2.5-flare", IMAGE_FORM, 32_768),
    ("gpt-image-2.5-sunburst", IMAGE_FORM, 32_768),
    ("o3", 200_000, 100_000),
    ("o3-pro", 200_000, 100_000),
    ("text-embedding-3-large", 8_191, 0),
    ("text-embedding-3-small", 8_191, 0),
    ("text-embedding-ada-002", 8_191, 0),
    ("text-embedding-ada-002-v2", 8_191, 0),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::Prices;

    #[test]
    fn every_row_is_sorted_and_a_model_that_has_a_price() {
        let prices = Prices::builtin();
        for (provider, rows) in [("anthropic", ANTHROPIC), ("gemini", GEMINI), ("openai", OPENAI)] {
            assert!(rows.is_sorted_by(|(a, ..), (b, ..)| a < b), "{provider}");
            for (model, input, output) in rows {
                assert!(
                    prices.names(provider, model) && *input > 0 && (*output > 0 || model.contains("embedding")),
                    "{model}"
                );
            }
        }
    }

    #[test]
    fn limits_that_an_audit_corrected_are_these() {
        for (provider, model, input, output) in [
            ("openai", "gpt-5.4", 922_000, 128_000),
            ("openai", "gpt-5.4-pro", 922_000, 128_000),
            ("openai", "gpt-5.5", 922_000, 128_000),
            ("openai", "gpt-5.5-pro", 922_000, 128_000),
            ("openai", "gpt-5-pro", 400_000, 272_000),
            ("gemini", "gemini-4-argon", 1_048_576, 65_536),
        ] {
            let found = TokenLimits::find(provider, [model]).unwrap();
            assert_eq!((found.input_tokens_max, found.output_tokens_max), (input, output), "{model}");
        }
    }

    #[test]
    fn dated_names_have_the_limits_of_the_undated() {
        let found = |provider, model| TokenLimits::find(provider, [model]).map(|limits| limits.output_tokens_max);
        assert_eq!(found("openai", "gpt-5-mini-2025-08-07"), Some(128_000));
        assert_eq!(found("openai", "gpt-4o-2024-05-13"), Some(4_096));
        assert_eq!(found("anthropic", "claude-haiku-4-5-20251001"), Some(64_000));
        assert_eq!(found("openai", "ft:gpt-4o-2024-05-13:acme::Bx7"), Some(4_096));
        assert_eq!(found("openai", "ft:gpt-4.1-mini-2025-04-14:acme::Bx7"), Some(32_768));
        assert_eq!(found("mock", "any"), Some(4_096));
        for (provider, model) in [("openai", "gpt-99"), ("openai", "tts-1"), ("elsewhere", "gpt-5")] {
            assert_eq!(found(provider, model), None, "{model}");
        }
    }
}
