//! Usage events, of open requests and of others.

use access::{Day, RequestId, Timestamp};
use meter::{Outcome, RequestOrigin, UsageEvent};
use serde::Serialize;
use uuid::Uuid;

use super::attempt::{read_attempt, write_attempt};
use super::charge::{ChargePayload, fraction_field, pooled_field, read_fraction, read_pooled};
use super::codes::Code;
use super::origin::{read_origin, write_origin};
use super::subject::{self, CallerPayload, SubjectPayload};
use super::windows::{windows, windows_field};
use super::wire::{InvalidPayload, NoRoom, PayloadReader, PayloadWriter};

/// The tag of the error code of a response that Tollgate created.
const REFUSAL: u32 = 1;
/// The tag of a subject that is no key.
const SUBJECT: u32 = 2;
/// The first tag of the origin.
const ORIGIN: u32 = 3;
/// The tag of the money that pooled budgets count. The tags before it belong to the origin.
const POOLED: u32 = 32;
/// The tag of the windows in which the request counts.
const WINDOWS: u32 = 33;
/// The tag of the fraction of a credit.
const FRACTION: u32 = 34;

/// The base, in the order in which [`read_event`] reads it.
#[derive(Debug, Serialize)]
pub(super) struct EventPayload<'a> {
    id: Uuid,
    caller: Option<CallerPayload>,
    started_at_us: u64,
    day: u32,
    charge: ChargePayload,
    route: &'a str,
    format: Option<&'a str>,
    model: Option<&'a str>,
    streamed: bool,
    status: u16,
    outcome: u8,
    request_bytes: u64,
    response_bytes: u64,
    duration_us: u64,
}

pub(in crate::records::record) fn write_event(
    writer: &mut PayloadWriter<'_>,
    event: &UsageEvent,
) -> Result<(), NoRoom> {
    let UsageEvent {
        id,
        subject,
        started_at,
        day,
        windows,
        charge,
        route,
        format,
        model,
        streamed,
        status,
        outcome,
        request_bytes,
        response_bytes,
        duration_us,
        attempts,
        refusal,
        origin,
    } = event;
    writer.value(&EventPayload {
        id: id.0,
        caller: CallerPayload::from_subject(subject),
        started_at_us: started_at.0,
        day: day.0,
        charge: (*charge).into(),
        route,
        format: format.as_deref(),
        model: model.as_deref(),
        streamed: *streamed,
        status: *status,
        outcome: outcome.code(),
        request_bytes: *request_bytes,
        response_bytes: *response_bytes,
        duration_us: *duration_us,
    })?;
    writer.list(attempts, write_attempt)?;
    writer.field(REFUSAL, refusal.as_deref())?;
    writer.field(SUBJECT, SubjectPayload::from_subject(subject))?;
    write_origin(writer, ORIGIN, origin)?;
    writer.field(POOLED, pooled_field(charge))?;
    writer.field(WINDOWS, windows_field(windows))?;
    writer.field(FRACTION, fraction_field(charge.credits))
}

pub(in crate::records::record) fn read_event(mut reader: PayloadReader<'_>) -> Result<UsageEvent, InvalidPayload> {
    let mut event = UsageEvent {
        id: RequestId(reader.uuid()?),
        subject: subject::subject(reader.optional(CallerPayload::read)?, None)?,
        started_at: Timestamp(reader.number()?),
        day: Day(reader.small()?),
        windows: Vec::new(),
        charge: ChargePayload::read(&mut reader)?.into(),
        route: reader.name()?,
        format: reader.optional(PayloadReader::name)?,
        model: reader.optional(PayloadReader::name)?,
        streamed: reader.flag()?,
        status: reader.small()?,
        outcome: Outcome::from_code(reader.byte()?)?,
        request_bytes: reader.number()?,
        response_bytes: reader.number()?,
        duration_us: reader.number()?,
        attempts: reader.list(read_attempt)?,
        refusal: None,
        origin: RequestOrigin::default(),
    };
    let mut fields = reader.fields();
    while let Some(field) = fields.next()? {
        match field.tag {
            REFUSAL => event.refusal = Some(field.value::<&str>()?.into()),
            SUBJECT => {
                let named = SubjectPayload::read(field)?;
                // A key has no other subject.
                event.subject = if event.subject.caller().is_some() { return Err(InvalidPayload) } else { named };
            }
            POOLED => read_pooled(&mut event.charge, field)?,
            FRACTION => read_fraction(&mut event.charge.credits, field)?,
            WINDOWS => event.windows = windows(field)?,
            _ => read_origin(&mut event.origin, ORIGIN, field, |text| reader.text(text))?,
        }
    }
    Ok(event)
}
