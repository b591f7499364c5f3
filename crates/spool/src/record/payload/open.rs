//! Open requests.

use access::{Day, RequestId, Timestamp};
use meter::RequestOrigin;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::charge::ChargePayload;
use super::origin::{read_origin, write_origin};
use super::subject::{self, CallerPayload, SubjectPayload};
use super::wire::{InvalidPayload, NoRoom, PayloadReader, PayloadWriter};
use crate::open_request::OpenRequest;

/// The tag of a subject that is no key.
const SUBJECT: u32 = 1;
/// The first tag of the origin.
const ORIGIN: u32 = 2;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OpenPayload<'a> {
    id: Uuid,
    caller: Option<CallerPayload>,
    started_at_us: u64,
    day: u32,
    reserved: ChargePayload,
    route: &'a str,
    format: Option<&'a str>,
    model: Option<&'a str>,
    price_version: Option<&'a str>,
}

pub(in crate::record) fn write_open(writer: &mut PayloadWriter<'_>, opened: &OpenRequest) -> Result<(), NoRoom> {
    let OpenRequest { id, subject, started_at, day, reserved, route, format, model, price_version, origin } = opened;
    writer.value(&OpenPayload {
        id: id.0,
        caller: CallerPayload::of(subject),
        started_at_us: started_at.0,
        day: day.0,
        reserved: (*reserved).into(),
        route,
        format: format.as_deref(),
        model: model.as_deref(),
        price_version: price_version.as_deref(),
    })?;
    writer.field(SUBJECT, SubjectPayload::of(subject))?;
    write_origin(writer, ORIGIN, origin)
}

pub(in crate::record) fn read_open(mut reader: PayloadReader<'_>) -> Result<OpenRequest, InvalidPayload> {
    let base: OpenPayload<'_> = reader.value()?;
    let (mut named, mut origin, mut fields) = (None, RequestOrigin::default(), reader.fields());
    while let Some(field) = fields.next()? {
        if field.tag == SUBJECT {
            named = Some(SubjectPayload::read(field)?);
        } else {
            read_origin(&mut origin, ORIGIN, field, |text| reader.text(text))?;
        }
    }
    Ok(OpenRequest {
        id: RequestId(base.id),
        subject: subject::subject(base.caller, named)?,
        started_at: Timestamp(base.started_at_us),
        day: Day(base.day),
        reserved: base.reserved.into(),
        route: reader.text(base.route),
        format: base.format.map(|name| reader.text(name)),
        model: base.model.map(|name| reader.text(name)),
        price_version: base.price_version.map(|version| reader.text(version)),
        origin,
    })
}
