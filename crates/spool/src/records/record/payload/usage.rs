//! The usage of an attempt.

use access::Tokens;
use meter::{BilledQuantity, Source, ToolCalls, Unit, Usage};
use serde::Serialize;

use super::codes::Code;
use super::wire::{InvalidPayload, PayloadReader};

/// The usage, in the order in which [`read_usage`] reads it.
#[derive(Debug, Clone, Copy, Serialize)]
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

#[derive(Debug, Clone, Copy, Serialize)]
struct BilledPayload {
    unit: u8,
    quantity: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
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
            billed: billed.map(|BilledQuantity { unit, quantity }| BilledPayload { unit: unit.code(), quantity }),
            tools: ToolCallsPayload { searches, maps_prompts, maps_queries, containers, file_searches },
        }
    }
}

/// Reads what [`UsagePayload`] writes.
pub(super) fn read_usage(reader: &mut PayloadReader<'_>) -> Result<Usage, InvalidPayload> {
    fn tokens(reader: &mut PayloadReader<'_>) -> Result<Option<Tokens>, InvalidPayload> {
        Ok(reader.optional(PayloadReader::number)?.map(Tokens))
    }
    let calls = |reader: &mut PayloadReader<'_>| reader.optional(PayloadReader::number);
    Ok(Usage {
        source: Source::from_code(reader.byte()?)?,
        input: tokens(reader)?,
        cached_input: tokens(reader)?,
        cache_write_short: tokens(reader)?,
        cache_write_long: tokens(reader)?,
        output: tokens(reader)?,
        reasoning: tokens(reader)?,
        audio_input: tokens(reader)?,
        image_input: tokens(reader)?,
        audio_output: tokens(reader)?,
        image_output: tokens(reader)?,
        billed: reader.optional(|reader| {
            Ok(BilledQuantity { unit: Unit::from_code(reader.byte()?)?, quantity: reader.number()? })
        })?,
        tools: ToolCalls {
            searches: calls(reader)?,
            maps_prompts: calls(reader)?,
            maps_queries: calls(reader)?,
            containers: calls(reader)?,
            file_searches: calls(reader)?,
        },
    })
}
