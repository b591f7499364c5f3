//! Aggregated requests.

use access::{Credits, Day};
use meter::Counts;
use serde::{Deserialize, Serialize};

use super::caller::CallerPayload;
use super::wire::{InvalidPayload, NoRoom, PayloadReader, PayloadWriter};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CountsPayload<'a> {
    caller: Option<CallerPayload>,
    route: &'a str,
    status_class: u8,
    minute: u32,
    day: u32,
    requests: u64,
    credits: Credits,
}

pub(in crate::record) fn write_counts(writer: &mut PayloadWriter<'_>, counts: &[Counts]) -> Result<(), NoRoom> {
    writer.list(counts, |writer, counts| {
        let Counts { caller, route, status_class, minute, day, requests, credits } = counts;
        writer.value(&CountsPayload {
            caller: caller.map(CallerPayload::from),
            route,
            status_class: *status_class,
            minute: *minute,
            day: day.0,
            requests: *requests,
            credits: *credits,
        })
    })
}

pub(in crate::record) fn read_counts(mut reader: PayloadReader<'_>) -> Result<Vec<Counts>, InvalidPayload> {
    let counts = reader.list(|mut reader| {
        let base: CountsPayload<'_> = reader.value()?;
        reader.fields().skip()?;
        Ok(Counts {
            caller: base.caller.map(Into::into),
            route: base.route.into(),
            status_class: base.status_class,
            minute: base.minute,
            day: Day(base.day),
            requests: base.requests,
            credits: base.credits,
        })
    })?;
    reader.fields().skip()?;
    Ok(counts)
}
