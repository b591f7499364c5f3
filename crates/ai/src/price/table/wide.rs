//! Rows of models that accept or generate more than text, or are sold by another unit: a flat table like the other.
//!
//! The figures are those of the same release of the same file. Input images cost as much as text unless the file prices
//! them separately, as the providers state. Audio, and everything that a model generates, has a price only if the file
//! lists it.

use super::Wide;

/// A model, its rates (input, cached input, cache write short and long, output, audio and image input, audio and image
/// output), the rates above a number of tokens, and its unit rates (image, millisecond, character). 0 means that the
/// price is unknown.
pub(super) type Row = (&'static str, [u64; 9], Option<(u64, [u64; 9])>, [u64; 3]);

/// Models whose page gives one input price for audio and text (ai.google.dev/gemini-api/docs/pricing, by way of
/// genai-prices 47df840).
pub(super) const AUDIO_AS_TEXT: &[&str] =
    &["gemini-2.5-pro", "gemini-3.1-pro-preview", "gemini-3.1-pro-preview-customtools"];

/// Models that search the web in each request, which no usage reports: the fee of one search per request, in pico-USD.
pub(super) const REQUEST_FEES: &[(&str, u64)] = &[
    ("gpt-4o-mini-search-preview", 25_000_000_000),
    ("gpt-4o-search-preview", 25_000_000_000),
    ("gpt-5-search-api", 10_000_000_000),
];

/// Models of a family whose long requests cost more, without published rates of their own for long requests. Since
/// gpt-5.6, cache writes have rates too, which are not published for these models either.
const LONG_UNKNOWN: Option<(u64, [u64; 9])> = Some((272_000, [0; 9]));

#[rustfmt::skip]
pub(super) const OPENAI: Wide = Wide {
    provider: "openai",
    source: "LiteLLM model_prices_and_context_window.json 1.109.1, MIT (developers.openai.com/api/docs/pricing)",
    free: &["omni-moderation-latest", "omni-moderation"],
    rows: &[
        ("chatgpt-image-latest", [5_000_000, 1_250_000, 5_000_000, 5_000_000, 10_000_000, 0, 8_000_000, 0, 32_000_000], None, [0, 0, 0]),
        ("gpt-4o-audio-preview-2024-12-17", [2_500_000, 2_500_000, 2_500_000, 2_500_000, 10_000_000, 40_000_000, 2_500_000, 80_000_000, 0], None, [0, 0, 0]),
        ("gpt-4o-audio-preview-2025-06-03", [2_500_000, 2_500_000, 2_500_000, 2_500_000, 10_000_000, 40_000_000, 2_500_000, 80_000_000, 0], None, [0, 0, 0]),
        ("gpt-4o-mini-audio-preview-2024-12-17", [150_000, 150_000, 150_000, 150_000, 600_000, 10_000_000, 150_000, 20_000_000, 0], None, [0, 0, 0]),
        ("gpt-4o-mini-transcribe", [1_250_000, 1_250_000, 1_250_000, 1_250_000, 5_000_000, 1_250_000, 1_250_000, 0, 0], None, [0, 0, 0]),
        ("gpt-4o-mini-tts", [600_000, 600_000, 600_000, 600_000, 10_000_000, 0, 600_000, 12_000_000, 0], None, [0, 0, 0]),
        ("gpt-4o-transcribe", [2_500_000, 2_500_000, 2_500_000, 2_500_000, 10_000_000, 2_500_000, 2_500_000, 0, 0], None, [0, 0, 0]),
        ("gpt-4o-transcribe-diarize", [2_500_000, 2_500_000, 2_500_000, 2_500_000, 10_000_000, 2_500_000, 2_500_000, 0, 0], None, [0, 0, 0]),
        ("gpt-5.5-cyber", [12_500_000, 1_250_000, 12_500_000, 12_500_000, 75_000_000, 0, 12_500_000, 0, 0], LONG_UNKNOWN, [0, 0, 0]),
        ("gpt-5.6-cyber", [12_500_000, 1_250_000, 0, 0, 75_000_000, 0, 12_500_000, 0, 0], LONG_UNKNOWN, [0, 0, 0]),
        ("gpt-6-astra-law", [10_000_000, 1_000_000, 0, 0, 50_000_000, 0, 10_000_000, 0, 0], LONG_UNKNOWN, [0, 0, 0]),
        ("gpt-6-rosalind", [15_000_000, 1_500_000, 0, 0, 75_000_000, 0, 15_000_000, 0, 0], LONG_UNKNOWN, [0, 0, 0]),
        ("gpt-audio", [2_500_000, 2_500_000, 2_500_000, 2_500_000, 10_000_000, 32_000_000, 2_500_000, 64_000_000, 0], None, [0, 0, 0]),
        ("gpt-audio-1.5", [2_500_000, 2_500_000, 2_500_000, 2_500_000, 10_000_000, 32_000_000, 2_500_000, 64_000_000, 0], None, [0, 0, 0]),
        ("gpt-audio-mini", [600_000, 600_000, 600_000, 600_000, 2_400_000, 10_000_000, 600_000, 20_000_000, 0], None, [0, 0, 0]),
        ("gpt-daybreak-blue-latest", [4_000_000, 400_000, 0, 0, 20_000_000, 0, 4_000_000, 0, 0], LONG_UNKNOWN, [0, 0, 0]),
        ("gpt-daybreak-red-latest", [4_000_000, 400_000, 0, 0, 20_000_000, 0, 4_000_000, 0, 0], LONG_UNKNOWN, [0, 0, 0]),
        ("gpt-image-1-mini", [2_000_000, 200_000, 2_000_000, 2_000_000, 0, 0, 2_500_000, 0, 8_000_000], None, [0, 0, 0]),
        ("gpt-image-1.5", [5_000_000, 1_250_000, 5_000_000, 5_000_000, 10_000_000, 0, 8_000_000, 0, 32_000_000], None, [0, 0, 0]),
        ("gpt-image-2", [5_000_000, 1_250_000, 5_000_000, 5_000_000, 0, 0, 8_000_000, 0, 30_000_000], None, [0, 0, 0]),
        ("gpt-image-2.5-flare", [5_000_000, 1_250_000, 5_000_000, 5_000_000, 0, 0, 8_000_000, 0, 30_000_000], None, [0, 0, 0]),
        ("gpt-image-2.5-sunburst", [5_000_000, 1_250_000, 5_000_000, 5_000_000, 0, 0, 8_000_000, 0, 30_000_000], None, [0, 0, 0]),
        ("gpt-transcribe", [0, 0, 0, 0, 0, 0, 0, 0, 0], None, [0, 75_000, 0]),
        ("text-embedding-3-large", [130_000, 130_000, 130_000, 130_000, 0, 0, 130_000, 0, 0], None, [0, 0, 0]),
        ("text-embedding-3-small", [20_000, 20_000, 20_000, 20_000, 0, 0, 20_000, 0, 0], None, [0, 0, 0]),
        ("text-embedding-ada-002", [100_000, 100_000, 100_000, 100_000, 0, 0, 100_000, 0, 0], None, [0, 0, 0]),
        ("text-embedding-ada-002-v2", [100_000, 100_000, 100_000, 100_000, 0, 0, 100_000, 0, 0], None, [0, 0, 0]),
        ("tts-1", [0, 0, 0, 0, 0, 0, 0, 0, 0], None, [0, 0, 15_000_000]),
        ("tts-1-1106", [0, 0, 0, 0, 0, 0, 0, 0, 0], None, [0, 0, 15_000_000]),
        ("tts-1-hd", [0, 0, 0, 0, 0, 0, 0, 0, 0], None, [0, 0, 30_000_000]),
        ("tts-1-hd-1106", [0, 0, 0, 0, 0, 0, 0, 0, 0], None, [0, 0, 30_000_000]),
        ("whisper-1", [0, 0, 0, 0, 0, 0, 0, 0, 0], None, [0, 100_000, 0]),
    ],
};

#[rustfmt::skip]
pub(super) const GEMINI: Wide = Wide {
    provider: "gemini",
    source: "LiteLLM model_prices_and_context_window.json 1.109.1, MIT (ai.google.dev/gemini-api/docs/pricing)",
    free: &["gemma-3-27b-it", "gemma-4-26b-a4b-it", "gemma-4-31b-it"],
    rows: &[
        ("gemini-2.5-flash", [300_000, 30_000, 300_000, 300_000, 2_500_000, 1_000_000, 300_000, 0, 0], None, [0, 0, 0]),
        ("gemini-2.5-flash-image", [300_000, 30_000, 300_000, 300_000, 2_500_000, 1_000_000, 300_000, 0, 30_000_000], None, [0, 0, 0]),
        ("gemini-2.5-flash-lite", [100_000, 10_000, 100_000, 100_000, 400_000, 300_000, 100_000, 0, 0], None, [0, 0, 0]),
        ("gemini-2.5-pro", [1_250_000, 125_000, 1_250_000, 1_250_000, 10_000_000, 0, 1_250_000, 0, 0], Some((200_000, [2_500_000, 250_000, 2_500_000, 2_500_000, 15_000_000, 0, 2_500_000, 0, 0])), [0, 0, 0]),
        ("gemini-3-flash-preview", [500_000, 50_000, 500_000, 500_000, 3_000_000, 1_000_000, 500_000, 0, 0], None, [0, 0, 0]),
        ("gemini-3-pro-image", [2_000_000, 2_000_000, 2_000_000, 2_000_000, 12_000_000, 0, 2_000_000, 0, 120_000_000], None, [0, 0, 0]),
        ("gemini-3.1-flash-image", [500_000, 500_000, 500_000, 500_000, 3_000_000, 0, 500_000, 0, 60_000_000], None, [0, 0, 0]),
        ("gemini-3.1-flash-lite", [250_000, 25_000, 250_000, 250_000, 1_500_000, 500_000, 250_000, 0, 0], None, [0, 0, 0]),
        ("gemini-3.1-flash-lite-image", [250_000, 250_000, 250_000, 250_000, 1_500_000, 0, 250_000, 0, 30_000_000], None, [0, 0, 0]),
        ("gemini-3.1-pro-preview", [2_000_000, 200_000, 2_000_000, 2_000_000, 12_000_000, 0, 2_000_000, 0, 0], Some((200_000, [4_000_000, 400_000, 4_000_000, 4_000_000, 18_000_000, 0, 4_000_000, 0, 0])), [0, 0, 0]),
        ("gemini-3.1-pro-preview-customtools", [2_000_000, 200_000, 2_000_000, 2_000_000, 12_000_000, 0, 2_000_000, 0, 0], Some((200_000, [4_000_000, 400_000, 4_000_000, 4_000_000, 18_000_000, 0, 4_000_000, 0, 0])), [0, 0, 0]),
        ("gemini-3.5-flash", [1_500_000, 150_000, 1_500_000, 1_500_000, 9_000_000, 1_500_000, 1_500_000, 0, 0], None, [0, 0, 0]),
        ("gemini-3.5-flash-lite", [300_000, 30_000, 300_000, 300_000, 2_500_000, 0, 300_000, 0, 0], None, [0, 0, 0]),
        ("gemini-3.5-transcribe", [2_000_000, 2_000_000, 2_000_000, 2_000_000, 12_000_000, 2_000_000, 2_000_000, 0, 0], None, [0, 0, 0]),
        ("gemini-3.6-flash", [750_000, 75_000, 750_000, 750_000, 3_750_000, 0, 750_000, 0, 0], None, [0, 0, 0]),
        ("gemini-3.7-flash", [750_000, 75_000, 750_000, 750_000, 3_750_000, 0, 750_000, 0, 0], None, [0, 0, 0]),
        ("gemini-3.8-flash", [750_000, 75_000, 750_000, 750_000, 3_750_000, 0, 750_000, 0, 0], None, [0, 0, 0]),
        ("gemini-3.8-flash-lite-tts", [500_000, 125_000, 500_000, 500_000, 6_000_000, 0, 500_000, 6_000_000, 0], None, [0, 0, 0]),
        ("gemini-3.8-flash-tts", [500_000, 125_000, 500_000, 500_000, 9_000_000, 0, 500_000, 9_000_000, 0], None, [0, 0, 0]),
        ("gemini-4-argon", [2_000_000, 100_000, 2_000_000, 2_000_000, 10_000_000, 0, 2_000_000, 0, 0], None, [0, 0, 0]),
        ("gemini-embedding-001", [150_000, 150_000, 150_000, 150_000, 0, 0, 150_000, 0, 0], None, [0, 0, 0]),
        ("gemini-embedding-2", [200_000, 200_000, 200_000, 200_000, 0, 6_500_000, 450_000, 0, 0], None, [0, 0, 0]),
        ("gemini-embedding-2-preview", [200_000, 200_000, 200_000, 200_000, 0, 6_500_000, 450_000, 0, 0], None, [0, 0, 0]),
        ("gemini-flash-latest", [750_000, 75_000, 750_000, 750_000, 3_750_000, 0, 750_000, 0, 0], None, [0, 0, 0]),
        ("gemini-flash-lite-latest", [300_000, 30_000, 300_000, 300_000, 2_500_000, 0, 300_000, 0, 0], None, [0, 0, 0]),
        ("gemini-nano-banana-2.1", [1_500_000, 1_500_000, 1_500_000, 1_500_000, 7_500_000, 0, 1_500_000, 0, 30_000_000], None, [0, 0, 0]),
        ("gemini-omni-1.1-flash", [1_500_000, 1_500_000, 1_500_000, 1_500_000, 9_000_000, 1_500_000, 1_500_000, 0, 0], None, [0, 0, 0]),
        ("gemini-pro-latest", [2_000_000, 200_000, 2_000_000, 2_000_000, 12_000_000, 0, 2_000_000, 0, 0], Some((200_000, [4_000_000, 400_000, 4_000_000, 4_000_000, 18_000_000, 0, 4_000_000, 0, 0])), [0, 0, 0]),
        ("gemini-robotics-er-2-preview", [1_000_000, 100_000, 1_000_000, 1_000_000, 5_000_000, 1_000_000, 1_000_000, 0, 0], None, [0, 0, 0]),
        ("gemini-robotics-er-2-streaming-preview", [1_000_000, 1_000_000, 1_000_000, 1_000_000, 5_000_000, 1_000_000, 1_000_000, 0, 0], None, [0, 0, 0]),
        ("nano-banana-pro-preview", [2_000_000, 2_000_000, 2_000_000, 2_000_000, 12_000_000, 0, 2_000_000, 0, 120_000_000], None, [0, 0, 0]),
    ],
};
