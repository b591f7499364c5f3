//! Messages: `usage` of the body; in a stream that of `message_start`, overwritten by each `message_delta`.

use access::Tokens;
use meter::{Source, ToolCalls, Usage};
use serde::Deserialize;

use super::lenient::{LIST_MAX, List, Present, Word};
use super::{Figure, Lenient, Writes, reported};
use crate::price::{PriceTerms, Tier, undated};

/// The figures that the usage objects of one message have reported so far. The input excludes cache reads and cache
/// writes. The output includes thinking, which is not reported separately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MessagesFigures {
    /// The top-level figures of the objects.
    message: SamplingFigures,
    /// The samplings beside the message.
    beside: OtherSamplings,
    tier: Option<Box<str>>,
    speed: Option<Box<str>>,
    place: Option<Box<str>>,
    searches: Option<u64>,
    /// Whether a part is credited back, by an amount that no reported figure allows to price.
    credited: bool,
}

/// The figures of one sampling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct SamplingFigures {
    input: Option<u64>,
    cached_input: Option<u64>,
    writes: Writes,
    output: Option<u64>,
}

/// The figures of `iterations` other than the message's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OtherSamplings {
    /// Compactions: no top-level total includes them (platform.claude.com, compaction, read 2026-11-20).
    compactions: SamplingSum,
    /// Whether something was sampled that has other rates: an advisor's output, or a kind that Tollgate does not know.
    strange: bool,
    /// The models that the iterations name.
    models: Vec<Box<str>>,
}

/// Maximum number of different model names that are kept.
const MODELS_MAX: usize = 4;

/// The sum of the figures of several samplings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct SamplingSum(Option<Usage>);

/// One usage object of Messages.
#[derive(Default, Deserialize)]
#[serde(default)]
struct MessagesUsage {
    input_tokens: Figure,
    cache_read_input_tokens: Figure,
    cache_creation_input_tokens: Figure,
    cache_creation: Lenient<Creation>,
    output_tokens: Figure,
    service_tier: Word,
    speed: Word,
    inference_geo: Word,
    server_tool_use: Lenient<ServerTools>,
    iterations: Option<List<Iteration>>,
    fallback_credit: Present,
}

/// One of several samplings that created the message.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Iteration {
    r#type: Word,
    model: Word,
    input_tokens: Figure,
    cache_read_input_tokens: Figure,
    cache_creation_input_tokens: Figure,
    cache_creation: Lenient<Creation>,
    output_tokens: Figure,
}

/// Tools that the provider runs. Fetches are free.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_requests: Figure,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Creation {
    ephemeral_5m_input_tokens: Figure,
    ephemeral_1h_input_tokens: Figure,
}

impl MessagesFigures {
    /// Reads a further usage object: its figures are cumulative and overwrite earlier ones; missing figures leave
    /// earlier ones unchanged.
    pub(crate) fn read(&mut self, json: &[u8]) {
        let Ok(Lenient(usage)) = serde_json::from_slice::<Lenient<MessagesUsage>>(json) else { return };
        let overwrite = |old: &mut Option<u64>, new: Option<u64>| *old = new.or(*old);
        overwrite(&mut self.message.input, usage.input_tokens.0);
        overwrite(&mut self.message.cached_input, usage.cache_read_input_tokens.0);
        overwrite(&mut self.message.writes.sum, usage.cache_creation_input_tokens.0);
        overwrite(&mut self.message.writes.short, usage.cache_creation.0.ephemeral_5m_input_tokens.0);
        overwrite(&mut self.message.writes.long, usage.cache_creation.0.ephemeral_1h_input_tokens.0);
        overwrite(&mut self.message.output, usage.output_tokens.0);
        overwrite(&mut self.searches, usage.server_tool_use.0.web_search_requests.0);
        for (old, new) in [
            (&mut self.tier, usage.service_tier),
            (&mut self.speed, usage.speed),
            (&mut self.place, usage.inference_geo),
        ] {
            *old = new.0.or(old.take());
        }
        if let Some(List(iterations)) = usage.iterations {
            self.beside = OtherSamplings::from_iterations(&iterations);
        }
        self.credited |= usage.fallback_credit.0;
    }

