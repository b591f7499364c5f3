//! Usage events, of open requests and of others.

use access::{Day, RequestId, Timestamp};
use meter::{Outcome, UsageEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::attempt::{read_attempt, write_attempt};
use super::charge::ChargePayload;
use super::codes::Code;
use super::subject::{self, CallerPayload, SubjectPayload};
use super::wire::{InvalidPayload, NoRoom, PayloadReader, PayloadWriter};

/// The tag of the error code of a response that Tollgate created.
const REFUSAL: u32 = 1;
/// The tag of a subject that is no key.
const SUBJECT: u32 = 2;

#[derive(Debug, Serialize, Deserialize)]
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

pub(in crate::record) fn write_event(writer: &mut PayloadWriter<'_>, event: &UsageEvent) -> Result<(), NoRoom> {
    let UsageEvent {
        id,
        subject,
        started_at,
        day,
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
    } = event;
    writer.value(&EventPayload {
        id: id.0,
        caller: CallerPayload::of(subject),
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
    writer.field(SUBJECT, SubjectPayload::of(subject))
}

pub(in crate::record) fn read_event(mut reader: PayloadReader<'_>) -> Result<UsageEvent, InvalidPayload> {
    let base: EventPayload<'_> = reader.value()?;
    let attempts = reader.list(read_attempt)?;
    let (mut refusal, mut named): (Option<&str>, _) = (None, None);
    let mut fields = reader.fields();
    while let Some(field) = fields.next()? {
        match field.tag {
            REFUSAL => refusal = Some(field.value()?),
            SUBJECT => named = Some(SubjectPayload::read(field)?),
            _ => {}
        }
    }
    Ok(UsageEvent {
        id: RequestId(base.id),
        subject: subject::subject(base.caller, named)?,
        started_at: Timestamp(base.started_at_us),
        day: Day(base.day),
        charge: base.charge.into(),
        route: reader.text(base.route),
        format: base.format.map(|name| reader.text(name)),
        model: base.model.map(|name| reader.text(name)),
        streamed: base.streamed,
        status: base.status,
        outcome: Outcome::from_code(base.outcome)?,
        request_bytes: base.request_bytes,
        response_bytes: base.response_bytes,
        duration_us: base.duration_us,
        attempts,
        refusal: refusal.map(Into::into),
    })
}
