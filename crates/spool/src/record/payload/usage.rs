//! The usage of an attempt.

use access::Tokens;
use meter::{Billed, Source, ToolCalls, Unit, Usage};
use serde::{Deserialize, Serialize};

use super::codes::Code;
use super::wire::InvalidPayload;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct UsagePayload {
    source: u8,
    input: Option<Tokens>,
    cached_input: Option<Tokens>,
    cache_write_short: Option<Tokens>,
    cache_write_long: Option<Tokens>,
    output: Option<Tokens>,
    reasoning: Option<Tokens>,
    audio_input: Option<Tokens>,
    image_input: Option<Tokens>,
    audio_output: Option<Tokens>,
    image_output: Option<Tokens>,
    billed: Option<BilledPayload>,
    tools: ToolCallsPayload,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct BilledPayload {
    unit: u8,
    quantity: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct ToolCallsPayload {
    searches: Option<u64>,
    maps_prompts: Option<u64>,
    maps_queries: Option<u64>,
    containers: Option<u64>,
    file_searches: Option<u64>,
}

impl From<Usage> for UsagePayload {
    fn from(usage: Usage) -> Self {
        let Usage {
            source,
            input,
            cached_input,
            cache_write_short,
            cache_write_long,
            output,
            reasoning,
            audio_input,
            image_input,
            audio_output,
            image_output,
            billed,
            tools,
        } = usage;
        let ToolCalls { searches, maps_prompts, maps_queries, containers, file_searches } = tools;
        Self {
            source: source.code(),
            input,
            cached_input,
            cache_write_short,
            cache_write_long,
            output,
            reasoning,
            audio_input,
            image_input,
            audio_output,
            image_output,
            billed: billed.map(|Billed { unit, quantity }| BilledPayload { unit: unit.code(), quantity }),
            tools: ToolCallsPayload { searches, maps_prompts, maps_queries, containers, file_searches },
        }
    }
}

impl TryFrom<UsagePayload> for Usage {
    type Error = InvalidPayload;

    fn try_from(payload: UsagePayload) -> Result<Self, InvalidPayload> {
        let billed = |BilledPayload { unit, quantity }| Ok(Billed { unit: Unit::from_code(unit)?, quantity });
        let ToolCallsPayload { searches, maps_prompts, maps_queries, containers, file_searches } = payload.tools;
        Ok(Self {
            source: Source::from_code(payload.source)?,
            input: payload.input,
            cached_input: payload.cached_input,
            cache_write_short: payload.cache_write_short,
            cache_write_long: payload.cache_write_long,
            output: payload.output,
            reasoning: payload.reasoning,
            audio_input: payload.audio_input,
            image_input: payload.image_input,
            audio_output: payload.audio_output,
            image_output: payload.image_output,
            billed: payload.billed.map(billed).transpose()?,
            tools: ToolCalls { searches, maps_prompts, maps_queries, containers, file_searches },
        })
    }
}