    /// Returns the terms at which `model` responded; `None` if a part of the usage has rates that are not known.
    pub(crate) fn terms(&self, model: Option<&str>) -> Option<PriceTerms> {
        let is_other = |named: &str| model.is_some_and(|model| undated(model) != undated(named));
        if self.credited || self.beside.strange || self.beside.models.iter().any(|named| is_other(named)) {
            return None;
        }
        let tier = match (self.tier.as_deref().unwrap_or("standard"), self.speed.as_deref().unwrap_or("standard")) {
            ("standard", "standard") => Tier::Standard,
            ("standard", "fast") => Tier::Fast,
            ("batch", "standard") => Tier::Batch,
            _ => return None,
        };
        let us = match self.place.as_deref() {
            None | Some("global" | "not_available") => false,
            Some("us") => true,
            Some(_) => return None,
        };
        Some(PriceTerms { tier, us })
    }

    /// Returns the token classes; `None` if no figure was reported.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let usage = self.message.usage();
        let usage = self.beside.compactions.0.map_or(usage, |compactions| usage.and(&compactions));
        let searches = self.searches.filter(|searches| *searches > 0);
        reported(Usage { tools: ToolCalls { searches, ..ToolCalls::default() }, ..usage })
    }
}

impl SamplingFigures {
    fn usage(self) -> Usage {
        let (cache_write_short, cache_write_long) = self.writes.by_lifetime();
        Usage {
            input: self.input.map(Tokens),
            cached_input: self.cached_input.map(Tokens),
            cache_write_short: cache_write_short.map(Tokens),
            cache_write_long: cache_write_long.map(Tokens),
            output: self.output.map(Tokens),
            ..Usage::empty(Source::Reported)
        }
    }
}

impl OtherSamplings {
    fn from_iterations(iterations: &[Iteration]) -> Self {
        let mut beside = Self::default();
        for iteration in iterations {
            match iteration.r#type.0.as_deref() {
                Some("message") => {}
                Some("compaction") => beside.compactions.add(&iteration.sampled().usage()),
                _ => beside.strange = true,
            }
            if let Some(model) = &iteration.model.0
                && !beside.models.contains(model)
            {
                beside.strange |= beside.models.len() == MODELS_MAX;
                if !beside.strange {
                    beside.models.push(model.clone());
                }
            }
        }
        // Iterations after the last one that is read are unknown.
        beside.strange |= iterations.len() == LIST_MAX;
        beside
    }
}

impl SamplingSum {
    fn add(&mut self, usage: &Usage) {
        self.0 = Some(self.0.map_or(*usage, |before| before.and(usage)));
    }
}

impl Iteration {
    fn sampled(&self) -> SamplingFigures {
        let Creation { ephemeral_5m_input_tokens, ephemeral_1h_input_tokens } = &self.cache_creation.0;
        SamplingFigures {
            input: self.input_tokens.0,
            cached_input: self.cache_read_input_tokens.0,
            writes: Writes {
                sum: self.cache_creation_input_tokens.0,
                short: ephemeral_5m_input_tokens.0,
                long: ephemeral_1h_input_tokens.0,
            },
            output: self.output_tokens.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[&str], expected: Option<[Option<u64>; 6]>) {
        let mut all = MessagesFigures::default();
        for json in fields {
            all.read(json.as_bytes());
        }
        assert_eq!(
            all.usage().map(|usage| usage.summary_classes()),
            expected.map(|classes| classes.map(|class| class.map(Tokens))),
            "{fields:?}"
        );
    }

    const START: &str = r#"{"input_tokens":11,"cache_creation_input_tokens":30,"cache_read_input_tokens":7,
        "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}"#;

    #[test]
    fn input_excludes_caches_and_writes_are_split() {
        check(&[START], Some([Some(11), Some(7), Some(10), Some(20), Some(1), None]));
        let unsplit = r#"{"input_tokens":1,"cache_creation_input_tokens":30,"output_tokens":2,
            "output_tokens_details":{"thinking_tokens":1}}"#;
        check(&[unsplit], Some([Some(1), None, Some(30), None, Some(2), None]));
    }

