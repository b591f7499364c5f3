//! Converts a provider's usage object into the disjoint token classes of `meter`.
//!
//! Figures that are not reported stay unknown; a reported zero stays zero. Figures that are not whole numbers, or
//! absurdly large, are treated as not reported. Parts never exceed the reported whole.

pub(crate) mod chat;
pub(crate) mod fees;
pub(crate) mod google;
pub(crate) mod lenient;
pub(crate) mod media;
pub(crate) mod messages;
pub(crate) mod plain;
pub(crate) mod responses;

use access::Tokens;
use lenient::{Figure, Lenient};
pub(crate) use lenient::{all_are_zero, all_figures_are_counts};
use meter::{Source, Usage};
use serde::Deserialize;

/// Cache writes: the reported sum, and the parts that are reported by lifetime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Writes {
    sum: Option<u64>,
    short: Option<u64>,
    long: Option<u64>,
}

impl Writes {
    /// Returns short and long writes: writes without a reported lifetime are short.
    fn by_lifetime(self) -> (Option<u64>, Option<u64>) {
        let Some(mut rest) = self.sum else { return (self.short, self.long) };
        let long = take(&mut rest, self.long);
        (Some(rest), long)
    }
}

/// OpenAI's details of the input, in chat completions and in Responses.
#[derive(Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Figure,
    cache_write_tokens: Figure,
    cache_write_tokens_details: Lenient<WriteDetails>,
    /// DashScope's name for `cache_write_tokens` (alibabacloud.com/help/en/model-studio/context-cache, 2026-11-21).
    cache_creation_input_tokens: Figure,
    audio_tokens: Figure,
    image_tokens: Figure,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WriteDetails {
    ttl_30m_tokens: Figure,
    ttl_12h_tokens: Figure,
}

/// OpenAI's details of the output.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Figure,
    audio_tokens: Figure,
    image_tokens: Figure,
}

impl InputDetails {
    fn writes(&self) -> Writes {
        let WriteDetails { ttl_30m_tokens, ttl_12h_tokens } = &self.cache_write_tokens_details.0;
        let sum = self.cache_write_tokens.0.or(self.cache_creation_input_tokens.0);
        Writes { sum, short: ttl_30m_tokens.0, long: ttl_12h_tokens.0 }
    }
}

/// Tokens of media that are reported separately.
#[derive(Debug, Clone, Copy, Default)]
struct Media {
    audio: Option<u64>,
    images: Option<u64>,
}

/// OpenAI's figures: the input includes cache reads, cache writes and all media; the output includes reasoning and all
/// media; the total is their sum.
#[derive(Debug, Clone, Copy, Default)]
struct InclusiveFigures {
    input: Option<u64>,
    cached_input: Option<u64>,
    writes: Writes,
    heard: Media,
    output: Option<u64>,
    reasoning: Option<u64>,
    media_output: Media,
    total: Option<u64>,
}

impl InclusiveFigures {
    /// Adds the figures of the details.
    fn detailed(self, input: &InputDetails, output: &OutputDetails) -> Self {
        Self {
            cached_input: input.cached_tokens.0.or(self.cached_input),
            writes: input.writes(),
            heard: Media { audio: input.audio_tokens.0, images: input.image_tokens.0 },
            reasoning: output.reasoning_tokens.0,
            media_output: Media { audio: output.audio_tokens.0, images: output.image_tokens.0 },
            ..self
        }
    }

    /// Splits the figures into disjoint classes; `None` if no figure is reported.
    fn disjoint(self) -> Option<Usage> {
        let (short, long) = self.writes.by_lifetime();
        let mut input = self.input.unwrap_or(u64::MAX);
        let cached_input = take(&mut input, self.cached_input);
        let cache_write_long = take(&mut input, long);
        let cache_write_short = take(&mut input, short);
        let audio_input = take(&mut input, self.heard.audio);
        let image_input = take(&mut input, self.heard.images);
        let mut output = self.whole_output().unwrap_or(u64::MAX);
        let reasoning = take(&mut output, self.reasoning);
        let audio_output = take(&mut output, self.media_output.audio);
        let image_output = take(&mut output, self.media_output.images);
        reported(Usage {
            input: self.input.map(|_| Tokens(input)),
            cached_input: cached_input.map(Tokens),
            cache_write_short: cache_write_short.map(Tokens),
            cache_write_long: cache_write_long.map(Tokens),
            output: self.output.map(|_| Tokens(output)),
            reasoning: reasoning.map(Tokens),
            audio_input: audio_input.map(Tokens),
            image_input: image_input.map(Tokens),
            audio_output: audio_output.map(Tokens),
            image_output: image_output.map(Tokens),
            ..Usage::empty(Source::Reported)
        })
    }

    /// Returns the output with reasoning. Gemini and xAI use OpenAI's format but exclude reasoning from the output, and
    /// Gemini does not report it at all (discuss.ai.google.dev/t/127400, 2026-02). The total contains it, so the rest
    /// of the total is output.
    fn whole_output(self) -> Option<u64> {
        let output = self.output?;
        let rest = self.total.zip(self.input).map_or(0, |(total, input)| total.saturating_sub(input));
        Some(output.max(rest))
    }
}

/// Subtracts a part from the rest of its whole, at most all of it.
fn take(rest: &mut u64, part: Option<u64>) -> Option<u64> {
    let part = part?.min(*rest);
    *rest -= part;
    Some(part)
}

fn reported(usage: Usage) -> Option<Usage> {
    usage.has_tokens().then_some(usage)
}
