//! Prices of hosts with OpenAI's API: a flat table, by host of a provider's `base_url`.
//!
//! The figures are those of LiteLLM's `model_prices_and_context_window.json` (release 1.109.1, MIT licence, © 2023
//! Berri AI). Those of DeepSeek are its peak rates: its off-peak rates are half since 2026-08-17, so a cost is then an
//! upper bound. A host without its own rate for cached input charges the rate of input. Only DashScope charges cache
//! writes: 1.25 times the rate of input, for a cache that the request enables
//! (alibabacloud.com/help/en/model-studio/context-cache, 2026-11-21).

use super::row::{builtin, text_rates};
use crate::price::{LongContextRates, OtherPrices, Price, TokenLimits, server_tools};

const SOURCE: &str = "LiteLLM model_prices_and_context_window.json 1.109.1, MIT";

/// A model, its rates (input, cached input, cache write, output), the number of tokens above which all of them double,
/// and its maximum input and output tokens, of which 0 means unknown. If only the window is known, it also limits the
/// output.
type HostRow = (&'static str, [u64; 4], Option<u64>, [u64; 2]);

const K: u64 = 1_024;
const M: u64 = 1_048_576;

#[rustfmt::skip]
const HOSTS: &[(&str, &[HostRow])] = &[
    ("api.deepseek.com", &[
        ("deepseek-v4-flash", [300_000, 6_000, 300_000, 1_200_000], None, [M, 384 * K]),
        ("deepseek-v4-pro", [1_320_000, 44_000, 1_320_000, 3_960_000], None, [M, 384 * K]),
    ]),
    ("api.x.ai", &[
        ("grok-4.7", [2_000_000, 500_000, 2_000_000, 6_000_000], Some(200_000), [512 * K, 0]),
        ("grok-4.5", [2_000_000, 300_000, 2_000_000, 6_000_000], Some(200_000), [0, 0]),
        ("grok-4.3", [1_250_000, 200_000, 1_250_000, 2_500_000], Some(200_000), [M, 0]),
        ("grok-4.20", [1_250_000, 200_000, 1_250_000, 2_500_000], Some(200_000), [M, 0]),
        ("grok-code-fast", [1_000_000, 200_000, 1_000_000, 2_000_000], None, [0, 0]),
    ]),
    ("api.groq.com", &[
        ("openai/gpt-oss-120b", [150_000, 75_000, 150_000, 600_000], None, [128 * K, 64 * K]),
        ("openai/gpt-oss-20b", [75_000, 37_500, 75_000, 300_000], None, [0, 0]),
        ("qwen3.8-27b", [800_000, 800_000, 800_000, 4_000_000], None, [0, 0]),
    ]),
    ("api.cerebras.ai", &[
        ("gpt-oss-120b", [350_000, 350_000, 350_000, 750_000], None, [0, 0]),
    ]),
    ("api.mistral.ai", &[
        ("mistral-large-4", [1_360_000, 140_000, 1_360_000, 4_180_000], None, [M, 0]),
        ("mistral-large-latest", [500_000, 50_000, 500_000, 1_500_000], None, [0, 0]),
        ("mistral-medium-3.5", [1_500_000, 150_000, 1_500_000, 7_500_000], None, [0, 0]),
        ("devstral-medium", [400_000, 40_000, 400_000, 2_000_000], None, [0, 0]),
    ]),
    ("api.moonshot.ai", &[
        ("kimi-k3", [3_000_000, 300_000, 3_000_000, 15_000_000], None, [M, 0]),
        ("kimi-k3.1-pro", [2_000_000, 200_000, 2_000_000, 10_000_000], None, [0, 0]),
        ("kimi-k2.6", [950_000, 160_000, 950_000, 4_000_000], None, [0, 0]),
        ("kimi-k2.7-code", [950_000, 190_000, 950_000, 4_000_000], None, [0, 0]),
    ]),
    ("api.z.ai", &[
        ("glm-5.3", [1_400_000, 260_000, 1_400_000, 4_400_000], None, [M, 128 * K]),
        ("glm-5.3-flash", [150_000, 30_000, 150_000, 500_000], None, [0, 0]),
    ]),
    ("api.minimax.io", &[
        ("MiniMax-M3", [300_000, 60_000, 300_000, 1_200_000], Some(512_000), [0, 0]),
    ]),
    ("dashscope-intl.aliyuncs.com", &[
        ("qwen3.8-max", [2_000_000, 250_000, 2_500_000, 6_000_000], None, [0, 0]),
        ("qwen3.8-flash", [150_000, 16_000, 187_500, 470_000], None, [0, 0]),
    ]),
    ("api.perplexity.ai", &[
        ("sonar", [1_000_000, 1_000_000, 1_000_000, 1_000_000], None, [0, 0]),
        ("sonar-pro", [3_000_000, 3_000_000, 3_000_000, 15_000_000], None, [0, 0]),
    ]),
];

/// Returns every row: `HOST/MODEL` and its price.
pub(super) fn prices() -> impl Iterator<Item = (String, Price)> {
    HOSTS.iter().flat_map(|(host, rows)| {
        rows.iter().map(move |(model, [input, cached, write, output], doubled_above, window)| {
            let rates = text_rates([*input, *cached, *write, *write, *output]);
            let long = doubled_above
                .and_then(|above_tokens| Some(LongContextRates { above_tokens, rates: rates.times(2, 1)? }));
            let units = server_tools::rates(host, model);
            let price = builtin(rates, long, units, OtherPrices::default(), SOURCE.into());
            let version = format!("{}/{host}", price.version).into();
            (format!("{host}/{model}"), Price { limits: limits(*window), version, ..price })
        })
    })
}

const fn limits([input, output]: [u64; 2]) -> Option<TokenLimits> {
    match (input, output) {
        (0, _) => None,
        (window, 0) => Some(TokenLimits { input_tokens_max: window, output_tokens_max: window }),
        (input_tokens_max, output_tokens_max) => Some(TokenLimits { input_tokens_max, output_tokens_max }),
    }
}

#[cfg(test)]
mod tests {
    use access::{Day, Tokens};
    use meter::{Source, Usage};

    use super::*;
    use crate::price::Prices;

    /// Costs in nano-USD that were computed by hand from the published rates.
    #[test]
    fn a_call_to_a_host_has_the_published_price() {
        let prices = Prices::builtin();
        for (host, model, [input, cached, output], cost) in [
            // The examples of the audit.
            ("api.x.ai", "grok-4.5", [300_000, 0, 2_000], 1_224_000_000),
            ("api.moonshot.ai", "kimi-k2.6", [534, 29_000, 100], 5_547_300),
            ("api.x.ai", "grok-4.5", [200_000, 0, 0], 400_000_000),
            ("api.x.ai", "grok-4.5", [200_001, 0, 0], 800_004_000),
            ("api.deepseek.com", "deepseek-v4-pro", [1_000, 1_000, 1_000], 5_324_000),
            ("api.groq.com", "openai/gpt-oss-20b", [1_000, 1_000, 1_000], 412_500),
            ("api.cerebras.ai", "gpt-oss-120b", [1_000, 0, 1_000], 1_100_000),
            ("api.mistral.ai", "mistral-large-4", [1_000, 1_000, 1_000], 5_680_000),
            ("api.z.ai", "glm-5.3", [1_000, 1_000, 1_000], 6_060_000),
            ("api.minimax.io", "MiniMax-M3", [512_001, 0, 0], 307_200_600),
            ("dashscope-intl.aliyuncs.com", "qwen3.8-max", [1_000, 1_000, 1_000], 8_250_000),
            ("api.perplexity.ai", "sonar", [1_000, 0, 1_000], 14_000_000),
            ("api.perplexity.ai", "sonar-pro", [1_000, 0, 1_000], 32_000_000),
        ] {
            let price = prices.find(host, [model], Day(20_778)).unwrap();
            let usage = Usage {
                input: Some(Tokens(input)),
                cached_input: Some(Tokens(cached)),
                output: Some(Tokens(output)),
                ..Usage::empty(Source::Reported)
            };
            assert_eq!(price.cost(&usage).map(|cost| cost.0), Some(cost), "{host} {model}");
            assert!(price.version.ends_with(host), "{}", price.version);
        }
        assert_eq!(prices.find("api.x.ai.example", ["grok-4.5"], Day(20_778)), None);
    }

    #[test]
    fn a_write_to_the_cache_of_dashscope_costs_a_quarter_more_than_input() {
        let prices = Prices::builtin();
        for (model, input, write) in [("qwen3.8-max", 2_000_000, 2_500_000), ("qwen3.8-flash", 150_000, 187_500)] {
            let rates = prices.find("dashscope-intl.aliyuncs.com", [model], Day(20_778)).unwrap().rates;
            assert_eq!(
                (rates.input, rates.cache_write_short, rates.cache_write_long),
                (Some(input), Some(write), Some(write))
            );
        }
        let rates = prices.find("api.deepseek.com", ["deepseek-v4-pro"], Day(20_778)).unwrap().rates;
        assert_eq!(rates.cache_write_short, rates.input);
    }

    #[test]
    fn a_window_bounds_the_answer_where_no_other_limit_is_published() {
        let both = |input_tokens_max, output_tokens_max| Some(TokenLimits { input_tokens_max, output_tokens_max });
        let prices = Prices::builtin();
        let limits = |host, model| prices.find(host, [model], Day(20_778)).unwrap().limits;
        assert_eq!(limits("api.deepseek.com", "deepseek-v4-pro"), both(1_048_576, 393_216));
        assert_eq!(limits("api.moonshot.ai", "kimi-k3"), both(1_048_576, 1_048_576));
        assert_eq!(limits("api.x.ai", "grok-4.5"), None);
    }
}
