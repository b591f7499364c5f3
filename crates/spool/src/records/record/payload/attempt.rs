//! One attempt of a usage event.

use access::NanoUsd;
use meter::{Attempt, UnknownCost};
use serde::Serialize;

use super::codes::Code;
use super::usage::{UsagePayload, read_usage};
use super::wire::{InvalidPayload, NoRoom, PayloadReader, PayloadWriter};

/// The tag of the reason why the cost is unknown.
const UNKNOWN: u32 = 1;
/// The tag of an attempt with the user's own credential.
const OWN_CREDENTIAL: u32 = 2;

/// The base, in the order in which [`read_attempt`] reads it.
#[derive(Debug, Serialize)]
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
        own_credential,
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
    writer.field(UNKNOWN, unknown.map(Code::code))?;
    writer.field(OWN_CREDENTIAL, Some(*own_credential).filter(|own| *own))
}

pub(super) fn read_attempt(mut reader: PayloadReader<'_>) -> Result<Attempt, InvalidPayload> {
    let mut attempt = Attempt {
        provider: reader.name()?,
        model: reader.optional(PayloadReader::name)?,
        answered_model: reader.optional(PayloadReader::name)?,
        status: reader.optional(PayloadReader::small)?,
        upstream_id: reader.optional(PayloadReader::str)?.map(Into::into),
        usage: reader.optional(read_usage)?,
        raw_usage: reader.optional(PayloadReader::str)?.map(Into::into),
        cost: reader.optional(PayloadReader::signed)?.map(NanoUsd),
        price_version: reader.optional(PayloadReader::name)?,
        first_byte_us: reader.optional(PayloadReader::number)?,
        duration_us: reader.number()?,
        unknown: None,
        own_credential: false,
    };
    let mut fields = reader.fields();
    while let Some(field) = fields.next()? {
        match field.tag {
            UNKNOWN => attempt.unknown = Some(UnknownCost::from_code(field.value()?)?),
            OWN_CREDENTIAL => attempt.own_credential = field.value()?,
            _ => {}
        }
    }
    Ok(attempt)
}
