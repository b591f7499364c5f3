//! Open requests.

use access::{Day, RequestId, Subject, Timestamp};
use meter::RequestOrigin;
use serde::Serialize;
use uuid::Uuid;

use super::charge::{ChargePayload, fraction_field, pooled_field, read_fraction, read_pooled};
use super::origin::{read_origin, write_origin};
use super::subject::{self, CallerPayload, SubjectPayload};
use super::windows::{windows, windows_field};
use super::wire::{InvalidPayload, NoRoom, PayloadReader, PayloadWriter};
use crate::open_request::OpenRequest;

/// The tag of a subject that is no key.
const SUBJECT: u32 = 1;
/// The first tag of the origin.
const ORIGIN: u32 = 2;
/// The tag of the money that pooled budgets count. The tags before it belong to the origin.
const POOLED: u32 = 32;
/// The tag of the windows in which the request counts.
const WINDOWS: u32 = 33;
/// The tag of the fraction of a credit.
const FRACTION: u32 = 34;

/// The base, in the order in which [`read_open`] reads it.
#[derive(Debug, Serialize)]
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

pub(in crate::records::record) fn write_open(
    writer: &mut PayloadWriter<'_>,
    opened: &OpenRequest,
) -> Result<(), NoRoom> {
    let OpenRequest { id, subject, started_at, day, windows, reserved, route, format, model, price_version, origin } =
        opened;
    writer.value(&OpenPayload {
        id: id.0,
        caller: CallerPayload::from_subject(subject),
        started_at_us: started_at.0,
        day: day.0,
        reserved: (*reserved).into(),
        route,
        format: format.as_deref(),
        model: model.as_deref(),
        price_version: price_version.as_deref(),
    })?;
    writer.field(SUBJECT, SubjectPayload::from_subject(subject))?;
    write_origin(writer, ORIGIN, origin)?;
    writer.field(POOLED, pooled_field(reserved))?;
    writer.field(WINDOWS, windows_field(windows))?;
    writer.field(FRACTION, fraction_field(reserved.credits))
}

pub(in crate::records::record) fn read_open(mut reader: PayloadReader<'_>) -> Result<OpenRequest, InvalidPayload> {
    let id = RequestId(reader.uuid()?);
    let caller = reader.optional(CallerPayload::read)?;
    let mut opened = OpenRequest {
        id,
        subject: Subject::ANONYMOUS,
        started_at: Timestamp(reader.number()?),
        day: Day(reader.small()?),
        windows: Vec::new(),
        reserved: ChargePayload::read(&mut reader)?.into(),
        route: reader.name()?,
        format: reader.optional(PayloadReader::name)?,
        model: reader.optional(PayloadReader::name)?,
        price_version: reader.optional(PayloadReader::name)?,
        origin: RequestOrigin::default(),
    };
    let mut named = None;
    let mut fields = reader.fields();
    while let Some(field) = fields.next()? {
        match field.tag {
            SUBJECT => named = Some(SubjectPayload::read(field)?),
            POOLED => read_pooled(&mut opened.reserved, field)?,
            FRACTION => read_fraction(&mut opened.reserved.credits, field)?,
            WINDOWS => opened.windows = windows(field)?,
            _ => read_origin(&mut opened.origin, ORIGIN, field, |text| reader.text(text))?,
        }
    }
    opened.subject = subject::subject(caller, named)?;
    Ok(opened)
}