    #[test]
    fn deltas_overwrite_and_never_add() {
        check(&[START, r#"{"output_tokens":90}"#], Some([Some(11), Some(7), Some(10), Some(20), Some(90), None]));
        let deltas = [START, r#"{"output_tokens":90}"#, r#"{"input_tokens":12,"output_tokens":91}"#];
        check(&deltas, Some([Some(12), Some(7), Some(10), Some(20), Some(91), None]));
        check(&[START, r#"{"input_tokens":null}"#], Some([Some(11), Some(7), Some(10), Some(20), Some(1), None]));
    }

    /// With server tools `message_start` splits its own iteration only (BerriAI/litellm#42663).
    #[test]
    fn writes_beyond_the_split_of_the_start_are_short() {
        let delta = r#"{"cache_creation_input_tokens":100,"output_tokens":9}"#;
        check(&[START, delta], Some([Some(11), Some(7), Some(80), Some(20), Some(9), None]));
    }

    #[test]
    fn unreported_usage_is_unknown() {
        check(&[], None);
        check(&["{}", "null", "{", r#"{"input_tokens":-1}"#], None);
    }

    /// The example of platform.claude.com's page on compaction: 203,000 and 4,500 tokens are billed.
    #[test]
    fn compactions_are_added_to_the_top_level_usage() {
        let json = r#"{"input_tokens":23000,"output_tokens":1000,"iterations":[
            {"type":"compaction","input_tokens":180000,"output_tokens":3500},
            {"type":"message","input_tokens":23000,"output_tokens":1000}]}"#;
        check(&[json], Some([Some(203_000), None, None, None, Some(4_500), None]));
        let later =
            r#"{"output_tokens":1200,"iterations":[{"type":"message","input_tokens":23000,"output_tokens":1200}]}"#;
        check(&[json, later], Some([Some(23_000), None, None, None, Some(1_200), None]));
        let caches = r#"{"input_tokens":1,"cache_read_input_tokens":2,"output_tokens":3,"iterations":[
            {"type":"compaction","input_tokens":10,"cache_read_input_tokens":20,"cache_creation_input_tokens":90,
                "cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":60},"output_tokens":7}]}"#;
        check(&[caches], Some([Some(11), Some(22), Some(30), Some(60), Some(10), None]));
    }

    #[test]
    fn terms_are_read_from_the_response() {
        let of = |tier, us| Some(PriceTerms { tier, us });
        for (fields, terms) in [
            ("", of(Tier::Standard, false)),
            (r#","speed":"fast""#, of(Tier::Fast, false)),
            (r#","speed":"fast","inference_geo":"us""#, of(Tier::Fast, true)),
            (r#","service_tier":"batch","inference_geo":"global""#, of(Tier::Batch, false)),
            (r#","inference_geo":"eu""#, None),
            (r#","speed":"faster""#, None),
            (r#","service_tier":"batch","speed":"fast""#, None),
            (r#","service_tier":"priority""#, None),
            (r#","fallback_credit":{"tokens":1}"#, None),
            (r#","fallback_credit":null"#, of(Tier::Standard, false)),
            (r#","iterations":null"#, of(Tier::Standard, false)),
            (r#","iterations":[{"type":"message","model":"m-20260101"}]"#, of(Tier::Standard, false)),
            (r#","iterations":[{"type":"message","model":"n"}]"#, None),
            (r#","iterations":[{"type":"advisor_message","model":"m"}]"#, None),
            (r#","iterations":[{"type":"later"}]"#, None),
            (r#","iterations":[{}]"#, None),
        ] {
            let mut all = MessagesFigures::default();
            all.read(format!(r#"{{"input_tokens":1{fields}}}"#).as_bytes());
            assert_eq!(all.terms(Some("m")), terms, "{fields}");
        }
    }

    #[test]
    fn searches_are_billed_beside_the_tokens() {
        let mut all = MessagesFigures::default();
        all.read(br#"{"input_tokens":1,"server_tool_use":{"web_search_requests":1,"web_fetch_requests":2}}"#);
        all.read(br#"{"server_tool_use":{"web_search_requests":3}}"#);
        let usage = all.usage().unwrap();
        let searches = ToolCalls { searches: Some(3), ..ToolCalls::default() };
        assert_eq!((usage.input, usage.billed, usage.tools), (Some(Tokens(1)), None, searches));
    }
}
