//! Open requests.

use access::{Day, RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::caller::CallerPayload;
use super::charge::ChargePayload;
use super::wire::{InvalidPayload, NoRoom, PayloadReader, PayloadWriter};
use crate::open_request::OpenRequest;

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
    let OpenRequest { id, caller, started_at, day, reserved, route, format, model, price_version } = opened;
    writer.value(&OpenPayload {
        id: id.0,
        caller: caller.map(CallerPayload::from),
        started_at_us: started_at.0,
        day: day.0,
        reserved: (*reserved).into(),
        route,
        format: format.as_deref(),
        model: model.as_deref(),
        price_version: price_version.as_deref(),
    })
}

pub(in crate::record) fn read_open(mut reader: PayloadReader<'_>) -> Result<OpenRequest, InvalidPayload> {
    let base: OpenPayload<'_> = reader.value()?;
    reader.fields().skip()?;
    Ok(OpenRequest {
        id: RequestId(base.id),
        caller: base.caller.map(Into::into),
        started_at: Timestamp(base.started_at_us),
        day: Day(base.day),
        reserved: base.reserved.into(),
        route: base.route.into(),
        format: base.format.map(Into::into),
        model: base.model.map(Into::into),
        price_version: base.price_version.map(Into::into),
    })
}
