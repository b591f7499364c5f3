//! Token usage of the neutral response, from the readers that bills use too.

use meter::Usage;
use serde::Deserialize;

use crate::translate::event::TokenUsage;
use crate::usage::messages::MessagesFigures;
use crate::usage::{chat, google, responses};

/// Reads the usage object of a chat completion.
pub(super) fn of_chat(json: &str) -> Option<TokenUsage> {
    chat::read(json.as_bytes()).map(token_usage)
}

/// Reads the usage object of a response of the Responses API.
pub(super) fn of_responses(json: &str) -> Option<TokenUsage> {
    responses::read(json.as_bytes()).map(token_usage)
}

/// Reads the usage object of Gemini.
pub(super) fn of_generate_content(json: &str) -> Option<TokenUsage> {
    google::read(json.as_bytes(), false).map(|reported| token_usage(reported.usage))
}

/// The usage objects of a message, of which later ones correct earlier ones.
#[derive(Debug, Default)]
pub(super) struct MessageUsage {
    figures: MessagesFigures,
    thinking: Option<u64>,
}

/// The one figure of Messages that bills do not need.
#[derive(Deserialize)]
struct WithDetails {
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl MessageUsage {
    /// Reads a further usage object.
    pub(super) fn read(&mut self, json: &str) {
        self.figures.read(json.as_bytes());
        let details = serde_json::from_str::<WithDetails>(json).ok().and_then(|usage| usage.output_tokens_details);
        self.thinking = details.and_then(|details| details.thinking_tokens).or(self.thinking);
    }

    /// Returns the usage so far.
    pub(super) fn usage(&self) -> Option<TokenUsage> {
        let usage = token_usage(self.figures.usage()?);
        let reasoning = self.thinking.map(|thinking| thinking.min(usage.output));
        Some(TokenUsage { reasoning, ..usage })
    }
}

fn token_usage(usage: Usage) -> TokenUsage {
    let sum = |classes: &[Option<access::Tokens>]| {
        classes.iter().flatten().fold(0, |sum: u64, tokens| sum.saturating_add(tokens.0))
    };
    TokenUsage {
        uncached: sum(&[usage.input, usage.audio_input, usage.image_input]),
        cache_reads: sum(&[usage.cached_input]),
        cache_writes: sum(&[usage.cache_write_short, usage.cache_write_long]),
        output: sum(&[usage.output, usage.reasoning, usage.audio_output, usage.image_output]),
        reasoning: usage.reasoning.map(|tokens| tokens.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openai_includes_caches_in_the_input_and_anthropic_does_not() {
        let expected = TokenUsage { uncached: 35, cache_reads: 40, cache_writes: 25, output: 30, reasoning: Some(20) };
        let chat = r#"{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,
            "prompt_tokens_details":{"cached_tokens":40,"cache_write_tokens":25},
            "completion_tokens_details":{"reasoning_tokens":20}}"#;
        let responses = r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":40,"cache_write_tokens":25},
            "output_tokens":30,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":130}"#;
        assert_eq!((of_chat(chat), of_responses(responses)), (Some(expected), Some(expected)));
        assert_eq!((expected.input(), expected.total()), (100, 130));
        let google = r#"{"promptTokenCount":60,"toolUsePromptTokenCount":5,"cachedContentTokenCount":40,
            "candidatesTokenCount":10,"thoughtsTokenCount":20,"totalTokenCount":95}"#;
        let of_google = TokenUsage { uncached: 25, cache_writes: 0, ..expected };
        assert_eq!(of_generate_content(google), Some(of_google), "thoughts are beside the candidates");
        let mut message = MessageUsage::default();
        message.read(r#"{"input_tokens":3,"output_tokens":1,"cache_read_input_tokens":40}"#);
        message.read(
            r#"{"input_tokens":35,"cache_creation_input_tokens":25,"output_tokens":30,
                "output_tokens_details":{"thinking_tokens":20}}"#,
        );
        assert_eq!(message.usage(), Some(expected));
    }

    #[test]
    fn usage_of_another_form_is_not_reported() {
        for json in ["null", "[]", "{}", "5", "\"x\"", r#"{"prompt_tokens":"many"}"#] {
            let mut message = MessageUsage::default();
            message.read(json);
            assert_eq!((of_chat(json), of_responses(json), message.usage()), (None, None, None), "{json}");
        }
    }
}
