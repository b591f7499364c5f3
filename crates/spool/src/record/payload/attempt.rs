//! One attempt of a usage event.

use access::NanoUsd;
use meter::{Attempt, UnknownCost};
use serde::{Deserialize, Serialize};

use super::codes::Code;
use super::usage::UsagePayload;
use super::wire::{InvalidPayload, NoRoom, PayloadReader, PayloadWriter};

/// The tag of the reason why the cost is unknown.
const UNKNOWN: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AttemptPayload<'a> {
    provider: &'a str,
    model: Option<&'a str>,
    answered_model: Option<&'a str>,
    status: Option<u16>,
    upstream_id: Option<&'a str>,
    usage: Option<UsagePayload>,
    raw_usage: Option<&'a str>,
    cost_nano_usd: Option<i64>,
    price_version: Option<&'a str>,
    first_byte_us: Option<u64>,
    duration_us: u64,
}

pub(super) fn write_attempt(writer: &mut PayloadWriter<'_>, attempt: &Attempt) -> Result<(), NoRoom> {
    let Attempt {
        provider,
        model,
        answered_model,
        status,
        upstream_id,
        usage,
        raw_usage,
        cost,
        unknown,
        price_version,
        first_byte_us,
        duration_us,
    } = attempt;
    writer.value(&AttemptPayload {
        provider,
        model: model.as_deref(),
        answered_model: answered_model.as_deref(),
        status: *status,
        upstream_id: upstream_id.as_deref(),
        usage: usage.map(UsagePayload::from),
        raw_usage: raw_usage.as_deref(),
        cost_nano_usd: cost.map(|NanoUsd(amount)| amount),
        price_version: price_version.as_deref(),
        first_byte_us: *first_byte_us,
        duration_us: *duration_us,
    })?;
    writer.field(UNKNOWN, unknown.map(Code::code))
}

pub(super) fn read_attempt(mut reader: PayloadReader<'_>) -> Result<Attempt, InvalidPayload> {
    let base: AttemptPayload<'_> = reader.value()?;
    let mut unknown = None;
    let mut fields = reader.fields();
    while let Some(field) = fields.next()? {
        if field.tag == UNKNOWN {
            unknown = Some(UnknownCost::from_code(field.value()?)?);
        }
    }
    Ok(Attempt {
        provider: reader.text(base.provider),
        model: base.model.map(|name| reader.text(name)),
        answered_model: base.answered_model.map(|name| reader.text(name)),
        status: base.status,
        upstream_id: base.upstream_id.map(Into::into),
        usage: base.usage.map(TryInto::try_into).transpose()?,
        raw_usage: base.raw_usage.map(Into::into),
        cost: base.cost_nano_usd.map(NanoUsd),
        unknown,
        price_version: base.price_version.map(|version| reader.text(version)),
        first_byte_us: base.first_byte_us,
        duration_us: base.duration_us,
    })
}
